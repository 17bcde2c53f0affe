//! Models of `PyTorch` and Keras, as these answer themselves (`scripts/oracles/onnx_corpus.py`).

use super::engine;
use crate::tabular::{agreement::tensors, list, run, text};
use mlops_core::tensor::{DType, Tensor, Tensors};
use mlops_serve::{LoadOptions, engines::onnx::OnnxEngine};
use serde_json::Value;
use std::{fs, path::PathBuf};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/onnx")
}

/// A model of the corpus.
pub(super) struct Exported {
    pub(super) name: String,
    pub(super) source: String,
    pub(super) file: PathBuf,
    pub(super) bound: f64,
    pub(super) inputs: Tensors,
    pub(super) outputs: Tensors,
}

fn manifest() -> Vec<Value> {
    let manifest = fs::read(folder().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    list(&manifest["models"]).to_vec()
}

pub(super) fn exported() -> Vec<Exported> {
    let models = manifest();
    let there = models.iter().filter(|model| model["onnx"].is_string());
    let read = |model: &Value| Exported {
        name: text(&model["name"]).to_owned(),
        source: text(&model["source"]).to_owned(),
        file: folder().join(text(&model["onnx"])),
        bound: model["bound"].as_f64().unwrap(),
        inputs: tensors(&model["inputs"]),
        outputs: tensors(&model["outputs"]),
    };
    there.map(read).collect()
}

pub(super) fn named(name: &str) -> Exported {
    exported().into_iter().find(|model| model.name == name).unwrap()
}

fn numbers(tensor: &Tensor) -> Vec<f64> {
    match tensor.dtype() {
        DType::F64 => tensor.as_slice().unwrap().to_vec(),
        DType::F16 => tensor.as_slice::<half::f16>().unwrap().iter().map(|x| x.to_f64()).collect(),
        _ => tensor.as_slice::<f32>().unwrap().iter().copied().map(f64::from).collect(),
    }
}

/// Whether they differ by no more; what is no number is near nothing.
fn near((a, b): &(&f64, &f64), bound: f64) -> bool {
    (*a - *b).abs() <= bound
}

/// What is farther from its library's answer than this part of the largest answer.
fn difference(given: &Tensors, model: &Exported) -> Option<String> {
    for (name, wanted) in model.outputs.iter() {
        let Some(given) = given.get(name) else { return Some(format!("{name} is missing")) };
        if (given.dtype(), given.shape()) != (wanted.dtype(), wanted.shape()) {
            return Some(format!("{name} has another type or shape"));
        }
        if !wanted.dtype().is_float() {
            if given != wanted {
                return Some(format!("{name} differs"));
            }
            continue;
        }
        let (given, wanted) = (numbers(given), numbers(wanted));
        let largest = wanted.iter().fold(1e-3_f64, |most, x| most.max(x.abs()));
        let mut pairs = given.iter().zip(&wanted);
        if let Some((given, wanted)) = pairs.find(|pair| !near(pair, model.bound * largest)) {
            return Some(format!("{name}: {given}, not {wanted}"));
        }
    }
    None
}

#[test]
fn every_model_that_loads_answers_as_its_library() {
    let Some(engine) = engine("every_model_that_loads_answers_as_its_library") else { return };
    let mut wrong = Vec::new();
    for model in exported() {
        let session = engine.load_file(&model.file, &LoadOptions::default());
        let given = session.and_then(|session| run(&*session, &model.inputs));
        let differs = match given {
            Ok(given) => difference(&given, &model),
            Err(error) => Some(error.to_string()),
        };
        wrong.extend(differs.map(|why| format!("{}: {why}", model.name)));
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// What is promised of the corpus, and what is not in it.
#[test]
fn the_corpus_is_as_large_and_as_near_as_promised() {
    let exported = exported();
    let of = |source: &str| exported.iter().filter(|model| model.source == source).count();
    assert!(of("torch") >= 10 && of("keras") >= 5, "{} and {}", of("torch"), of("keras"));
    for model in &exported {
        let half = model.outputs.iter().any(|(_, tensor)| tensor.dtype() == DType::F16);
        assert!(model.bound <= if half { 2e-3 } else { 1e-6 }, "{}", model.name);
    }
    let models = manifest();
    let without = models.iter().filter(|model| !model["onnx"].is_string());
    let names: Vec<&str> = without.map(|model| text(&model["name"])).collect();
    // Keras's own exporter over PyTorch's fails at its attention.
    assert_eq!(names, ["keras_attention"]);
}

/// Axes that vary are free, others are not; texts of a shape are those of the file.
#[test]
fn signatures_are_the_models_own() {
    let Some(engine) = engine("signatures_are_the_models_own") else { return };
    let shown = |name: &str| {
        let session = load(&engine, name);
        let signature = &mlops_serve::Session::info(&*session).signature;
        let specs = signature.inputs.iter().chain(&signature.outputs);
        specs.map(ToString::to_string).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(shown("torch_lstm"), "x: float32[-1, -1, 5] y: float32[-1, 3]");
    assert_eq!(
        shown("torch_two_and_two"),
        "features: float32[-1, 8] kind: int64[-1] logits: float32[-1, 3] score: float32[-1]"
    );
    assert_eq!(
        shown("torch_attention"),
        "x: float32[-1, -1, 16] keep: bool[-1, -1] y: float32[-1, -1, 16]"
    );
    assert_eq!(shown("torch_half"), "x: float16[-1, 10] y: float16[-1, 4]");
}

fn load(
    engine: &OnnxEngine,
    name: &str,
) -> std::sync::Arc<mlops_serve::engines::onnx::OnnxSession> {
    engine.load_file(named(name).file, &LoadOptions::default()).unwrap()
}
