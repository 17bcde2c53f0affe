//! Trees as flat arrays, checked, and the walk from a root to a leaf.

use super::{
    Invalid, RawNode, RawWeight, Real, Rows, Set, Test, Total, Weight,
    paged::{Paged, Source},
};
use mlops_core::Result;
use std::collections::HashMap;

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

/// All trees of an ensemble, in the order of the file.
#[derive(Debug)]
pub(in super::super) struct Forest<S: Real> {
    nodes: Vec<Node<S>>,
    roots: Vec<u32>,
    weights: Vec<Weight<S>>,
    sets: Vec<Set>,
    /// How many features a row must have.
    features: usize,
    /// The same trees once more, if they can be walked in lockstep.
    paged: Option<Paged<S>>,
}

/// Whether a value passes a test. What is missing passes one for being unequal only.
fn passes<S: Real>(test: Test, value: S, threshold: S, sets: &[Set]) -> bool {
    match test {
        Test::AtMost => value <= threshold,
        Test::Below => value < threshold,
        Test::AtLeast => value >= threshold,
        Test::Above => value > threshold,
        Test::Equal => value == threshold,
        Test::Unequal => value != threshold,
        Test::AtMostOrZero => value <= threshold || value.is_nearly_zero(),
        Test::AtMostNotZero => value <= threshold && !value.is_nearly_zero(),
        Test::Among(set) => {
            value >= threshold
                && value.whole().is_some_and(|number| {
                    let word = sets[set as usize].get(number as usize / 32);
                    word.is_some_and(|word| word >> (number % 32) & 1 == 1)
                })
        }
        Test::Leaf => false,
    }
}

impl<S: Real> Forest<S> {
    /// Checks that every node leads to a leaf, and every leaf says something. The nodes of a tree stand
    /// together, its root first.
    ///
    /// # Behavior
    /// - a branch may be shared, as exporters of set membership do, but never lead back
    /// - a weight of a node that is no leaf is left out, as ONNX Runtime does
    pub(in super::super) fn new(
        raw: &[RawNode<S>],
        weights: Vec<RawWeight<S>>,
        sets: Vec<Set>,
        invalid: Invalid<'_>,
    ) -> Result<Self> {
        let places = places(raw, invalid)?;
        let mut forest = Self {
            sets,
            nodes: Vec::with_capacity(raw.len()),
            roots: roots(raw, invalid)?,
            weights: Vec::with_capacity(weights.len()),
            features: 0,
            paged: None,
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
            if node.test != Test::Leaf {
                forest.features = forest.features.max(node.feature as usize + 1);
            }
            forest.nodes.push(node);
        }
        forest.check_paths(raw, invalid)?;
        let Self { nodes, roots, weights, features, .. } = &forest;
        forest.paged = Paged::new(Source { nodes, roots, weights, features: *features });
        Ok(forest)
    }

    /// How many features a row must have.
    pub(in super::super) fn features(&self) -> usize {
        self.features
    }

    /// How many trees there are.
    pub(in super::super) fn trees(&self) -> usize {
        self.roots.len()
    }

    fn branch_node(
        &self,
        raw: &RawNode<S>,
        places: &HashMap<(i64, i64), u32>,
        invalid: Invalid<'_>,
    ) -> Result<Node<S>> {
        let (id, tree) = (raw.id, raw.tree);
        let child = |child: i64| {
            let place = places.get(&(tree, child)).copied();
            place.ok_or_else(|| {
                invalid(format!("node {id} of tree {tree} leads to node {child}, which is missing"))
            })
        };
        let (yes, no) = (child(raw.yes)?, child(raw.no)?);
        let feature = u32::try_from(raw.feature).ok();
        let feature = feature
            .ok_or_else(|| invalid(format!("node {id} asks for feature {}", raw.feature)))?;
        if let Test::Among(set) = raw.test
            && set as usize >= self.sets.len()
        {
            return Err(invalid(format!("node {id} of tree {tree} asks for set {set}")));
        }
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

    /// Adds what each tree says of each row to the totals of the row, which are `width`: of each row in the order
    /// of the trees, whatever the others. False if nothing was done, since [`Forest::visit`] is needed.
    pub(in super::super) fn add_up<T: Total<S>>(
        &self,
        rows: Rows<'_, S>,
        width: usize,
        totals: &mut [T],
    ) -> bool {
        let Some(paged) = &self.paged else { return false };
        paged.add_up(rows, width, totals);
        true
    }

    /// Tells what each tree says of each row, whose features are at least [`Forest::features`]: of each
    /// row in the order of the trees, whatever the others.
    pub(in super::super) fn visit(
        &self,
        rows: Rows<'_, S>,
        mut say: impl FnMut(usize, &[Weight<S>]),
    ) {
        for row in 0..rows.count {
            for &root in &self.roots {
                say(row, self.leaf(root, rows.row(row)));
            }
        }
    }

    /// Every place and feature was checked when the forest was made, and no path leads back.
    fn leaf(&self, root: u32, row: &[S]) -> &[Weight<S>] {
        let mut node = &self.nodes[root as usize];
        while node.test != Test::Leaf {
            let value = row[node.feature as usize];
            let yes = passes(node.test, value, node.threshold, &self.sets)
                || node.missing_yes && value.is_nan();
            node = &self.nodes[if yes { node.yes } else { node.no } as usize];
        }
        &self.weights[node.yes as usize..node.no as usize]
    }

    /// Memory that the trees take.
    pub(in super::super) fn bytes(&self) -> usize {
        size_of_val(self.nodes.as_slice())
            + size_of_val(self.roots.as_slice())
            + size_of_val(self.weights.as_slice())
            + self.sets.iter().map(|set| size_of_val(&**set)).sum::<usize>()
            + self.paged.as_ref().map_or(0, Paged::bytes)
    }
}

/// Where each node is.
fn places<S>(raw: &[RawNode<S>], invalid: Invalid<'_>) -> Result<HashMap<(i64, i64), u32>> {
    let mut places = HashMap::with_capacity(raw.len());
    for (place, node) in (0_u32..).zip(raw) {
        if places.insert((node.tree, node.id), place).is_some() {
            let (id, tree) = (node.id, node.tree);
            return Err(invalid(format!("node {id} of tree {tree} is listed twice")));
        }
    }
    Ok(places)
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
