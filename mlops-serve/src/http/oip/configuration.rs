//! What Triton calls a model's configuration: its clients size their requests by it.

use super::{Limits, metadata};
use mlops_core::{predictor::PredictorInfo, signature::TensorSpec, tensor::DType};
use serde::Serialize;

/// The parts of Triton's `ModelConfig` that are true of a model here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ModelConfiguration {
    /// The name that clients ask for.
    pub name: String,
    /// What serves it.
    pub platform: &'static str,
    /// The most rows of one request; 0 if the first axis of some tensor is no axis of rows.
    pub max_batch_size: i32,
    /// What it takes.
    pub input: Vec<ConfiguredTensor>,
    /// What it gives.
    pub output: Vec<ConfiguredTensor>,
    /// One answer to one request, always.
    pub model_transaction_policy: TransactionPolicy,
}

/// One tensor of a [`ModelConfiguration`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ConfiguredTensor {
    /// Its name.
    pub name: String,
    /// `TYPE_FP32`, `TYPE_STRING`, …
    pub data_type: &'static str,
    /// The lengths of its axes, -1 where any will do; without the axis of rows if there is a
    /// `max_batch_size`.
    pub dims: Vec<i64>,
}

/// Whether a model may give other than one answer to one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct TransactionPolicy {
    /// It may not.
    pub decoupled: bool,
}

impl ModelConfiguration {
    /// Of what a predictor says of itself.
    pub fn of(name: &str, info: &PredictorInfo, limits: &Limits) -> Self {
        let specs = || info.signature.inputs.iter().chain(&info.signature.outputs);
        let has_rows = specs().all(|spec| spec.shape.first() == Some(&None));
        let rows = info.max_rows.unwrap_or(limits.max_elements).min(limits.max_elements);
        let skipped = usize::from(has_rows);
        let tensor = |spec: &TensorSpec| ConfiguredTensor {
            name: spec.name.to_string(),
            data_type: data_type(spec.dtype),
            dims: metadata::axes(spec).split_off(skipped),
        };
        Self {
            name: name.to_owned(),
            platform: metadata::PLATFORM,
            max_batch_size: if has_rows { i32::try_from(rows).unwrap_or(i32::MAX) } else { 0 },
            input: info.signature.inputs.iter().map(tensor).collect(),
            output: info.signature.outputs.iter().map(tensor).collect(),
            model_transaction_policy: TransactionPolicy { decoupled: false },
        }
    }
}

/// The JSON of `GET /v2/models/{name}/config`.
pub fn model_configuration(name: &str, info: &PredictorInfo, limits: &Limits) -> Vec<u8> {
    let configuration = ModelConfiguration::of(name, info, limits);
    serde_json::to_vec(&configuration).expect("text and numbers are valid JSON")
}

/// Triton has other names for types here than in requests.
fn data_type(dtype: DType) -> &'static str {
    match dtype {
        DType::Bool => "TYPE_BOOL",
        DType::U8 => "TYPE_UINT8",
        DType::U16 => "TYPE_UINT16",
        DType::U32 => "TYPE_UINT32",
        DType::U64 => "TYPE_UINT64",
        DType::I8 => "TYPE_INT8",
        DType::I16 => "TYPE_INT16",
        DType::I32 => "TYPE_INT32",
        DType::I64 => "TYPE_INT64",
        DType::F16 => "TYPE_FP16",
        DType::BF16 => "TYPE_BF16",
        DType::F32 => "TYPE_FP32",
        DType::F64 => "TYPE_FP64",
        DType::Utf8 | DType::Bytes => "TYPE_STRING",
        _ => "TYPE_INVALID",
    }
}
