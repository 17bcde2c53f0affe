//! CatBoost's JSON (`save_model(format="json")`), symmetric trees and others, as its documentation
//! (catboost.ai, "JSON model") and files say. Features are `f32`, leaves and sums `f64`, as there.
//!
//! Features that are categories, texts or embeddings are not supported yet: they are named when a model is
//! loaded.

use super::{Boosted, Ensemble, Loaded, link::Link};
use crate::engines::tabular::forest::{Forest, RawNode, RawWeight, Test};
use mlops_core::{Error, Result};
use serde::Deserialize;
use std::{collections::HashMap, fmt, sync::Arc};

/// What the leaves of one tree are at most: its depth is 16 at most.
const LEAVES: usize = 1 << 16;

#[derive(Deserialize)]
struct Model {
    features_info: Features,
    #[serde(default)]
    oblivious_trees: Vec<Symmetric>,
    #[serde(default)]
    trees: Vec<Node>,
    scale_and_bias: (f64, Bias),
    #[serde(rename = "model_info")]
    info: Info,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Bias {
    One(f64),
    Several(Vec<f64>),
}

#[derive(Deserialize)]
struct Info {
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
struct Features {
    #[serde(default, rename = "float_features")]
    numbers: Vec<Feature>,
    #[serde(default, rename = "categorical_features")]
    categories: Vec<serde::de::IgnoredAny>,
    #[serde(default, rename = "text_features")]
    texts: Vec<serde::de::IgnoredAny>,
    #[serde(default, rename = "embedding_features")]
    embeddings: Vec<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
struct Feature {
    #[serde(rename = "feature_index")]
    index: usize,
    #[serde(rename = "flat_feature_index")]
    flat_index: usize,
    #[serde(default, rename = "feature_id")]
    name: String,
    nan_value_treatment: String,
}

/// A tree whose nodes of one level all ask the same.
#[derive(Deserialize)]
struct Symmetric {
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
    border: f64,
}

#[derive(Deserialize)]
struct Node {
    split: Option<Split>,
    left: Option<Box<Self>>,
    right: Option<Box<Self>>,
    value: Option<Bias>,
}

pub(super) fn read(bytes: &[u8]) -> Result<Loaded> {
    let model: Model = serde_json::from_slice(bytes)
        .map_err(|cause| invalid(format!("cannot be read: {cause}")))?;
    let info = &model.features_info;
    for (what, there) in [
        ("categorical", info.categories.len()),
        ("text", info.texts.len()),
        ("embedding", info.embeddings.len()),
    ] {
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
    let columns = Columns::new(&info.numbers)?;
    let mut trees =
        Trees { columns: &columns, outputs, scale, nodes: Vec::new(), weights: Vec::new() };
    for (tree, symmetric) in (0..).zip(&model.oblivious_trees) {
        trees.symmetric(tree, symmetric)?;
    }
    for (tree, root) in (0..).zip(&model.trees) {
        trees.any(tree, root)?;
    }
    let training = model.info.params.as_ref();
    let training = training.ok_or_else(|| unsupported("sums, which name no loss,"))?;
    let link = link(&training.loss_function.r#type, outputs)?;
    let forest = Forest::new(&trees.nodes, trees.weights, Vec::new(), &|why| invalid(why))?;
    let model = Boosted::Wide(Ensemble { forest, sums: outputs, base, divisor: 1.0, link });
    Ok(Loaded { model, flavor: "catboost", columns: columns.count, features: columns.names })
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
        "Logloss" | "CrossEntropy" if outputs == 1 => Link::Logistic(1.0),
        "MultiClass" => Link::Softmax,
        "MultiClassOneVsAll" | "MultiLogloss" | "MultiCrossEntropy" => Link::Logistic(1.0),
        "Poisson" | "Tweedie" => Link::Exp,
        "RMSE" | "MAE" | "MAPE" | "Quantile" | "MultiQuantile" | "LogLinQuantile" | "Lq"
        | "Huber" | "Expectile" | "LogCosh" | "MultiRMSE" | "QueryRMSE" | "QuerySoftMax"
        | "PairLogit" | "PairLogitPairwise" | "YetiRank" | "YetiRankPairwise" | "LambdaMart"
        | "StochasticRank" => Link::Identity,
        other => return Err(unsupported(format!("predictions for the loss {other:.60?}"))),
    })
}

/// Where each numeric feature is in a row, and whether what is missing there is above every border.
struct Columns {
    places: HashMap<usize, (i64, bool)>,
    names: Vec<Arc<str>>,
    count: usize,
}

impl Columns {
    fn new(features: &[Feature]) -> Result<Self> {
        let mut places = HashMap::with_capacity(features.len());
        let mut names: Vec<Arc<str>> = vec!["".into(); features.len()];
        for feature in features {
            let flat = feature.flat_index;
            let name = names.get_mut(flat);
            let dropped =
                || unsupported("numbers of features beyond their count (were some dropped?)");
            *name.ok_or_else(dropped)? = feature.name.as_str().into();
            let above = match feature.nan_value_treatment.as_str() {
                "AsIs" | "AsFalse" => false,
                "AsTrue" => true,
                other => return Err(invalid(format!("treats missing values {other:.40?}"))),
            };
            places.insert(feature.index, (i64::try_from(flat).unwrap_or(i64::MAX), above));
        }
        if names.iter().any(|name| name.is_empty()) {
            names.clear();
        }
        Ok(Self { places, names, count: features.len() })
    }
}

/// The nodes and leaves of all trees.
struct Trees<'a> {
    columns: &'a Columns,
    outputs: usize,
    scale: f64,
    nodes: Vec<RawNode<f64>>,
    weights: Vec<RawWeight<f64>>,
}

impl Trees<'_> {
    /// Node `n` of a full tree has the children `2n + 1` and `2n + 2`; the last level is that of the leaves.
    fn symmetric(&mut self, tree: i64, symmetric: &Symmetric) -> Result<()> {
        let splits = symmetric.splits.as_deref().unwrap_or_default();
        let leaves = u32::try_from(splits.len()).ok().and_then(|depth| 1_usize.checked_shl(depth));
        let leaves = leaves.filter(|leaves| {
            *leaves <= LEAVES && symmetric.leaf_values.len() == leaves.saturating_mul(self.outputs)
        });
        let leaves = leaves.ok_or_else(|| {
            let (values, depth) = (symmetric.leaf_values.len(), splits.len());
            invalid(format!("has {values} leaf values in tree {tree} of depth {depth}"))
        })?;
        let mut id = 0;
        for (level, split) in splits.iter().rev().enumerate() {
            for _ in 0..1_usize << level {
                self.branch(tree, id, split, [2 * id + 1, 2 * id + 2])?;
                id += 1;
            }
        }
        for values in symmetric.leaf_values.chunks_exact(self.outputs).take(leaves) {
            self.leaf(tree, id, values)?;
            id += 1;
        }
        Ok(())
    }

    /// A tree of any form: its root first, then every node when it is come by.
    fn any(&mut self, tree: i64, root: &Node) -> Result<()> {
        let (mut waiting, mut next) = (vec![(0, root)], 1);
        while let Some((id, node)) = waiting.pop() {
            match (&node.split, &node.left, &node.right, &node.value) {
                (Some(split), Some(left), Some(right), _) => {
                    self.branch(tree, id, split, [next, next + 1])?;
                    waiting.extend([(next, &**left), (next + 1, &**right)]);
                    next += 2;
                }
                (None, None, None, Some(Bias::One(value))) => self.leaf(tree, id, &[*value])?,
                (None, None, None, Some(Bias::Several(values))) => self.leaf(tree, id, values)?,
                _ => {
                    return Err(invalid(format!(
                        "has a node in tree {tree} that is no branch and no leaf"
                    )));
                }
            }
        }
        Ok(())
    }

    fn branch(&mut self, tree: i64, id: i64, split: &Split, [no, yes]: [i64; 2]) -> Result<()> {
        if split.kind != "FloatFeature" {
            return Err(unsupported(format!("splits by {:.40?}", split.kind)));
        }
        let place = self.columns.places.get(&split.float_feature_index);
        let index = split.float_feature_index;
        let unknown = || invalid(format!("asks for the feature {index} in tree {tree}"));
        let &(feature, missing_yes) = place.ok_or_else(unknown)?;
        let (test, threshold) = (Test::Above, split.border);
        self.nodes.push(RawNode { tree, id, feature, threshold, test, yes, no, missing_yes });
        Ok(())
    }

    fn leaf(&mut self, tree: i64, id: i64, values: &[f64]) -> Result<()> {
        if values.len() != self.outputs {
            let (given, outputs) = (values.len(), self.outputs);
            return Err(invalid(format!(
                "has {given} numbers in a leaf of tree {tree} for {outputs} outputs"
            )));
        }
        let (test, threshold) = (Test::Leaf, 0.0);
        let (feature, yes, no, missing_yes) = (0, 0, 0, false);
        self.nodes.push(RawNode { tree, id, feature, threshold, test, yes, no, missing_yes });
        let weight = |(target, value): (u32, &f64)| RawWeight {
            tree,
            node: id,
            target,
            value: value * self.scale,
        };
        self.weights.extend((0..).zip(values).map(weight));
        Ok(())
    }
}
