//! Operators of one tensor, element by element.

use super::{Build, Inputs, Kernel, Lowered, Scope, elementwise::truths, post};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};
use std::fmt;

const FLOATS: &[DType] = &[DType::F32, DType::F64];
const NUMBERS: &[DType] = &[DType::F32, DType::F64, DType::I32, DType::I64];

/// The same function for each number type that the operator takes.
#[derive(Clone, Copy)]
struct Unary {
    name: &'static str,
    f32: fn(f32) -> f32,
    f64: fn(f64) -> f64,
    i32: Option<fn(i32) -> i32>,
    i64: Option<fn(i64) -> i64>,
}

impl fmt::Debug for Unary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

macro_rules! unaries {
    (@optional) => { None };
    (@optional $f:expr) => { Some($f) };
    ($($name:ident => $f32:expr, $f64:expr $(, [$i32:expr, $i64:expr])?;)*) => {
        $(pub(super) fn $name(build: &mut Build<'_>) -> Result<Lowered> {
            unary(build, Unary {
                name: stringify!($name),
                f32: $f32,
                f64: $f64,
                i32: unaries!(@optional $($i32)?),
                i64: unaries!(@optional $($i64)?),
            })
        })*
    };
}

unaries! {
    abs => f32::abs, f64::abs, [i32::wrapping_abs, i64::wrapping_abs];
    neg => |x| -x, |x| -x, [i32::wrapping_neg, i64::wrapping_neg];
    sign => sign_f32, sign_f64, [i32::signum, i64::signum];
    floor => f32::floor, f64::floor;
    exp => f32::exp, f64::exp;
    log => f32::ln, f64::ln;
    sqrt => f32::sqrt, f64::sqrt;
    tanh => f32::tanh, f64::tanh;
    reciprocal => f32::recip, f64::recip;
    sigmoid => post::logistic, |x| 1.0 / (1.0 + (-x).exp());
    // NaN stays NaN.
    relu => |x| if x < 0.0 { 0.0 } else { x }, |x| if x < 0.0 { 0.0 } else { x },
        [|x| x.max(0), |x| x.max(0)];
}

/// The sign of zero is zero.
fn sign_f32(x: f32) -> f32 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

fn sign_f64(x: f64) -> f64 {
    if x == 0.0 { 0.0 } else { x.signum() }
}

fn unary(build: &mut Build<'_>, unary: Unary) -> Result<Lowered> {
    build.arity(1, 1)?;
    let dtype = build.dtype_among(0, if unary.i64.is_some() { NUMBERS } else { FLOATS })?;
    Ok(Lowered::new(unary, [dtype]))
}

impl Kernel for Unary {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let mapped = match (tensor.dtype(), self.i32, self.i64) {
            (DType::F32, ..) => map(tensor, self.f32, scope),
            (DType::I32, Some(f), _) => map(tensor, f, scope),
            (DType::I64, _, Some(f)) => map(tensor, f, scope),
            _ => map(tensor, self.f64, scope),
        };
        Ok(vec![mapped?])
    }
}

fn map<T: Element>(tensor: &Tensor, f: fn(T) -> T, scope: &Scope<'_>) -> Result<Tensor> {
    scope.count(tensor.shape(), T::DTYPE)?;
    let mapped: Vec<T> = tensor.as_slice::<T>()?.iter().map(|&x| f(x)).collect();
    Tensor::from_vec(tensor.shape(), mapped)
}

#[derive(Debug)]
struct Not;

pub(super) fn not(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::Bool])?;
    Ok(Lowered::new(Not, [DType::Bool]))
}

impl Kernel for Not {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        scope.count(tensor.shape(), DType::Bool)?;
        let values: Vec<bool> = truths(tensor).iter().map(|&truth| truth == 0).collect();
        Ok(vec![Tensor::from_bools(tensor.shape(), &values)?])
    }
}

#[derive(Debug)]
struct IsNan;

pub(super) fn is_nan(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, FLOATS)?;
    Ok(Lowered::new(IsNan, [DType::Bool]))
}

impl Kernel for IsNan {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        scope.count(tensor.shape(), DType::Bool)?;
        let values: Vec<bool> = match tensor.dtype() {
            DType::F32 => tensor.as_slice::<f32>()?.iter().map(|x| x.is_nan()).collect(),
            _ => tensor.as_slice::<f64>()?.iter().map(|x| x.is_nan()).collect(),
        };
        Ok(vec![Tensor::from_bools(tensor.shape(), &values)?])
    }
}

/// Keeps elements between two bounds: attributes before version 11, inputs since.
#[derive(Debug)]
struct Clip {
    least: Option<f32>,
    most: Option<f32>,
}

pub(super) fn clip(build: &mut Build<'_>) -> Result<Lowered> {
    let dtype = build.dtype_among(0, NUMBERS)?;
    let clip = if build.version < 11 {
        build.arity(1, 1)?;
        build.dtype_among(0, &[DType::F32])?;
        Clip { least: build.float("min")?, most: build.float("max")? }
    } else {
        build.arity(1, 3)?;
        build.optional_dtype(1, dtype)?;
        build.optional_dtype(2, dtype)?;
        Clip { least: None, most: None }
    };
    Ok(Lowered::new(clip, [dtype]))
}

impl Kernel for Clip {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let clipped = match tensor.dtype() {
            DType::F32 => {
                let (least, most) = (self.least.unwrap_or(f32::MIN), self.most.unwrap_or(f32::MAX));
                clipped(inputs, least, most, scope)
            }
            DType::F64 => clipped(inputs, f64::MIN, f64::MAX, scope),
            DType::I32 => clipped(inputs, i32::MIN, i32::MAX, scope),
            _ => clipped(inputs, i64::MIN, i64::MAX, scope),
        };
        Ok(vec![clipped?])
    }
}

/// Clips to the bounds that are inputs, or to these: the ends of the type where the file says none,
/// so that an infinity becomes the greatest number.
fn clipped<T: Element>(
    inputs: &Inputs<'_>,
    least: T,
    most: T,
    scope: &Scope<'_>,
) -> Result<Tensor> {
    let tensor = inputs.at(0)?;
    let bound = |place: usize, otherwise: T| match inputs.optional(place) {
        None => Ok(otherwise),
        Some(bound) => match bound.as_slice::<T>()? {
            [bound] => Ok(*bound),
            _ => Err(scope.invalid(format!("a bound of shape {:?}", bound.shape()))),
        },
    };
    let (least, most) = (bound(1, least)?, bound(2, most)?);
    scope.count(tensor.shape(), T::DTYPE)?;
    // NaN is neither below nor above, and stays.
    let clip = |&x: &T| {
        let x = if x < least { least } else { x };
        if x > most { most } else { x }
    };
    let clipped: Vec<T> = tensor.as_slice::<T>()?.iter().map(clip).collect();
    Tensor::from_vec(tensor.shape(), clipped)
}
