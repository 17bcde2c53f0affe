//! The same answers as ONNX Runtime.

use super::{Golden, assert_agree, json, list, proto::field, run, text, unhex};
use mlops_core::{
    arrow::buffer::Buffer,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{
    LoadOptions, Session,
    engines::tabular::{TabularEngine, TabularSession},
};
use serde_json::Value;
use std::collections::BTreeMap;

#[test]
fn every_model_agrees_on_every_row() {
    let models = Golden::all();
    assert!(models.len() >= 9, "{} models", models.len());
    for golden in models {
        let given = run(&golden.session(), &golden.inputs()).unwrap();
        assert_agree(&given, &golden.expected(), &golden.name);
    }
}

/// The model of the examples, which a clone of the repository has and a package has not.
#[test]
fn the_challenger_of_the_examples_agrees() {
    let data = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/data/employment_lightgbm");
    let Ok(golden) = std::fs::read(format!("{data}.json")) else {
        println!("skipped: examples/data/employment_lightgbm.json is not here");
        return;
    };
    let golden: Value = serde_json::from_slice(&golden).unwrap();
    let options = LoadOptions::default();
    let session = TabularEngine::new().load_file(format!("{data}.onnx"), &options).unwrap();
    let signature = &session.info().signature;
    let specs: Vec<String> =
        signature.inputs.iter().chain(&signature.outputs).map(ToString::to_string).collect();
    let wanted = ["features: float32[-1, 16]", "label: int64[-1]", "probabilities: float32[-1, 2]"];
    assert_eq!(specs, wanted);

    let rows = list(&golden["golden"]);
    let numbers = |key: &str| -> Vec<f32> {
        #[expect(clippy::cast_possible_truncation, reason = "each is the text of an f32")]
        let number = |value: &Value| value.as_f64().unwrap() as f32;
        rows.iter().flat_map(|row| list(&row[key])).map(number).collect()
    };
    let features = Tensor::from_vec([rows.len(), 16], numbers("features")).unwrap();
    let given = run(&*session, &Tensors::one("features", features)).unwrap();
    let labels: Vec<i64> = rows.iter().map(|row| row["label"].as_i64().unwrap()).collect();
    let labels = Tensor::from_vec([rows.len()], labels).unwrap();
    let probabilities = Tensor::from_vec([rows.len(), 2], numbers("probabilities")).unwrap();
    let wanted = Tensors::one("label", labels).with("probabilities", probabilities).unwrap();
    assert_agree(&given, &wanted, "the challenger");
}

/// Rows of the golden models are at thresholds and one step beside, NaN and infinite.
#[test]
fn the_rows_are_those_that_matter() {
    let inputs = Golden::named("lightgbm").inputs();
    let values = inputs.require("features").unwrap().as_slice::<f32>().unwrap();
    assert!(values.iter().any(|x| x.is_nan()));
    assert!(values.contains(&f32::INFINITY) && values.contains(&f32::NEG_INFINITY));
    assert!(values.contains(&f32::MAX) && values.iter().any(|x| x.is_subnormal()));
}

#[test]
fn a_model_with_maps_gives_a_column_for_each_class() {
    for (name, classes) in [("multiclass", &["0", "1", "2"][..]), ("pipeline", &["0", "1"])] {
        let session = Golden::named(name).session();
        let output = session.info().signature.output("output_probability").unwrap();
        assert_eq!(output.dtype, DType::F32);
        assert_eq!(output.shape, [None, Some(classes.len())]);
        let columns: Vec<&str> = output.columns.iter().map(AsRef::as_ref).collect();
        assert_eq!(columns, classes);
    }
}

/// Each operator by itself: versions, attributes, element types, every mode of a tree's nodes.
#[test]
fn every_operator_agrees() {
    let cases = json("operators.json");
    let mut differing = Vec::new();
    for case in list(&cases["cases"]) {
        let name = text(&case["name"]);
        let answered = std::panic::catch_unwind(|| {
            let session = TabularSession::from_onnx(&unhex(&case["onnx"])).unwrap();
            let given = run(&session, &tensors(&case["inputs"])).unwrap();
            let wanted = tensors(&case["outputs"]);
            assert_agree(&given, &wanted, name);
            for (output, spec) in wanted.iter().zip(&session.info().signature.outputs) {
                spec.check(output.1).unwrap();
            }
        });
        if answered.is_err() {
            differing.push(name);
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
}

/// What is supported was compared: no operator is in the table without a case or a golden model.
#[test]
fn every_operator_in_the_table_was_compared() {
    let cases = json("operators.json");
    // How a node names its operator: field, length, text.
    let mut missing: BTreeMap<Vec<u8>, &str> =
        TabularEngine::operators().map(|(_, name)| (field(4, name), name)).collect();
    for case in list(&cases["cases"]) {
        let onnx = unhex(&case["onnx"]);
        for (at, _) in onnx.iter().enumerate().filter(|(_, byte)| **byte == 0x22) {
            let length = onnx.get(at + 1).map_or(0, |&length| usize::from(length));
            onnx.get(at..at + 2 + length).and_then(|named| missing.remove(named));
        }
    }
    assert!(missing.is_empty(), "{:?}", missing.values());
}

pub(crate) fn tensors(entries: &Value) -> Tensors {
    let mut tensors = Tensors::new();
    for entry in list(entries) {
        let length = |value: &Value| usize::try_from(value.as_u64().unwrap()).unwrap();
        let shape: Vec<usize> = list(&entry["shape"]).iter().map(length).collect();
        let tensor = match text(&entry["dtype"]) {
            "str" => {
                let texts: Vec<&str> = list(&entry["texts"]).iter().map(text).collect();
                Tensor::from_strs(shape, &texts)
            }
            dtype => {
                let dtype = dtype.parse().unwrap();
                Tensor::from_buffer(dtype, shape, Buffer::from_vec(unhex(&entry["bytes"])))
            }
        };
        tensors.push(text(&entry["name"]), tensor.unwrap()).unwrap();
    }
    tensors
}

/// The numbers of a tensor of floats, each exactly.
pub(crate) fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype() {
        DType::F64 => tensor.as_slice().unwrap().to_vec(),
        _ => tensor.as_slice::<f32>().unwrap().iter().copied().map(f64::from).collect(),
    }
}
