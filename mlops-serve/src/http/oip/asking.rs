//! A request into bytes: what another server is asked.

use super::{
    Encoded,
    response::{output, push_json},
};
use mlops_core::{
    Error, Result,
    predictor::{Parameter, Parameters, PredictRequest},
    tensor::Tensor,
};
use std::{sync::Arc, time::Duration};

/// Writes a request, for a server whose model takes its inputs.
///
/// # Behavior
/// - with `binary` all tensors are raw behind the JSON, and all outputs are wanted so: for servers that
///   have the extension `binary_tensor_data`. Without, all are JSON, which says of a NaN only that it is
///   one, and which cannot carry bytes that are not UTF-8: those are `InvalidInput`
/// - `timeout` becomes the parameter of this name, in microseconds; key, priority and the request's own
///   parameters stand beside it. Its deadline is a time of this process, and stands nowhere
pub fn encode_request(
    request: &PredictRequest,
    binary: bool,
    timeout: Option<Duration>,
) -> Result<Encoded> {
    let (mut json, mut raw) = (Vec::with_capacity(room(request, binary)), Vec::new());
    json.push(b'{');
    if let Some(id) = &request.id {
        json.extend_from_slice(b"\"id\":");
        push_json(&mut json, id);
        json.push(b',');
    }
    let mut parameters = parameters(request, timeout);
    if binary {
        parameters.insert("binary_data_output".to_owned(), Parameter::Bool(true));
    }
    if !parameters.is_empty() {
        json.extend_from_slice(b"\"parameters\":");
        push_json(&mut json, &parameters);
        json.push(b',');
    }
    json.extend_from_slice(b"\"inputs\":[");
    for (index, (name, tensor)) in request.inputs.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        let into = binary.then_some(&mut raw);
        output(name, tensor, &mut json, into).map_err(|error| {
            Error::new(error.kind(), format!("input {name:?}: {}", error.message()))
        })?;
    }
    json.push(b']');
    if let Some(names) = &request.outputs {
        push_names(&mut json, names);
    }
    json.push(b'}');
    let json_bytes = binary.then_some(json.len());
    json.append(&mut raw);
    Ok(Encoded { body: json, json_bytes })
}

fn push_names(json: &mut Vec<u8>, names: &[Arc<str>]) {
    json.extend_from_slice(b",\"outputs\":[");
    for (index, name) in names.iter().enumerate() {
        json.extend_from_slice(if index > 0 { b",{\"name\":" } else { b"{\"name\":" });
        push_json(json, name);
        json.push(b'}');
    }
    json.push(b']');
}

/// What travels beside the tensors, in both encodings of the protocol.
pub(crate) fn parameters(request: &PredictRequest, timeout: Option<Duration>) -> Parameters {
    let mut parameters = request.parameters.as_deref().cloned().unwrap_or_default();
    if let Some(timeout) = timeout {
        // Zero would say that there is no limit.
        let micros = i64::try_from(timeout.as_micros()).unwrap_or(i64::MAX).max(1);
        parameters.insert("timeout".to_owned(), Parameter::Int(micros));
    }
    if request.priority > 0 {
        // The protocol's highest is 1.
        let priority = Parameter::Int(256 - i64::from(request.priority));
        parameters.insert("priority".to_owned(), priority);
    }
    if let Some(key) = &request.key {
        parameters.insert("key".to_owned(), Parameter::Text(key.as_ref().to_owned()));
    }
    parameters
}

/// A first guess at the length: eight digits an element.
fn room(request: &PredictRequest, binary: bool) -> usize {
    let one = |tensor: &Tensor| 128 + if binary { 0 } else { tensor.len().saturating_mul(8) };
    request.inputs.iter().map(|(_, tensor)| one(tensor)).sum::<usize>() + 256
}
