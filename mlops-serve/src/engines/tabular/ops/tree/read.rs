//! The attributes of a tree ensemble: parallel lists, one entry a node, and one a weight of a leaf.

use super::{
    super::{
        super::forest::{Forest, RawNode, RawWeight, Test},
        Build,
    },
    RowType,
};
use mlops_core::Result;
use std::collections::HashMap;

/// The names of the attributes that differ between the two operators.
#[derive(Clone, Copy, Debug)]
pub(super) struct WeightNames {
    pub(super) trees: &'static str,
    pub(super) nodes: &'static str,
    pub(super) targets: &'static str,
    pub(super) values: &'static str,
    pub(super) values_as_tensor: &'static str,
}

/// An ensemble, and what an operator asks about all of its weights, those of no leaf included.
#[derive(Debug)]
pub(super) struct Ensemble<S: RowType> {
    pub(super) forest: Forest<S>,
    /// All weights speak for one and the same class or target.
    pub(super) one_target: bool,
    /// Some weight is below zero.
    pub(super) negative: bool,
}

/// Reads and checks the whole ensemble; `targets` is how many classes or targets there are.
pub(super) fn ensemble<S: RowType>(
    build: &mut Build<'_>,
    names: &WeightNames,
    targets: usize,
) -> Result<Ensemble<S>> {
    let nodes = nodes::<S>(build)?;
    let weights = weights::<S>(build, names, targets)?;
    let one_target = weights.windows(2).all(|pair| pair[0].target == pair[1].target);
    let negative = weights.iter().any(|weight| weight.value < S::default());
    // How often training rows came by: nothing that an inference needs.
    build.attributes.ignore("nodes_hitrates");
    build.attributes.ignore("nodes_hitrates_as_tensor");
    let forest = Forest::new(&nodes, weights, Vec::new(), &|why| build.invalid(why))?;
    Ok(Ensemble { forest, one_target, negative })
}

fn nodes<S: RowType>(build: &mut Build<'_>) -> Result<Vec<RawNode<S>>> {
    let trees = build.ints("nodes_treeids")?;
    let count = trees.len();
    if count == 0 {
        return Err(build.invalid("there are no nodes"));
    }
    let ids = list(build, "nodes_nodeids", count)?;
    let features = list(build, "nodes_featureids", count)?;
    let yes = list(build, "nodes_truenodeids", count)?;
    let no = list(build, "nodes_falsenodeids", count)?;
    let modes = build.texts("nodes_modes")?;
    check_length(build, "nodes_modes", modes.len(), count)?;
    let thresholds = reals::<S>(build, "nodes_values", "nodes_values_as_tensor")?;
    check_length(build, "nodes_values", thresholds.len(), count)?;
    let missing = build.ints("nodes_missing_value_tracks_true")?;
    if !missing.is_empty() {
        check_length(build, "nodes_missing_value_tracks_true", missing.len(), count)?;
    }
    let tests: HashMap<&str, Test> = TESTS.iter().copied().collect();
    let node = |at: usize| {
        let mode = modes[at].as_str();
        let unknown = || build.unsupported(format!("node mode {mode:?}"));
        Ok(RawNode {
            tree: trees[at],
            id: ids[at],
            feature: features[at],
            threshold: thresholds[at],
            test: *tests.get(mode).ok_or_else(unknown)?,
            yes: yes[at],
            no: no[at],
            missing_yes: missing.get(at).is_some_and(|&flag| flag == 1),
        })
    };
    (0..count).map(node).collect()
}

const TESTS: &[(&str, Test)] = &[
    ("BRANCH_LEQ", Test::AtMost),
    ("BRANCH_LT", Test::Below),
    ("BRANCH_GTE", Test::AtLeast),
    ("BRANCH_GT", Test::Above),
    ("BRANCH_EQ", Test::Equal),
    ("BRANCH_NEQ", Test::Unequal),
    ("LEAF", Test::Leaf),
];

fn weights<S: RowType>(
    build: &mut Build<'_>,
    names: &WeightNames,
    targets: usize,
) -> Result<Vec<RawWeight<S>>> {
    let trees = build.ints(names.trees)?;
    let count = trees.len();
    let nodes = list(build, names.nodes, count)?;
    let ids = list(build, names.targets, count)?;
    let values = reals::<S>(build, names.values, names.values_as_tensor)?;
    check_length(build, names.values, values.len(), count)?;
    let weight = |at: usize| {
        let target = u32::try_from(ids[at]).ok();
        let known = target.filter(|&target| (target as usize) < targets);
        let beyond = || build.invalid(format!("{} holds {} of {targets}", names.targets, ids[at]));
        let target = known.ok_or_else(beyond)?;
        Ok(RawWeight { tree: trees[at], node: nodes[at], target, value: values[at] })
    };
    (0..count).map(weight).collect()
}

/// The values that are added to the scores, one a class or target.
pub(super) fn base_values<S: RowType>(build: &mut Build<'_>) -> Result<Vec<S>> {
    reals(build, "base_values", "base_values_as_tensor")
}

fn list(build: &mut Build<'_>, name: &str, count: usize) -> Result<Vec<i64>> {
    let values = build.ints(name)?;
    check_length(build, name, values.len(), count)?;
    Ok(values)
}

fn check_length(build: &Build<'_>, name: &str, given: usize, wanted: usize) -> Result<()> {
    if given == wanted {
        return Ok(());
    }
    Err(build.invalid(format!("{name} has {given} entries, where {wanted} belong")))
}

/// Numbers from a list of `f32`, or from a tensor of the forest's own number type.
fn reals<S: RowType>(build: &mut Build<'_>, name: &str, as_tensor: &str) -> Result<Vec<S>> {
    let list = build.floats(name)?;
    match build.tensor(as_tensor)? {
        None => Ok(list.into_iter().map(S::of).collect()),
        Some(_) if !list.is_empty() => {
            Err(build.invalid(format!("both {name} and {as_tensor} are given")))
        }
        Some(tensor) if tensor.dtype() == S::DTYPE => Ok(tensor.as_slice::<S>()?.to_vec()),
        Some(tensor) => {
            let (given, wanted) = (tensor.dtype(), S::DTYPE);
            Err(build.unsupported(format!("{as_tensor} of type {given} over rows of {wanted}")))
        }
    }
}
