//! The same rows have the same bits in process, over REST, gRPC and `/invocations`, and by `mlops predict`.
//!
//! Roads without a word for a cell refuse it by name: JSON has no infinity but where the protocol's extension
//! marks it, and an empty cell of CSV is a missing one.

#[path = "same_bits/answers.rs"]
mod answers;
#[path = "same_bits/case.rs"]
mod case;
#[path = "same_bits/predicted.rs"]
mod predicted;
#[path = "same_bits/rows.rs"]
mod rows;
#[path = "same_bits/served.rs"]
mod served;

use super::{Place, data};
use case::Case;

fn by_every_road(place: &Place, case: &Case) {
    served::served(place, case);
    predicted::predicted(place, case);
}

#[test]
fn packed_numbers() {
    let place = Place::new();
    for model in ["logistic", "lightgbm", "mlp"] {
        by_every_road(&place, &Case::single(&place, model));
    }
}

/// Numbers and texts, missing ones, and categories that no training saw.
#[test]
fn pipelines_with_encoders() {
    let place = Place::new();
    by_every_road(&place, &Case::pipeline());
    for name in ["table_one_hot_logistic", "table_one_hot_boosting", "table_text_imputer"] {
        let case = Case::of_corpus("sklearn", name);
        let table = case.table().concat();
        assert!(table.iter().any(|cell| *cell == "elsewhere") && case.misses_numbers(), "{name}");
        by_every_road(&place, &case);
    }
}

/// Categories by number and by text, NaN and infinities.
#[test]
fn boosted_trees_with_categories() {
    let place = Place::new();
    for name in [
        "lightgbm_one_vs_all_categories",
        "lightgbm_wide_categories",
        "xgboost_wide_categories",
        "catboost_categories_borders",
        "catboost_categories_classes",
        "catboost_categories_one_hot",
    ] {
        let case = Case::of_corpus("boosters", name);
        assert!(case.misses_numbers(), "{name}");
        by_every_road(&place, &case);
    }
}

#[cfg(feature = "onnx")]
#[test]
fn networks_that_onnx_runtime_computes() {
    use mlops::serve::{LoadOptions, engines::onnx::OnnxEngine};
    if let Err(error) = OnnxEngine::library() {
        println!("skipped: networks_that_onnx_runtime_computes: {error}");
        return;
    }
    let place = Place::new();
    for name in ["torch_mlp", "torch_best", "torch_double", "keras_dense"] {
        let (file, inputs) = case::corpus("onnx", name);
        let session = OnnxEngine::new().load_file(&file, &LoadOptions::default()).unwrap();
        let tensor = |spec: &_| case::tensor(&inputs, spec);
        let case = Case::new(file.to_str().unwrap(), session, tensor);
        by_every_road(&place, &case.with_engine("onnx"));
    }
}

#[cfg(feature = "candle")]
#[test]
fn perceptrons_in_safetensors() {
    use mlops::model::PackageBuilder;
    let (place, folder) = (Place::new(), data("../candle"));
    for name in ["relu", "tanh"] {
        let file = |ending: &str| std::fs::read(folder.join(format!("{name}.{ending}"))).unwrap();
        let files = serde_json::json!({ "config": "c.json", "weights": "w.safetensors" });
        let package = PackageBuilder::new().with_flavor("candle", files).unwrap();
        let package = package.with_file("c.json", file("json")).unwrap();
        let package = package.with_file("w.safetensors", file("safetensors")).unwrap();
        package.write(place.path(name)).unwrap();
        let tensor = |spec: &_| case::matrix(&folder.join("x.f32"), spec, 13, 60);
        by_every_road(&place, &Case::package(&place, name, tensor));
    }
}

/// Texts of every script, an empty one among them.
#[cfg(feature = "candle")]
#[test]
fn an_encoder_of_sentences() {
    use super::encoder::{small, texts};
    use mlops::{
        serve::{LoadOptions, engines::candle::CandleEngine},
        tensor::Tensor,
    };
    let (place, texts) = (Place::new(), texts());
    let session = CandleEngine::new().load_encoder(small(), &LoadOptions::default()).unwrap();
    let tensor = |_: &_| Tensor::from_strs([texts.len()], &texts).unwrap();
    let case = Case::new(small().to_str().unwrap(), session, tensor);
    assert!(case.without(case::Unsayable::EmptyText).is_some());
    by_every_road(&place, &case);
}
