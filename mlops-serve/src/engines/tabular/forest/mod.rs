//! Tree ensembles, whatever format they came in: built from the nodes that a file lists, checked once, and
//! walked by any number of threads.

mod real;
mod rows;
mod trees;

pub(super) use real::Real;
pub(super) use rows::{BLOCK, Rows};

use mlops_core::{Error, Result};
use trees::Trees;

/// What a node asks of its feature; a leaf asks nothing. A missing value (NaN) only is unequal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Test {
    AtMost,
    Below,
    AtLeast,
    Above,
    Equal,
    Unequal,
    /// At most the threshold or zero, within what a float of 1e-35 is.
    AtMostOrZero,
    /// At most the threshold, but not zero.
    AtMostNotZero,
    /// At least the threshold, and the whole part is one of the numbers of this set.
    Among(u32),
    Leaf,
}

/// One node as a file lists it.
#[derive(Debug)]
pub(super) struct RawNode<S> {
    pub(super) tree: i64,
    pub(super) id: i64,
    pub(super) feature: i64,
    pub(super) threshold: S,
    pub(super) test: Test,
    pub(super) yes: i64,
    pub(super) no: i64,
    /// A missing value (NaN) goes where a true comparison goes.
    pub(super) missing_yes: bool,
}

/// One weight of a leaf as a file lists it.
#[derive(Debug)]
pub(super) struct RawWeight<S> {
    pub(super) tree: i64,
    pub(super) node: i64,
    pub(super) target: u32,
    pub(super) value: S,
}

/// Numbers below 32 times the length: a bit each, the lowest first.
pub(super) type Set = Box<[u32]>;

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

/// Makes an error out of what is wrong.
pub(super) type Invalid<'a> = &'a dyn Fn(String) -> Error;

impl<S: Real> Forest<S> {
    /// Checks that every node leads to a leaf, and every leaf says something. The nodes of a tree stand
    /// together, its root first.
    ///
    /// # Behavior
    /// - a branch may be shared, as exporters of set membership do, but never lead back
    /// - a weight of a node that is no leaf is left out, as ONNX Runtime does
    pub(super) fn new(
        nodes: &[RawNode<S>],
        weights: Vec<RawWeight<S>>,
        sets: Vec<Set>,
        invalid: Invalid<'_>,
    ) -> Result<Self> {
        let trees = Trees::new(nodes, weights, sets, invalid)?;
        let features = trees.features();
        Ok(Self { trees, features })
    }

    /// How many features a row must have.
    pub(super) fn features(&self) -> usize {
        self.features
    }

    /// How many trees there are.
    pub(super) fn trees(&self) -> usize {
        self.trees.count()
    }

    /// Tells what each tree says of each row, whose features are at least [`Forest::features`]: of each
    /// row in the order of the trees, whatever the others.
    pub(super) fn visit(&self, rows: Rows<'_, S>, say: impl FnMut(usize, &[Weight<S>])) {
        self.trees.visit(rows, say);
    }

    /// Memory that the trees take.
    pub(super) fn bytes(&self) -> usize {
        self.trees.bytes()
    }
}
