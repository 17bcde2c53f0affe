//! Behind a `LocalPredictor` a session keeps what every predictor promises.

use super::{corpus::named, engine};
use crate::tabular::{Golden, cut, fixture, text};
use mlops_core::conformance::predictor::Subject;
use mlops_serve::{
    LoadOptions, LocalConfig, LocalPredictor, Session,
    engines::{
        onnx::{OnnxConfig, OnnxEngine},
        tabular::TabularEngine,
    },
};
use std::{sync::Arc, time::Duration};

/// A model of the corpus; without a library, which is said, one of another engine.
fn subject(name: &str, sessions: usize, local: &LocalConfig) -> Subject {
    let options = LoadOptions::default();
    let Some(engine) = engine(&format!("conformance of `OnnxEngine` with {name}")) else {
        let golden = Golden::named("forest");
        let file = fixture(text(&golden.entry["onnx"]));
        let session = TabularEngine::new().load_file(file, &options).unwrap();
        let predictor = LocalPredictor::open("forest", "1", session, local).unwrap();
        return Subject::new(predictor, cut(&golden.inputs(), 0, 5));
    };
    let model = named(name);
    let engine = engine.with_config(OnnxConfig::default().with_sessions(sessions));
    let session = engine.load_file(model.file, &options).unwrap();
    let predictor = LocalPredictor::open(name, "1", session, local).unwrap();
    Subject::new(predictor, model.inputs)
}

fn inline() -> LocalConfig {
    LocalConfig::default().with_inline_limit(Duration::from_secs(1))
}

fn threaded() -> LocalConfig {
    LocalConfig::default().with_warm_up_rows(0).with_threads(4)
}

mlops_core::predictor_conformance!(onnx_inline, subject("torch_mlp", 1, &inline()));
mlops_core::predictor_conformance!(onnx_threaded, subject("torch_cnn", 2, &threaded()));
mlops_core::predictor_conformance!(onnx_two_inputs, subject("torch_two_and_two", 1, &threaded()));
mlops_core::predictor_conformance!(onnx_mask, subject("torch_masked_mean", 3, &inline()));
mlops_core::predictor_conformance!(onnx_keras, subject("keras_lstm", 1, &LocalConfig::default()));

/// A predictor has no more threads than its session has room for, and says so.
#[test]
fn the_width_is_the_number_of_sessions() {
    let Some(engine) = engine("the_width_is_the_number_of_sessions") else { return };
    let width = |sessions: usize, threads: usize| {
        let engine: OnnxEngine =
            engine.clone().with_config(OnnxConfig::default().with_sessions(sessions));
        let session: Arc<dyn Session> =
            engine.load_file(named("torch_mlp").file, &LoadOptions::default()).unwrap();
        let config = LocalConfig::default().with_threads(threads);
        let predictor = LocalPredictor::open("mlp", "1", session, &config).unwrap();
        mlops_core::Predictor::info(&predictor).width
    };
    assert_eq!((width(1, 8), width(3, 8), width(3, 2)), (1, 3, 2));
}
