//! `ModelInferResponse` into tensors, and `ModelMetadataResponse` into a signature: what another server
//! said.

use super::{
    messages::{ModelMetadataResponse, TensorMetadata, infer_parameter::Choice},
    parameters::Entries,
    request::{RawTensor, push, text},
    wire::Fields,
};
use crate::http::oip::{self, Answered, Described, DescribedTensor, Limits};
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    signature::{ModelSignature, TensorSpec},
};
use prost::Message as _;
use std::sync::Arc;

/// Reads the answer of a model of this signature: the bytes of a `ModelInferResponse`.
///
/// # Behavior
/// - with `raw_output_contents` there is one for each output, in order, and none has `contents`
/// - in all else it is as [`oip::decode_response`](crate::http::oip::decode_response) says
pub fn decode_response(
    message: &Buffer,
    signature: &ModelSignature,
    limits: &Limits,
) -> Result<Answered> {
    let (mut model, mut version, mut id) = ("", "", "");
    let mut parameters = Entries::new("the answer");
    let (mut outputs, mut raw) = (Vec::new(), Vec::new());
    let mut fields = Fields::of(message);
    while let Some((number, value)) = fields.next()? {
        match number {
            1 => model = text(&value, "\"model_name\"", limits)?,
            2 => version = text(&value, "\"model_version\"", limits)?,
            3 => id = text(&value, "\"id\"", limits)?,
            4 => parameters.push(&value, limits)?,
            5 => push(&mut outputs, &value, "\"outputs\"", limits)?,
            6 => push(&mut raw, &value, "\"raw_output_contents\"", limits)?,
            _ => {}
        }
    }
    if !raw.is_empty() && raw.len() != outputs.len() {
        let (raw, outputs) = (raw.len(), outputs.len());
        return Err(Error::invalid(format!(
            "\"raw_output_contents\" has {raw} elements for {outputs} outputs"
        )));
    }
    let said = |text: &str| Some(text).filter(|text| !text.is_empty()).map(Arc::from);
    let mut answered = Answered::default().with_parameters(parameters.read);
    (answered.model, answered.version, answered.id) = (said(model), said(version), said(id));
    for (index, bytes) in outputs.iter().enumerate() {
        let output = RawTensor::read("output", index, bytes, limits)?;
        let Some(spec) = signature.output(output.name) else { continue };
        let tensor = output.tensor(spec, raw.get(index).copied(), limits);
        let tensor = tensor.map_err(|error| oip::about_output(spec, &error))?;
        spec.check(&tensor)?;
        answered.outputs.push(Arc::clone(&spec.name), tensor)?;
    }
    Ok(answered)
}

/// Reads what a server says of a model: the bytes of a `ModelMetadataResponse`.
///
/// # Behavior
/// - as [`decode_model_metadata`](crate::http::oip::decode_model_metadata), but that the protocol has no
///   place for names of columns here
pub fn decode_model_metadata(message: &[u8], limits: &Limits) -> Result<Described> {
    let unread =
        |_| Error::invalid("the model's metadata do not have the form that the protocol says");
    let message = ModelMetadataResponse::decode(message).map_err(unread)?;
    let spec = |tensor: TensorMetadata| {
        let TensorMetadata { name, datatype, shape, parameters } = tensor;
        let content = parameters.get("content_type").and_then(|content| content.choice.as_ref());
        let is_text = matches!(content, Some(Choice::Text(text)) if text == oip::TEXT);
        DescribedTensor { name, datatype, shape, columns: Vec::new(), is_text }.spec(limits)
    };
    let specs = |all: Vec<TensorMetadata>| -> Result<Vec<TensorSpec>> {
        all.into_iter().map(spec).collect()
    };
    let signature = ModelSignature::new(specs(message.inputs)?, specs(message.outputs)?)?;
    let versions = message.versions.into_iter().map(Into::into).collect();
    Ok(Described { name: message.name.into(), versions, signature })
}
