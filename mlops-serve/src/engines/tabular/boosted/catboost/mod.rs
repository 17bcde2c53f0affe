//! CatBoost's JSON (`save_model(format="json")`), symmetric trees and others, as its documentation
//! (catboost.ai, "JSON model"), sources and files say. Numbers are `f32`, leaves and sums `f64`, as there.
//!
//! Categories come in as texts, beside the numbers: a whole number as its decimal digits, as CatBoost itself makes a
//! text of it. Features that are texts or embeddings are not supported: they are named when a model is loaded.

mod statistics;
mod trees;

use super::{Boosted, Ensemble, Loaded, link::Link};
use crate::engines::tabular::forest::Forest;
use mlops_core::{Error, Result};
use serde::{Deserialize, de::IgnoredAny};
use statistics::Asked;
pub(super) use statistics::Counted;
use std::{collections::HashMap, fmt, sync::Arc};
use trees::{Columns, Trees};

/// The fields of the outermost object.
pub(super) struct Model {
    pub(super) features: Option<Features>,
    pub(super) symmetric: Option<Vec<Symmetric>>,
    pub(super) trees: Option<Vec<Node>>,
    pub(super) scale_and_bias: (f64, Bias),
    pub(super) info: Option<Info>,
    pub(super) counted: Option<HashMap<String, Counted>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Bias {
    One(f64),
    Several(Vec<f64>),
}

#[derive(Deserialize)]
pub(super) struct Info {
    /// What `sum_models` makes has none.
    params: Option<Training>,
}

#[derive(Deserialize)]
struct Training {
    loss_function: Loss,
}

#[derive(Deserialize)]
struct Loss {
    r#type: String,
}

#[derive(Deserialize)]
pub(super) struct Features {
    #[serde(default, rename = "float_features")]
    numbers: Vec<Number>,
    #[serde(default, rename = "categorical_features")]
    categories: Vec<Category>,
    #[serde(default, rename = "ctrs")]
    asked: Vec<Asked>,
    #[serde(default, rename = "text_features")]
    texts: Vec<IgnoredAny>,
    #[serde(default, rename = "embedding_features")]
    embeddings: Vec<IgnoredAny>,
}

#[derive(Deserialize)]
struct Number {
    #[serde(rename = "feature_index")]
    index: usize,
    #[serde(default, rename = "feature_id")]
    name: Arc<str>,
    #[serde(default)]
    borders: Option<Vec<IgnoredAny>>,
    has_nans: bool,
    nan_value_treatment: String,
}

#[derive(Deserialize)]
struct Category {
    #[serde(rename = "feature_index")]
    index: usize,
    #[serde(default, rename = "feature_id")]
    name: Arc<str>,
    /// Those that are asked for one by one.
    #[serde(default)]
    values: Vec<IgnoredAny>,
}

/// A tree whose nodes of one level all ask the same.
#[derive(Deserialize)]
pub(super) struct Symmetric {
    leaf_values: Vec<f64>,
    /// The lowest bit of a leaf's place first.
    #[serde(default)]
    splits: Option<Vec<Split>>,
}

#[derive(Deserialize)]
struct Split {
    #[serde(rename = "split_type")]
    kind: String,
    #[serde(default)]
    float_feature_index: usize,
    #[serde(default)]
    cat_feature_index: usize,
    #[serde(default)]
    value: i64,
    #[serde(default)]
    border: f64,
    /// Its number among all borders and values.
    #[serde(default, rename = "split_index")]
    number: usize,
}

#[derive(Deserialize)]
pub(super) struct Node {
    split: Option<Split>,
    left: Option<Box<Self>>,
    right: Option<Box<Self>>,
    value: Option<Bias>,
}

pub(super) fn load(model: Model) -> Result<Loaded> {
    let missing = |what| move || invalid(format!("has no {what}"));
    let features = model.features.ok_or_else(missing("features_info"))?;
    for (what, there) in [("text", features.texts.len()), ("embedding", features.embeddings.len())]
    {
        if there > 0 {
            return Err(unsupported(format!("{there} {what} features")));
        }
    }
    let (scale, bias) = model.scale_and_bias;
    let base = match bias {
        Bias::One(one) => vec![one],
        Bias::Several(several) => several,
    };
    let outputs = base.len();
    if outputs == 0 || outputs > usize::from(u16::MAX) {
        return Err(invalid(format!("has {outputs} outputs")));
    }
    let training = model.info.ok_or_else(missing("model_info"))?.params;
    let training = training.ok_or_else(|| unsupported("sums, which name no loss,"))?;
    let link = link(&training.loss_function.r#type, outputs)?;
    let (columns, counted) = (Columns::new(&features)?, model.counted.unwrap_or_default());
    let mut trees = Trees::new(&columns, &features, &counted, (outputs, scale));
    for (tree, symmetric) in (0..).zip(model.symmetric.iter().flatten()) {
        trees.symmetric(tree, symmetric)?;
    }
    for (tree, root) in (0..).zip(model.trees.iter().flatten()) {
        trees.any(tree, root)?;
    }
    let (nodes, weights, categories) = trees.finish();
    let forest = Forest::new(&nodes, weights, Vec::new(), &|why| invalid(why))?;
    let ensemble = Ensemble { forest, sums: outputs, base, divisor: 1.0, link, functions: None };
    let model = match columns.categories.len() {
        0 => Boosted::Wide(ensemble),
        _ => Boosted::Mixed(ensemble, Box::new(categories)),
    };
    let Columns { numbers, categories, .. } = columns;
    Ok(Loaded {
        model,
        flavor: "catboost",
        columns: features.numbers.len(),
        features: numbers,
        categories,
    })
}

fn invalid(why: impl fmt::Display) -> Error {
    Error::invalid(format!("the CatBoost model {why}"))
}

fn unsupported(what: impl fmt::Display) -> Error {
    Error::unsupported(format!("{what} of a CatBoost model are not supported"))
}

/// What `predict` (of a classifier, `predict_proba`) makes of the sums.
fn link(loss: &str, outputs: usize) -> Result<Link> {
    Ok(match loss {
        "Logloss" | "CrossEntropy" | "Focal" if outputs == 1 => Link::Logistic(1.0),
        "MultiClass" => Link::Softmax,
        "MultiClassOneVsAll" | "MultiLogloss" | "MultiCrossEntropy" => Link::Logistic(1.0),
        "Poisson" | "Tweedie" => Link::Exp,
        "RMSEWithUncertainty" if outputs == 2 => Link::MeanVariance,
        "RMSE"
        | "MAE"
        | "MAPE"
        | "RMSPE"
        | "Quantile"
        | "MultiQuantile"
        | "GroupQuantile"
        | "LogLinQuantile"
        | "Lq"
        | "Huber"
        | "Expectile"
        | "LogCosh"
        | "Cox"
        | "SurvivalAft"
        | "MultiRMSE"
        | "MultiRMSEWithMissingValues"
        | "QueryRMSE"
        | "QuerySoftMax"
        | "PairLogit"
        | "PairLogitPairwise"
        | "YetiRank"
        | "YetiRankPairwise"
        | "LambdaMart"
        | "StochasticRank"
        | "StochasticFilter"
        | "PythonUserDefinedPerObject" => Link::Identity,
        other => return Err(unsupported(format!("predictions for the loss {other:.60?}"))),
    })
}
