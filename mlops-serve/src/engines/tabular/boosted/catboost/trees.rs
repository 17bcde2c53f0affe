//! The trees of a CatBoost model as a forest over the numbers of a row, behind which stand the answers to what is
//! asked of its categories.

use super::{
    Bias, Features, Node, Split, Symmetric, invalid,
    statistics::{Asked, Counted, Questions},
    unsupported,
};
use crate::engines::tabular::{
    boosted::categories::Categories,
    forest::{RawNode, RawWeight, Test},
};
use mlops_core::Result;
use std::{collections::HashMap, sync::Arc};

/// What the leaves of one tree are at most: its depth is 16 at most.
const LEAVES: usize = 1 << 16;

/// Where the features are in a row.
pub(super) struct Columns {
    /// Where each number is, and whether what is missing there is above every border.
    places: HashMap<usize, (i64, bool)>,
    /// The names of the numbers, or nothing.
    pub(super) numbers: Vec<Arc<str>>,
    /// The names of the categories, empty if they have none.
    pub(super) categories: Vec<Arc<str>>,
}

impl Columns {
    pub(super) fn new(features: &Features) -> Result<Self> {
        let mut places = HashMap::with_capacity(features.numbers.len());
        for number in &features.numbers {
            let above = match number.nan_value_treatment.as_str() {
                "AsIs" | "AsFalse" => false,
                // Where none was missing in training, it treats none otherwise.
                "AsTrue" => number.has_nans,
                other => return Err(invalid(format!("treats missing values {other:.40?}"))),
            };
            places.insert(number.index, (i64::try_from(number.index).unwrap_or(i64::MAX), above));
        }
        let numbers = features.numbers.iter().map(|one| (one.index, &one.name));
        let categories = features.categories.iter().map(|one| (one.index, &one.name));
        let mut numbers = in_order(numbers)?;
        if numbers.iter().any(|name| name.is_empty()) {
            numbers.clear();
        }
        Ok(Self { places, numbers, categories: in_order(categories)? })
    }
}

/// The names by the numbers of the features.
fn in_order<'a>(
    features: impl ExactSizeIterator<Item = (usize, &'a Arc<str>)>,
) -> Result<Vec<Arc<str>>> {
    let mut names = vec![None; features.len()];
    for (index, name) in features {
        let place = names.get_mut(index).filter(|place| place.is_none());
        let wrong = || invalid(format!("numbers a feature {index}, twice or beyond their count"));
        *place.ok_or_else(wrong)? = Some(Arc::clone(name));
    }
    Ok(names.into_iter().flatten().collect())
}

/// The nodes and leaves of all trees.
pub(super) struct Trees<'a> {
    columns: &'a Columns,
    asked: Numbered<'a>,
    questions: Questions<'a>,
    outputs: usize,
    scale: f64,
    nodes: Vec<RawNode<f64>>,
    weights: Vec<RawWeight<f64>>,
}

/// The statistics, whose borders are numbered after those of the numbers and the values of the categories.
struct Numbered<'a> {
    asked: &'a [Asked],
    /// The number of the first border of each.
    firsts: Vec<usize>,
}

impl<'a> Numbered<'a> {
    fn new(features: &'a Features) -> Self {
        let borders = features.numbers.iter().map(|one| one.borders.as_ref().map_or(0, Vec::len));
        let values = features.categories.iter().map(|one| one.values.len());
        let mut next = borders.chain(values).sum();
        let firsts = features.asked.iter().map(|asked| {
            let first = next;
            next += asked.borders.len();
            first
        });
        Self { firsts: firsts.collect(), asked: &features.asked }
    }

    /// The place of the one that has the border of this number, if it is this border.
    fn find(&self, number: usize, border: f64) -> Result<usize> {
        let after = self.firsts.partition_point(|&first| first <= number);
        let found = after.checked_sub(1).filter(|&at| {
            let borders = &self.asked[at].borders;
            borders.get(number - self.firsts[at]).is_some_and(|own| own.total_cmp(&border).is_eq())
        });
        found.ok_or_else(|| invalid(format!("has no border {border} of the number {number}")))
    }
}

impl<'a> Trees<'a> {
    pub(super) fn new(
        columns: &'a Columns,
        features: &'a Features,
        counted: &'a HashMap<String, Counted>,
        (outputs, scale): (usize, f64),
    ) -> Self {
        let counts = (features.numbers.len(), features.categories.len());
        let questions = Questions::new(&features.asked, counted, counts);
        let (asked, nodes, weights) = (Numbered::new(features), Vec::new(), Vec::new());
        Self { columns, asked, questions, outputs, scale, nodes, weights }
    }

    pub(super) fn finish(self) -> (Vec<RawNode<f64>>, Vec<RawWeight<f64>>, Categories) {
        (self.nodes, self.weights, self.questions.finish())
    }

    /// Node `n` of a full tree has the children `2n + 1` and `2n + 2`; the last level is that of the leaves.
    pub(super) fn symmetric(&mut self, tree: i64, symmetric: &Symmetric) -> Result<()> {
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
    pub(super) fn any(&mut self, tree: i64, root: &Node) -> Result<()> {
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
        let (feature, threshold, missing_yes) = self.question(tree, split)?;
        let test = Test::Above;
        self.nodes.push(RawNode { tree, id, feature, threshold, test, yes, no, missing_yes });
        Ok(())
    }

    /// The place of what is compared, the border that it has to be above, and whether a missing one is.
    fn question(&mut self, tree: i64, split: &Split) -> Result<(i64, f64, bool)> {
        let place = |place: usize| i64::try_from(place).unwrap_or(i64::MAX);
        Ok(match split.kind.as_str() {
            "FloatFeature" => {
                let index = split.float_feature_index;
                let column = self.columns.places.get(&index);
                let unknown = || invalid(format!("asks for the feature {index} in tree {tree}"));
                let &(feature, missing) = column.ok_or_else(unknown)?;
                (feature, split.border, missing)
            }
            "OneHotFeature" => {
                (place(self.questions.is(split.cat_feature_index, split.value)?), 0.5, false)
            }
            "OnlineCtr" => {
                let asked = self.asked.find(split.number, split.border)?;
                let asked = self.questions.statistic(asked, &self.columns.places)?;
                (place(asked), split.border, false)
            }
            other => return Err(unsupported(format!("splits by {other:.40?}"))),
        })
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
