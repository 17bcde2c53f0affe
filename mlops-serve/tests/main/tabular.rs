//! The `tabular` engine, against what ONNX Runtime answered (`scripts/oracles/tabular*.py`).

#[path = "tabular/agreement.rs"]
pub(crate) mod agreement;
#[path = "tabular/bombs.rs"]
pub(crate) mod bombs;
#[path = "tabular/boosted.rs"]
mod boosted;
#[path = "tabular/boosters.rs"]
mod boosters;
#[path = "tabular/hostile.rs"]
mod hostile;
#[path = "tabular/lies.rs"]
mod lies;
#[path = "tabular/loading.rs"]
mod loading;
#[path = "tabular/predictor.rs"]
mod predictor;
#[path = "tabular/proto.rs"]
pub(crate) mod proto;
#[path = "tabular/running.rs"]
mod running;
#[path = "tabular/sklearn.rs"]
mod sklearn;

use mlops_core::{
    arrow::buffer::Buffer,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{InferOptions, Session, Stop, engines::tabular::TabularSession};
use serde_json::Value;
use std::{fs, path::PathBuf, sync::Arc};

/// A file of `tests/data/tabular`.
pub(crate) fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/tabular").join(name)
}

fn bytes(name: &str) -> Vec<u8> {
    fs::read(fixture(name)).unwrap()
}

pub(crate) fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).unwrap()
}

pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().unwrap()
}

pub(crate) fn unhex(value: &Value) -> Vec<u8> {
    let pairs = text(value).as_bytes().chunks_exact(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap()).collect()
}

/// A model of the manifest.
#[derive(Debug)]
pub(crate) struct Golden {
    pub(crate) name: String,
    pub(crate) entry: Value,
}

impl Golden {
    /// Those that ONNX Runtime answered.
    pub(crate) fn all() -> Vec<Self> {
        let manifest = json("manifest.json");
        list(&manifest["models"])
            .iter()
            .map(|entry| Self { name: text(&entry["name"]).to_owned(), entry: entry.clone() })
            .collect()
    }

    pub(crate) fn named(name: &str) -> Self {
        Self::all().into_iter().find(|golden| golden.name == name).unwrap()
    }

    pub(crate) fn onnx(&self) -> Vec<u8> {
        bytes(text(&self.entry["onnx"]))
    }

    fn session(&self) -> TabularSession {
        TabularSession::from_onnx(&self.onnx()).unwrap()
    }

    fn rows(&self) -> usize {
        usize::try_from(self.entry["rows"].as_u64().unwrap()).unwrap()
    }

    /// The rows that ONNX Runtime was given.
    pub(crate) fn inputs(&self) -> Tensors {
        let (rows, file) = (self.rows(), text(&self.entry["inputs_file"]));
        if self.entry["inputs"][1].is_object() {
            return self.columns(&json(file)["columns"], rows);
        }
        let [input] = list(&self.entry["inputs"]) else { panic!("one packed input") };
        let width = usize::try_from(input["shape"][1].as_u64().unwrap()).unwrap();
        let buffer = Buffer::from_vec(bytes(file));
        let tensor = Tensor::from_buffer(DType::F32, [rows, width], buffer).unwrap();
        Tensors::one(text(&input["name"]), tensor)
    }

    fn columns(&self, columns: &Value, rows: usize) -> Tensors {
        let mut tensors = Tensors::new();
        for input in list(&self.entry["inputs"]) {
            let name = text(&input["name"]);
            let values = list(&columns[name]);
            let tensor = match text(&input["dtype"]) {
                "float32" => {
                    #[expect(
                        clippy::cast_possible_truncation,
                        reason = "each is the text of an f32"
                    )]
                    let number = |x: &Value| x.as_f64().map_or(f32::NAN, |x| x as f32);
                    Tensor::from_vec([rows, 1], values.iter().map(number).collect::<Vec<_>>())
                }
                "int64" => {
                    let whole = |x: &Value| x.as_i64().unwrap();
                    Tensor::from_vec([rows, 1], values.iter().map(whole).collect::<Vec<_>>())
                }
                _ => Tensor::from_strs([rows, 1], &values.iter().map(text).collect::<Vec<_>>()),
            };
            tensors.push(name, tensor.unwrap()).unwrap();
        }
        tensors
    }

    /// What ONNX Runtime answered.
    pub(crate) fn expected(&self) -> Tensors {
        let file = bytes(text(&self.entry["expected_file"]));
        let mut tensors = Tensors::new();
        for output in list(&self.entry["outputs"]) {
            let number = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
            let (start, len) = (number(&output["offset"]), number(&output["bytes"]));
            let shape: Vec<usize> = list(&output["shape"]).iter().map(number).collect();
            let dtype = text(&output["dtype"]).parse().unwrap();
            let buffer = Buffer::from_vec(file[start..start + len].to_vec());
            let tensor = Tensor::from_buffer(dtype, shape, buffer).unwrap();
            tensors.push(text(&output["name"]), tensor).unwrap();
        }
        tensors
    }
}

/// Some rows of every tensor.
pub(crate) fn cut(tensors: &Tensors, from: usize, to: usize) -> Tensors {
    let mut part = Tensors::new();
    for (name, tensor) in tensors.iter() {
        let mut shape = tensor.shape().to_vec();
        shape[0] = to - from;
        let width = tensor.row_len();
        let tensor = match tensor.as_bytes() {
            Some(bytes) => {
                let size = tensor.dtype().size().unwrap() * width;
                let buffer = Buffer::from_vec(bytes[from * size..to * size].to_vec());
                Tensor::from_buffer(tensor.dtype(), shape, buffer)
            }
            None => Tensor::from_strs(shape, &tensor.strs().unwrap()[from * width..to * width]),
        };
        part.push(Arc::clone(name), tensor.unwrap()).unwrap();
    }
    part
}

pub(crate) fn run(session: &dyn Session, inputs: &Tensors) -> mlops_core::Result<Tensors> {
    session.run(inputs, &InferOptions::new(&Stop::new()))
}

fn why<T: std::fmt::Debug>(result: mlops_core::Result<T>) -> String {
    result.unwrap_err().to_string()
}

/// Names, types, shapes and values are the same; NaN equals NaN, and floats may differ by 1e-6 of
/// the expected value, of one if that is less.
pub(crate) fn assert_agree(given: &Tensors, expected: &Tensors, of: &str) {
    let names =
        |tensors: &Tensors| tensors.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
    assert_eq!(names(given), names(expected), "{of}");
    for ((name, given), (_, expected)) in given.iter().zip(expected.iter()) {
        let facts = |tensor: &Tensor| (tensor.dtype(), tensor.shape().to_vec());
        assert_eq!(facts(given), facts(expected), "{of}: {name}");
        let width = expected.row_len().max(1);
        let numbers = |tensor: &Tensor| -> Option<Vec<f64>> {
            match tensor.dtype() {
                DType::F32 => {
                    Some(tensor.as_slice::<f32>().unwrap().iter().map(|&x| x.into()).collect())
                }
                DType::F64 => Some(tensor.as_slice::<f64>().unwrap().to_vec()),
                _ => None,
            }
        };
        let Some((given_numbers, wanted)) = numbers(given).zip(numbers(expected)) else {
            assert!(given == expected, "{of}: {name} differs");
            continue;
        };
        for (at, (given, wanted)) in given_numbers.into_iter().zip(wanted).enumerate() {
            let near = (given - wanted).abs() <= 1e-6 * wanted.abs().max(1.0);
            let same =
                near || given.total_cmp(&wanted).is_eq() || given.is_nan() && wanted.is_nan();
            let (row, column) = (at / width, at % width);
            assert!(same, "{of}: {name}[{row}, {column}] is {given}, ONNX Runtime says {wanted}");
        }
    }
}
