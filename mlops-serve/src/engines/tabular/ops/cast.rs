//! `Cast`, with the conversions of ONNX Runtime on a 64-bit x86 machine where C leaves them open.

use super::{Build, Inputs, Kernel, Lowered, Scope, shape::unchanged};
use crate::engines::tabular::onnx::element_type_of_attribute;
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};
use std::borrow::Cow;

/// Numbers as `f32`, which most operators of classical machine learning compute in.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "the operators are defined on f32"
)]
pub(super) fn as_f32(tensor: &Tensor) -> Result<Cow<'_, [f32]>> {
    Ok(match tensor.dtype() {
        DType::I64 => tensor.as_slice::<i64>()?.iter().map(|&value| value as f32).collect(),
        DType::I32 => tensor.as_slice::<i32>()?.iter().map(|&value| value as f32).collect(),
        DType::F64 => tensor.as_slice::<f64>()?.iter().map(|&value| value as f32).collect(),
        _ => Cow::Borrowed(tensor.as_slice()?),
    })
}

/// To this type.
#[derive(Debug)]
struct Cast(DType);

const SOURCES: &[DType] = &[
    DType::Bool,
    DType::U8,
    DType::I8,
    DType::I32,
    DType::I64,
    DType::F32,
    DType::F64,
    DType::Utf8,
];

const TARGETS: &[DType] =
    &[DType::Bool, DType::I32, DType::I64, DType::F32, DType::F64, DType::Utf8];

pub(super) fn cast(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(1, 1)?;
    let from = build.dtype_among(0, SOURCES)?;
    let code = build.int("to")?.ok_or_else(|| build.invalid("attribute \"to\" is missing"))?;
    // Says what becomes of numbers too large for 8 bits; no such target is supported.
    build.attributes.ignore("saturate");
    build.attributes.ignore("round_mode");
    let to = element_type_of_attribute(code, build.label)?;
    if !TARGETS.contains(&to) || to == DType::Utf8 && matches!(from, DType::F32 | DType::F64) {
        return Err(build.unsupported(format!("a cast from {from} to {to}")));
    }
    if from == to {
        return Ok(unchanged(to));
    }
    Ok(Lowered::new(Cast(to), [to]))
}

impl Kernel for Cast {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        scope.count(tensor.shape(), self.0)?;
        let cast = match tensor.dtype() {
            DType::Bool => {
                let bytes = tensor.as_bytes().unwrap_or_default();
                self.numbers(tensor, bytes, |&byte| Number::Whole(byte.into()))
            }
            DType::U8 => self.elements::<u8>(tensor, |&x| Number::Whole(x.into())),
            DType::I8 => self.elements::<i8>(tensor, |&x| Number::Whole(x.into())),
            DType::I32 => self.elements::<i32>(tensor, |&x| Number::Whole(x.into())),
            DType::I64 => self.elements::<i64>(tensor, |&x| Number::Whole(x)),
            DType::F32 => self.elements::<f32>(tensor, |&x| Number::Real(x.into())),
            DType::F64 => self.elements::<f64>(tensor, |&x| Number::Real(x)),
            _ => self.texts(tensor, scope),
        };
        Ok(vec![cast?])
    }
}

/// Either holds every number of the source types exactly.
#[derive(Clone, Copy)]
enum Number {
    Whole(i64),
    Real(f64),
}

impl Cast {
    fn elements<T: Element>(&self, tensor: &Tensor, number: fn(&T) -> Number) -> Result<Tensor> {
        self.numbers(tensor, tensor.as_slice::<T>()?, number)
    }

    fn numbers<T>(&self, of: &Tensor, values: &[T], number: fn(&T) -> Number) -> Result<Tensor> {
        let (shape, numbers) = (of.shape(), values.iter().map(number));
        match self.0 {
            DType::Bool => {
                let bools: Vec<bool> = numbers.map(Number::is_true).collect();
                Tensor::from_bools(shape, &bools)
            }
            DType::I32 => Tensor::from_vec(shape, numbers.map(Number::i32).collect::<Vec<_>>()),
            DType::I64 => Tensor::from_vec(shape, numbers.map(Number::i64).collect::<Vec<_>>()),
            DType::F32 => Tensor::from_vec(shape, numbers.map(Number::f32).collect::<Vec<_>>()),
            DType::F64 => Tensor::from_vec(shape, numbers.map(Number::f64).collect::<Vec<_>>()),
            _ => {
                let texts: Vec<String> = numbers.map(|x| x.i64().to_string()).collect();
                Tensor::from_strs(shape, &texts)
            }
        }
    }

    /// Texts become the numbers that they say.
    fn texts(&self, tensor: &Tensor, scope: &Scope<'_>) -> Result<Tensor> {
        let texts = tensor.strs()?;
        let mut numbers = Vec::with_capacity(texts.len());
        for (at, text) in texts.into_iter().enumerate() {
            let text = text.trim();
            let whole = || text.parse().ok().map(Number::Whole);
            let real = || text.parse().ok().map(Number::Real);
            let number = if self.0.is_float() { real() } else { whole() };
            numbers
                .push(number.ok_or_else(|| scope.invalid(format!("element {at} is no number")))?);
        }
        self.numbers(tensor, &numbers, |&number| number)
    }
}

#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    reason = "a cast rounds, truncates or wraps by definition"
)]
impl Number {
    /// NaN is not zero, hence true.
    fn is_true(self) -> bool {
        match self {
            Self::Whole(value) => value != 0,
            Self::Real(value) => value != 0.0,
        }
    }

    /// Real numbers are truncated; what does not fit, NaN included, is the least number.
    fn i64(self) -> i64 {
        match self {
            Self::Whole(value) => value,
            Self::Real(value) if value >= -(2_f64.powi(63)) && value < 2_f64.powi(63) => {
                value as i64
            }
            Self::Real(_) => i64::MIN,
        }
    }

    /// As for 64 bits; a whole number that does not fit keeps its low bits.
    fn i32(self) -> i32 {
        match self {
            Self::Whole(value) => value as i32,
            Self::Real(value) => i32::try_from(Self::truncated(value)).unwrap_or(i32::MIN),
        }
    }

    fn truncated(value: f64) -> i64 {
        if value.is_nan() { i64::MIN } else { value as i64 }
    }

    fn f32(self) -> f32 {
        match self {
            Self::Whole(value) => value as f32,
            Self::Real(value) => value as f32,
        }
    }

    fn f64(self) -> f64 {
        match self {
            Self::Whole(value) => value as f64,
            Self::Real(value) => value,
        }
    }
}
