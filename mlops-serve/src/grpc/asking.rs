//! A request as `ModelInferRequest`: what another server is asked.

use super::{
    messages::{ModelInferRequest, Named},
    response::{output, parameters},
};
use crate::http::oip;
use mlops_core::{Error, Result, predictor::PredictRequest};
use prost::Message as _;
use std::time::Duration;

/// Writes a request to a model, and to a version of it if one is named: the bytes of a
/// `ModelInferRequest`.
///
/// # Behavior
/// - every input stands in `raw_input_contents`, with all its bits
/// - parameters are those of [`encode_request`](crate::http::oip::encode_request)
pub fn encode_request(
    model: &str,
    version: Option<&str>,
    request: &PredictRequest,
    timeout: Option<Duration>,
) -> Result<Vec<u8>> {
    let mut message = ModelInferRequest {
        model_name: model.to_owned(),
        model_version: version.unwrap_or_default().to_owned(),
        id: request.id.as_deref().unwrap_or_default().to_owned(),
        parameters: parameters(oip::request_parameters(request, timeout)),
        ..ModelInferRequest::default()
    };
    for (name, tensor) in request.inputs.iter() {
        let mut raw = Vec::with_capacity(tensor.as_bytes().map_or(0, <[u8]>::len));
        oip::write_raw(tensor, &mut raw).map_err(|error| {
            Error::new(error.kind(), format!("input {name:?}: {}", error.message()))
        })?;
        message.inputs.push(output(name, tensor));
        message.raw_input_contents.push(raw);
    }
    let names = request.outputs.iter().flatten();
    message.outputs = names.map(|name| Named { name: name.as_ref().to_owned() }).collect();
    Ok(message.encode_to_vec())
}
