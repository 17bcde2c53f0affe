//! The rows of a case, as each road is told of them.

use super::case::{Case, Unsayable, elements};
use crate::program::grpc::field;
use mlops::tensor::{DType, Tensor};
use parquet::arrow::ArrowWriter;
use serde_json::{Map, Value, json};

impl Case {
    /// An object a row; a number that JSON cannot say stands as `said`.
    pub(super) fn objects(&self, said: impl Fn(Value) -> Value) -> Vec<Value> {
        let object = |row: Vec<Value>| -> Map<String, Value> {
            self.columns().into_iter().map(str::to_owned).zip(row.into_iter().map(&said)).collect()
        };
        self.table().into_iter().map(|row| Value::Object(object(row))).collect()
    }

    pub(super) fn csv(&self) -> Vec<u8> {
        let mut writer = csv::Writer::from_writer(Vec::new());
        writer.write_record(self.columns()).unwrap();
        for row in self.table() {
            let cell = |cell: &Value| match cell {
                // Arrow and pandas write it so.
                Value::String(text) if text == "Infinity" => "inf".to_owned(),
                Value::String(text) if text == "-Infinity" => "-inf".to_owned(),
                Value::String(text) => text.clone(),
                number => number.to_string(),
            };
            writer.write_record(row.iter().map(cell)).unwrap();
        }
        writer.into_inner().unwrap()
    }

    pub(super) fn parquet(&self) -> Vec<u8> {
        let (batch, mut bytes) = (self.batch(), Vec::new());
        let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        bytes
    }

    /// Each body of `/invocations` with its content type, and what it has no word for.
    pub(super) fn bodies(&self) -> Vec<(&'static str, Vec<u8>, Option<Unsayable>)> {
        let (json, csv) = ("application/json", "text/csv");
        let mut bodies: Vec<_> = self
            .scoring()
            .into_iter()
            .map(|body| (json, body.to_string().into_bytes(), Some(Unsayable::Infinity)))
            .collect();
        bodies.push((csv, self.csv(), Some(Unsayable::EmptyText)));
        bodies.push(("application/vnd.apache.parquet", self.parquet(), None));
        bodies
    }

    /// Every shape of JSON of `/invocations` that these inputs have.
    fn scoring(&self) -> Vec<Value> {
        // Infinity stays a text, which is refused.
        let said = |cell: Value| if cell == "NaN" { Value::Null } else { cell };
        let table: Vec<Vec<Value>> =
            self.table().into_iter().map(|row| row.into_iter().map(said).collect()).collect();
        let objects = self.objects(said);
        let columns =
            self.columns().into_iter().enumerate().map(|(at, name)| {
                (name.to_owned(), table.iter().map(|row| row[at].clone()).collect())
            });
        let columns: Map<String, Value> = columns.collect();
        let tensors: Map<String, Value> = self
            .inputs
            .iter()
            .map(|(name, tensor)| {
                let cells: Vec<Value> = elements(tensor).into_iter().map(said).collect();
                (name.to_string(), nested(&cells, tensor.shape()))
            })
            .collect();
        let mut bodies = vec![
            json!({ "dataframe_split": { "columns": self.columns(), "data": table } }),
            json!({ "dataframe_records": objects }),
            json!({ "instances": objects }),
            json!({ "inputs": columns }),
            json!({ "inputs": tensors }),
        ];
        if let [(only, _)] = self.inputs.iter().collect::<Vec<_>>()[..] {
            bodies.push(json!({ "inputs": tensors[&**only] }));
            bodies.push(json!({ "instances": tensors[&**only] }));
        }
        bodies
    }

    /// The inputs of the protocol in JSON; with `marks`, what JSON cannot say is marked as the protocol's
    /// extension has it, else a missing number is null alone.
    pub(super) fn question(&self, marks: bool) -> Value {
        let input = |(name, tensor): (&std::sync::Arc<str>, &Tensor)| {
            let (mut data, mut listed) = (elements(tensor), Vec::new());
            for (at, cell) in data.iter_mut().enumerate().filter(|_| tensor.dtype().is_float()) {
                if let Value::String(kind) = cell {
                    listed.push(format!("{at}={kind}"));
                    *cell = Value::Null;
                }
            }
            let datatype = tensor.dtype().oip_name();
            let mut input = json!({ "name": name, "shape": tensor.shape(), "datatype": datatype, "data": data });
            if marks && !listed.is_empty() {
                input["parameters"] = json!({ "non_finite": listed.join(" ") });
            }
            input
        };
        json!({ "inputs": self.inputs.iter().map(input).collect::<Vec<_>>() })
    }

    /// The same with the elements as bytes behind it, and the length of the JSON.
    pub(super) fn binary_question(&self) -> (usize, Vec<u8>) {
        let mut inputs = Vec::new();
        for (name, tensor) in self.inputs.iter() {
            let datatype = tensor.dtype().oip_name();
            let parameters = json!({ "binary_data_size": raw(tensor).len() });
            let shape = tensor.shape();
            inputs.push(json!({ "name": name, "shape": shape, "datatype": datatype, "parameters": parameters }));
        }
        let head = json!({ "inputs": inputs, "parameters": { "binary_data_output": true } });
        let head = head.to_string().into_bytes();
        let elements = self.inputs.iter().map(|(_, tensor)| raw(tensor));
        (head.len(), head.iter().copied().chain(elements.flatten()).collect())
    }

    /// `ModelInferRequest`, with the elements as raw bytes or in the fields of their types.
    pub(super) fn message(&self, model: &str, is_raw: bool) -> Vec<u8> {
        let mut message = field(1, model.as_bytes());
        for (name, tensor) in self.inputs.iter() {
            let shape: Vec<u8> =
                tensor.shape().iter().map(|axis| u8::try_from(*axis).unwrap()).collect();
            assert!(shape.iter().all(|axis| *axis < 128), "an axis is one byte here");
            let datatype = tensor.dtype().oip_name().as_bytes();
            let mut input =
                [field(1, name.as_bytes()), field(2, datatype), field(3, &shape)].concat();
            if !is_raw {
                input.extend(field(5, &contents(tensor)));
            }
            message.extend(field(5, &input));
        }
        if is_raw {
            let raws = self.inputs.iter().map(|(_, tensor)| field(7, &raw(tensor)));
            message.extend(raws.flatten());
        }
        message
    }
}

/// Cells as arrays of arrays of this shape.
fn nested(cells: &[Value], shape: &[usize]) -> Value {
    match shape {
        [] => cells[0].clone(),
        [_, inner @ ..] => {
            let size = inner.iter().product();
            cells.chunks(size).map(|cells| nested(cells, inner)).collect()
        }
    }
}

/// The elements as the protocol's binary data has them: a text after its length.
fn raw(tensor: &Tensor) -> Vec<u8> {
    if let Some(bytes) = tensor.as_bytes() {
        return bytes.to_vec();
    }
    let one = |text: &str| {
        [&u32::try_from(text.len()).unwrap().to_le_bytes()[..], text.as_bytes()].concat()
    };
    tensor.strs().unwrap().into_iter().flat_map(one).collect()
}

/// `InferTensorContents`.
fn contents(tensor: &Tensor) -> Vec<u8> {
    match tensor.dtype() {
        DType::F32 => field(6, tensor.as_bytes().unwrap()),
        DType::F64 => field(7, tensor.as_bytes().unwrap()),
        DType::I64 => {
            let one = |value: &i64| u8::try_from(*value).ok().filter(|value| *value < 128);
            let values = tensor.as_slice::<i64>().unwrap().iter();
            field(
                3,
                &values.map(|value| one(value).expect("one byte is enough")).collect::<Vec<_>>(),
            )
        }
        DType::Utf8 => {
            let texts = tensor.strs().unwrap().into_iter();
            texts.flat_map(|text| field(8, text.as_bytes())).collect()
        }
        other => panic!("no input has type {other}"),
    }
}
