//! Boosted trees in their libraries' own formats predict as their libraries do.

use super::run;
use mlops_core::{
    ErrorKind,
    arrow::buffer::Buffer,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{
    LoadOptions, Session,
    engines::tabular::{TabularEngine, TabularSession},
};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/boosted")
}

/// The models of `scripts/oracles/boosted.py`.
fn models() -> Vec<Value> {
    let manifest = fs::read(folder().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    manifest["models"].as_array().unwrap().clone()
}

pub(super) fn files() -> Vec<Vec<u8>> {
    models().iter().map(|model| fs::read(file(model)).unwrap()).collect()
}

fn file(model: &Value) -> PathBuf {
    folder().join(model["file"].as_str().unwrap())
}

fn load(model: &Value) -> Arc<TabularSession> {
    TabularEngine::new().load_file(file(model), &LoadOptions::default()).unwrap()
}

fn bytes(name: &str, what: &str) -> Buffer {
    fs::read(folder().join(format!("{name}.{what}.bin"))).unwrap().into()
}

fn lengths(value: &Value) -> Vec<usize> {
    value.as_array().unwrap().iter().map(|n| n.as_u64().unwrap().try_into().unwrap()).collect()
}

/// Both not finite in the same way, or this near.
fn near(given: f64, wanted: f64, tolerance: f64) -> bool {
    given.to_bits() == wanted.to_bits()
        || (given - wanted).abs() <= tolerance * wanted.abs().max(1.0)
        || given.is_nan() && wanted.is_nan()
}

/// The numbers of a tensor, and what of them a difference may be.
fn numbers(tensor: &Tensor) -> (Vec<f64>, f64) {
    match tensor.dtype() {
        DType::F64 => (tensor.as_slice().unwrap().to_vec(), 1e-12),
        _ => (tensor.as_slice::<f32>().unwrap().iter().copied().map(f64::from).collect(), 1e-6),
    }
}

#[test]
fn every_model_predicts_as_its_library() {
    let models = models();
    assert!(models.len() >= 70, "{} models", models.len());
    for model in &models {
        let name = model["name"].as_str().unwrap();
        let (session, shape) = (load(model), lengths(&model["shape"]));
        let [dtype, answer] = ["dtype", "answer"]
            .map(|key| serde_json::from_value::<DType>(model[key].clone()).unwrap());
        let rows =
            [&model["rows"], &model["columns"]].map(|n| n.as_u64().unwrap().try_into().unwrap());
        let inputs = Tensor::from_buffer(dtype, rows, bytes(name, "inputs")).unwrap();
        let given = run(&*session, &Tensors::one("features", inputs)).unwrap();
        let given = given.require("prediction").unwrap();
        assert_eq!(given.shape(), shape, "{name}");
        let wanted = Tensor::from_buffer(answer, shape, bytes(name, "expected")).unwrap();
        let ((given, tolerance), (wanted, _)) = (numbers(given), numbers(&wanted));
        for (at, (given, wanted)) in given.iter().zip(&wanted).enumerate() {
            assert!(
                near(*given, *wanted, tolerance),
                "{name} {at}: {given}, where {wanted} is right"
            );
        }
    }
}

#[test]
fn features_keep_their_names() {
    for model in models() {
        let signature = load(&model).info().signature.clone();
        let columns: Vec<&str> = signature.inputs[0].columns.iter().map(AsRef::as_ref).collect();
        assert_eq!(
            columns,
            model["features"]
                .as_array()
                .unwrap()
                .iter()
                .map(|name| name.as_str().unwrap())
                .collect::<Vec<_>>()
        );
    }
}

#[test]
fn what_is_not_read_is_named() {
    let text = fs::read_to_string(folder().join("lightgbm_binary.txt")).unwrap();
    let json = fs::read_to_string(folder().join("xgboost_binary.json")).unwrap();
    for (bytes, kind, named) in [
        (text.replacen("v4", "v9", 1), ErrorKind::Unsupported, "v9"),
        (
            text.replacen("objective=binary", "objective=odd", 1),
            ErrorKind::Unsupported,
            "odd sigmoid:1",
        ),
        (text.replacen("num_leaves=", "num_leaves=1", 1), ErrorKind::InvalidInput, "leaf_value"),
        (text[..text.len() / 2].to_owned(), ErrorKind::InvalidInput, "cut off in tree"),
        (text.replacen("is_linear=0", "is_linear=1", 1), ErrorKind::InvalidInput, "leaf_const"),
        (json.replacen("binary:logistic", "odd:one", 1), ErrorKind::Unsupported, "odd:one"),
        (json.replacen("\"gbtree\"", "\"gblinear\"", 1), ErrorKind::InvalidInput, "0 weights"),
        (json.replacen("\"gbtree\"", "\"gbother\"", 1), ErrorKind::Unsupported, "gbother"),
        (json.replacen("left_children", "left", 1), ErrorKind::InvalidInput, "left_children"),
        ("CBM1 and more".to_owned(), ErrorKind::Unsupported, "format=\"json\""),
    ] {
        let error = TabularSession::load(bytes.as_bytes(), &LoadOptions::default()).unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(named), "{error}");
    }
    let pickle = TabularSession::load(b"\x80\x04\x95", &LoadOptions::default()).unwrap_err();
    assert!(pickle.to_string().contains("pickle"), "{pickle}");
}

/// A model of XGBoost's as its JSON, whichever form it is stored in.
fn xgboost_json(name: &str) -> Value {
    serde_json::from_slice(&fs::read(folder().join(name)).unwrap()).unwrap()
}

/// What a model that is stored elsewhere gives for the rows of one of the manifest.
fn predictions(session: &TabularSession, name: &str) -> Vec<f32> {
    let shape = [400, session.info().signature.inputs[0].shape[1].unwrap()];
    let rows = Tensor::from_buffer(DType::F32, shape, bytes(name, "inputs")).unwrap();
    let given = run(session, &Tensors::one("features", rows)).unwrap();
    given.require("prediction").unwrap().as_slice().unwrap().to_vec()
}

fn loaded(json: &Value) -> TabularSession {
    TabularSession::load(json.to_string().as_bytes(), &LoadOptions::default()).unwrap()
}

/// XGBoost 3.4 writes DART as `gbtree` with the scales beside the trees.
#[test]
fn the_scales_of_dart_are_found_where_later_versions_put_them() {
    let before = xgboost_json("xgboost_dart.json");
    let mut after = before.clone();
    let booster = &mut after["learner"]["gradient_booster"];
    let (mut model, drop) = (booster["gbtree"]["model"].take(), booster["weight_drop"].take());
    assert!(drop.as_array().unwrap().iter().any(|scale| scale.as_f64() != Some(1.0)));
    model["weight_drop"] = drop;
    *booster = json!({ "name": "gbtree", "model": model });
    let name = "xgboost_dart";
    assert_eq!(predictions(&loaded(&after), name), predictions(&loaded(&before), name));
}

/// Before version 3.2 each node of a tree of several outputs had its numbers.
#[test]
fn numbers_of_leaves_are_found_where_earlier_versions_put_them() {
    let before = xgboost_json("xgboost_multi_output_tree.json");
    let mut after = before.clone();
    for tree in after["learner"]["gradient_booster"]["model"]["trees"].as_array_mut().unwrap() {
        let leaves = tree["leaf_weights"].take();
        let left = tree["left_children"].as_array().unwrap().clone();
        let mut all = Vec::new();
        for (at, left) in left.iter().enumerate() {
            let place = &mut tree["right_children"][at];
            let first = if *left == json!(-1) { lengths(&json!([*place]))[0] * 3 } else { 0 };
            all.extend_from_slice(&leaves.as_array().unwrap()[first..first + 3]);
            if *left == json!(-1) {
                *place = json!(-1);
            }
        }
        tree["base_weights"] = all.into();
        tree.as_object_mut().unwrap().remove("leaf_weights");
    }
    let name = "xgboost_multi_output_tree";
    assert_eq!(predictions(&loaded(&after), name), predictions(&loaded(&before), name));
}

/// Leaves of one place would take many times what the file has.
#[test]
fn leaves_share_no_numbers() {
    let mut model = xgboost_json("xgboost_multi_output_tree.json");
    for tree in model["learner"]["gradient_booster"]["model"]["trees"].as_array_mut().unwrap() {
        tree["leaf_weights"].as_array_mut().unwrap().truncate(3);
    }
    let error =
        TabularSession::load(model.to_string().as_bytes(), &LoadOptions::default()).unwrap_err();
    assert!(error.to_string().contains("3 numbers in tree 0"), "{error}");
}

#[test]
fn a_file_of_an_early_lightgbm_ends_with_what_follows_its_trees() {
    let text = fs::read_to_string(folder().join("lightgbm_binary.txt")).unwrap();
    let early = text.replacen("end of trees\n\nfeature_importances:", "feature importances:", 1);
    assert_ne!(text, early);
    TabularSession::load(early.as_bytes(), &LoadOptions::default()).unwrap();
}

#[test]
fn another_booster_and_another_json_are_named() {
    let other = json!({ "learner": {
        "gradient_booster": { "name": "gbother", "model": { "weights": [0.5, 1.0] } },
        "learner_model_param": { "base_score": "0.5", "num_class": "0", "num_feature": "1" },
        "objective": { "name": "reg:squarederror" },
    } });
    let dump = json!({ "name": "tree", "version": "v4", "tree_info": [] });
    for (json, named) in [(other, "gbother"), (dump, "\"learner\"")] {
        let error = TabularSession::load(json.to_string().as_bytes(), &LoadOptions::default());
        let error = error.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported);
        assert!(error.to_string().contains(named), "{error}");
    }
}
