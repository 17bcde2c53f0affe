//! From what an observer sees to rows of the log.

use super::{columns, record_schema, segment::arrow};
use crate::{
    Digest, Error, ErrorKind, PredictionId, Result, Timestamp,
    signature::{ModelSignature, TensorSpec},
    tensor::{Tensor, Tensors},
};
use arrow_array::{
    ArrayRef, RecordBatch, StructArray,
    builder::{
        FixedSizeBinaryBuilder, StringBuilder, TimestampMicrosecondBuilder, UInt32Builder,
        UInt64Builder,
    },
    new_null_array,
};
use arrow_buffer::NullBuffer;
use arrow_schema::{DataType, Fields, Schema, SchemaRef};
use std::{sync::Arc, time::Duration};

/// Names of what a segment's schema says about all of its records.
pub(super) mod metadata {
    pub(in super::super) const SIGNATURE: &str = "mlops.signature";
    pub(in super::super) const MODEL: &str = "mlops.model";
    pub(in super::super) const VERSION: &str = "mlops.version";
    pub(in super::super) const DIGEST: &str = "mlops.digest";
}

/// One version of one model, with the form of its records: what shares a segment.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) model: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) digest: Option<Digest>,
    pub(super) signature: ModelSignature,
    schema: SchemaRef,
}

impl Series {
    pub(super) fn new(
        model: Arc<str>,
        version: Arc<str>,
        signature: ModelSignature,
        digest: Option<Digest>,
    ) -> Result<Self> {
        let schema = record_schema(&signature)?;
        let text = serde_json::to_string(&signature)
            .map_err(|cause| Error::internal("a signature is no JSON").with_source(cause))?;
        let mut about = schema.metadata().clone();
        about.insert(metadata::SIGNATURE.to_owned(), text);
        about.insert(metadata::MODEL.to_owned(), model.as_ref().to_owned());
        about.insert(metadata::VERSION.to_owned(), version.as_ref().to_owned());
        about.extend(digest.map(|digest| (metadata::DIGEST.to_owned(), digest.to_string())));
        let schema = Arc::new(Schema::new_with_metadata(schema.fields().clone(), about));
        Ok(Self { model, version, digest, signature, schema })
    }

    /// The form that an answer of an undeclared model or version has by itself.
    pub(super) fn of(entry: &Entry) -> Result<Self> {
        let none = Tensors::new();
        let (model, version, outputs) = match &entry.outcome {
            Ok(answer) => (&answer.model, &answer.version, &answer.outputs),
            Err(_) => (&Arc::from(""), &Arc::from(""), &none),
        };
        let signature = ModelSignature::new(specs(&entry.inputs), specs(outputs))?;
        Self::new(Arc::clone(model), Arc::clone(version), signature, None)
    }

    /// Whether the form holds everything of this answer.
    pub(super) fn fits(&self, entry: &Entry) -> bool {
        let Ok(answer) = &entry.outcome else { return true };
        let output = |(name, tensor): (&Arc<str>, &Tensor)| {
            self.signature.output(name).is_some_and(|spec| spec.check(tensor).is_ok())
        };
        (&answer.model, &answer.version) == (&self.model, &self.version)
            && self.signature.check_inputs(&entry.inputs).is_ok()
            && answer.outputs.iter().all(output)
    }

    /// Whether this form, made from the first of them, is also that of another undeclared entry.
    pub(super) fn describes(&self, entry: &Entry) -> bool {
        self.fits(entry)
            && (entry.outcome.is_ok()
                || self.model.is_empty() && self.signature.check_inputs(&entry.inputs).is_ok())
    }

    /// The records of these entries, a row each row.
    pub(super) fn batch(&self, endpoint: &str, entries: &[Entry]) -> Result<RecordBatch> {
        let (inputs, outputs) =
            (field(&self.schema, columns::INPUTS), field(&self.schema, columns::OUTPUTS));
        let mut rows = Rows::new();
        let mut parts = (vec![Vec::new(); inputs.len()], vec![Vec::new(); outputs.len()]);
        for entry in entries {
            let count = entry.rows();
            rows.push(self, endpoint, entry, count)?;
            fill(&mut parts.0, &inputs, &self.signature.inputs, &entry.inputs, count);
            let none = Tensors::new();
            let answer = entry.outcome.as_ref().map_or(&none, |answer| &answer.outputs);
            fill(&mut parts.1, &outputs, &self.signature.outputs, answer, count);
        }
        let answered = NullBuffer::from(std::mem::take(&mut rows.answered));
        let mut arrays = rows.finish();
        let count = answered.len();
        arrays.push(structure(inputs, &parts.0, None, count)?);
        arrays.push(structure(outputs, &parts.1, Some(answered), count)?);
        RecordBatch::try_new(Arc::clone(&self.schema), arrays).map_err(arrow)
    }
}

/// One observed request on its way to the log.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) time: Timestamp,
    pub(super) took: Duration,
    pub(super) request: Option<Arc<str>>,
    pub(super) key: Option<Arc<str>>,
    pub(super) inputs: Tensors,
    /// An id of its own for what failed: no answer names one.
    pub(super) outcome: Result<Answer, (PredictionId, ErrorKind)>,
}

/// What was answered.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) prediction: PredictionId,
    pub(super) model: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) arm: Option<Arc<str>>,
    pub(super) outputs: Tensors,
}

impl Entry {
    /// Rows of the log. A request that failed has at least one, whatever its inputs are.
    pub(super) fn rows(&self) -> usize {
        let rows = self.inputs.rows().unwrap_or(1);
        if self.outcome.is_err() { rows.max(1) } else { rows }
    }

    /// Bytes that it keeps alive, about.
    pub(super) fn bytes(&self) -> usize {
        let outputs = self.outcome.as_ref().map_or(0, |answer| size(&answer.outputs));
        256 + size(&self.inputs) + outputs
    }
}

fn size(tensors: &Tensors) -> usize {
    let bytes = |tensor: &Tensor| match tensor.byte_strings() {
        Ok(items) => items.map(|item| item.len() + 4).sum(),
        Err(_) => tensor.as_bytes().map_or(0, <[u8]>::len),
    };
    tensors.iter().map(|(_, tensor)| 64 + bytes(tensor)).sum()
}

fn specs(tensors: &Tensors) -> Vec<TensorSpec> {
    let spec = |(name, tensor): (&Arc<str>, &Tensor)| {
        let axes = tensor.shape().iter().skip(1).map(|&length| Some(length));
        let shape: Vec<Option<usize>> = std::iter::once(None).chain(axes).collect();
        // Other rows of the same model may hold nulls where these do not.
        TensorSpec::new(Arc::clone(name), tensor.dtype(), shape).with_nullable(true)
    };
    tensors.iter().map(spec).collect()
}

fn field(schema: &Schema, name: &str) -> Fields {
    match schema.field_with_name(name).map(arrow_schema::Field::data_type) {
        Ok(DataType::Struct(fields)) => fields.clone(),
        _ => Fields::empty(),
    }
}

/// Adds the columns of one entry; what is missing or of another form becomes nulls.
fn fill(
    parts: &mut [Vec<ArrayRef>],
    fields: &Fields,
    specs: &[TensorSpec],
    tensors: &Tensors,
    rows: usize,
) {
    let mut at = 0;
    for spec in specs {
        let tensor = tensors.get(&spec.name).filter(|tensor| tensor.rows() == rows);
        let one = tensor.map(|tensor| Tensors::one(Arc::clone(&spec.name), tensor.clone()));
        let batch = one.map(|one| one.to_batch(std::slice::from_ref(spec))).transpose();
        // A failed request may hold what no column can.
        let batch = batch.ok().flatten();
        for name in spec.features() {
            let wanted = fields[at].data_type();
            let column = batch.as_ref().and_then(|batch| batch.column_by_name(name));
            let column = column.filter(|column| column.data_type() == wanted).cloned();
            parts[at].push(column.unwrap_or_else(|| new_null_array(wanted, rows)));
            at += 1;
        }
    }
}

fn structure(
    fields: Fields,
    parts: &[Vec<ArrayRef>],
    valid: Option<NullBuffer>,
    rows: usize,
) -> Result<ArrayRef> {
    if fields.is_empty() {
        return Ok(Arc::new(StructArray::new_empty_fields(rows, valid)));
    }
    let joined = parts.iter().map(|arrays| {
        let arrays: Vec<_> = arrays.iter().map(AsRef::as_ref).collect();
        arrow_select::concat::concat(&arrays).map_err(arrow)
    });
    let arrays = joined.collect::<Result<Vec<_>>>()?;
    Ok(Arc::new(StructArray::try_new(fields, arrays, valid).map_err(arrow)?))
}

/// The columns that every record has.
struct Rows {
    prediction: FixedSizeBinaryBuilder,
    row: UInt32Builder,
    time: TimestampMicrosecondBuilder,
    request: StringBuilder,
    key: StringBuilder,
    endpoint: StringBuilder,
    model: StringBuilder,
    version: StringBuilder,
    digest: FixedSizeBinaryBuilder,
    arm: StringBuilder,
    latency: UInt64Builder,
    error: StringBuilder,
    answered: Vec<bool>,
}

impl Rows {
    fn new() -> Self {
        Self {
            prediction: FixedSizeBinaryBuilder::new(16),
            row: UInt32Builder::new(),
            time: TimestampMicrosecondBuilder::new().with_timezone("UTC"),
            request: StringBuilder::new(),
            key: StringBuilder::new(),
            endpoint: StringBuilder::new(),
            model: StringBuilder::new(),
            version: StringBuilder::new(),
            digest: FixedSizeBinaryBuilder::new(32),
            arm: StringBuilder::new(),
            latency: UInt64Builder::new(),
            error: StringBuilder::new(),
            answered: Vec::new(),
        }
    }

    fn push(&mut self, series: &Series, endpoint: &str, entry: &Entry, rows: usize) -> Result<()> {
        let (prediction, arm, error) = match &entry.outcome {
            Ok(answer) => (answer.prediction, answer.arm.as_deref(), None),
            Err((prediction, kind)) => (*prediction, None, Some(format!("{kind:?}"))),
        };
        let latency = u64::try_from(entry.took.as_micros()).unwrap_or(u64::MAX);
        for row in 0..rows {
            let row = u32::try_from(row)
                .map_err(|_| Error::too_large("a request of over 2^32 rows is not logged"))?;
            self.prediction.append_value(prediction.as_u128().to_be_bytes()).map_err(arrow)?;
            self.row.append_value(row);
            self.time.append_value(entry.time.unix_micros());
            self.request.append_option(entry.request.as_deref());
            self.key.append_option(entry.key.as_deref());
            self.endpoint.append_value(endpoint);
            self.model.append_value(&series.model);
            self.version.append_value(&series.version);
            match &series.digest {
                Some(digest) => self.digest.append_value(digest.as_bytes()).map_err(arrow)?,
                None => self.digest.append_null(),
            }
            self.arm.append_option(arm);
            self.latency.append_value(latency);
            self.error.append_option(error.as_deref());
            self.answered.push(error.is_none());
        }
        Ok(())
    }

    /// In the order of the schema.
    fn finish(mut self) -> Vec<ArrayRef> {
        vec![
            Arc::new(self.prediction.finish()),
            Arc::new(self.row.finish()),
            Arc::new(self.time.finish()),
            Arc::new(self.request.finish()),
            Arc::new(self.key.finish()),
            Arc::new(self.endpoint.finish()),
            Arc::new(self.model.finish()),
            Arc::new(self.version.finish()),
            Arc::new(self.digest.finish()),
            Arc::new(self.arm.finish()),
            Arc::new(self.latency.finish()),
            Arc::new(self.error.finish()),
        ]
    }
}
