//! XGBoost's JSON and UBJSON (`Booster.save_model`), as its `doc/model.schema` and C++ sources say. Rows and
//! sums are `f32`, as there; a missing value is NaN, a category the code that the booster was trained with.

use super::{
    Boosted, Ensemble, Loaded,
    linear::{Functions, Missing},
    link::Link,
    ubjson,
};
use crate::engines::tabular::forest::{Forest, RawNode, RawWeight, Set, Test};
use mlops_core::{Error, Result};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use std::{collections::HashMap, fmt, str::FromStr};

/// Categories from here on are none.
const CATEGORIES: usize = 1 << 24;
/// The most that all sets of categories may take, in words of 32: each may be far longer than its text.
const WORDS: usize = 1 << 24;
/// A node without children has this on its left.
const NONE: i64 = -1;

#[derive(Deserialize)]
pub(super) struct Model {
    pub(super) learner: Learner,
    /// Of the XGBoost that wrote it.
    #[serde(default)]
    pub(super) version: Vec<u64>,
}

#[derive(Deserialize)]
pub(super) struct Learner {
    #[serde(default)]
    feature_names: Vec<String>,
    gradient_booster: Booster,
    #[serde(rename = "learner_model_param")]
    parameters: Parameters,
    objective: Objective,
}

#[derive(Deserialize)]
struct Objective {
    name: String,
}

#[derive(Deserialize)]
struct Parameters {
    base_score: String,
    num_class: String,
    num_feature: String,
    num_target: Option<String>,
}

#[derive(Deserialize)]
struct Booster {
    name: String,
    model: Option<Trees>,
    /// Of DART, which scales the trees of an inner booster.
    gbtree: Option<Inner>,
    weight_drop: Option<Vec<f32>>,
}

#[derive(Deserialize)]
struct Inner {
    model: Trees,
}

/// Other boosters have others: what is not there is told by the booster's name.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Trees {
    tree_info: Vec<u32>,
    #[serde(rename = "trees")]
    each: Vec<Tree>,
    /// Of DART since version 3.4.
    weight_drop: Vec<f32>,
    /// Of `gblinear`, which has no trees: for each feature, then for the constant, one for each output.
    weights: Vec<f32>,
}

#[derive(Deserialize)]
struct Tree {
    left_children: Vec<i64>,
    right_children: Vec<i64>,
    split_indices: Vec<i64>,
    split_conditions: Vec<f32>,
    default_left: Vec<Flag>,
    #[serde(default)]
    split_type: Vec<Flag>,
    #[serde(default)]
    categories: Vec<i64>,
    #[serde(default)]
    categories_nodes: Vec<i64>,
    #[serde(default)]
    categories_segments: Vec<usize>,
    #[serde(default)]
    categories_sizes: Vec<usize>,
    /// The numbers of each leaf, where a tree gives several: since version 3.2 of leaves alone, one after
    /// the other, before of every node.
    #[serde(default)]
    leaf_weights: Vec<f32>,
    #[serde(default)]
    base_weights: Vec<f32>,
    #[serde(rename = "tree_param")]
    parameters: TreeParameters,
}

#[derive(Deserialize)]
struct TreeParameters {
    #[serde(default)]
    size_leaf_vector: String,
}

/// UBJSON: a key begins with the type of its length.
pub(super) fn begins_binary(bytes: &[u8]) -> bool {
    matches!(bytes, [b'{', b'i' | b'U' | b'I' | b'l' | b'L', ..])
}

pub(super) fn read_binary(bytes: &[u8]) -> Result<Loaded> {
    load(ubjson::read(bytes).map_err(|cause| invalid(format!("cannot be read: {cause}")))?)
}

pub(super) fn load(Model { learner, version }: Model) -> Result<Loaded> {
    let parameters = &learner.parameters;
    let outputs = outputs(parameters)?;
    let columns: usize = number("num_feature", &parameters.num_feature)?;
    let named = learner.feature_names.len();
    if named != 0 && named != columns {
        return Err(invalid(format!("names {named} features of {columns}")));
    }
    let objective_name = learner.objective.name.as_str();
    if objective_name == "reg:quantileerror" && outputs > 1 && version >= vec![3, 4] {
        return Err(unsupported("reg:quantileerror since version 3.4, which sorts the quantiles,"));
    }
    let (link, margin) = objective(objective_name)?;
    let mut base = base(&parameters.base_score, outputs, margin)?;
    let (forest, functions) = match learner.gradient_booster {
        Booster { name, model: Some(model), .. } if name == "gblinear" => {
            let (forest, functions) = linear(&model.weights, columns, outputs)?;
            // It looks at the first only, whichever output it computes.
            let first = base.first().copied().unwrap_or_default();
            base.fill(first);
            (forest, Some(Box::new(functions)))
        }
        booster => {
            let (trees, weights) = trees(booster)?;
            (forest(&trees, &weights, outputs)?, None)
        }
    };
    if forest.features() > columns {
        return Err(invalid(format!("asks for feature {} of {columns}", forest.features() - 1)));
    }
    let model =
        Boosted::F32(Ensemble { forest, sums: outputs, base, divisor: 1.0, link, functions });
    let features = learner.feature_names.into_iter().map(Into::into).collect();
    Ok(Loaded { model, flavor: "xgboost", columns, features, categories: Vec::new() })
}

/// A tree of one leaf for each output, which says a linear function; what is missing is left out of it.
fn linear(
    weights: &[f32],
    columns: usize,
    outputs: usize,
) -> Result<(Forest<f32>, Functions<f32>)> {
    if columns.checked_add(1).and_then(|rows| rows.checked_mul(outputs)) != Some(weights.len()) {
        let given = weights.len();
        return Err(invalid(format!(
            "has {given} weights of {columns} features, {outputs} outputs"
        )));
    }
    let (mut nodes, mut leaves, mut functions) = (Vec::new(), Vec::new(), Functions::new());
    for (target, tree) in (0_u16..).zip(0..outputs) {
        let terms = (0..columns).map(|column| (column, weights[column * outputs + tree]));
        functions.add(weights[columns * outputs + tree], terms, Missing::LeftOut);
        let id = i64::from(target);
        let (test, threshold, value) = (Test::Leaf, 0.0, f32::from(target));
        let (feature, yes, no, missing_yes) = (0, 0, 0, false);
        nodes.push(RawNode { tree: id, id, feature, threshold, test, yes, no, missing_yes });
        leaves.push(RawWeight { tree: id, node: id, target: target.into(), value });
    }
    let forest = Forest::new(&nodes, leaves, Vec::new(), &|why| invalid(why))?;
    Ok((forest, functions))
}

fn invalid(why: impl fmt::Display) -> Error {
    Error::invalid(format!("the XGBoost model {why}"))
}

fn unsupported(what: impl fmt::Display) -> Error {
    Error::unsupported(format!("{what} of an XGBoost model is not supported"))
}

fn number<T: FromStr>(name: &str, text: &str) -> Result<T> {
    text.trim().parse().map_err(|_| invalid(format!("has {text:.40?} as its {name}")))
}

/// The trees, and what each one's words are scaled by.
fn trees(booster: Booster) -> Result<(Trees, Vec<f32>)> {
    let (trees, scales) = match (booster.name.as_str(), booster.model, booster.gbtree) {
        ("gbtree", Some(trees), _) => (trees, None),
        ("dart", _, Some(inner)) => (inner.model, booster.weight_drop),
        (name @ ("gbtree" | "dart"), ..) => {
            return Err(invalid(format!("has no trees in its {name}")));
        }
        (name, ..) => return Err(unsupported(format!("the booster {name:.40?}"))),
    };
    let scales = scales.or_else(|| Some(trees.weight_drop.clone()).filter(|drop| !drop.is_empty()));
    let scales = scales.unwrap_or_else(|| vec![1.0; trees.each.len()]);
    if trees.tree_info.len() != trees.each.len() || scales.len() != trees.each.len() {
        let (count, info) = (trees.each.len(), trees.tree_info.len());
        return Err(invalid(format!(
            "has {count} trees, {info} in its tree_info and {} scales",
            scales.len()
        )));
    }
    Ok((trees, scales))
}

/// How many sums there are: classes or targets.
fn outputs(parameters: &Parameters) -> Result<usize> {
    let classes: usize = number("num_class", &parameters.num_class)?;
    let targets = parameters.num_target.as_deref().unwrap_or("1");
    let outputs = classes.max(number("num_target", targets)?).max(1);
    if outputs > usize::from(u16::MAX) {
        return Err(invalid(format!("has {outputs} outputs")));
    }
    Ok(outputs)
}

/// From a prediction back to a sum.
type Margin = fn(f64) -> f64;

/// The function over the sums, and from a prediction back to a sum: a base score is a prediction.
fn objective(name: &str) -> Result<(Link, Margin)> {
    let same: Margin = |score| score;
    Ok(match name {
        "reg:squarederror"
        | "reg:linear"
        | "reg:squaredlogerror"
        | "reg:absoluteerror"
        | "reg:pseudohubererror"
        | "reg:quantileerror"
        | "rank:pairwise"
        | "rank:ndcg"
        | "rank:map"
        | "binary:logitraw" => (Link::Identity, same),
        "binary:logistic" | "reg:logistic" => (Link::Logistic(1.0), logit),
        "binary:hinge" => (Link::Hinge, same),
        "multi:softprob" => (Link::Softmax, same),
        "multi:softmax" => (Link::Largest, same),
        "count:poisson" | "reg:gamma" | "reg:tweedie" | "survival:cox" | "survival:aft" => {
            (Link::Exp, f64::ln)
        }
        other => return Err(unsupported(format!("the objective {other:.60?}"))),
    })
}

/// XGBoost keeps this far from 0 and 1.
fn logit(probability: f64) -> f64 {
    let probability = probability.clamp(1e-6, 1.0 - 1e-6);
    -(1.0 / probability - 1.0).ln()
}

/// What each sum begins with: one number for all, or since version 3.1 one each, in brackets.
fn base(text: &str, outputs: usize, margin: Margin) -> Result<Vec<f32>> {
    let list = text.trim().trim_start_matches('[').trim_end_matches(']');
    #[expect(clippy::cast_possible_truncation, reason = "sums are f32")]
    let sum = |word: &str| number::<f64>("base_score", word).map(|score| margin(score) as f32);
    match &list.split(',').map(sum).collect::<Result<Vec<_>>>()?[..] {
        [one] => Ok(vec![*one; outputs]),
        several if several.len() == outputs => Ok(several.to_vec()),
        several => Err(invalid(format!("has {} base scores for {outputs} outputs", several.len()))),
    }
}

fn forest(trees: &Trees, scales: &[f32], outputs: usize) -> Result<Forest<f32>> {
    let (mut nodes, mut weights) = (Vec::new(), Vec::new());
    let (mut sets, mut words) = (Vec::new(), 0);
    for (id, ((tree, &target), &scale)) in
        (0_i64..).zip(trees.each.iter().zip(&trees.tree_info).zip(scales))
    {
        let several = !matches!(tree.parameters.size_leaf_vector.as_str(), "" | "0" | "1");
        if !several && target as usize >= outputs {
            return Err(invalid(format!("has a tree for output {target} of {outputs}")));
        }
        tree.check(id)?;
        if several {
            tree.check_several(id, outputs)?;
        }
        let categories = tree.sets(id, &mut sets, &mut words)?;
        for at in 0..tree.left_children.len() {
            let place = i64::try_from(at).unwrap_or(i64::MAX);
            nodes.push(tree.node(id, place, at, categories.get(&place).copied())?);
            if tree.left_children[at] != NONE {
                continue;
            }
            let weight = |(target, value): (u32, f32)| RawWeight {
                tree: id,
                node: place,
                target,
                value: value * scale,
            };
            if several {
                weights
                    .extend((0..).zip(tree.several(id, at, outputs)?.iter().copied()).map(weight));
            } else {
                weights.push(weight((target, tree.split_conditions[at])));
            }
        }
    }
    Forest::new(&nodes, weights, sets, &|why| invalid(why))
}

impl Tree {
    /// Every list has an entry for each node.
    fn check(&self, id: i64) -> Result<()> {
        let count = self.left_children.len();
        let lists = [
            ("right_children", self.right_children.len()),
            ("split_indices", self.split_indices.len()),
            ("split_conditions", self.split_conditions.len()),
            ("default_left", self.default_left.len()),
            ("split_type", if self.split_type.is_empty() { count } else { self.split_type.len() }),
        ];
        match lists.into_iter().find(|(_, length)| *length != count) {
            Some((name, length)) => {
                Err(invalid(format!("has {length} {name} of {count} nodes in tree {id}")))
            }
            None => Ok(()),
        }
    }

    fn node(&self, tree: i64, id: i64, at: usize, set: Option<u32>) -> Result<RawNode<f32>> {
        let (feature, threshold) = (self.split_indices[at], self.split_conditions[at]);
        let (left, right) = (self.left_children[at], self.right_children[at]);
        let missing_left = self.default_left[at].0;
        let (test, threshold, yes, no, missing_yes) = if left == NONE {
            (Test::Leaf, threshold, 0, 0, false)
        } else if self.split_type.get(at).is_some_and(|kind| kind.0) {
            let none = || invalid(format!("has no categories for node {id} of tree {tree}"));
            // What is among the categories goes right; what is below zero is none.
            (Test::Among(set.ok_or_else(none)?), 0.0, right, left, !missing_left)
        } else {
            (Test::Below, threshold, left, right, missing_left)
        };
        Ok(RawNode { tree, id, feature, threshold, test, yes, no, missing_yes })
    }

    /// Every leaf has numbers of its own: a file cannot ask for more than it holds.
    fn check_several(&self, id: i64, outputs: usize) -> Result<()> {
        let leaves = self.left_children.iter().filter(|&&left| left == NONE).count();
        let (given, owners) = match self.leaf_weights.len() {
            0 => (self.base_weights.len(), self.left_children.len()),
            given => (given, leaves),
        };
        if Some(given) == owners.checked_mul(outputs) {
            return Ok(());
        }
        Err(invalid(format!(
            "has {given} numbers in tree {id} for {owners} times {outputs} outputs"
        )))
    }

    /// The numbers of a leaf that gives one for each output; where they are stands in its right child.
    fn several(&self, tree: i64, at: usize, outputs: usize) -> Result<&[f32]> {
        let (all, place) = if self.leaf_weights.is_empty() {
            (&self.base_weights, Some(at))
        } else {
            (&self.leaf_weights, usize::try_from(self.right_children[at]).ok())
        };
        let first = place.and_then(|place| place.checked_mul(outputs));
        let numbers = first.and_then(|first| all.get(first..first.checked_add(outputs)?));
        numbers
            .ok_or_else(|| invalid(format!("has no {outputs} numbers in leaf {at} of tree {tree}")))
    }

    /// Which set each node asks about that asks about one.
    fn sets(&self, tree: i64, sets: &mut Vec<Set>, words: &mut usize) -> Result<HashMap<i64, u32>> {
        let mut found = HashMap::new();
        let wrong = || invalid(format!("has categories in tree {tree} that do not fit together"));
        let segments = self.categories_segments.iter().zip(&self.categories_sizes);
        if self.categories_nodes.len() != segments.len() {
            return Err(wrong());
        }
        for (&node, (&first, &size)) in self.categories_nodes.iter().zip(segments) {
            let end = first.checked_add(size).ok_or_else(wrong)?;
            let categories = self.categories.get(first..end).ok_or_else(wrong)?;
            found.insert(node, u32::try_from(sets.len()).map_err(|_| wrong())?);
            sets.push(set(categories).ok_or_else(wrong)?);
            *words += sets.last().map_or(0, |set| set.len());
            if *words > WORDS {
                return Err(Error::too_large("the sets of categories of the XGBoost model"));
            }
        }
        Ok(found)
    }
}

fn set(categories: &[i64]) -> Option<Set> {
    let mut words = Vec::new();
    for &category in categories {
        let number = usize::try_from(category).ok().filter(|&number| number < CATEGORIES)?;
        if words.len() <= number / 32 {
            words.resize(number / 32 + 1, 0_u32);
        }
        words[number / 32] |= 1 << (number % 32);
    }
    Some(words.into())
}

/// Yes or no; versions write it as such or as a number.
#[derive(Clone, Copy)]
struct Flag(bool);

impl<'de> Deserialize<'de> for Flag {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = Flag;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("true, false, 1 or 0")
            }
            fn visit_bool<E: de::Error>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Flag, E> {
                Ok(Flag(number != 0))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Flag, E> {
                Ok(Flag(number != 0))
            }
        }
        deserializer.deserialize_any(Either)
    }
}
