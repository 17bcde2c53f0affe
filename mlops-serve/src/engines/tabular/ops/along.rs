//! Operators along one axis that keep the shape: `Softmax`, `LpNormalization`, `CumSum`.

use super::{Build, Inputs, Kernel, Lowered, Scope, pieces::around};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};
use std::ops::{Add, Div, Sub};

/// `exp(x) / sum(exp(x))` along one axis; before version 13 along that axis and all after it.
#[derive(Debug)]
struct Softmax {
    axis: i64,
    and_after: bool,
}

pub(super) fn softmax(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let dtype = build.dtype_among(0, &[DType::F32, DType::F64])?;
    let and_after = build.version < 13;
    let axis = build.int("axis")?.unwrap_or(if and_after { 1 } else { -1 });
    Ok(Lowered::new(Softmax { axis, and_after }, [dtype]))
}

impl Kernel for Softmax {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let axis = scope.axis(self.axis, tensor.shape().len())?;
        let mut cut = around(tensor.shape(), axis);
        if self.and_after {
            cut = (cut.0, cut.1 * cut.2, 1);
        }
        scope.count(tensor.shape(), tensor.dtype())?;
        let softened = match tensor.dtype() {
            DType::F32 => soften(tensor, cut, f32::exp),
            _ => soften(tensor, cut, f64::exp),
        };
        Ok(vec![softened?])
    }
}

fn soften<T>(tensor: &Tensor, cut: (usize, usize, usize), exp: fn(T) -> T) -> Result<Tensor>
where
    T: Element + Add<Output = T> + Sub<Output = T> + Div<Output = T>,
{
    let (before, length, below) = cut;
    let mut values = tensor.as_slice::<T>()?.to_vec();
    for block in 0..before {
        for inner in 0..below {
            let start = block * length * below + inner;
            let line = || (0..length).map(|at| start + at * below);
            let most = line().map(|at| values[at]).reduce(|a, b| if b > a { b } else { a });
            let Some(most) = most else { continue };
            let mut sum = T::default();
            for at in line() {
                values[at] = exp(values[at] - most);
                sum = sum + values[at];
            }
            line().for_each(|at| values[at] = values[at] / sum);
        }
    }
    Tensor::from_vec(tensor.shape(), values)
}

/// Divides by the norm along one axis; what has none is zero.
#[derive(Debug)]
struct LpNormalization {
    axis: i64,
    /// The sum of sizes, not the root of the sum of squares.
    sizes: bool,
}

pub(super) fn lp_normalization(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let dtype = build.dtype_among(0, &[DType::F32, DType::F64])?;
    let axis = build.int("axis")?.unwrap_or(-1);
    let sizes = match build.int("p")? {
        Some(1) => true,
        None | Some(2) => false,
        Some(other) => return Err(build.invalid(format!("attribute \"p\" is {other}"))),
    };
    Ok(Lowered::new(LpNormalization { axis, sizes }, [dtype]))
}

impl Kernel for LpNormalization {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let cut = around(tensor.shape(), scope.axis(self.axis, tensor.shape().len())?);
        scope.count(tensor.shape(), tensor.dtype())?;
        let normalized = match tensor.dtype() {
            DType::F32 if self.sizes => lines(tensor, cut, |line| divide(line, f32::abs, |x| x)),
            DType::F32 => lines(tensor, cut, |line| divide(line, |x: f32| x * x, f32::sqrt)),
            _ if self.sizes => lines(tensor, cut, |line| divide(line, f64::abs, |x| x)),
            _ => lines(tensor, cut, |line| divide(line, |x: f64| x * x, f64::sqrt)),
        };
        Ok(vec![normalized?])
    }
}

/// Divides each element by `end` of the sum of `part` of all.
fn divide<T>(line: &mut [T], part: fn(T) -> T, end: fn(T) -> T)
where
    T: Element + Add<Output = T> + Div<Output = T>,
{
    let norm = end(line.iter().fold(T::default(), |sum, &x| sum + part(x)));
    let none = norm == T::default();
    for x in line {
        *x = if none { T::default() } else { *x / norm };
    }
}

/// Changes each line along the axis that a shape was cut at.
fn lines<T: Element>(
    tensor: &Tensor,
    (before, length, below): (usize, usize, usize),
    mut change: impl FnMut(&mut [T]),
) -> Result<Tensor> {
    let mut values = tensor.as_slice::<T>()?.to_vec();
    let mut line = Vec::new();
    for block in 0..before {
        for inner in 0..below {
            let place = |at: usize| (block * length + at) * below + inner;
            line.clear();
            line.extend((0..length).map(|at| values[place(at)]));
            change(&mut line);
            for (at, &value) in line.iter().enumerate() {
                values[place(at)] = value;
            }
        }
    }
    Tensor::from_vec(tensor.shape(), values)
}

/// The sum of all elements up to each.
#[derive(Debug)]
struct CumSum {
    /// Without the element itself.
    exclusive: bool,
    /// From the end.
    reverse: bool,
}

pub(super) fn cum_sum(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(2, 2)?;
    let dtype = build.dtype_among(0, &[DType::F32, DType::F64, DType::I32, DType::I64])?;
    build.dtype_among(1, &[DType::I64, DType::I32])?;
    let (exclusive, reverse) = (build.flag("exclusive", false)?, build.flag("reverse", false)?);
    Ok(Lowered::new(CumSum { exclusive, reverse }, [dtype]))
}

impl Kernel for CumSum {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let (tensor, axis) = (inputs.at(0)?, super::select::indices(inputs.at(1)?)?);
        let [axis] = axis[..] else {
            return Err(scope.invalid(format!("{} axes, not one", axis.len())));
        };
        let cut = around(tensor.shape(), scope.axis(axis, tensor.shape().len())?);
        scope.count(tensor.shape(), tensor.dtype())?;
        let summed = match tensor.dtype() {
            DType::F32 => lines(tensor, cut, |line| self.sum(line, |a: f32, b| a + b)),
            DType::F64 => lines(tensor, cut, |line| self.sum(line, |a: f64, b| a + b)),
            DType::I32 => lines(tensor, cut, |line| self.sum(line, i32::wrapping_add)),
            _ => lines(tensor, cut, |line| self.sum(line, i64::wrapping_add)),
        };
        Ok(vec![summed?])
    }
}

impl CumSum {
    fn sum<T: Element>(&self, line: &mut [T], plus: fn(T, T) -> T) {
        let mut sum = T::default();
        let mut add = |x: &mut T| {
            let next = plus(sum, *x);
            *x = if self.exclusive { sum } else { next };
            sum = next;
        };
        if self.reverse {
            line.iter_mut().rev().for_each(&mut add);
        } else {
            line.iter_mut().for_each(&mut add);
        }
    }
}
