//! Operators along axes: sums, products, norms and extremes, and the place of an extreme.

use super::{Build, Inputs, Kernel, Lowered, Scope, pieces::around};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};

/// What becomes of the elements along the axes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fold {
    Sum,
    Mean,
    Min,
    Max,
    Product,
    SumOfSquares,
    SumOfSizes,
    /// The root of the sum of squares.
    Length,
    LogOfSumOfExponentials,
}

#[derive(Debug)]
struct Reduce {
    fold: Fold,
    /// From an attribute; `None` if they are an input or all.
    axes: Option<Vec<i64>>,
    keep: bool,
    /// No axes means none, not all.
    none_is_none: bool,
}

pub(super) fn sum(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::Sum, 13)
}

pub(super) fn mean(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::Mean, 18)
}

pub(super) fn min(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::Min, 18)
}

pub(super) fn max(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::Max, 18)
}

pub(super) fn product(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::Product, 18)
}

pub(super) fn sum_square(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::SumOfSquares, 18)
}

pub(super) fn l1(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::SumOfSizes, 18)
}

pub(super) fn l2(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::Length, 18)
}

pub(super) fn log_sum_exp(build: &mut Build<'_>) -> Result<Lowered> {
    reduce(build, Fold::LogOfSumOfExponentials, 18)
}

/// `inputs_since`: the version from which the axes are an input.
fn reduce(build: &mut Build<'_>, fold: Fold, inputs_since: i64) -> Result<Lowered> {
    let allowed: &[DType] = match fold {
        Fold::Mean | Fold::Length | Fold::LogOfSumOfExponentials => &[DType::F32, DType::F64],
        _ => &[DType::F32, DType::F64, DType::I32, DType::I64],
    };
    let dtype = build.dtype_among(0, allowed)?;
    let keep = build.flag("keepdims", true)?;
    let (mut axes, mut none_is_none) = (None, false);
    if build.version >= inputs_since {
        build.arity(1, 2)?;
        build.optional_dtype(1, DType::I64)?;
        none_is_none = build.flag("noop_with_empty_axes", false)?;
    } else {
        build.arity(1, 1)?;
        let given = build.attributes.has("axes");
        let list = build.ints("axes")?;
        axes = given.then_some(list);
    }
    Ok(Lowered::new(Reduce { fold, axes, keep, none_is_none }, [dtype]))
}

impl Kernel for Reduce {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let rank = tensor.shape().len();
        let given = inputs.optional(1).map(|axes| axes.as_slice::<i64>()).transpose()?;
        let axes = given.or(self.axes.as_deref()).unwrap_or_default();
        if axes.is_empty() && self.none_is_none {
            return Ok(vec![tensor.clone()]);
        }
        let mut reduced = vec![axes.is_empty(); rank];
        for &axis in axes {
            reduced[scope.axis(axis, rank)?] = true;
        }
        let mut folded = tensor.clone();
        let mut fold = self.fold;
        for axis in (0..rank).filter(|&axis| reduced[axis]) {
            folded = match folded.dtype() {
                DType::F32 => along::<f32>(fold, &folded, axis, scope)?,
                DType::F64 => along::<f64>(fold, &folded, axis, scope)?,
                DType::I32 => along::<i32>(fold, &folded, axis, scope)?,
                _ => along::<i64>(fold, &folded, axis, scope)?,
            };
            if fold == Fold::SumOfSquares {
                // Squared once, however many axes there are.
                fold = Fold::Sum;
            }
        }
        if !self.keep {
            let kept = folded.shape().iter().zip(&reduced).filter(|(_, reduced)| !**reduced);
            let kept: Vec<usize> = kept.map(|(&length, _)| length).collect();
            folded = folded.reshape(kept)?;
        }
        Ok(vec![folded])
    }
}

fn along<T: Number>(fold: Fold, tensor: &Tensor, axis: usize, scope: &Scope<'_>) -> Result<Tensor> {
    let (before, length, below) = around(tensor.shape(), axis);
    if length == 0 && matches!(fold, Fold::Min | Fold::Max) {
        return Err(scope.invalid("the extreme of no elements"));
    }
    let mut shape = tensor.shape().to_vec();
    shape[axis] = 1;
    let mut out = Vec::with_capacity(scope.count(&shape, T::DTYPE)?);
    let values = tensor.as_slice::<T>()?;
    for block in 0..before {
        scope.at_row(block)?;
        for inner in 0..below {
            let start = block * length * below + inner;
            out.push(folded(fold, length, (0..length).map(|at| values[start + at * below])));
        }
    }
    Tensor::from_vec(shape, out)
}

/// What becomes of the elements of one line.
fn folded<T: Number>(fold: Fold, length: usize, line: impl Iterator<Item = T> + Clone) -> T {
    let greatest =
        |line: &mut dyn Iterator<Item = T>| line.reduce(|a, b| if b > a { b } else { a });
    match fold {
        Fold::Sum => line.fold(T::default(), T::plus),
        Fold::Mean => line.fold(T::default(), T::plus).over(length),
        Fold::Min => line.reduce(|a, b| if b < a { b } else { a }).unwrap_or_default(),
        Fold::Max => greatest(&mut line.into_iter()).unwrap_or_default(),
        Fold::Product => line.fold(T::one(), T::times),
        Fold::SumOfSquares => line.map(|x| x.times(x)).fold(T::default(), T::plus),
        Fold::SumOfSizes => line.map(T::size).fold(T::default(), T::plus),
        Fold::Length => line.map(|x| x.times(x)).fold(T::default(), T::plus).root(),
        Fold::LogOfSumOfExponentials => {
            // Without the greatest, exponents would be too large; an infinite one is left in.
            let most = greatest(&mut line.clone()).filter(|most| most.is_finite());
            let most = most.unwrap_or_default();
            let sum = line.map(|x| x.exp_less(most)).fold(T::default(), T::plus);
            sum.log().plus(most)
        }
    }
}

trait Number: Element {
    fn one() -> Self;
    fn plus(self, other: Self) -> Self;
    fn times(self, other: Self) -> Self;
    fn over(self, count: usize) -> Self;
    /// Without its sign.
    fn size(self) -> Self;
    fn root(self) -> Self;
    fn log(self) -> Self;
    /// `exp(self - other)`.
    fn exp_less(self, other: Self) -> Self;
    fn is_finite(self) -> bool;
}

macro_rules! floats {
    ($($float:ty),*) => {$(
        impl Number for $float {
            fn one() -> Self {
                1.0
            }
            fn plus(self, other: Self) -> Self {
                self + other
            }
            fn times(self, other: Self) -> Self {
                self * other
            }
            fn size(self) -> Self {
                self.abs()
            }
            fn root(self) -> Self {
                self.sqrt()
            }
            fn log(self) -> Self {
                self.ln()
            }
            fn exp_less(self, other: Self) -> Self {
                (self - other).exp()
            }
            fn is_finite(self) -> bool {
                <$float>::is_finite(self)
            }
            #[expect(clippy::cast_precision_loss, reason = "the length of an axis")]
            fn over(self, count: usize) -> Self {
                self / count as $float
            }
        }
    )*};
}

macro_rules! wholes {
    ($($whole:ty),*) => {$(
        impl Number for $whole {
            fn one() -> Self {
                1
            }
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn times(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn size(self) -> Self {
                self.wrapping_abs()
            }
            // Means, roots and logarithms of whole numbers are refused when the kernel is built.
            fn over(self, _: usize) -> Self {
                self
            }
            fn root(self) -> Self {
                self
            }
            fn log(self) -> Self {
                self
            }
            fn exp_less(self, _: Self) -> Self {
                self
            }
            fn is_finite(self) -> bool {
                true
            }
        }
    )*};
}

floats!(f32, f64);
wholes!(i32, i64);

/// The place of the greatest or least element along one axis.
#[derive(Debug)]
struct ArgExtreme {
    axis: i64,
    greatest: bool,
    keep: bool,
    /// Of equal elements the last, not the first.
    last: bool,
}

pub(super) fn arg_max(build: &mut Build<'_>) -> Result<Lowered> {
    arg_extreme(build, true)
}

pub(super) fn arg_min(build: &mut Build<'_>) -> Result<Lowered> {
    arg_extreme(build, false)
}

fn arg_extreme(build: &mut Build<'_>, greatest: bool) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32, DType::F64, DType::I32, DType::I64])?;
    let axis = build.int("axis")?.unwrap_or(0);
    let keep = build.flag("keepdims", true)?;
    let last = build.flag("select_last_index", false)?;
    Ok(Lowered::new(ArgExtreme { axis, greatest, keep, last }, [DType::I64]))
}

impl Kernel for ArgExtreme {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let axis = scope.axis(self.axis, tensor.shape().len())?;
        let mut shape = tensor.shape().to_vec();
        if self.keep {
            shape[axis] = 1;
        } else {
            shape.remove(axis);
        }
        scope.count(&shape, DType::I64)?;
        let places = match tensor.dtype() {
            DType::F32 => self.places::<f32>(tensor, axis, scope),
            DType::F64 => self.places::<f64>(tensor, axis, scope),
            DType::I32 => self.places::<i32>(tensor, axis, scope),
            _ => self.places::<i64>(tensor, axis, scope),
        };
        Ok(vec![Tensor::from_vec(shape, places?)?])
    }
}

impl ArgExtreme {
    fn places<T: Element>(
        &self,
        tensor: &Tensor,
        axis: usize,
        scope: &Scope<'_>,
    ) -> Result<Vec<i64>> {
        let (before, length, below) = around(tensor.shape(), axis);
        if length == 0 {
            return Err(scope.invalid("the extreme of no elements"));
        }
        let values = tensor.as_slice::<T>()?;
        let mut places = Vec::with_capacity(before.saturating_mul(below));
        for block in 0..before {
            scope.at_row(block)?;
            for inner in 0..below {
                let start = block * length * below + inner;
                let mut most = (0_i64, values[start]);
                for (place, at) in (0_i64..).zip(0..length).skip(1) {
                    let value = values[start + at * below];
                    // NaN beats nothing and, in the first place, is beaten by nothing.
                    let beats = if self.greatest { value > most.1 } else { value < most.1 };
                    if beats || self.last && value == most.1 {
                        most = (place, value);
                    }
                }
                places.push(most.0);
            }
        }
        Ok(places)
    }
}
