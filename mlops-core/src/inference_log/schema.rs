//! Arrow schemas of the log's two tables.

use crate::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use arrow_schema::{DataType, Field, Fields, Schema, TimeUnit};
use std::{collections::HashMap, sync::Arc};

/// Version of both schemas; stands in their metadata under `mlops.log_version`.
pub const LOG_VERSION: u32 = 1;

/// Names of the log's columns.
pub mod columns {
    /// The prediction id, 16 bytes big-endian.
    pub const PREDICTION: &str = "prediction";
    /// The row within the request, from 0.
    pub const ROW: &str = "row";
    /// When the request came, or the outcome was known: microseconds, UTC.
    pub const TIME: &str = "time";
    /// The caller's own id.
    pub const REQUEST: &str = "request";
    /// The caller's business key.
    pub const KEY: &str = "key";
    /// The endpoint that was called.
    pub const ENDPOINT: &str = "endpoint";
    /// The model that answered.
    pub const MODEL: &str = "model";
    /// Its version.
    pub const VERSION: &str = "version";
    /// Digest of its package, 32 bytes.
    pub const DIGEST: &str = "digest";
    /// The arm of a split or canary.
    pub const ARM: &str = "arm";
    /// Microseconds from request to answer.
    pub const LATENCY_US: &str = "latency_us";
    /// The error's kind; null if it was answered.
    pub const ERROR: &str = "error";
    /// A struct with a field for each feature.
    pub const INPUTS: &str = "inputs";
    /// A struct with a field for each output.
    pub const OUTPUTS: &str = "outputs";
    /// What an outcome is about: an output's name.
    pub const NAME: &str = "name";
    /// An outcome that is a number.
    pub const VALUE: &str = "value";
    /// An outcome that is a label.
    pub const LABEL: &str = "label";
}

/// The schema of the records of a model with this signature.
///
/// # Behavior
/// - the fields of `inputs` and `outputs` are those of [`Tensors::to_batch`](crate::tensor::Tensors::to_batch)
/// - two features of one name are `InvalidInput`
pub fn record_schema(signature: &ModelSignature) -> Result<Schema> {
    use columns as c;
    let optional = |name: &str, of: DataType| Field::new(name, of, true);
    let fields = vec![
        Field::new(c::PREDICTION, DataType::FixedSizeBinary(16), false),
        Field::new(c::ROW, DataType::UInt32, false),
        Field::new(c::TIME, time(), false),
        optional(c::REQUEST, DataType::Utf8),
        optional(c::KEY, DataType::Utf8),
        Field::new(c::ENDPOINT, DataType::Utf8, false),
        Field::new(c::MODEL, DataType::Utf8, false),
        Field::new(c::VERSION, DataType::Utf8, false),
        optional(c::DIGEST, DataType::FixedSizeBinary(32)),
        optional(c::ARM, DataType::Utf8),
        Field::new(c::LATENCY_US, DataType::UInt64, false),
        optional(c::ERROR, DataType::Utf8),
        Field::new(c::INPUTS, DataType::Struct(tensor_fields(&signature.inputs)?), false),
        // A request that failed has inputs and no outputs.
        optional(c::OUTPUTS, DataType::Struct(tensor_fields(&signature.outputs)?)),
    ];
    Ok(versioned(fields))
}

/// The schema of outcomes.
pub fn outcome_schema() -> Schema {
    use columns as c;
    versioned(vec![
        Field::new(c::PREDICTION, DataType::FixedSizeBinary(16), true),
        Field::new(c::KEY, DataType::Utf8, true),
        Field::new(c::ROW, DataType::UInt32, false),
        Field::new(c::TIME, time(), false),
        Field::new(c::NAME, DataType::Utf8, false),
        Field::new(c::VALUE, DataType::Float64, true),
        Field::new(c::LABEL, DataType::Utf8, true),
    ])
}

fn versioned(fields: Vec<Field>) -> Schema {
    let version = ("mlops.log_version".to_owned(), LOG_VERSION.to_string());
    Schema::new_with_metadata(fields, HashMap::from([version]))
}

fn time() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some(Arc::from("UTC")))
}

fn tensor_fields(specs: &[TensorSpec]) -> Result<Fields> {
    let mut fields: Vec<Field> = Vec::new();
    for spec in specs {
        let element = element_type(spec)?;
        let width = spec
            .shape
            .iter()
            .skip(1)
            .try_fold(1_usize, |width, axis| axis.and_then(|length| width.checked_mul(length)));
        let of = match (width, spec.columns.is_empty()) {
            (Some(1), _) | (_, false) => element,
            (Some(width), true) => list_of(element, spec, width)?,
            (None, true) => {
                return Err(Error::unsupported(format!("logging {spec}: rows of any length")));
            }
        };
        for name in spec.features() {
            if fields.iter().any(|field| field.name() == name.as_ref()) {
                return Err(Error::invalid(format!("two features are named {name:?}")));
            }
            fields.push(Field::new(name.as_ref(), of.clone(), true));
        }
    }
    Ok(fields.into())
}

fn list_of(element: DataType, spec: &TensorSpec, width: usize) -> Result<DataType> {
    let width = i32::try_from(width)
        .map_err(|_| Error::unsupported(format!("logging {spec}: rows of over 2^31 elements")))?;
    Ok(DataType::FixedSizeList(Arc::new(Field::new("item", element, true)), width))
}

fn element_type(spec: &TensorSpec) -> Result<DataType> {
    Ok(match spec.dtype {
        DType::Bool => DataType::Boolean,
        DType::U8 => DataType::UInt8,
        DType::U16 => DataType::UInt16,
        DType::U32 => DataType::UInt32,
        DType::U64 => DataType::UInt64,
        DType::I8 => DataType::Int8,
        DType::I16 => DataType::Int16,
        DType::I32 => DataType::Int32,
        DType::I64 => DataType::Int64,
        DType::F16 => DataType::Float16,
        DType::F32 => DataType::Float32,
        DType::F64 => DataType::Float64,
        DType::Utf8 => DataType::Utf8,
        DType::Bytes => DataType::Binary,
        DType::BF16 => {
            return Err(Error::unsupported(format!("logging {spec}: Arrow has no bfloat16")));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::{Tensor, Tensors};

    #[test]
    fn inputs_have_the_fields_that_a_batch_of_them_has() {
        let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["age", "income"]);
        let embedding = TensorSpec::new("embedding", DType::F64, [None, Some(3)]);
        let state = TensorSpec::new("state", DType::Utf8, [None, Some(1)]);
        let specs = vec![x, embedding, state];
        let signature = ModelSignature::new(specs.clone(), vec![]).unwrap();
        let tensors = Tensors::one("x", Tensor::from_vec([1, 2], vec![1_f32, 2.0]).unwrap())
            .with("embedding", Tensor::from_vec([1, 3], vec![0_f64; 3]).unwrap())
            .and_then(|t| t.with("state", Tensor::from_strs([1, 1], &["MA"])?))
            .unwrap();
        let batch = tensors.to_batch(&specs).unwrap();
        let schema = record_schema(&signature).unwrap();
        let inputs = schema.field_with_name(columns::INPUTS).unwrap().data_type();
        assert_eq!(inputs, &DataType::Struct(batch.schema().fields().clone()));
        assert_eq!(schema.metadata()["mlops.log_version"], "1");
    }
}
