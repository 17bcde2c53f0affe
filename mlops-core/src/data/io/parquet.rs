//! Parquet, with Snappy: what every tool of the field reads and writes.

use super::name_of;
use crate::{
    Error, ErrorKind, Result,
    data::{Dataset, Part},
    setters::setters,
};
use arrow_array::RecordBatch;
use bytes::Bytes;
use parquet::{
    arrow::{
        ArrowWriter, ProjectionMask,
        arrow_reader::{
            ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder as Reader,
        },
    },
    basic::Compression,
    errors::ParquetError,
    file::{properties::WriterProperties, reader::ChunkReader},
};
use std::{
    fs::{self, File},
    io::Write,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::Arc,
};

/// How a Parquet file is read.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ParquetOptions {
    /// Only these columns, in this order; the bytes of others are not read. All if `None`.
    pub columns: Option<Vec<Arc<str>>>,
    /// The most rows of one record batch.
    pub batch_rows: usize,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self { columns: None, batch_rows: 64 * 1024 }
    }
}

impl ParquetOptions {
    /// All columns, in batches of 65,536 rows.
    pub fn new() -> Self {
        Self::default()
    }

    /// Only these columns, in this order.
    #[must_use]
    pub fn with_columns<N: Into<Arc<str>>>(mut self, names: impl IntoIterator<Item = N>) -> Self {
        self.columns = Some(names.into_iter().map(Into::into).collect());
        self
    }
}

setters!(ParquetOptions {
    /// Sets the most rows of one record batch; 0 counts as 1.
    with_batch_rows => batch_rows: usize,
});

impl Dataset {
    /// Reads a Parquet file.
    ///
    /// # Behavior
    /// - bytes that are no Parquet are `Corrupt`; a compression other than none and Snappy, and a
    ///   type that a dataset does not hold, are `Unsupported`; a missing column is `InvalidInput`
    /// - every error names the file; foreign bytes never bring the process down by a panic
    pub fn read_parquet(path: impl AsRef<Path>, options: &ParquetOptions) -> Result<Self> {
        let path = path.as_ref();
        let shown = path.display().to_string();
        let file = File::open(path).map_err(|source| Error::io(&shown, source))?;
        read(file, name_of(path), options).map_err(|error| error.context(shown))
    }

    /// Reads the bytes of a Parquet file; as [`read_parquet`](Self::read_parquet), with all columns.
    pub fn from_parquet(name: impl Into<Arc<str>>, bytes: impl Into<Bytes>) -> Result<Self> {
        let name = name.into();
        read(bytes.into(), Arc::clone(&name), &ParquetOptions::new())
            .map_err(|error| error.context(name.to_string()))
    }
}

impl<S: Part> Dataset<S> {
    /// The bytes of a Parquet file of these rows.
    pub fn to_parquet(&self) -> Result<Vec<u8>> {
        let failed = |cause: ParquetError| {
            Error::internal(format!("dataset {:?} as Parquet: {cause}", self.name()))
                .with_source(cause)
        };
        if self.columns().len() == 0 {
            let name = self.name();
            return Err(Error::invalid(format!("dataset {name:?} has no columns to write")));
        }
        let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
        let schema = Arc::clone(self.schema());
        let mut writer =
            ArrowWriter::try_new(Vec::new(), schema, Some(properties)).map_err(failed)?;
        for batch in self.batches() {
            writer.write(batch).map_err(failed)?;
        }
        writer.into_inner().map_err(failed)
    }

    /// Writes a Parquet file. It appears under its name when it is whole, and is on the disk when
    /// this returns; a file of that name is replaced.
    pub fn write_parquet(&self, path: impl AsRef<Path>) -> Result<()> {
        let path = path.as_ref();
        let bytes = self.to_parquet()?;
        let mut partial = path.as_os_str().to_owned();
        partial.push(".partial");
        let write = || {
            let mut file = File::create(&partial)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            fs::rename(&partial, path)
        };
        write().map_err(|source| Error::io(path.display(), source))
    }
}

/// The decoder is not ours and its input is anybody's: should it panic, that is an error here.
fn read(
    source: impl ChunkReader + 'static,
    name: Arc<str>,
    options: &ParquetOptions,
) -> Result<Dataset> {
    let batches = catch_unwind(AssertUnwindSafe(|| read_batches(source, options)))
        .unwrap_or_else(|_| Err(Error::corrupt("the Parquet decoder gave up on these bytes")))?;
    Dataset::from_batches(name, batches)
}

fn read_batches(
    source: impl ChunkReader + 'static,
    options: &ParquetOptions,
) -> Result<Vec<RecordBatch>> {
    let metadata =
        ArrowReaderMetadata::load(&source, ArrowReaderOptions::default()).map_err(foreign)?;
    let schema = Arc::clone(metadata.schema());
    let mut reader = Reader::new_with_metadata(source, metadata);
    if let Some(names) = &options.columns {
        let position = |name: &Arc<str>| {
            schema.index_of(name).map_err(|_| Error::invalid(format!("has no column {name:?}")))
        };
        let positions = names.iter().map(position).collect::<Result<Vec<_>>>()?;
        let mask = ProjectionMask::roots(reader.parquet_schema(), positions);
        reader = reader.with_projection(mask);
    }
    let reader = reader.with_batch_size(options.batch_rows.max(1)).build().map_err(foreign)?;
    let empty = RecordBatch::new_empty(arrow_array::RecordBatchReader::schema(&reader));
    let mut batches = Vec::new();
    for batch in reader {
        batches.push(batch.map_err(foreign)?);
    }
    if batches.is_empty() {
        batches.push(empty);
    }
    match &options.columns {
        Some(names) => batches.iter().map(|batch| in_order(batch, names)).collect(),
        None => Ok(batches),
    }
}

/// A projection keeps the file's order; who asked has their own.
fn in_order(batch: &RecordBatch, names: &[Arc<str>]) -> Result<RecordBatch> {
    let position = |name: &Arc<str>| batch.schema().index_of(name);
    let positions = names.iter().map(position).collect::<Result<Vec<_>, _>>();
    positions
        .and_then(|positions| batch.project(&positions))
        .map_err(|cause| Error::corrupt(cause.to_string()).with_source(cause))
}

/// Both the file's readers and the batches' say the same things under different types.
fn foreign(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    let text = cause.to_string();
    // What the decoder was built without, or has not been written yet, is no fault of the file's.
    let ours = text.contains("isabled feature") || text.contains("NYI:");
    let kind = if ours { ErrorKind::Unsupported } else { ErrorKind::Corrupt };
    Error::new(kind, text).with_source(cause)
}
