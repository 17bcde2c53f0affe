//! Tree ensembles: the operators `TreeEnsembleClassifier` and `TreeEnsembleRegressor`.

mod classifier;
mod forest;
mod laid;
mod read;
mod regressor;

pub(super) use classifier::classifier;
pub(super) use regressor::regressor;

use super::{Scope, cast::as_f32};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};
use std::{
    borrow::Cow,
    fmt::Debug,
    ops::{Add, AddAssign, Div, Neg},
};

/// The number type in which a forest compares and adds: `f64` if the rows are, else `f32`, as in
/// ONNX Runtime.
trait Real:
    Element
    + Copy
    + Debug
    + Default
    + PartialOrd
    + Add<Output = Self>
    + AddAssign
    + Div<Output = Self>
    + Neg<Output = Self>
    + Send
    + Sync
{
    const INFINITY: Self;
    fn of(value: f32) -> Self;
    /// A number of trees.
    fn count(trees: usize) -> Self;
    /// The nearest `f32`: scores are given and transformed in it.
    fn narrow(self) -> f32;
    fn is_nan(self) -> bool;
    /// The largest number below this one; NaN, which nothing is at most, if there is none.
    fn largest_below(self) -> Self;
    /// The rows of a tensor whose type this forest takes.
    fn rows(tensor: &Tensor) -> Result<Cow<'_, [Self]>>;
}

impl Real for f32 {
    const INFINITY: Self = Self::INFINITY;

    fn of(value: f32) -> Self {
        value
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer trees than an f32 counts exactly")]
    fn count(trees: usize) -> Self {
        trees as Self
    }

    fn narrow(self) -> f32 {
        self
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn largest_below(self) -> Self {
        if self == Self::NEG_INFINITY { Self::NAN } else { self.next_down() }
    }

    fn rows(tensor: &Tensor) -> Result<Cow<'_, [Self]>> {
        // ONNX Runtime compares integers as f32.
        as_f32(tensor)
    }
}

impl Real for f64 {
    const INFINITY: Self = Self::INFINITY;

    fn of(value: f32) -> Self {
        Self::from(value)
    }

    #[expect(clippy::cast_precision_loss, reason = "far fewer trees than an f64 counts exactly")]
    fn count(trees: usize) -> Self {
        trees as Self
    }

    #[expect(clippy::cast_possible_truncation, reason = "scores leave as f32")]
    fn narrow(self) -> f32 {
        self as f32
    }

    fn is_nan(self) -> bool {
        self.is_nan()
    }

    fn largest_below(self) -> Self {
        if self == Self::NEG_INFINITY { Self::NAN } else { self.next_down() }
    }

    fn rows(tensor: &Tensor) -> Result<Cow<'_, [Self]>> {
        Ok(Cow::Borrowed(tensor.as_slice()?))
    }
}

/// The sum, least or greatest of what the trees said for one class or target.
#[derive(Clone, Copy, Debug, Default)]
struct Score<S> {
    value: S,
    /// Whether any tree said something.
    seen: bool,
}

impl<S: Real> Score<S> {
    /// Nothing said counts as zero, even if a base value was added: so ONNX Runtime reads it.
    fn get(self) -> S {
        if self.seen { self.value } else { S::default() }
    }
}

/// How many rows are scored together: what they say and what they hold stays in the nearest memory.
const BLOCK: usize = 64;

/// Some rows of a tensor.
#[derive(Clone, Copy, Debug)]
struct Rows<'a, S> {
    values: &'a [S],
    columns: usize,
    count: usize,
}

impl<'a, S> Rows<'a, S> {
    fn row(&self, at: usize) -> &'a [S] {
        &self.values[at * self.columns..(at + 1) * self.columns]
    }

    /// Pieces of so many rows at most, with the place of their first.
    fn blocks(self) -> impl Iterator<Item = (usize, Self)> {
        (0..self.count).step_by(BLOCK).map(move |first| {
            let count = BLOCK.min(self.count - first);
            let values = &self.values[first * self.columns..(first + count) * self.columns];
            (first, Rows { values, columns: self.columns, count })
        })
    }
}

/// The element types of rows that both operators take.
const ROW_TYPES: &[DType] = &[DType::F32, DType::F64, DType::I64, DType::I32];

/// How many rows there are, if each is as wide as the forest needs.
fn check_rows(tensor: &Tensor, features: usize, scope: &Scope<'_>) -> Result<(usize, usize)> {
    let (rows, columns) = scope.rows(tensor)?;
    if columns < features {
        return Err(scope.invalid(format!("{columns} features, where {features} are needed")));
    }
    Ok((rows, columns))
}
