//! What a server and its models say of themselves.

use super::Limits;
use mlops_core::{
    Error, Result,
    predictor::PredictorInfo,
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use serde::{Deserialize, Serialize};
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
    /// `MLServer`'s: the protocol's BYTES may be text.
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<ContentType>,
}

#[derive(Serialize)]
struct ContentType {
    content_type: &'static str,
}

/// What BYTES that are text are called.
pub(crate) const TEXT: &str = "str";

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
        parameters: (spec.dtype == DType::Utf8).then_some(ContentType { content_type: TEXT }),
    }
}

/// What a server says of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Described {
    /// The model's name.
    pub name: Arc<str>,
    /// Its versions, as the server lists them; it need not.
    pub versions: Vec<Arc<str>>,
    /// What it takes and gives.
    pub signature: ModelSignature,
}

/// A tensor as either encoding of the protocol describes it.
pub(crate) struct DescribedTensor {
    pub(crate) name: String,
    pub(crate) datatype: String,
    pub(crate) shape: Vec<i64>,
    pub(crate) columns: Vec<Arc<str>>,
    pub(crate) is_text: bool,
}

impl DescribedTensor {
    pub(crate) fn spec(self, limits: &Limits) -> Result<TensorSpec> {
        let Self { name, datatype, shape, columns, is_text } = self;
        let wrong = |what: &str| Error::invalid(format!("tensor {name:?} {what}"));
        if name.len() > limits.max_name_bytes {
            return Err(Error::too_large("a tensor's name is too long"));
        }
        let dtype =
            DType::from_oip_name(&datatype).map_err(|_| wrong("has an unknown datatype"))?;
        if shape.len() > limits.max_depth {
            return Err(wrong("has too many axes"));
        }
        let axis = |axis: &i64| match usize::try_from(*axis) {
            Ok(length) => Ok(Some(length)),
            Err(_) if *axis == -1 => Ok(None),
            Err(_) => Err(wrong("has an axis that is negative, and not -1")),
        };
        let shape: Vec<Option<usize>> = shape.iter().map(axis).collect::<Result<_>>()?;
        let dtype = if is_text && dtype == DType::Bytes { DType::Utf8 } else { dtype };
        Ok(TensorSpec::new(name, dtype, shape).with_columns(columns))
    }
}

/// Reads the JSON of `GET /v2/models/{name}`.
///
/// # Behavior
/// - an axis of -1 is open; `columns`, ours, and `content_type` `str`, `MLServer`'s, are obeyed
/// - every mistake is `InvalidInput`; no bytes make it panic
pub fn decode_model_metadata(json: &[u8], limits: &Limits) -> Result<Described> {
    #[derive(Deserialize)]
    struct Model {
        name: Arc<str>,
        versions: Option<Vec<Arc<str>>>,
        #[serde(default)]
        inputs: Option<Vec<One>>,
        #[serde(default)]
        outputs: Option<Vec<One>>,
    }
    #[derive(Deserialize)]
    struct One {
        name: String,
        datatype: String,
        shape: Vec<i64>,
        #[serde(default)]
        columns: Vec<Arc<str>>,
        #[serde(default)]
        parameters: Option<serde_json::Map<String, serde_json::Value>>,
    }
    let unread =
        |_| Error::invalid("the model's metadata do not have the form that the protocol says");
    let Model { name, versions, inputs, outputs } = serde_json::from_slice(json).map_err(unread)?;
    let spec = |One { name, datatype, shape, columns, parameters }: One| {
        let content = parameters.as_ref().and_then(|own| own.get("content_type"));
        let is_text = content.and_then(|content| content.as_str()) == Some(TEXT);
        DescribedTensor { name, datatype, shape, columns, is_text }.spec(limits)
    };
    let specs = |all: Option<Vec<One>>| -> Result<Vec<TensorSpec>> {
        all.into_iter().flatten().map(spec).collect()
    };
    let signature = ModelSignature::new(specs(inputs)?, specs(outputs)?)?;
    Ok(Described { name, versions: versions.unwrap_or_default(), signature })
}

fn json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text and numbers are valid JSON")
}
