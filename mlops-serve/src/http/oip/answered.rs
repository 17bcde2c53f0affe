//! An answer's bytes into tensors: what another server said.

use super::{
    Limits,
    binary::Tail,
    envelope::{self, Envelope},
    parameters as params, request,
};
use mlops_core::{
    Error, PredictionId, Result,
    arrow::buffer::Buffer,
    predictor::{Parameter, Parameters},
    signature::{ModelSignature, TensorSpec},
    tensor::Tensors,
};
use serde_json::value::RawValue;
use std::sync::Arc;

/// An answer as the body says it.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Answered {
    /// The model that answered, if it is said.
    pub model: Option<Arc<str>>,
    /// Its version, if it is said.
    pub version: Option<Arc<str>>,
    /// The request's id, or one that the server made up.
    pub id: Option<Arc<str>>,
    /// The prediction's id, of a server of ours.
    pub prediction: Option<PredictionId>,
    /// The arm that answered, of a server of ours.
    pub arm: Option<Arc<str>>,
    /// Named values that travel beside the tensors.
    pub parameters: Parameters,
    /// The outputs that the signature has, in the order of the answer.
    pub outputs: Tensors,
}

impl Answered {
    /// Takes out of the parameters what is no parameter of the model's.
    pub(crate) fn with_parameters(mut self, mut parameters: Parameters) -> Self {
        let mut text = |name: &str| match parameters.get(name) {
            Some(Parameter::Text(text)) => {
                let text = text.clone();
                parameters.remove(name);
                Some(text)
            }
            _ => None,
        };
        self.arm = text("arm").map(Into::into);
        self.prediction = text("prediction").and_then(|text| text.parse().ok());
        self.parameters = parameters;
        self
    }
}

/// Reads the answer of a model of this signature.
///
/// `json_bytes` is the value of the header `Inference-Header-Content-Length`: the JSON's length, after
/// which raw tensors follow; without it the whole body is JSON.
///
/// # Behavior
/// - an output that the signature does not have is left out, its raw bytes with it; that one is missing
///   is for the caller to see
/// - an output has the type and the shape that the signature says, else it is `InvalidInput` and named
/// - every mistake is `InvalidInput`, or `TooLarge` over a limit; no value of the answer stands in a
///   message
/// - no bytes, however deep or long, make it panic
pub fn decode_response(
    body: &Buffer,
    json_bytes: Option<usize>,
    signature: &ModelSignature,
    limits: &Limits,
) -> Result<Answered> {
    let length = json_bytes.unwrap_or(body.len());
    if length > body.len() {
        return Err(Error::invalid(format!(
            "the header says that the JSON has {length} bytes, and the answer has {}",
            body.len()
        )));
    }
    let envelope = Envelope::parse(&body[..length], "the answer", limits)?;
    let mut tail = Tail::new(body.slice(length));
    let parameters = params::parse(envelope.parameters, "the answer", limits)?;
    let text = |json: Option<&RawValue>, what: &str| -> Result<Option<Arc<str>>> {
        json.map(|json| Ok(envelope::text(json, what, limits.max_name_bytes)?.into())).transpose()
    };
    let mut answered = Answered::default().with_parameters(parameters);
    answered.model = text(envelope.model_name, "\"model_name\"")?;
    answered.version = text(envelope.model_version, "\"model_version\"")?;
    answered.id = text(envelope.id, "\"id\"")?;
    let outputs =
        envelope.outputs.ok_or_else(|| Error::invalid("the answer has no \"outputs\""))?;
    for (index, raw) in outputs.iter().enumerate() {
        let name = request::named(raw.name, "output", index, limits)?;
        let Some(spec) = signature.output(&name) else {
            let mut parameters = params::parse(raw.parameters, "an output", limits)?;
            let size = params::take_count(&mut parameters, "binary_data_size", "an output")?;
            tail.take(size.unwrap_or(0))?;
            continue;
        };
        let tensor = request::tensor(raw, spec, &mut tail, limits);
        let tensor = tensor.map_err(|error| about(spec, &error))?;
        spec.check(&tensor)?;
        answered.outputs.push(Arc::clone(&spec.name), tensor)?;
    }
    match tail.left() {
        0 => Ok(answered),
        left => Err(Error::invalid(format!("{left} bytes of the answer belong to no output"))),
    }
}

/// The error, with the output's name.
pub(crate) fn about(spec: &TensorSpec, error: &Error) -> Error {
    Error::new(error.kind(), format!("output {:?}: {}", spec.name, error.message()))
}
