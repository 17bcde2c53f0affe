//! A request of the Open Inference Protocol for a model with one input of 30 float32.

use super::Refusal;
use mlops_core::tensor::Tensor;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Numbers of a row.
const FEATURES: usize = 30;
/// As many rows as `mlops serve` takes at once.
const MOST_ROWS: usize = 65_536;

/// What is asked, checked.
pub(super) struct Question<'a> {
    pub(super) id: Option<Cow<'a, str>>,
    pub(super) tensor: Tensor,
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    #[serde(borrow)]
    inputs: [Input<'a>; 1],
}

#[derive(Deserialize)]
struct Input<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    shape: [usize; 2],
    #[serde(borrow)]
    datatype: Cow<'a, str>,
    #[serde(borrow)]
    data: &'a RawValue,
}

/// Reads and checks: the input's name, type, shape, how many numbers there are, and that each is finite.
pub(super) fn read<'a>(body: &'a [u8], name: &str) -> Result<Question<'a>, Refusal> {
    let request: Request =
        serde_json::from_slice(body).map_err(|_| "the request is not as the protocol says")?;
    let [input] = request.inputs;
    if input.name != name {
        return Err("the model has no such input");
    }
    if input.datatype != "FP32" {
        return Err("the input has not the model's datatype");
    }
    let [rows, width] = input.shape;
    if width != FEATURES || rows > MOST_ROWS {
        return Err("the input has not the model's shape");
    }
    let values = numbers(input.data).ok_or("the input's data is no array of finite float32")?;
    if values.len() != rows * width {
        return Err("the input's data does not fill its shape");
    }
    let tensor = Tensor::from_vec([rows, width], values)
        .map_err(|_| "the input's data does not fill its shape")?;
    Ok(Question { id: request.id, tensor })
}

/// The numbers of a flat array: serde has seen that it is valid JSON, and a parser of floats alone is faster than
/// serde's.
fn numbers(data: &RawValue) -> Option<Vec<f32>> {
    let mut rest = data.get().strip_prefix('[')?.trim_ascii_start().as_bytes();
    let mut row = Vec::with_capacity(FEATURES);
    while rest != b"]" {
        let (value, length) = fast_float2::parse_partial::<f32, _>(rest).ok()?;
        row.push(value.is_finite().then_some(value)?);
        rest = rest[length..].trim_ascii_start();
        if let Some((b',', after)) = rest.split_first() {
            rest = after.trim_ascii_start();
        }
    }
    Some(row)
}
