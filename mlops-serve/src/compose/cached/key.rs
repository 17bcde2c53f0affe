//! What a question is: a digest of everything that its answer depends on.

use mlops_core::{
    digest::{Digest, Hasher},
    predictor::{Parameter, PredictRequest, PredictorInfo},
    tensor::Tensor,
};

/// The digest; `None` if a request holds something that this does not know, and so cannot tell
/// apart. Each part is preceded by its length, so that no two requests run together.
pub(super) fn of(info: &PredictorInfo, request: &PredictRequest) -> Option<Digest> {
    let mut hasher = Hasher::default();
    part(&mut hasher, info.name.as_bytes());
    part(&mut hasher, info.version.as_bytes());
    number(&mut hasher, request.outputs.as_ref().map_or(u64::MAX, |names| names.len() as u64));
    for name in request.outputs.iter().flatten() {
        part(&mut hasher, name.as_bytes());
    }
    let parameters = request.parameters.as_deref();
    number(&mut hasher, parameters.map_or(0, |parameters| parameters.len() as u64));
    for (name, value) in parameters.into_iter().flatten() {
        part(&mut hasher, name.as_bytes());
        parameter(&mut hasher, value)?;
    }
    // In the order of the signature, whatever order they came in.
    for spec in &info.signature.inputs {
        part(&mut hasher, spec.name.as_bytes());
        tensor(&mut hasher, request.inputs.get(&spec.name)?)?;
    }
    Some(hasher.finish())
}

fn parameter(hasher: &mut Hasher, value: &Parameter) -> Option<()> {
    match value {
        Parameter::Bool(value) => part(hasher, &[b'b', u8::from(*value)]),
        Parameter::Int(value) => {
            part(hasher, b"i");
            part(hasher, &value.to_le_bytes());
        }
        Parameter::Float(value) => {
            part(hasher, b"f");
            part(hasher, &value.to_bits().to_le_bytes());
        }
        Parameter::Text(value) => {
            part(hasher, b"t");
            part(hasher, value.as_bytes());
        }
        _ => return None,
    }
    Some(())
}

fn tensor(hasher: &mut Hasher, tensor: &Tensor) -> Option<()> {
    part(hasher, tensor.dtype().name().as_bytes());
    number(hasher, tensor.shape().len() as u64);
    for axis in tensor.shape() {
        number(hasher, *axis as u64);
    }
    match tensor.as_bytes() {
        Some(bytes) => part(hasher, bytes),
        None => tensor.byte_strings().ok()?.for_each(|item| part(hasher, item)),
    }
    let nulls = tensor.nulls();
    number(hasher, nulls.map_or(0, |nulls| nulls.len() as u64));
    if let Some(nulls) = nulls {
        let flags: Vec<u8> = nulls.iter().map(u8::from).collect();
        part(hasher, &flags);
    }
    Some(())
}

fn part(hasher: &mut Hasher, bytes: &[u8]) {
    number(hasher, bytes.len() as u64);
    hasher.update(bytes);
}

fn number(hasher: &mut Hasher, number: u64) {
    hasher.update(number.to_le_bytes());
}
