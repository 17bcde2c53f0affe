//! Tree ensembles: the operators `TreeEnsembleClassifier` and `TreeEnsembleRegressor`, and `TreeEnsemble`,
//! which follows them.

mod classifier;
mod ensemble;
mod read;
mod regressor;

pub(super) use classifier::classifier;
pub(super) use ensemble::ensemble;
pub(super) use regressor::regressor;

use super::{
    super::forest::{Real, Total},
    Scope,
    cast::as_f32,
};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};
use smallvec::SmallVec;
use std::borrow::Cow;

/// The number type of a forest: `f64` if the rows are, else `f32`, as in ONNX Runtime.
trait RowType: Real + Element {
    /// The rows of a tensor whose type this forest takes.
    fn rows(tensor: &Tensor) -> Result<Cow<'_, [Self]>>;
}

impl RowType for f32 {
    fn rows(tensor: &Tensor) -> Result<Cow<'_, [Self]>> {
        // ONNX Runtime compares integers as f32.
        as_f32(tensor)
    }
}

impl RowType for f64 {
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

impl<S: Real> Total<S> for Score<S> {
    fn sum(&mut self) -> &mut S {
        self.seen = true;
        &mut self.value
    }
}

/// How many scores take no memory of their own: those of a single row, most often.
const FEW: usize = 8;

/// Scores of some rows.
type Scores<S> = SmallVec<[Score<S>; FEW]>;

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
