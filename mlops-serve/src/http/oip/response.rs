//! An answer into bytes: JSON, and raw tensors behind it for the outputs that are wanted so.

use super::{
    super::digits::Digits,
    binary,
    marks::{self, NonFinite},
};
use mlops_core::{
    Error, Result,
    predictor::{Parameter, PredictResponse},
    tensor::{DType, Element, Tensor},
};
use serde::Serialize;
use std::sync::Arc;

/// Which outputs the caller wants as raw bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputForms {
    default_binary: bool,
    named: Vec<(Arc<str>, bool)>,
}

impl OutputForms {
    /// All outputs as raw bytes, or all as JSON.
    pub fn new(binary: bool) -> Self {
        Self { default_binary: binary, named: Vec::new() }
    }

    /// One output as raw bytes, or as JSON.
    #[must_use]
    pub fn with_output(mut self, name: impl Into<Arc<str>>, binary: bool) -> Self {
        self.named.push((name.into(), binary));
        self
    }

    /// Whether this output is wanted as raw bytes.
    pub fn is_binary(&self, output: &str) -> bool {
        let named = self.named.iter().find(|(name, _)| name.as_ref() == output);
        named.map_or(self.default_binary, |(_, binary)| *binary)
    }
}

/// An answer's body.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Encoded {
    /// The JSON, then the raw tensors.
    pub body: Vec<u8>,
    /// The JSON's length if raw tensors follow it: the header `Inference-Header-Content-Length`.
    pub json_bytes: Option<usize>,
}

/// Writes an answer.
///
/// # Behavior
/// - outputs stand in the response's order; JSON data is flat, row-major
/// - floats are written with the fewest digits that read back as the same bits; see the module for
///   numbers that are not finite, and for nulls
/// - `parameters` carry the response's own, the `prediction` id, and the `arm` if one answered
/// - `id` is there if the caller gave one
/// - bytes that are not UTF-8 in a JSON output are `InvalidInput`: the caller must ask for raw bytes
pub fn encode_response(response: &PredictResponse, forms: &OutputForms) -> Result<Encoded> {
    let (mut json, mut raw) = (Vec::with_capacity(room(response, forms)), Vec::new());
    json.extend_from_slice(b"{\"model_name\":");
    push_json(&mut json, &response.model);
    json.extend_from_slice(b",\"model_version\":");
    push_json(&mut json, &response.version);
    if let Some(id) = &response.id {
        json.extend_from_slice(b",\"id\":");
        push_json(&mut json, id);
    }
    json.extend_from_slice(b",\"parameters\":");
    if response.parameters.is_none() && response.arm.is_none() {
        json.extend_from_slice(b"{\"prediction\":\"");
        json.extend_from_slice(Digits::of(response.prediction).as_bytes());
        json.extend_from_slice(b"\"}");
    } else {
        push_json(&mut json, &parameters(response));
    }
    json.extend_from_slice(b",\"outputs\":[");
    for (index, (name, tensor)) in response.outputs.iter().enumerate() {
        if index > 0 {
            json.push(b',');
        }
        let into = forms.is_binary(name).then_some(&mut raw);
        output(name, tensor, &mut json, into).map_err(|error| {
            Error::new(error.kind(), format!("output {name:?}: {}", error.message()))
        })?;
    }
    json.extend_from_slice(b"]}");
    let has_binary = response.outputs.iter().any(|(name, _)| forms.is_binary(name));
    let json_bytes = has_binary.then_some(json.len());
    json.append(&mut raw);
    Ok(Encoded { body: json, json_bytes })
}

/// A first guess at the body's length: eight digits an element.
fn room(response: &PredictResponse, forms: &OutputForms) -> usize {
    let one = |(name, tensor): (&Arc<str>, &Tensor)| {
        let raw = tensor.as_bytes().map_or(0, <[u8]>::len);
        256 + if forms.is_binary(name) { raw } else { tensor.len().saturating_mul(8) }
    };
    response.outputs.iter().map(one).sum::<usize>() + 256
}

/// The response's own parameters, and ours.
pub(crate) fn parameters(response: &PredictResponse) -> mlops_core::predictor::Parameters {
    let mut parameters = response.parameters.as_deref().cloned().unwrap_or_default();
    parameters.insert("prediction".to_owned(), Parameter::Text(response.prediction.to_string()));
    if let Some(arm) = &response.arm {
        parameters.insert("arm".to_owned(), Parameter::Text(arm.as_ref().to_owned()));
    }
    parameters
}

/// One tensor of an answer, or of a request: its JSON, and behind it its bytes if it is raw.
pub(super) fn output(
    name: &str,
    tensor: &Tensor,
    json: &mut Vec<u8>,
    raw: Option<&mut Vec<u8>>,
) -> Result<()> {
    json.extend_from_slice(b"{\"name\":");
    push_json(json, name);
    json.extend_from_slice(b",\"datatype\":");
    push_json(json, tensor.dtype().oip_name());
    json.extend_from_slice(b",\"shape\":");
    push_json(json, tensor.shape());
    if let Some(raw) = raw {
        let size = binary::write(tensor, raw)?;
        json.extend_from_slice(b",\"parameters\":{\"binary_data_size\":");
        push_json(json, &size);
        let nulls = null_positions(tensor);
        if !nulls.is_empty() {
            json.extend_from_slice(b",\"nulls\":");
            push_json(json, &nulls);
        }
        json.push(b'}');
    } else {
        json.extend_from_slice(b",\"data\":[");
        let non_finite = data(tensor, json)?;
        json.push(b']');
        if !non_finite.is_empty() {
            json.extend_from_slice(b",\"parameters\":{\"non_finite\":");
            push_json(json, &non_finite);
            json.push(b'}');
        }
    }
    json.push(b'}');
    Ok(())
}

/// Where nulls are, as the parameter `nulls` lists them.
pub(crate) fn null_positions(tensor: &Tensor) -> String {
    let mut list = String::new();
    let flags = tensor.nulls().into_iter().flat_map(|nulls| nulls.iter());
    for (at, _) in flags.enumerate().filter(|(_, valid)| !valid) {
        marks::push_position(&mut list, at);
    }
    list
}

/// Adds the elements, flat; what is not finite is null.
pub(in super::super) fn push_elements(tensor: &Tensor, json: &mut Vec<u8>) -> Result<()> {
    data(tensor, json).map(drop)
}

/// Adds the elements; returns the list of those that are not finite.
fn data(tensor: &Tensor, json: &mut Vec<u8>) -> Result<String> {
    let mut list = String::new();
    match tensor.dtype() {
        DType::Bool => {
            let bytes = tensor.as_bytes().unwrap_or_default();
            elements(tensor, json, bytes.iter().map(|&byte| Ok(byte != 0)))?;
        }
        DType::U8 => integers::<u8>(tensor, json)?,
        DType::U16 => integers::<u16>(tensor, json)?,
        DType::U32 => integers::<u32>(tensor, json)?,
        DType::U64 => integers::<u64>(tensor, json)?,
        DType::I8 => integers::<i8>(tensor, json)?,
        DType::I16 => integers::<i16>(tensor, json)?,
        DType::I32 => integers::<i32>(tensor, json)?,
        DType::I64 => integers::<i64>(tensor, json)?,
        DType::F16 => {
            let values = tensor.as_slice::<half::f16>()?;
            floats(tensor, json, &mut list, values.iter().map(|value| value.to_f32()))?;
        }
        DType::BF16 => {
            let pairs = tensor.as_bytes().unwrap_or_default().chunks_exact(2);
            let value = |pair: &[u8]| half::bf16::from_le_bytes([pair[0], pair[1]]).to_f32();
            floats(tensor, json, &mut list, pairs.map(value))?;
        }
        DType::F32 => floats(tensor, json, &mut list, tensor.as_slice::<f32>()?.iter().copied())?,
        DType::F64 => floats(tensor, json, &mut list, tensor.as_slice::<f64>()?.iter().copied())?,
        DType::Utf8 | DType::Bytes => elements(tensor, json, tensor.byte_strings()?.map(text))?,
        other => return Err(Error::unsupported(format!("datatype {} in JSON", other.oip_name()))),
    }
    Ok(list)
}

fn integers<T: Element + Serialize>(tensor: &Tensor, json: &mut Vec<u8>) -> Result<()> {
    elements(tensor, json, tensor.as_slice::<T>()?.iter().map(Ok))
}

fn floats<T: Serialize + Into<f64> + Copy>(
    tensor: &Tensor,
    json: &mut Vec<u8>,
    list: &mut String,
    values: impl Iterator<Item = T>,
) -> Result<()> {
    let written = values.enumerate().map(|(at, value)| {
        // Under a null may stand anything.
        if tensor.nulls().is_none_or(|nulls| nulls.is_valid(at))
            && let Some(kind) = NonFinite::of(value.into())
        {
            marks::push_non_finite(list, at, kind);
        }
        // serde_json writes what is not finite as null.
        Ok(value)
    });
    elements(tensor, json, written)
}

fn text(bytes: &[u8]) -> Result<&str> {
    std::str::from_utf8(bytes).map_err(|_| {
        Error::invalid(
            "holds bytes that are not UTF-8, which JSON cannot: ask for it with \"binary_data\"",
        )
    })
}

fn elements<T: Serialize>(
    tensor: &Tensor,
    json: &mut Vec<u8>,
    values: impl Iterator<Item = Result<T>>,
) -> Result<()> {
    for (at, value) in values.enumerate() {
        if at > 0 {
            json.push(b',');
        }
        match tensor.nulls() {
            Some(nulls) if nulls.is_null(at) => json.extend_from_slice(b"null"),
            _ => push_json(json, &value?),
        }
    }
    Ok(())
}

pub(in super::super) fn push_json<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) {
    serde_json::to_writer(json, value)
        .expect("numbers, text and maps of both are valid JSON, and a Vec takes every byte");
}
