//! An answer as `ModelInferResponse`.

use super::messages::{
    InferOutputTensor, InferParameter, InferParameters, ModelInferResponse, infer_parameter::Choice,
};
use crate::http::oip;
use mlops_core::{
    Error, Result,
    predictor::{Parameter, Parameters, PredictResponse},
    tensor::Tensor,
};
use prost::Message as _;

/// Writes an answer: the bytes of a `ModelInferResponse`.
///
/// # Behavior
/// - outputs stand in the response's order, each in `raw_output_contents`; NaN stands where a float is
///   null, and the output's parameter `nulls` lists where nulls are
/// - `parameters` carry the response's own, the `prediction` id, and the `arm` if one answered
/// - `id` is there if the caller gave one
pub fn encode_response(response: &PredictResponse) -> Result<Vec<u8>> {
    Ok(message(response)?.encode_to_vec())
}

pub(super) fn message(response: &PredictResponse) -> Result<ModelInferResponse> {
    let mut message = ModelInferResponse {
        model_name: response.model.to_string(),
        model_version: response.version.to_string(),
        id: response.id.as_deref().unwrap_or_default().to_owned(),
        parameters: parameters(oip::response_parameters(response)),
        outputs: Vec::with_capacity(response.outputs.len()),
        raw_output_contents: Vec::with_capacity(response.outputs.len()),
    };
    for (name, tensor) in response.outputs.iter() {
        let mut raw = Vec::with_capacity(tensor.as_bytes().map_or(0, <[u8]>::len));
        oip::write_raw(tensor, &mut raw).map_err(|error| {
            Error::new(error.kind(), format!("output {name:?}: {}", error.message()))
        })?;
        message.outputs.push(output(name, tensor));
        message.raw_output_contents.push(raw);
    }
    Ok(message)
}

pub(super) fn output(name: &str, tensor: &Tensor) -> InferOutputTensor {
    let nulls = oip::null_positions(tensor);
    let mut own = Parameters::new();
    if !nulls.is_empty() {
        own.insert("nulls".to_owned(), Parameter::Text(nulls));
    }
    let length = |&axis: &usize| i64::try_from(axis).unwrap_or(i64::MAX);
    InferOutputTensor {
        name: name.to_owned(),
        datatype: tensor.dtype().oip_name().to_owned(),
        shape: tensor.shape().iter().map(length).collect(),
        parameters: parameters(own),
    }
}

pub(super) fn parameters(parameters: Parameters) -> InferParameters {
    let one = |(name, value)| {
        let choice = match value {
            Parameter::Bool(value) => Some(Choice::Bool(value)),
            Parameter::Int(value) => Some(Choice::Int64(value)),
            Parameter::Float(value) => Some(Choice::Double(value)),
            Parameter::Text(value) => Some(Choice::Text(value)),
            _ => None,
        };
        (name, InferParameter { choice })
    };
    parameters.into_iter().map(one).collect()
}
