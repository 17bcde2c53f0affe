//! Boosted models of every objective, booster and kind of split predict as their libraries do, in those libraries'
//! own formats and as ONNX: `scripts/oracles/booster_corpus.py`, whose table says what does not load.

use super::{
    agreement::{numbers, tensors},
    cut, list, run, text,
};
use mlops_core::{ErrorKind, arrow::buffer::NullBuffer, tensor::Tensors};
use mlops_serve::{
    LoadOptions, Session,
    engines::tabular::{TabularEngine, TabularSession},
};
use serde_json::Value;
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/boosters")
}

fn models() -> Vec<Value> {
    let manifest = fs::read(folder().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    list(&manifest["models"]).to_vec()
}

fn file(model: &Value) -> PathBuf {
    folder().join(text(&model["file"]))
}

/// The bytes of each model.
pub(super) fn files() -> Vec<Vec<u8>> {
    models().iter().map(|model| fs::read(file(model)).unwrap()).collect()
}

fn load(model: &Value) -> mlops_core::Result<Arc<TabularSession>> {
    TabularEngine::new().load_file(file(model), &LoadOptions::default())
}

/// What differs by more than the model's bound, of what is above 1 a part.
fn difference(model: &Value) -> Option<String> {
    let inputs = tensors(&model["inputs"]);
    let given = match load(model).and_then(|session| run(&*session, &inputs)) {
        Ok(given) => given,
        Err(error) => return Some(error.to_string()),
    };
    let bound = model["bound"].as_f64().unwrap();
    for (name, wanted) in tensors(&model["outputs"]).iter() {
        let Some(given) = given.get(name) else { return Some(format!("{name} is missing")) };
        if given.shape() != wanted.shape() || given.dtype() != wanted.dtype() {
            return Some(format!("{name} is {:?} {:?}", given.dtype(), given.shape()));
        }
        if !wanted.dtype().is_float() {
            if given != wanted {
                return Some(format!("{name}: labels differ"));
            }
            continue;
        }
        for (at, (given, wanted)) in numbers(given).into_iter().zip(numbers(wanted)).enumerate() {
            let near = (given - wanted).abs() <= bound * wanted.abs().max(1.0);
            if !near && given.to_bits() != wanted.to_bits() && !(given.is_nan() && wanted.is_nan())
            {
                return Some(format!("{name}[{at}]: {given}, where {wanted} is right"));
            }
        }
    }
    None
}

#[test]
fn every_model_predicts_as_its_library() {
    let models = models();
    let loading = models.iter().filter(|model| model["refused"].is_null());
    let mut counts = BTreeMap::new();
    let mut wrong = Vec::new();
    for model in loading {
        let differs = difference(model);
        wrong.extend(differs.map(|why| format!("{}: {why}", text(&model["name"]))));
        let ending = file(model).extension().unwrap().to_str().unwrap().to_owned();
        *counts.entry((text(&model["library"]).to_owned(), ending)).or_insert(0) += 1;
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    for (library, ending, least) in [
        ("lightgbm", "txt", 31),
        ("xgboost", "json", 19),
        ("xgboost", "ubj", 19),
        ("catboost", "json", 55),
        ("onnx of lightgbm", "onnx", 5),
        ("onnx of xgboost", "onnx", 5),
        ("onnx of catboost", "onnx", 4),
    ] {
        let count = counts.get(&(library.to_owned(), ending.to_owned()));
        assert!(count.is_some_and(|count| *count >= least), "{library} {ending}: {count:?}");
    }
}

#[test]
fn what_does_not_load_says_why() {
    let models = models();
    for model in models.iter().filter(|model| model["refused"].is_string()) {
        let error = load(model).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!(error.to_string().contains(text(&model["refused"])), "{error}");
    }
}

#[test]
fn features_keep_their_names() {
    for model in models().iter().filter(|model| model["refused"].is_null()) {
        let session = load(model).unwrap();
        for input in &session.info().signature.inputs {
            let columns: Vec<&str> = input.columns.iter().map(AsRef::as_ref).collect();
            let given = list(&model["columns"][&*input.name]);
            assert_eq!(columns, given.iter().map(text).collect::<Vec<_>>(), "{}", model["name"]);
        }
    }
}

fn named(name: &str) -> Value {
    let found = models().into_iter().find(|model| model["name"] == name);
    found.unwrap_or_else(|| panic!("no model {name}"))
}

/// A model with categories takes them as texts beside its numbers; a table's columns become both.
#[test]
fn categories_are_texts_and_columns_of_a_table() {
    let model = named("catboost_categories_combined");
    let session = load(&model).unwrap();
    let signature = session.info().signature.clone();
    let specs: Vec<String> = signature.inputs.iter().map(ToString::to_string).collect();
    assert_eq!(specs, ["features: float32[-1, 3]", "categories: str[-1, 3]"]);
    let inputs = tensors(&model["inputs"]);
    let table = inputs.to_batch(&signature.inputs).unwrap();
    assert_eq!(table.num_columns(), 6);
    let again = Tensors::from_batch(&table, &signature.inputs).unwrap();
    let given = run(&*session, &again).unwrap();
    assert_eq!(given, run(&*session, &inputs).unwrap());
}

#[test]
fn a_row_of_categories_gives_the_same_bits_alone() {
    let model = named("catboost_categories_combined_one_hot");
    let session = load(&model).unwrap();
    let inputs = tensors(&model["inputs"]);
    let all = run(&*session, &inputs).unwrap();
    for row in 0..60 {
        let alone = run(&*session, &cut(&inputs, row, row + 1)).unwrap();
        assert_eq!(alone, cut(&all, row, row + 1), "{row}");
    }
}

#[test]
fn a_row_without_a_category_is_refused() {
    let model = named("catboost_categories_alone");
    let session = load(&model).unwrap();
    let texts = tensors(&model["inputs"]).require("categories").unwrap().clone();
    let nulls: NullBuffer = (0..texts.len()).map(|at| at != 4).collect();
    let holed = texts.with_nulls(Some(nulls)).unwrap();
    let error = run(&*session, &Tensors::one("categories", holed)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    assert!(error.to_string().contains("categories"), "{error}");
}

/// A change of a model, or of a part of it.
type Change = fn(&mut Value);

/// Which error a model with categories gives after a change.
fn refusal(change: impl Fn(&mut Value)) -> (ErrorKind, String) {
    let right = fs::read(file(&named("catboost_categories_combined"))).unwrap();
    let mut model: Value = serde_json::from_slice(&right).unwrap();
    change(&mut model);
    let bytes = model.to_string().into_bytes();
    let error = TabularSession::load(&bytes, &LoadOptions::default()).unwrap_err();
    (error.kind(), error.to_string())
}

fn assert_refused((given, message): (ErrorKind, String), kind: ErrorKind, said: &str) {
    assert!(message.contains(said), "{message}");
    assert_eq!(given, kind, "{message}");
}

#[test]
fn categories_that_lie_are_refused() {
    let changes: [(Change, ErrorKind, &str); 3] = [
        (|model| model["ctr_data"] = serde_json::json!({}), ErrorKind::InvalidInput, "no ctr_data"),
        (
            |model| model["features_info"]["categorical_features"][1]["feature_index"] = 0.into(),
            ErrorKind::InvalidInput,
            "a feature 0, twice",
        ),
        (
            |model| model["features_info"]["text_features"] = serde_json::json!([{}]),
            ErrorKind::Unsupported,
            "1 text features",
        ),
    ];
    for (change, kind, said) in changes {
        assert_refused(refusal(change), kind, said);
    }
}

#[test]
fn statistics_that_lie_are_refused() {
    let changes: [(Change, ErrorKind, &str); 5] = [
        (
            |asked| asked["elements"][0]["cat_feature_index"] = 7.into(),
            ErrorKind::InvalidInput,
            "category 7 of 3",
        ),
        (|asked| asked["target_border_idx"] = 9.into(), ErrorKind::InvalidInput, "class 9"),
        (|asked| asked["ctr_type"] = "Odd".into(), ErrorKind::Unsupported, "Odd"),
        (
            |asked| asked["borders"] = serde_json::json!([-9]),
            ErrorKind::InvalidInput,
            "has no border",
        ),
        (
            |asked| asked["elements"][0]["combination_element"] = "odd".into(),
            ErrorKind::Unsupported,
            "odd",
        ),
    ];
    for (change, kind, said) in changes {
        let all = |model: &mut Value| {
            let asked = model["features_info"]["ctrs"].as_array_mut().unwrap();
            asked.iter_mut().for_each(change);
        };
        assert_refused(refusal(all), kind, said);
    }
}

#[test]
fn counts_that_lie_are_refused() {
    let changes: [(Change, &str); 4] = [
        (|table| table["hash_stride"] = 0.into(), "of 0"),
        (|table| table["hash_map"][0] = 1.5.into(), "in place of a key"),
        (|table| table["hash_map"][1] = "1".into(), "in place of a number"),
        (|table| table["hash_map"].as_array_mut().unwrap().truncate(1), "cells of"),
    ];
    for (change, said) in changes {
        let all = |model: &mut Value| {
            let tables = model["ctr_data"].as_object_mut().unwrap();
            tables.values_mut().for_each(change);
        };
        assert_refused(refusal(all), ErrorKind::InvalidInput, said);
    }
}
