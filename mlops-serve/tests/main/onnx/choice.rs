//! Which engine gets an ONNX file, and what is said if none does.

use super::{corpus::named, engine};
use crate::tabular::Golden;
use mlops_core::{
    ErrorKind,
    model::{ModelPackage, PackageBuilder},
};
use mlops_serve::{
    Engine, LoadOptions,
    engines::{compiled_in, onnx::OnnxEngine, tabular::TabularEngine},
    load_package,
};
use serde_json::json;
use std::sync::Arc;

fn package(file: Vec<u8>) -> (tempfile::TempDir, ModelPackage) {
    let folder = tempfile::tempdir().unwrap();
    let builder = PackageBuilder::new().with_flavor("onnx", json!({"data": "model.onnx"})).unwrap();
    let builder = builder.with_file("model.onnx", file).unwrap();
    let package = builder.write(folder.path().join("model")).unwrap();
    (folder, package)
}

fn load(file: Vec<u8>, engines: &[Arc<dyn Engine>]) -> mlops_core::Result<&'static str> {
    let (_folder, package) = package(file);
    load_package(&package, engines, &LoadOptions::default()).map(|session| session.info().engine)
}

fn cnn() -> Vec<u8> {
    std::fs::read(named("torch_cnn").file).unwrap()
}

#[test]
fn what_tabular_cannot_compute_goes_to_onnx() {
    if engine("what_tabular_cannot_compute_goes_to_onnx").is_none() {
        return;
    }
    assert_eq!(load(Golden::named("forest").onnx(), &compiled_in()).unwrap(), "tabular");
    assert_eq!(load(cnn(), &compiled_in()).unwrap(), "onnx");
    // Whoever wants it otherwise says so.
    let only: [Arc<dyn Engine>; 1] = [Arc::new(OnnxEngine::new())];
    assert_eq!(load(Golden::named("forest").onnx(), &only).unwrap(), "onnx");
}

/// None of the corpus is lost between the two: what `tabular` refuses, it refuses as not supported.
#[test]
fn every_model_of_the_corpus_is_loaded_by_one_of_them() {
    if engine("every_model_of_the_corpus_is_loaded_by_one_of_them").is_none() {
        return;
    }
    for model in super::corpus::exported() {
        let loaded = load(std::fs::read(&model.file).unwrap(), &compiled_in());
        assert!(matches!(loaded, Ok("tabular" | "onnx")), "{}: {loaded:?}", model.name);
    }
}

#[test]
fn without_the_engine_both_are_spoken_of() {
    let only: [Arc<dyn Engine>; 1] = [Arc::new(TabularEngine::new())];
    let error = load(cnn(), &only).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let message = error.to_string();
    assert!(message.contains("engine \"tabular\"") && message.contains("Conv"), "{message}");
    assert!(message.contains("(feature `onnx`)"), "{message}");
}
