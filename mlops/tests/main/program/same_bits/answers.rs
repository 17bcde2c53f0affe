//! What the roads answer, as bits.

use super::case::Bits;
use mlops::{signature::TensorSpec, tensor::DType};
use serde_json::{Map, Value};

/// A number of JSON as this type. Digits that were written for an `f32` are its shortest.
#[expect(clippy::cast_possible_truncation, reason = "it was an f32 before it was written")]
fn bits(dtype: DType, value: &Value) -> Vec<u8> {
    match dtype {
        DType::I64 => value.as_i64().unwrap().to_le_bytes().to_vec(),
        DType::F32 => (value.as_f64().unwrap() as f32).to_le_bytes().to_vec(),
        DType::F64 => value.as_f64().unwrap().to_le_bytes().to_vec(),
        other => panic!("no output has type {other}"),
    }
}

/// The numbers of a value that may be an array, or an array of arrays.
fn flat(value: &Value, dtype: DType) -> Vec<u8> {
    match value {
        Value::Array(items) => items.iter().flat_map(|item| flat(item, dtype)).collect(),
        number => bits(dtype, number),
    }
}

/// Outputs under their names.
pub(super) fn of_tensors(find: impl Fn(&str) -> Value, wanted: &Bits) -> Bits {
    let output =
        |(spec, _): &(TensorSpec, Vec<u8>)| (spec.clone(), flat(&find(&spec.name), spec.dtype));
    wanted.iter().map(output).collect()
}

/// Outputs of objects, a row each, whose members are the outputs, or the columns of an output.
pub(super) fn of_objects(objects: &[Value], wanted: &Bits) -> Bits {
    let output = |(spec, _): &(TensorSpec, Vec<u8>)| {
        let cell = |row: &Value| match row.get(&*spec.name) {
            Some(cell) => flat(cell, spec.dtype),
            None if row.is_object() => {
                spec.columns.iter().flat_map(|column| flat(&row[&**column], spec.dtype)).collect()
            }
            // A model of one output may answer with bare values.
            None => flat(row, spec.dtype),
        };
        (spec.clone(), objects.iter().flat_map(cell).collect())
    };
    wanted.iter().map(output).collect()
}

/// What stands under `predictions`.
pub(super) fn of_predictions(predictions: &Value, wanted: &Bits) -> Bits {
    match predictions {
        Value::Array(rows) => of_objects(rows, wanted),
        tensors => of_tensors(|name| tensors[name].clone(), wanted),
    }
}

/// An object a line.
pub(super) fn of_lines(text: &str, wanted: &Bits) -> Bits {
    let objects: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    of_objects(&objects, wanted)
}

/// Lines under a head; a cell of several numbers is an array.
pub(super) fn of_csv(text: &str, wanted: &Bits) -> Bits {
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let head: Vec<String> = reader.headers().unwrap().iter().map(str::to_owned).collect();
    let cell = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let object = |record: csv::StringRecord| -> Map<String, Value> {
        head.iter().cloned().zip(record.iter().map(cell)).collect()
    };
    let objects = reader.records().map(|record| Value::Object(object(record.unwrap())));
    of_objects(&objects.collect::<Vec<_>>(), wanted)
}
