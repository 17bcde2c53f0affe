//! Trees as flat arrays, checked, and the walk from a root to a leaf.

use super::{
    Real, Rows,
    laid::Laid,
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
pub(super) struct Node<S> {
    pub(super) threshold: S,
    pub(super) feature: u32,
    pub(super) yes: u32,
    pub(super) no: u32,
    pub(super) test: Test,
    pub(super) missing_yes: bool,
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
    trees: Trees<S>,
    features: usize,
}

#[derive(Debug)]
enum Trees<S> {
    Laid(Laid<S>),
    Plain(Plain<S>),
}

/// Trees of any kind: branches may be shared and test for equality.
#[derive(Debug)]
struct Plain<S> {
    nodes: Vec<Node<S>>,
    roots: Vec<u32>,
    weights: Vec<Weight<S>>,
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
        let (plain, features) = Plain::new(raw, weights, &places, invalid)?;
        let laid = Laid::of(&plain.nodes, &plain.roots, &plain.weights);
        Ok(Self { trees: laid.map_or(Trees::Plain(plain), Trees::Laid), features })
    }

    /// How many features a row must have.
    pub(super) fn features(&self) -> usize {
        self.features
    }

    /// How many trees there are.
    pub(super) fn trees(&self) -> usize {
        match &self.trees {
            Trees::Laid(laid) => laid.trees(),
            Trees::Plain(plain) => plain.roots.len(),
        }
    }

    /// Tells what each tree says of each row, whose features are at least [`Forest::features`]: of each
    /// row in the order of the trees, whatever the others.
    pub(super) fn visit(&self, rows: Rows<'_, S>, say: impl FnMut(usize, &[Weight<S>])) {
        match &self.trees {
            Trees::Laid(laid) => laid.visit(rows, say),
            Trees::Plain(plain) => plain.visit(rows, say),
        }
    }

    /// Memory that the trees take.
    pub(super) fn bytes(&self) -> usize {
        match &self.trees {
            Trees::Laid(laid) => laid.bytes(),
            Trees::Plain(plain) => plain.bytes(),
        }
    }
}

impl<S: Real> Plain<S> {
    /// The trees, and how many features they ask for.
    fn new(
        raw: &[RawNode<S>],
        weights: Vec<RawWeight<S>>,
        places: &HashMap<(i64, i64), u32>,
        invalid: Invalid<'_>,
    ) -> Result<(Self, usize)> {
        let mut plain = Self {
            nodes: Vec::with_capacity(raw.len()),
            roots: roots(raw, invalid)?,
            weights: Vec::with_capacity(weights.len()),
        };
        let mut features = 0;
        let mut weights = by_place(weights, places, invalid)?.into_iter().peekable();
        for (place, node) in (0_u32..).zip(raw) {
            let start = plain.weights.len();
            while let Some((_, weight)) = weights.next_if(|(of, _)| *of == place) {
                if node.test == Test::Leaf {
                    plain.weights.push(weight);
                }
            }
            let node = match node.test {
                Test::Leaf => plain.leaf_node(node, start, invalid)?,
                _ => branch_node(node, places, invalid)?,
            };
            if node.test != Test::Leaf {
                features = features.max(node.feature as usize + 1);
            }
            plain.nodes.push(node);
        }
        plain.check_paths(raw, invalid)?;
        Ok((plain, features))
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

    fn visit(&self, rows: Rows<'_, S>, mut say: impl FnMut(usize, &[Weight<S>])) {
        for row in 0..rows.count {
            for &root in &self.roots {
                say(row, self.leaf(root, rows.row(row)));
            }
        }
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

    fn bytes(&self) -> usize {
        size_of_val(self.nodes.as_slice())
            + size_of_val(self.roots.as_slice())
            + size_of_val(self.weights.as_slice())
    }
}

fn branch_node<S: Real>(
    raw: &RawNode<S>,
    places: &HashMap<(i64, i64), u32>,
    invalid: Invalid<'_>,
) -> Result<Node<S>> {
    let child = |id: i64| {
        let place = places.get(&(raw.tree, id)).copied();
        place.ok_or_else(|| {
            let (parent, tree) = (raw.id, raw.tree);
            invalid(format!("node {parent} of tree {tree} leads to node {id}, which is missing"))
        })
    };
    let (yes, no) = (child(raw.yes)?, child(raw.no)?);
    let feature = i32::try_from(raw.feature).ok().and_then(|feature| u32::try_from(feature).ok());
    let asks = || invalid(format!("node {} asks for feature {}", raw.id, raw.feature));
    let feature = feature.ok_or_else(asks)?;
    let (threshold, test, missing_yes) = (raw.threshold, raw.test, raw.missing_yes);
    Ok(Node { threshold, feature, yes, no, test, missing_yes })
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NUMBERS: [f32; 9] = [
        f32::NAN,
        f32::NEG_INFINITY,
        -1.5,
        -0.0,
        0.0,
        f32::MIN_POSITIVE,
        1.0,
        1.000_000_1,
        f32::INFINITY,
    ];

    fn number() -> impl Strategy<Value = f32> {
        prop::sample::select(&NUMBERS[..])
    }

    /// Trees of up to 31 nodes, each with its place as its weight. Child `n` of a full tree is `2n + 1`.
    fn tree(id: i64) -> impl Strategy<Value = Vec<RawNode<f32>>> {
        let test = prop::sample::select(vec![
            Test::AtMost,
            Test::Below,
            Test::AtLeast,
            Test::Above,
            Test::Leaf,
        ]);
        let node = (test, 0..3_i64, number(), any::<bool>());
        prop::collection::vec(node, 31).prop_map(move |nodes| {
            let node = |(at, (test, feature, threshold, missing_yes))| {
                let test = if at >= 15 { Test::Leaf } else { test };
                let (yes, no) = (2 * at + 1, 2 * at + 2);
                RawNode { tree: id, id: at, feature, threshold, test, yes, no, missing_yes }
            };
            (0..).zip(nodes).map(node).collect()
        })
    }

    fn said(
        visit: impl FnOnce(&mut dyn FnMut(usize, &[Weight<f32>])),
        rows: usize,
    ) -> Vec<Vec<f32>> {
        let mut said = vec![Vec::new(); rows];
        visit(&mut |row, weights| said[row].extend(weights.iter().map(|weight| weight.value)));
        said
    }

    proptest! {
        #[test]
        fn laid_trees_say_what_plain_ones_do(
            trees in (tree(0), tree(1), tree(2), tree(3), tree(4), tree(5), tree(6), tree(7), tree(8)),
            some in 1..9_usize,
            values in prop::collection::vec(number(), 3 * 21),
        ) {
            let (a, b, c, d, e, f, g, h, i) = trees;
            let nodes: Vec<_> = [a, b, c, d, e, f, g, h, i].into_iter().take(some).flatten().collect();
            let weight = |(value, node): (u16, &RawNode<f32>)| RawWeight {
                tree: node.tree,
                node: node.id,
                target: 0,
                value: f32::from(value),
            };
            let weights: Vec<_> = (0..).zip(&nodes).map(weight).collect();
            let places = (0_u32..).zip(&nodes).map(|(at, node)| ((node.tree, node.id), at)).collect();
            let invalid = |why| Error::invalid(why);
            let (plain, _) = Plain::new(&nodes, weights, &places, &invalid).unwrap();
            let laid = Laid::of(&plain.nodes, &plain.roots, &plain.weights);
            let odd = nodes.iter().any(|node| {
                node.threshold.is_nan() && matches!(node.test, Test::AtLeast | Test::Above)
            });
            prop_assert!(odd || laid.is_some());
            let Some(laid) = laid else { return Ok(()) };
            let rows = Rows { values: &values, columns: 3, count: 21 };
            let wanted = said(|say| plain.visit(rows, say), 21);
            prop_assert_eq!(said(|say| laid.visit(rows, say), 21), wanted);
        }
    }
}
