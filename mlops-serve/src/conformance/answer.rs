//! Answers to inference requests, their outputs as the same bytes whatever form they came in.

use super::{
    client::http::Answer,
    datatype::Datatype,
    messages::ModelInferResponse,
    tensor::{flatten, raw},
};
use serde_json::Value;

pub(super) const JSON_BYTES: &str = "inference-header-content-length";

/// An output.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Output {
    pub(super) name: String,
    pub(super) datatype: String,
    pub(super) shape: Vec<u64>,
    /// Little-endian, row-major; text after its length.
    pub(super) raw: Vec<u8>,
    pub(super) was_binary: bool,
}

/// A whole answer.
#[derive(Clone, Debug)]
pub(super) struct Inferred {
    pub(super) json: Value,
    pub(super) outputs: Vec<Output>,
}

impl Inferred {
    /// Reads an answer of status 200; what is wrong with it in words.
    pub(super) fn read(answer: &Answer) -> Result<Self, String> {
        let length = match answer.header(JSON_BYTES) {
            None => answer.body.len(),
            Some(text) => {
                text.parse().map_err(|_| format!("{JSON_BYTES} {text:?} is no number"))?
            }
        };
        let head = answer.body.get(..length).ok_or("the JSON is longer than the body")?;
        let json: Value = serde_json::from_slice(head)
            .map_err(|cause| format!("the body is no JSON: {cause}"))?;
        let mut tail = &answer.body[length..];
        let listed = json["outputs"].as_array().ok_or("there is no array \"outputs\"")?;
        let outputs = listed.iter().map(|output| read_output(output, &mut tail));
        let outputs = outputs.collect::<Result<_, _>>()?;
        if !tail.is_empty() {
            return Err(format!("{} bytes of the body belong to no output", tail.len()));
        }
        Ok(Self { json, outputs })
    }

    /// The same of a message of gRPC.
    pub(super) fn of_message(message: &ModelInferResponse) -> Result<Vec<Output>, String> {
        let raws = &message.raw_output_contents;
        if !raws.is_empty() && raws.len() != message.outputs.len() {
            return Err(format!(
                "{} raw contents for {} outputs",
                raws.len(),
                message.outputs.len()
            ));
        }
        let mut outputs = Vec::new();
        for (at, output) in message.outputs.iter().enumerate() {
            let shape = output.shape.iter().map(|&axis| u64::try_from(axis));
            let shape = shape.collect::<Result<_, _>>().map_err(|_| "a shape is negative")?;
            let raw = match raws.get(at) {
                Some(raw) => raw.clone(),
                None => typed(output).ok_or(format!("output {:?} has no elements", output.name))?,
            };
            let (name, datatype) = (output.name.clone(), output.datatype.clone());
            let output = Output { name, datatype, shape, raw, was_binary: true };
            outputs.push(complete(output)?);
        }
        Ok(outputs)
    }

    pub(super) fn names(&self) -> Vec<&str> {
        self.outputs.iter().map(|output| output.name.as_str()).collect()
    }
}

/// Whether two answers have the same outputs, in whatever order.
pub(super) fn same(one: &[Output], other: &[Output]) -> bool {
    let is_in = |output: &Output| {
        other.iter().any(|found| {
            let same_type = (&found.name, &found.datatype) == (&output.name, &output.datatype);
            same_type && found.shape == output.shape && found.raw == output.raw
        })
    };
    one.len() == other.len() && one.iter().all(is_in)
}

fn read_output(json: &Value, tail: &mut &[u8]) -> Result<Output, String> {
    let text = |key: &str| json[key].as_str().map(str::to_owned);
    let name = text("name").ok_or("an output has no \"name\"")?;
    let datatype = text("datatype").ok_or(format!("output {name:?} has no \"datatype\""))?;
    let shape = json["shape"].as_array().ok_or(format!("output {name:?} has no \"shape\""))?;
    let shape = shape.iter().map(Value::as_u64).collect::<Option<Vec<_>>>();
    let shape = shape.ok_or(format!("output {name:?} has a shape of no natural numbers"))?;
    let kind = Datatype::of(&datatype).ok_or(format!("output {name:?} has an unknown datatype"))?;
    let size = json["parameters"]["binary_data_size"].as_u64();
    let (raw, was_binary) = match (size, json.get("data")) {
        (Some(_), Some(_)) => return Err(format!("output {name:?} has both data and bytes")),
        (Some(size), None) => {
            let size = usize::try_from(size).unwrap_or(usize::MAX);
            let (taken, rest) = tail
                .split_at_checked(size)
                .ok_or(format!("output {name:?} says {size} bytes, {} are left", tail.len()))?;
            *tail = rest;
            (taken.to_vec(), true)
        }
        (None, Some(data)) => {
            let mut values = Vec::new();
            flatten(data, &mut values);
            let wrong = format!("output {name:?} has elements that are none of {datatype}");
            (raw(kind, &values).ok_or(wrong)?, false)
        }
        (None, None) => return Err(format!("output {name:?} has neither data nor bytes")),
    };
    complete(Output { name, datatype, shape, raw, was_binary })
}

/// That it has as many elements as its shape says.
fn complete(output: Output) -> Result<Output, String> {
    let Output { name, shape, raw, .. } = &output;
    let wanted = shape.iter().try_fold(1_u64, |product, axis| product.checked_mul(*axis));
    let found = match Datatype::of(&output.datatype).and_then(Datatype::size) {
        Some(size) if raw.len() % size == 0 => Some(raw.len() / size),
        Some(_) => None,
        None => strings(raw),
    };
    let found = found.and_then(|found| u64::try_from(found).ok());
    if found.is_some() && found == wanted {
        return Ok(output);
    }
    let length = raw.len();
    Err(format!("output {name:?} of shape {shape:?} has {found:?} elements in {length} bytes"))
}

/// How many texts these bytes are, each after its length.
fn strings(mut bytes: &[u8]) -> Option<usize> {
    let mut count = 0;
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
        bytes = rest.get(length..)?;
        count += 1;
    }
    Some(count)
}

/// Typed elements as raw bytes.
fn typed(output: &super::messages::InferOutputTensor) -> Option<Vec<u8>> {
    let contents = output.contents.as_ref()?;
    let kind = Datatype::of(&output.datatype)?;
    let values: Vec<Value> = match kind {
        Datatype::Bool => contents.bools.iter().map(|&value| value.into()).collect(),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => {
            contents.ints.iter().map(|&value| value.into()).collect()
        }
        Datatype::Int64 => contents.int64s.iter().map(|&value| value.into()).collect(),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => {
            contents.uints.iter().map(|&value| value.into()).collect()
        }
        Datatype::Uint64 => contents.uint64s.iter().map(|&value| value.into()).collect(),
        Datatype::Fp32 => {
            return Some(contents.fp32s.iter().flat_map(|value| value.to_le_bytes()).collect());
        }
        Datatype::Fp64 => {
            return Some(contents.fp64s.iter().flat_map(|value| value.to_le_bytes()).collect());
        }
        Datatype::Fp16 | Datatype::Bf16 => return None,
        Datatype::Bytes => {
            let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned().into();
            contents.bytes.iter().map(text).collect()
        }
    };
    raw(kind, &values)
}
