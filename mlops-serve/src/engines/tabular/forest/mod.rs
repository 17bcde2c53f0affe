//! Tree ensembles, whatever format they came in: built from the nodes that a file lists, checked once, and
//! walked by any number of threads.

mod paged;
mod real;
mod rows;
mod trees;

pub(super) use paged::Total;
pub(super) use real::Real;
pub(super) use rows::{BLOCK, Rows};
pub(super) use trees::Forest;

use mlops_core::Error;

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

/// Makes an error out of what is wrong.
pub(super) type Invalid<'a> = &'a dyn Fn(String) -> Error;
