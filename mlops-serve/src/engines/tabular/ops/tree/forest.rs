//! Trees as flat arrays, and the walk from a root to a leaf.

use super::{
    Real,
    read::{RawNode, RawWeight},
};
use mlops_core::{Error, Result};
use std::collections::HashMap;

/// What a node asks of its feature; a leaf asks nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Unequal,
    Leaf,
}

/// A node; for a leaf, `yes..no` are its weights.
#[derive(Clone, Copy, Debug)]
struct Node<S> {
    threshold: S,
    feature: u32,
    yes: u32,
    no: u32,
    test: Test,
    missing_yes: bool,
}

/// What a leaf says for one class or target.
#[derive(Clone, Copy, Debug)]
pub(super) struct Weight<S> {
    pub(super) target: u32,
    pub(super) value: S,
}

/// All trees of an ensemble, in the order of the file.
#[derive(Debug)]
pub(super) struct Forest<S> {
    nodes: Vec<Node<S>>,
    roots: Vec<u32>,
    weights: Vec<Weight<S>>,
    features: usize,
}

/// Makes an error out of what is wrong.
type Invalid<'a> = &'a dyn Fn(String) -> Error;

impl<S: Real> Forest<S> {
    /// Checks that every node leads to a leaf, and every leaf says something.
    ///
    /// # Behavior
    /// - a branch may be shared, as exporters of set membership do, but never lead back
    /// - a weight of a node that is no leaf is left out, as ONNX Runtime does
    pub(super) fn new(
        raw: &[RawNode<S>],
        weights: Vec<RawWeight<S>>,
        invalid: Invalid<'_>,
    ) -> Result<Self> {
        let mut places = HashMap::with_capacity(raw.len());
        for (place, node) in (0_u32..).zip(raw) {
            if places.insert((node.tree, node.id), place).is_some() {
                let (id, tree) = (node.id, node.tree);
                return Err(invalid(format!("node {id} of tree {tree} is listed twice")));
            }
        }
        let mut forest = Self {
            nodes: Vec::with_capacity(raw.len()),
            roots: roots(raw, invalid)?,
            weights: Vec::with_capacity(weights.len()),
            features: 0,
        };
        let mut weights = by_place(weights, &places, invalid)?.into_iter().peekable();
        for (place, node) in (0_u32..).zip(raw) {
            let start = forest.weights.len();
            while let Some((_, weight)) = weights.next_if(|(of, _)| *of == place) {
                if node.test == Test::Leaf {
                    forest.weights.push(weight);
                }
            }
            let node = match node.test {
                Test::Leaf => forest.leaf_node(node, start, invalid)?,
                _ => forest.branch_node(node, &places, invalid)?,
            };
            forest.nodes.push(node);
        }
        forest.check_paths(raw, invalid)?;
        Ok(forest)
    }

    fn branch_node(
        &mut self,
        raw: &RawNode<S>,
        places: &HashMap<(i64, i64), u32>,
        invalid: Invalid<'_>,
    ) -> Result<Node<S>> {
        let child = |id: i64| {
            let place = places.get(&(raw.tree, id)).copied();
            place.ok_or_else(|| {
                let (parent, tree) = (raw.id, raw.tree);
                invalid(format!(
                    "node {parent} of tree {tree} leads to node {id}, which is missing"
                ))
            })
        };
        let (yes, no) = (child(raw.yes)?, child(raw.no)?);
        let Ok(feature) = u32::try_from(raw.feature) else {
            return Err(invalid(format!("node {} asks for feature {}", raw.id, raw.feature)));
        };
        self.features = self.features.max(feature as usize + 1);
        let (threshold, test, missing_yes) = (raw.threshold, raw.test, raw.missing_yes);
        Ok(Node { threshold, feature, yes, no, test, missing_yes })
    }

    /// A leaf whose weights are those from `start` on.
    fn leaf_node(&self, raw: &RawNode<S>, start: usize, invalid: Invalid<'_>) -> Result<Node<S>> {
        if start == self.weights.len() {
            let (id, tree) = (raw.id, raw.tree);
            return Err(invalid(format!("leaf {id} of tree {tree} has no weight")));
        }
        let place = |at: usize| u32::try_from(at).map_err(|_| invalid("too many weights".into()));
        let (yes, no) = (place(start)?, place(self.weights.len())?);
        let (threshold, test) = (S::default(), Test::Leaf);
        Ok(Node { threshold, feature: 0, yes, no, test, missing_yes: false })
    }

    /// No path leads back to where it was: a depth-first search by hand, since a hostile tree may
    /// be deeper than the stack.
    fn check_paths(&self, raw: &[RawNode<S>], invalid: Invalid<'_>) -> Result<()> {
        #[derive(Clone, Copy, PartialEq)]
        enum Mark {
            New,
            Open,
            Done,
        }
        let mut marks = vec![Mark::New; self.nodes.len()];
        let mut path: Vec<u32> = Vec::new();
        for start in 0..u32::try_from(self.nodes.len()).unwrap_or(u32::MAX) {
            path.push(start);
            while let Some(&at) = path.last() {
                let (place, node) = (at as usize, &self.nodes[at as usize]);
                if node.test == Test::Leaf || marks[place] != Mark::New {
                    marks[place] = Mark::Done;
                    path.pop();
                    continue;
                }
                marks[place] = Mark::Open;
                for child in [node.yes, node.no] {
                    match marks[child as usize] {
                        Mark::New => path.push(child),
                        Mark::Done => {}
                        Mark::Open => {
                            let (id, tree) = (raw[place].id, raw[place].tree);
                            return Err(invalid(format!("node {id} of tree {tree} leads back")));
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// How many features a row must have.
    pub(super) fn features(&self) -> usize {
        self.features
    }

    /// How many trees there are.
    pub(super) fn trees(&self) -> usize {
        self.roots.len()
    }

    /// What each tree says of a row that has at least [`Forest::features`] features.
    pub(super) fn leaves<'a>(&'a self, row: &'a [S]) -> impl Iterator<Item = &'a [Weight<S>]> {
        self.roots.iter().map(|&root| self.leaf(root, row))
    }

    /// Every place and feature was checked when the forest was made, and no path leads back.
    fn leaf(&self, root: u32, row: &[S]) -> &[Weight<S>] {
        let mut node = &self.nodes[root as usize];
        loop {
            let (feature, threshold) = (node.feature as usize, node.threshold);
            let yes = match node.test {
                Test::Leaf => return &self.weights[node.yes as usize..node.no as usize],
                Test::AtMost => row[feature] <= threshold,
                Test::Below => row[feature] < threshold,
                Test::AtLeast => row[feature] >= threshold,
                Test::Above => row[feature] > threshold,
                Test::Equal => row[feature] == threshold,
                Test::Unequal => row[feature] != threshold,
            };
            let yes = yes || node.missing_yes && row[feature].is_nan();
            node = &self.nodes[if yes { node.yes } else { node.no } as usize];
        }
    }

    /// Memory that the trees take.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(self.nodes.as_slice())
            + size_of_val(self.roots.as_slice())
            + size_of_val(self.weights.as_slice())
    }
}

/// The first node of each tree; the nodes of a tree stand together.
fn roots<S>(raw: &[RawNode<S>], invalid: Invalid<'_>) -> Result<Vec<u32>> {
    let mut roots = Vec::new();
    let mut trees = HashMap::new();
    for (place, node) in (0_u32..).zip(raw) {
        let last = place.checked_sub(1).map(|last| raw[last as usize].tree);
        if last == Some(node.tree) {
            continue;
        }
        if trees.insert(node.tree, place).is_some() {
            return Err(invalid(format!("the nodes of tree {} do not stand together", node.tree)));
        }
        roots.push(place);
    }
    Ok(roots)
}

/// Weights with the places of their nodes, by place; those of one node in the order of the file.
fn by_place<S>(
    weights: Vec<RawWeight<S>>,
    places: &HashMap<(i64, i64), u32>,
    invalid: Invalid<'_>,
) -> Result<Vec<(u32, Weight<S>)>> {
    let found = weights.into_iter().map(|RawWeight { tree, node, target, value }| {
        let missing =
            || invalid(format!("a weight belongs to node {node} of tree {tree}, which is missing"));
        let place = places.get(&(tree, node)).copied().ok_or_else(missing)?;
        Ok((place, Weight { target, value }))
    });
    let mut found = found.collect::<Result<Vec<_>>>()?;
    found.sort_by_key(|(place, _)| *place);
    Ok(found)
}
