//! Boosted trees in their libraries' own formats predict as their libraries do.

use super::run;
use mlops_core::tensor::{Tensor, Tensors};
use mlops_serve::{
    LoadOptions, Session,
    engines::tabular::{TabularEngine, TabularSession},
};
use serde_json::Value;
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

fn load(model: &Value) -> Arc<TabularSession> {
    let file = folder().join(model["file"].as_str().unwrap());
    TabularEngine::new().load_file(file, &LoadOptions::default()).unwrap()
}

fn numbers(name: &str, what: &str) -> Vec<f64> {
    let bytes = fs::read(folder().join(format!("{name}.{what}.bin"))).unwrap();
    bytes.chunks_exact(8).map(|eight| f64::from_le_bytes(eight.try_into().unwrap())).collect()
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

#[test]
fn every_model_predicts_as_its_library() {
    let models = models();
    assert!(models.len() >= 26, "{} models", models.len());
    for model in &models {
        let name = model["name"].as_str().unwrap();
        let (session, shape) = (load(model), lengths(&model["shape"]));
        let rows =
            [&model["rows"], &model["columns"]].map(|n| n.as_u64().unwrap().try_into().unwrap());
        let inputs = Tensor::from_vec(rows, numbers(name, "inputs")).unwrap();
        let given = run(&*session, &Tensors::one("features", inputs)).unwrap();
        let given = given.require("prediction").unwrap();
        assert_eq!(given.shape(), shape, "{name}");
        let (given, wanted) = (given.as_slice::<f64>().unwrap(), numbers(name, "expected"));
        for (at, (given, wanted)) in given.iter().zip(&wanted).enumerate() {
            assert!(near(*given, *wanted, 1e-12), "{name} {at}: {given}, where {wanted} is right");
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
