//! Parquet, with Snappy: what every tool of the field reads and writes.

use super::{bounds, name_of};
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
    /// The most bytes that the columns may become, decompressed and decoded; any number if `None`.
    pub max_bytes: Option<usize>,
    /// The most columns that the file may have; any number if `None`.
    pub max_columns: Option<usize>,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self { columns: None, batch_rows: 64 * 1024, max_bytes: None, max_columns: None }
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
    /// Bounds what is read, for files of strangers.
    with_max_bytes => max_bytes: usize,
    /// Bounds how many columns the file may have.
    with_max_columns => max_columns: usize,
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
        Self::decode_parquet(name, bytes, &ParquetOptions::new())
    }

    /// Reads the bytes of a Parquet file as these options say.
    ///
    /// # Behavior
    /// - as [`read_parquet`](Self::read_parquet)
    /// - with [`max_bytes`](ParquetOptions::max_bytes) nothing of the file is decompressed before what
    ///   it says of itself is within that: more is `TooLarge`, and so is a description of more than
    ///   1 MiB; columns that are nested are `Unsupported`
    pub fn decode_parquet(
        name: impl Into<Arc<str>>,
        bytes: impl Into<Bytes>,
        options: &ParquetOptions,
    ) -> Result<Self> {
        Self::decode_parquet_within(name, bytes, options, |_| Ok(()))
    }

    /// As [`decode_parquet`](Self::decode_parquet), for a process whose readers share their memory: `room`
    /// is asked about the bytes of each batch once it is decoded, and its error ends the reading.
    pub fn decode_parquet_within(
        name: impl Into<Arc<str>>,
        bytes: impl Into<Bytes>,
        options: &ParquetOptions,
        mut room: impl FnMut(usize) -> Result<()>,
    ) -> Result<Self> {
        let (name, bytes) = (name.into(), bytes.into());
        let room: &mut Room<'_> = &mut room;
        let read = || match options.max_bytes {
            None => {
                let work = || read_batches(bytes, options, room);
                Self::from_batches(Arc::clone(&name), caught(work)?)
            }
            Some(max) => {
                let work = || read_bounded(&bytes, options, max, room);
                Self::from_batches(Arc::clone(&name), caught(work)?)
            }
        };
        read().map_err(|error| error.context(name.to_string()))
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
    Dataset::from_batches(name, caught(|| read_batches(source, options, &mut |_| Ok(())))?)
}

/// Whether there is room for so many bytes more.
type Room<'a> = dyn FnMut(usize) -> Result<()> + 'a;

fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::corrupt("the Parquet decoder gave up on these bytes")))
}

fn read_batches(
    source: impl ChunkReader + 'static,
    options: &ParquetOptions,
    room: &mut Room<'_>,
) -> Result<Vec<RecordBatch>> {
    let metadata =
        ArrowReaderMetadata::load(&source, ArrowReaderOptions::default()).map_err(foreign)?;
    let roots = roots(&metadata, options)?;
    decode(source, metadata, (roots, options), (options.batch_rows.max(1), usize::MAX), room)
}

/// The same for bytes of a stranger, in the types that the file itself has: what a writer notes beside
/// them is not looked at.
fn read_bounded(
    bytes: &Bytes,
    options: &ParquetOptions,
    max: usize,
    room: &mut Room<'_>,
) -> Result<Vec<RecordBatch>> {
    bounds::check_footer(bytes)?;
    let plain = ArrowReaderOptions::default().with_skip_arrow_metadata(true);
    let metadata = ArrowReaderMetadata::load(bytes, plain).map_err(foreign)?;
    let roots = roots(&metadata, options)?;
    let rows = bounds::check(bytes, metadata.metadata(), &roots, max)?;
    let rows = rows.min(options.batch_rows.max(1));
    decode(bytes.clone(), metadata, (roots, options), (rows, max), room)
}

/// Where the wanted columns stand in the file.
fn roots(metadata: &ArrowReaderMetadata, options: &ParquetOptions) -> Result<Vec<usize>> {
    let schema = metadata.schema();
    let count = schema.fields().len();
    if let Some(max) = options.max_columns.filter(|max| count > *max) {
        return Err(Error::too_large(format!("the table has more than {max} columns")));
    }
    let position = |name: &Arc<str>| {
        schema.index_of(name).map_err(|_| Error::invalid(format!("has no column {name:?}")))
    };
    match &options.columns {
        None => Ok((0..count).collect()),
        Some(names) => names.iter().map(position).collect(),
    }
}

fn decode(
    source: impl ChunkReader + 'static,
    metadata: ArrowReaderMetadata,
    (roots, options): (Vec<usize>, &ParquetOptions),
    (batch_rows, max_bytes): (usize, usize),
    room: &mut Room<'_>,
) -> Result<Vec<RecordBatch>> {
    let mut reader = Reader::new_with_metadata(source, metadata);
    if options.columns.is_some() {
        let mask = ProjectionMask::roots(reader.parquet_schema(), roots);
        reader = reader.with_projection(mask);
    }
    let reader = reader.with_batch_size(batch_rows).build().map_err(foreign)?;
    let empty = RecordBatch::new_empty(arrow_array::RecordBatchReader::schema(&reader));
    let (mut batches, mut bytes) = (Vec::new(), 0_usize);
    for batch in reader {
        let batch = batch.map_err(foreign)?;
        let more = batch.get_array_memory_size();
        bytes = bytes.saturating_add(more);
        if bytes > max_bytes {
            return Err(Error::too_large(format!("the table is longer than {max_bytes} bytes")));
        }
        room(more)?;
        batches.push(batch);
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
