//! Behind a [`LocalPredictor`] a session keeps what every predictor promises.

use super::{Golden, assert_agree, cut};
use mlops_core::{Predictor, conformance::predictor::Subject, predictor::PredictRequest};
use mlops_serve::{LoadOptions, LocalConfig, LocalPredictor, engines::tabular::TabularEngine};

fn open(golden: &Golden) -> LocalPredictor {
    let config = LocalConfig::default().with_threads(1);
    let options = LoadOptions::default();
    let session = TabularEngine::new()
        .load_file(super::fixture(super::text(&golden.entry["onnx"])), &options)
        .unwrap();
    LocalPredictor::open(golden.name.as_str(), "1", session, &config).unwrap()
}

fn subject(name: &str) -> Subject {
    let golden = Golden::named(name);
    Subject::new(open(&golden), cut(&golden.inputs(), 0, 5))
}

mlops_core::predictor_conformance!(boosting, subject("boosting"));
mlops_core::predictor_conformance!(forest, subject("forest"));
mlops_core::predictor_conformance!(lightgbm, subject("lightgbm"));
mlops_core::predictor_conformance!(linear_regressor, subject("linear_regressor"));
mlops_core::predictor_conformance!(logistic, subject("logistic"));
mlops_core::predictor_conformance!(mlp, subject("mlp"));
mlops_core::predictor_conformance!(pipeline, subject("pipeline"));

/// The same numbers by way of a request.
#[tokio::test]
async fn an_answer_is_what_onnx_runtime_gave() {
    for golden in Golden::all() {
        let predictor = open(&golden);
        let response = predictor.predict(PredictRequest::new(golden.inputs())).await.unwrap();
        assert_agree(&response.outputs, &golden.expected(), &golden.name);
    }
}
