//! The same answers as ONNX Runtime gave elsewhere: the data of the `tabular` engine.

use super::{engine, load};
use crate::tabular::{Golden, agreement::tensors, assert_agree, json, list, run, text, unhex};
use mlops_core::ErrorKind;
use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

/// Trees add in one order everywhere; the kernels of a network differ by processor.
const SAME_EVERYWHERE: [&str; 5] =
    ["boosting", "boosting_regressor", "forest", "lightgbm", "logistic"];

#[test]
fn every_golden_model_agrees() {
    let Some(engine) = engine("every_golden_model_agrees") else { return };
    let mut loaded = 0;
    for golden in Golden::all() {
        let name = golden.name.as_str();
        let session = match load(&engine, &golden.onnx()) {
            Ok(session) => session,
            // `ZipMap` makes maps, of which the refusal tells how to be rid.
            Err(error) => {
                assert!(["multiclass", "pipeline"].contains(&name), "{name}: {error}");
                assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
                assert!(error.to_string().contains("'zipmap': False"), "{error}");
                continue;
            }
        };
        let (given, wanted) = (run(&session, &golden.inputs()).unwrap(), golden.expected());
        assert_agree(&given, &wanted, name);
        if SAME_EVERYWHERE.contains(&name) {
            let bits = |tensors: &mlops_core::tensor::Tensors| -> Vec<Vec<u8>> {
                tensors.iter().map(|(_, tensor)| tensor.as_bytes().unwrap().to_vec()).collect()
            };
            assert!(bits(&given) == bits(&wanted), "{name} differs in its bits");
        }
        loaded += 1;
    }
    assert!(loaded >= 7, "{loaded} models were compared");
}

/// Each operator by itself, in all element types that the `tabular` engine knows.
#[test]
fn every_operator_agrees() {
    let Some(engine) = engine("every_operator_agrees") else { return };
    let cases = json("operators.json");
    let (mut refused, mut differing) = (Vec::new(), Vec::new());
    for case in list(&cases["cases"]) {
        let name = text(&case["name"]);
        let Ok(session) = load(&engine, &unhex(&case["onnx"])) else {
            refused.push(name);
            continue;
        };
        let answered = catch_unwind(AssertUnwindSafe(|| {
            let given = run(&session, &tensors(&case["inputs"])).unwrap();
            assert_agree(&given, &tensors(&case["outputs"]), name);
        }));
        if answered.is_err() {
            differing.push(name);
        }
    }
    assert!(differing.is_empty(), "{differing:#?}");
    // Maps.
    assert!(refused.iter().all(|name| name.to_lowercase().contains("zip")), "{refused:#?}");
}

/// scikit-learn's models, as ONNX Runtime answered them when the corpus was made.
#[test]
fn every_scikit_learn_model_agrees() {
    let Some(engine) = engine("every_scikit_learn_model_agrees") else { return };
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/sklearn");
    let manifest = fs::read(folder.join("manifest.json")).unwrap();
    let manifest: serde_json::Value = serde_json::from_slice(&manifest).unwrap();
    let (mut wrong, mut agreeing) = (Vec::new(), 0);
    for model in list(&manifest["models"]).iter().filter(|model| model["onnxruntime"].is_array()) {
        let name = text(&model["name"]);
        let file = fs::read(folder.join(text(&model["onnx"]))).unwrap();
        let answered = catch_unwind(AssertUnwindSafe(|| {
            let given = run(&load(&engine, &file).unwrap(), &tensors(&model["inputs"])).unwrap();
            assert_agree(&given, &tensors(&model["onnxruntime"]), name);
        }));
        if answered.is_err() { wrong.push(name) } else { agreeing += 1 }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(agreeing >= 130, "{agreeing} models were compared");
}
