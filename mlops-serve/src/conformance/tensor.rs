//! Tensors as checks send them: elements once, in any of the protocol's forms.

use super::{
    datatype::Datatype,
    messages::{InferInputTensor, InferTensorContents},
};
use serde_json::{Value, json};

/// What a model says of an input or an output.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    pub(super) name: String,
    pub(super) datatype: String,
    /// -1 is any length.
    pub(super) shape: Vec<i64>,
}

/// An input with its elements, row-major.
#[derive(Clone, Debug)]
pub(super) struct Tensor {
    pub(super) name: String,
    pub(super) datatype: Datatype,
    pub(super) shape: Vec<usize>,
    pub(super) values: Vec<Value>,
}

impl Tensor {
    /// Harmless elements for this input: two rows where the first axis is open, one of every other
    /// open axis. `None` for a datatype that the protocol does not have.
    pub(super) fn sample(spec: &Spec, rows: usize) -> Option<Self> {
        let datatype = Datatype::of(&spec.datatype)?;
        let mut shape: Vec<usize> =
            spec.shape.iter().map(|&axis| usize::try_from(axis).unwrap_or(1)).collect();
        if spec.shape.first() == Some(&-1) {
            shape[0] = rows;
        }
        let count: usize = shape.iter().product();
        let values = (0..count).map(|at| datatype.sample(at)).collect();
        Some(Self { name: spec.name.clone(), datatype, shape, values })
    }

    /// The input of a request in JSON.
    pub(super) fn of_json(input: &Value) -> Option<Self> {
        let datatype = Datatype::of(input["datatype"].as_str()?)?;
        let axis = |axis: &Value| usize::try_from(axis.as_u64()?).ok();
        let shape = input["shape"].as_array()?.iter().map(axis).collect::<Option<Vec<_>>>()?;
        let mut values = Vec::new();
        flatten(&input["data"], &mut values);
        let name = input["name"].as_str()?.to_owned();
        (values.len() == shape.iter().product::<usize>()).then_some(Self {
            name,
            datatype,
            shape,
            values,
        })
    }

    /// The same shape, with the ends of the type's range in turn.
    pub(super) fn with_extremes(mut self) -> Self {
        let extremes = self.datatype.extremes();
        self.values = extremes.iter().cycle().take(self.values.len()).cloned().collect();
        self
    }

    /// With flat data.
    pub(super) fn json(&self) -> Value {
        self.json_with(&Value::Array(self.values.clone()))
    }

    /// With data nested like the shape.
    pub(super) fn nested_json(&self) -> Value {
        self.json_with(&nested(&self.shape, &mut self.values.iter()))
    }

    fn json_with(&self, data: &Value) -> Value {
        let (name, datatype) = (&self.name, self.datatype.name());
        json!({ "name": name, "shape": self.shape, "datatype": datatype, "data": data })
    }

    /// The head of a tensor whose bytes follow the JSON.
    pub(super) fn binary_json(&self, size: usize) -> Value {
        let (name, datatype) = (&self.name, self.datatype.name());
        json!({
            "name": name, "shape": self.shape, "datatype": datatype,
            "parameters": { "binary_data_size": size },
        })
    }

    /// Little-endian, row-major.
    pub(super) fn raw(&self) -> Vec<u8> {
        raw(self.datatype, &self.values).unwrap_or_default()
    }

    /// Without elements: they stand in `raw_input_contents`.
    pub(super) fn head(&self) -> InferInputTensor {
        let axis = |&axis: &usize| i64::try_from(axis).unwrap_or(i64::MAX);
        InferInputTensor {
            name: self.name.clone(),
            datatype: self.datatype.name().to_owned(),
            shape: self.shape.iter().map(axis).collect(),
            contents: None,
        }
    }

    /// With typed elements.
    pub(super) fn typed(&self) -> InferInputTensor {
        InferInputTensor { contents: Some(self.contents()), ..self.head() }
    }

    fn contents(&self) -> InferTensorContents {
        let mut contents = InferTensorContents::default();
        for value in &self.values {
            let whole = value.as_i64().unwrap_or_default();
            let natural = value.as_u64().unwrap_or_default();
            match self.datatype {
                Datatype::Bool => contents.bools.push(value.as_bool().unwrap_or_default()),
                Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => {
                    contents.ints.push(i32::try_from(whole).unwrap_or_default());
                }
                Datatype::Int64 => contents.int64s.push(whole),
                Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => {
                    contents.uints.push(u32::try_from(natural).unwrap_or_default());
                }
                Datatype::Uint64 => contents.uint64s.push(natural),
                #[expect(clippy::cast_possible_truncation, reason = "to the nearest")]
                Datatype::Fp32 | Datatype::Fp16 | Datatype::Bf16 => {
                    contents.fp32s.push(value.as_f64().unwrap_or_default() as f32);
                }
                Datatype::Fp64 => contents.fp64s.push(value.as_f64().unwrap_or_default()),
                Datatype::Bytes => {
                    contents.bytes.push(value.as_str().unwrap_or_default().as_bytes().to_vec());
                }
            }
        }
        contents
    }
}

/// Elements as raw bytes; `None` if one is none of this type.
pub(super) fn raw(datatype: Datatype, values: &[Value]) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    for value in values {
        datatype.write(value, &mut bytes)?;
    }
    Some(bytes)
}

pub(super) fn flatten(data: &Value, into: &mut Vec<Value>) {
    match data {
        Value::Array(items) => items.iter().for_each(|item| flatten(item, into)),
        element => into.push(element.clone()),
    }
}

fn nested<'a>(shape: &[usize], values: &mut impl Iterator<Item = &'a Value>) -> Value {
    match shape {
        [] => values.next().cloned().unwrap_or_default(),
        [length, inner @ ..] => (0..*length).map(|_| nested(inner, values)).collect(),
    }
}
