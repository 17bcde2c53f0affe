//! One side of a comparison: rows that can be read as often as needed, or a profile of them.

use crate::{
    Digest, Error, Result, ResultExt, Timestamp,
    arrow::{
        array::{
            Array, RecordBatch, RecordBatchReader, cast::AsArray, types::TimestampMicrosecondType,
        },
        schema::{Field, Schema},
    },
    inference_log::columns,
    model::{ModelPackage, names},
};
use mlops_core::{data::Dataset, inference_log::LogReader};
use mlops_drift::{Profile, ProfileOptions, profile::describes};
use parquet::arrow::{
    ProjectionMask,
    arrow_reader::{
        ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder as Reader,
    },
};
use std::{
    fs::File,
    io::Read,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};

/// One side of a comparison.
#[derive(Debug)]
pub(super) enum Side {
    Rows(Rows),
    Profile(Box<Profile>),
}

/// Rows that can be read as often as needed.
#[derive(Debug)]
pub(super) enum Rows {
    /// Read a piece at a time, and only the columns that are asked for.
    Parquet { path: PathBuf, metadata: ArrowReaderMetadata },
    /// In memory: CSV, whose types are known once all of it was read.
    Table(Dataset),
    /// What was asked of a model.
    Log(LogReader),
}

/// Rows of one piece.
const BATCH_ROWS: usize = 16 * 1024;
/// What bytes of profiles begin with, those of version 1 last.
const PROFILES: [&[u8]; 2] = [b"mlops-profile\n", b"{\"format\":\"mlops-profile\""];

impl Side {
    /// What lies there: a file of rows, an inference log, a model's folder, or a profile, which its
    /// bytes tell.
    pub(super) fn open(path: &Path) -> Result<Self> {
        Self::open_any(path).context(|| path.display().to_string())
    }

    fn open_any(path: &Path) -> Result<Self> {
        if path.is_dir() {
            if let Ok(log) = LogReader::open(path) {
                return Ok(Self::Rows(Rows::Log(log)));
            }
            return profile(&ModelPackage::open(path)?.read(names::PROFILE)?);
        }
        let failed = |source| Error::io("reading it", source);
        let mut start = Vec::new();
        let file = File::open(path).map_err(failed)?;
        file.take(64).read_to_end(&mut start).map_err(failed)?;
        if PROFILES.iter().any(|magic| start.starts_with(magic)) {
            return profile(&std::fs::read(path).map_err(failed)?);
        }
        if start.starts_with(b"PAR1") {
            let file = File::open(path).map_err(failed)?;
            let metadata = caught(|| {
                ArrowReaderMetadata::load(&file, ArrowReaderOptions::default()).map_err(foreign)
            })?;
            return Ok(Self::Rows(Rows::Parquet { path: path.to_owned(), metadata }));
        }
        Ok(Self::Rows(Rows::Table(Dataset::open(path)?)))
    }
}

fn profile(bytes: &[u8]) -> Result<Side> {
    Ok(Side::Profile(Box::new(Profile::from_bytes(bytes)?)))
}

/// Names of columns: those that a profile describes, and those that it cannot.
pub(super) struct Columns {
    pub(super) described: Vec<Arc<str>>,
    pub(super) other: Vec<Arc<str>>,
}

impl Rows {
    /// What the rows have.
    pub(super) fn columns(&self) -> Result<Columns> {
        let mut found = None;
        let schema = match self {
            Self::Parquet { metadata, .. } => Arc::clone(metadata.schema()),
            Self::Table(dataset) => Arc::clone(dataset.schema()),
            Self::Log(_) => {
                self.each(None, |batch| {
                    found.get_or_insert_with(|| batch.schema());
                    Ok(())
                })?;
                found.ok_or_else(|| Error::invalid("the log has no records yet"))?
            }
        };
        let fields = schema.fields().iter();
        let (known, other): (Vec<_>, Vec<_>) = fields.partition(|f| describes(f.data_type()));
        let names = |fields: Vec<&Arc<Field>>| {
            fields.into_iter().map(|field| field.name().as_str().into()).collect()
        };
        Ok(Columns { described: names(known), other: names(other) })
    }

    /// Passes on all rows, a piece at a time, perhaps with these columns only; at least one piece,
    /// which may be empty.
    pub(super) fn each(
        &self,
        columns: Option<&[Arc<str>]>,
        mut each: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        match self {
            Self::Parquet { path, metadata } => parquet(path, metadata, columns, &mut each),
            Self::Table(dataset) => dataset.batches().iter().try_for_each(each),
            Self::Log(log) => {
                for segment in log.segments()? {
                    for batch in segment?.batches {
                        each(&inputs(&batch)?)?;
                    }
                }
                Ok(())
            }
        }
    }

    /// All rows of these columns. To be asked of few columns where there are many rows.
    pub(super) fn all(&self, columns: &[Arc<str>]) -> Result<Vec<RecordBatch>> {
        let mut batches = Vec::new();
        self.each(Some(columns), |batch| {
            batches.push(batch.clone());
            Ok(())
        })?;
        Ok(batches)
    }

    /// A profile of these columns, with cells of their own: one column in memory at a time where the
    /// file lets them be read apart, with the bytes of a fit of all at once.
    pub(super) fn fit(&self, columns: &[Arc<str>]) -> Result<Profile> {
        if columns.is_empty() {
            return Err(Error::invalid("no column that a profile describes"));
        }
        let options = ProfileOptions::default();
        let Self::Parquet { .. } = self else {
            let options = options.with_columns(columns.iter().map(Arc::clone));
            return Profile::fit(&self.all(columns)?, &options);
        };
        let parts = columns.iter().map(|name| {
            let only = std::slice::from_ref(name);
            Profile::fit(&self.all(only)?, &options.clone().with_columns(only.iter().cloned()))
        });
        Profile::join(parts.collect::<Result<Vec<_>>>()?)
    }

    /// These rows counted in the cells of another profile.
    pub(super) fn count(&self, like: &Profile) -> Result<Profile> {
        let mut profile = Profile::empty_like(like);
        let names: Vec<Arc<str>> = like.spec().names().cloned().collect();
        self.each(Some(&names), |batch| profile.update(batch))?;
        Ok(profile)
    }

    /// The file's digest, of what is one file.
    pub(super) fn digest(&self) -> Result<Option<Digest>> {
        match self {
            Self::Parquet { path, .. } => Digest::of_file(path).map(Some),
            Self::Table(dataset) => Ok(Some(dataset.digest())),
            Self::Log(_) => Ok(None),
        }
    }
}

/// The decoder is not ours and its input may be anybody's: should it panic, that is an error here.
fn caught<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Error::corrupt("the Parquet decoder gave up on these bytes")))
}

fn foreign(cause: impl std::error::Error + Send + Sync + 'static) -> Error {
    Error::corrupt(cause.to_string()).with_source(cause)
}

fn parquet(
    path: &Path,
    metadata: &ArrowReaderMetadata,
    columns: Option<&[Arc<str>]>,
    each: &mut dyn FnMut(&RecordBatch) -> Result<()>,
) -> Result<()> {
    let open = || {
        let file = File::open(path).map_err(|source| Error::io("reading it", source))?;
        let mut reader = Reader::new_with_metadata(file, metadata.clone());
        if let Some(columns) = columns {
            let roots = roots(metadata.schema(), columns)?;
            let mask = ProjectionMask::roots(reader.parquet_schema(), roots);
            reader = reader.with_projection(mask);
        }
        reader.with_batch_size(BATCH_ROWS).build().map_err(foreign)
    };
    let mut reader = caught(open)?;
    let schema = reader.schema();
    let mut any = false;
    while let Some(batch) = caught(|| reader.next().transpose().map_err(foreign))? {
        any = true;
        each(&batch)?;
    }
    if any { Ok(()) } else { each(&RecordBatch::new_empty(schema)) }
}

fn roots(schema: &Schema, columns: &[Arc<str>]) -> Result<Vec<usize>> {
    let position = |name: &Arc<str>| {
        let missing = |_| Error::invalid(format!("column {name:?} is missing"));
        schema.index_of(name).map_err(missing)
    };
    columns.iter().map(position).collect()
}

/// When the last of these records of a log was asked; `None` if there is none.
pub(super) fn last_time(records: &RecordBatch) -> Result<Option<Timestamp>> {
    let times = records.column_by_name(columns::TIME);
    let times = times.and_then(|t| t.as_primitive_opt::<TimestampMicrosecondType>());
    let times = times.ok_or_else(|| Error::corrupt("the log's records have no time"))?;
    Ok(times.iter().flatten().max().map(Timestamp::from_unix_micros))
}

/// What the model was given: a column for each feature.
pub(super) fn inputs(records: &RecordBatch) -> Result<RecordBatch> {
    let column = records.column_by_name(columns::INPUTS);
    let inputs = column.and_then(|column| column.as_struct_opt());
    let inputs = inputs.ok_or_else(|| Error::corrupt("the log's records have no inputs"))?;
    if inputs.null_count() > 0 {
        return Err(Error::corrupt("a record of the log has no inputs"));
    }
    Ok(RecordBatch::from(inputs.clone()))
}
