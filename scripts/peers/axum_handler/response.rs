//! The answer: what `mlops serve` says, in one buffer.

use mlops_core::tensor::{DType, Element, Tensor, Tensors};
use serde::Serialize;

/// The body; nothing for outputs that are neither labels nor scores.
pub(super) fn write(id: Option<&str>, prediction: &str, outputs: &Tensors) -> Option<Vec<u8>> {
    let numbers: usize = outputs.iter().map(|(_, tensor)| tensor.len()).sum();
    let mut json = Vec::with_capacity(384 + numbers * 16);
    json.extend_from_slice(br#"{"model_name":"gbdt","model_version":"0""#);
    if let Some(id) = id {
        json.extend_from_slice(br#","id":"#);
        push(&mut json, id)?;
    }
    json.extend_from_slice(br#","parameters":{"prediction":""#);
    json.extend_from_slice(prediction.as_bytes());
    json.extend_from_slice(br#""},"outputs":["#);
    for (at, (name, tensor)) in outputs.iter().enumerate() {
        if at > 0 {
            json.push(b',');
        }
        json.extend_from_slice(br#"{"name":"#);
        push(&mut json, &**name)?;
        match tensor.dtype() {
            DType::I64 => elements::<i64>(tensor, "INT64", &mut json)?,
            DType::F32 => elements::<f32>(tensor, "FP32", &mut json)?,
            _ => return None,
        }
    }
    json.extend_from_slice(b"]}");
    Some(json)
}

fn elements<T: Element + Serialize>(
    tensor: &Tensor,
    datatype: &str,
    json: &mut Vec<u8>,
) -> Option<()> {
    json.extend_from_slice(br#","datatype":""#);
    json.extend_from_slice(datatype.as_bytes());
    json.extend_from_slice(br#"","shape":"#);
    push(json, tensor.shape())?;
    json.extend_from_slice(br#","data":"#);
    push(json, tensor.as_slice::<T>().ok()?)?;
    json.push(b'}');
    Some(())
}

fn push<T: Serialize + ?Sized>(json: &mut Vec<u8>, value: &T) -> Option<()> {
    serde_json::to_writer(json, value).ok()
}
