//! What a server and its models say of themselves.

use mlops_core::{predictor::PredictorInfo, signature::TensorSpec};
use serde::Serialize;
use std::sync::Arc;

#[derive(Serialize)]
struct ServerMetadata<'a> {
    name: &'a str,
    version: &'a str,
    extensions: &'a [&'a str],
}

#[derive(Serialize)]
struct ModelMetadata<'a> {
    name: &'a str,
    versions: [&'a str; 1],
    platform: &'a str,
    inputs: Vec<TensorMetadata<'a>>,
    outputs: Vec<TensorMetadata<'a>>,
}

#[derive(Serialize)]
struct TensorMetadata<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: Vec<i64>,
    /// Ours: names of the last axis's positions.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    columns: &'a [Arc<str>],
}

/// What serves every model.
pub(crate) const PLATFORM: &str = "mlops";

/// Triton's names of what we speak beyond the protocol itself.
pub(crate) const EXTENSIONS: &[&str] =
    &["binary_tensor_data", "model_configuration", "model_repository", "parameters", "statistics"];

/// The JSON of `GET /v2`: name, version, and the extensions that we speak.
pub fn server_metadata(name: &str, version: &str) -> Vec<u8> {
    json(&ServerMetadata { name, version, extensions: EXTENSIONS })
}

/// The JSON of `GET /v2/models/{name}`; an open axis is -1. `columns` beside a tensor's shape, ours,
/// names the positions of its last axis where they have names.
pub fn model_metadata(name: &str, info: &PredictorInfo) -> Vec<u8> {
    json(&ModelMetadata {
        name,
        versions: [&info.version],
        platform: PLATFORM,
        inputs: info.signature.inputs.iter().map(tensor).collect(),
        outputs: info.signature.outputs.iter().map(tensor).collect(),
    })
}

/// The length of each axis, -1 if any will do.
pub(crate) fn axes(spec: &TensorSpec) -> Vec<i64> {
    let axis = |length: &Option<usize>| length.map_or(-1, |n| i64::try_from(n).unwrap_or(i64::MAX));
    spec.shape.iter().map(axis).collect()
}

fn tensor(spec: &TensorSpec) -> TensorMetadata<'_> {
    TensorMetadata {
        name: &spec.name,
        datatype: spec.dtype.oip_name(),
        shape: axes(spec),
        columns: &spec.columns,
    }
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text and numbers are valid JSON")
}
