//! Reading a log: all of it, or the one record that somebody asks about.

use super::{
    Outcome, columns,
    outcomes::outcomes,
    record::metadata,
    segment::{self, Gap, SegmentName},
};
use crate::{
    Digest, Error, PredictionId, Result, Timestamp, signature::ModelSignature, tensor::Tensors,
};
use arrow_array::{
    Array, ArrayRef, RecordBatch, StructArray,
    cast::AsArray,
    types::{TimestampMicrosecondType, UInt32Type, UInt64Type},
};
use arrow_schema::Schema;
use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// Reads the log in a folder, also while another process writes it.
///
/// What it reads is what was flushed when it came to it. Closed segments are checked against the
/// digest that they were written with; a torn end of an open one is left out and named as a [`Gap`].
#[derive(Clone, Debug)]
pub struct LogReader {
    folder: PathBuf,
}

/// The records of one segment.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Segment {
    /// Counts up in the order in which segments were begun.
    pub number: u64,
    /// Whether it is complete; one that is not may have more records later.
    pub is_closed: bool,
    /// In the form of [`record_schema`](super::record_schema); all of one schema.
    pub batches: Vec<RecordBatch>,
    /// What could not be read of it.
    pub gap: Option<Gap>,
}

impl LogReader {
    /// `NotFound` if the folder holds no log.
    pub fn open(folder: impl AsRef<Path>) -> Result<Self> {
        let folder = folder.as_ref().to_owned();
        if folder.join("records").is_dir() || folder.join("outcomes").is_dir() {
            return Ok(Self { folder });
        }
        Err(Error::not_found(format!("{}: no inference log", folder.display())))
    }

    /// The records, a segment at a time, in the order in which segments were begun.
    pub fn segments(&self) -> Result<impl Iterator<Item = Result<Segment>> + use<>> {
        self.segments_but(&BTreeSet::new())
    }

    /// The same without those of these numbers, which are not read: for who follows a log, and has
    /// had what is closed.
    pub fn segments_but(
        &self,
        known: &BTreeSet<u64>,
    ) -> Result<impl Iterator<Item = Result<Segment>> + use<>> {
        let folder = self.folder.join("records");
        let mut names = list(&folder)?;
        names.retain(|name| !known.contains(&name.number));
        Ok(names.into_iter().map(move |name| {
            let (number, is_closed) = (name.number, name.closed.is_some());
            let segment::Contents { batches, gap } = segment::read(&folder, name)?;
            Ok(Segment { number, is_closed, batches, gap })
        }))
    }

    /// The record of one row of a prediction, counted from 0; `None` if the log has none.
    pub fn find(&self, prediction: PredictionId, row: u32) -> Result<Option<Record>> {
        let folder = self.folder.join("records");
        let id = prediction.as_u128();
        // Who asks mostly asks about something recent.
        for name in list(&folder)?.into_iter().rev().filter(|name| name.may_hold(id)) {
            for batch in segment::read(&folder, name)?.batches {
                let ids = fixed(&batch, columns::PREDICTION)?;
                let rows = primitive::<UInt32Type>(&batch, columns::ROW)?;
                let wanted = id.to_be_bytes();
                let is_it = |at: &usize| rows.value(*at) == row && ids.value(*at) == wanted;
                if let Some(at) = (0..batch.num_rows()).find(is_it) {
                    return Record::of(&batch.slice(at, 1)).map(Some);
                }
            }
        }
        Ok(None)
    }

    /// All outcomes as they were appended, repetitions included; what could not be read beside them.
    pub fn outcomes(&self) -> Result<(Vec<Outcome>, Vec<Gap>)> {
        let folder = self.folder.join("outcomes");
        let (mut found, mut gaps) = (Vec::new(), Vec::new());
        for name in list(&folder)? {
            let contents = segment::read(&folder, name)?;
            for batch in &contents.batches {
                found.extend(outcomes(batch)?);
            }
            gaps.extend(contents.gap);
        }
        Ok((found, gaps))
    }
}

fn list(folder: &Path) -> Result<Vec<SegmentName>> {
    if folder.is_dir() { segment::list(folder) } else { Ok(Vec::new()) }
}

/// One row of one request, as it was asked and answered.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Record {
    /// The prediction.
    pub prediction: PredictionId,
    /// The row within the request, from 0.
    pub row: u32,
    /// When the request came.
    pub time: Timestamp,
    /// The caller's own id.
    pub request: Option<Arc<str>>,
    /// The caller's business key.
    pub key: Option<Arc<str>>,
    /// The endpoint that was called.
    pub endpoint: Arc<str>,
    /// The model that answered.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// The digest of its package, if it was declared.
    pub digest: Option<Digest>,
    /// The arm of a split or canary.
    pub arm: Option<Arc<str>>,
    /// From request to answer.
    pub took: Duration,
    /// The error's kind; `None` if it was answered.
    pub error: Option<Arc<str>>,
    /// What the model took and gave, as it was when this was recorded.
    pub signature: ModelSignature,
    inputs: RecordBatch,
    outputs: Option<RecordBatch>,
}

impl Record {
    /// The record in a batch of one row.
    fn of(batch: &RecordBatch) -> Result<Self> {
        let text = |name: &str| -> Result<Option<Arc<str>>> {
            let column =
                batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
            let column = column.ok_or_else(|| missing(name))?;
            Ok(column.is_valid(0).then(|| Arc::from(column.value(0))))
        };
        let required = |name: &str| text(name)?.ok_or_else(|| missing(name));
        let id: Option<[u8; 16]> = fixed(batch, columns::PREDICTION)?.value(0).try_into().ok();
        let digest = fixed(batch, columns::DIGEST)?;
        let digest: Option<[u8; 32]> =
            digest.is_valid(0).then(|| digest.value(0).try_into().ok()).flatten();
        let time = primitive::<TimestampMicrosecondType>(batch, columns::TIME)?.value(0);
        let took = primitive::<UInt64Type>(batch, columns::LATENCY_US)?.value(0);
        Ok(Self {
            prediction: PredictionId::from_u128(id.map_or(0, u128::from_be_bytes)),
            row: primitive::<UInt32Type>(batch, columns::ROW)?.value(0),
            time: Timestamp::from_unix_micros(time),
            request: text(columns::REQUEST)?,
            key: text(columns::KEY)?,
            endpoint: required(columns::ENDPOINT)?,
            model: required(columns::MODEL)?,
            version: required(columns::VERSION)?,
            digest: digest.map(Digest::from_bytes),
            arm: text(columns::ARM)?,
            took: Duration::from_micros(took),
            error: text(columns::ERROR)?,
            signature: signature(&batch.schema())?,
            inputs: features(batch, columns::INPUTS)?.ok_or_else(|| missing(columns::INPUTS))?,
            outputs: features(batch, columns::OUTPUTS)?,
        })
    }

    /// The inputs of this row, as the model took them: equal to the bit. A null number is NaN.
    pub fn inputs(&self) -> Result<Tensors> {
        Tensors::from_batch(&self.inputs, &self.signature.inputs)
    }

    /// The outputs of this row, as the model gave them; `None` if it was not answered. An output
    /// that the request did not ask for is null, or NaN.
    pub fn outputs(&self) -> Result<Option<Tensors>> {
        let tensors = |batch| Tensors::from_batch(batch, &self.signature.outputs);
        self.outputs.as_ref().map(tensors).transpose()
    }

    /// A column for each feature, one row.
    pub fn input_row(&self) -> &RecordBatch {
        &self.inputs
    }

    /// A column for each output, one row; `None` if it was not answered.
    pub fn output_row(&self) -> Option<&RecordBatch> {
        self.outputs.as_ref()
    }
}

/// What the model of a segment took and gave.
pub(super) fn signature(schema: &Schema) -> Result<ModelSignature> {
    let text = schema.metadata().get(metadata::SIGNATURE);
    let text = text.ok_or_else(|| missing(metadata::SIGNATURE))?;
    serde_json::from_str(text).map_err(|cause| missing(metadata::SIGNATURE).with_source(cause))
}

/// The fields of a struct column of a batch of one row; `None` if it is null there.
fn features(batch: &RecordBatch, name: &str) -> Result<Option<RecordBatch>> {
    let column = structure(batch, name)?;
    let bare = || {
        let options = arrow_array::RecordBatchOptions::new().with_row_count(Some(column.len()));
        let schema = Arc::new(Schema::new(column.fields().clone()));
        RecordBatch::try_new_with_options(schema, column.columns().to_vec(), &options)
    };
    column.is_valid(0).then(bare).transpose().map_err(segment::arrow)
}

pub(super) fn structure<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a StructArray> {
    column(batch, name)?.as_struct_opt().ok_or_else(|| missing(name))
}

pub(super) fn fixed<'a>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow_array::FixedSizeBinaryArray> {
    column(batch, name)?.as_fixed_size_binary_opt().ok_or_else(|| missing(name))
}

pub(super) fn primitive<'a, T: arrow_array::ArrowPrimitiveType>(
    batch: &'a RecordBatch,
    name: &str,
) -> Result<&'a arrow_array::PrimitiveArray<T>> {
    column(batch, name)?.as_primitive_opt::<T>().ok_or_else(|| missing(name))
}

pub(super) fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef> {
    batch.column_by_name(name).ok_or_else(|| missing(name))
}

pub(super) fn missing(name: &str) -> Error {
    Error::corrupt(format!("the inference log has no readable {name:?}"))
}
