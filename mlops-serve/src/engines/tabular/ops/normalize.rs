//! Operators that change each feature by itself or each row by its norm: `Scaler`, `Normalizer`,
//! `Imputer`, `Binarizer`.

use super::{Build, Inputs, Kernel, Lowered, Scope, cast::as_f32};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};

/// `(x - offset) * scale`, one of each a feature, or one for all.
#[derive(Debug)]
struct Scaler {
    offset: Vec<f32>,
    scale: Vec<f32>,
}

pub(super) fn scaler(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32, DType::F64, DType::I64, DType::I32])?;
    let (offset, scale) = (build.floats("offset")?, build.floats("scale")?);
    if offset.len() != scale.len() || scale.is_empty() {
        return Err(build.invalid(format!("{} offsets, {} scales", offset.len(), scale.len())));
    }
    Ok(Lowered::new(Scaler { offset, scale }, [DType::F32]))
}

impl Kernel for Scaler {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        per_feature(tensor, self.scale.len(), scope)?;
        let count = scope.count(tensor.shape(), DType::F32)?;
        let mut scaled = Vec::with_capacity(count);
        let parameters = || self.offset.iter().zip(&self.scale).cycle();
        if tensor.dtype() == DType::F64 {
            let values = tensor.as_slice::<f64>()?.iter().zip(parameters());
            scaled.extend(
                values.map(|(x, (&offset, &scale))| {
                    narrow((x - f64::from(offset)) * f64::from(scale))
                }),
            );
        } else {
            let values = as_f32(tensor)?;
            let values = values.iter().zip(parameters());
            scaled.extend(values.map(|(x, (offset, scale))| (x - offset) * scale));
        }
        Ok(vec![Tensor::from_vec(tensor.shape(), scaled)?])
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the operator gives f32")]
fn narrow(value: f64) -> f32 {
    value as f32
}

/// A list of parameters has one entry, or one a feature.
fn per_feature(tensor: &Tensor, given: usize, scope: &Scope<'_>) -> Result<usize> {
    let (_, columns) = scope.rows(tensor)?;
    if given == 1 || given == columns {
        return Ok(columns);
    }
    Err(scope.invalid(format!("{columns} features, where {given} belong")))
}

/// Divides each row by its norm.
#[derive(Clone, Copy, Debug)]
enum Normalizer {
    Max,
    L1,
    L2,
}

pub(super) fn normalizer(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32, DType::F64, DType::I64, DType::I32])?;
    let norm = match build.text("norm")?.as_deref() {
        None | Some("MAX") => Normalizer::Max,
        Some("L1") => Normalizer::L1,
        Some("L2") => Normalizer::L2,
        Some(other) => return Err(build.invalid(format!("norm {other:?}"))),
    };
    Ok(Lowered::new(norm, [DType::F32]))
}

impl Kernel for Normalizer {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let (_, columns) = scope.rows(tensor)?;
        scope.count(tensor.shape(), DType::F32)?;
        let mut values = as_f32(tensor)?.into_owned();
        for row in values.chunks_exact_mut(columns.max(1)) {
            self.apply(row);
        }
        Ok(vec![Tensor::from_vec(tensor.shape(), values)?])
    }
}

impl Normalizer {
    /// A row whose norm is zero stays as it is.
    fn apply(self, row: &mut [f32]) {
        let norm = match self {
            Self::Max => row.iter().fold(f32::MIN, |most, &x| if x > most { x } else { most }),
            Self::L1 => row.iter().fold(0.0, |sum, x| sum + x.abs()),
            Self::L2 => row.iter().fold(0.0, |sum, x| sum + x * x),
        };
        if norm == 0.0 {
            return;
        }
        for x in row {
            *x = match self {
                Self::Max | Self::L1 => *x / norm,
                // The root of the quotient of squares, as in ONNX Runtime, not x over the root.
                Self::L2 if *x < 0.0 => -(*x * *x / norm).sqrt(),
                Self::L2 => (*x * *x / norm).sqrt(),
            };
        }
    }
}

/// Puts another value in place of the one that says "missing".
#[derive(Debug)]
struct Imputer<T> {
    missing: T,
    /// One a feature, or one for all.
    instead: Vec<T>,
}

pub(super) fn imputer(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let dtype = build.dtype_among(0, &[DType::F32, DType::I64])?;
    let (floats, ints) =
        (build.floats("imputed_value_floats")?, build.ints("imputed_value_int64s")?);
    let float = build.float("replaced_value_float")?.unwrap_or(0.0);
    let int = build.int("replaced_value_int64")?.unwrap_or(0);
    let lowered = match dtype {
        DType::F32 if !floats.is_empty() => {
            Lowered::new(Imputer { missing: float, instead: floats }, [dtype])
        }
        DType::I64 if !ints.is_empty() => {
            Lowered::new(Imputer { missing: int, instead: ints }, [dtype])
        }
        _ => return Err(build.invalid(format!("no value to impute for an input of type {dtype}"))),
    };
    Ok(lowered)
}

impl<T: Element + Copy + PartialEq + std::fmt::Debug + Send + Sync> Kernel for Imputer<T> {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        per_feature(tensor, self.instead.len(), scope)?;
        scope.count(tensor.shape(), T::DTYPE)?;
        // Only NaN differs from itself, and NaN says "missing" as often as not.
        let is_nan = |x: T| x.partial_cmp(&x).is_none();
        let is_missing = |x: T| x == self.missing || is_nan(x) && is_nan(self.missing);
        let values = tensor.as_slice::<T>()?.iter().zip(self.instead.iter().cycle());
        let values = values.map(|(&x, &instead)| if is_missing(x) { instead } else { x });
        Ok(vec![Tensor::from_vec(tensor.shape(), values.collect::<Vec<T>>())?])
    }
}

/// 1 for what is above the threshold, else 0.
#[derive(Debug)]
struct Binarizer {
    threshold: f32,
}

pub(super) fn binarizer(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    build.dtype_among(0, &[DType::F32])?;
    // The specification's default is 0, ONNX Runtime's is 1.
    let threshold = build.float("threshold")?;
    let threshold = threshold.ok_or_else(|| build.unsupported("a threshold left out"))?;
    Ok(Lowered::new(Binarizer { threshold }, [DType::F32]))
}

impl Kernel for Binarizer {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        scope.count(tensor.shape(), DType::F32)?;
        let values = tensor.as_slice::<f32>()?;
        if let Some(at) = values.iter().position(|x| x.is_nan()) {
            return Err(scope.invalid(format!("element {at} is NaN, which is neither 0 nor 1")));
        }
        let values = values.iter().map(|&x| if x > self.threshold { 1.0 } else { 0.0 });
        Ok(vec![Tensor::from_vec(tensor.shape(), values.collect::<Vec<f32>>())?])
    }
}
