//! Operators of two tensors, element by element: arithmetic, comparison, logic; and those of any
//! number of tensors that are folded two by two.

use super::{Build, Inputs, Kernel, Lowered, Scope, broadcast::Broadcast};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};
use std::fmt::Debug;

/// What is computed from two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binary {
    Add,
    Sub,
    Mul,
    Div,
    Pow,
    Min,
    Max,
}

/// What is asked about two elements.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Comparison {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What is asked about two truths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Logic {
    And,
    Or,
}

const NUMBERS: &[DType] = &[DType::F32, DType::F64, DType::I32, DType::I64];

macro_rules! builders {
    ($($name:ident => $kernel:expr, $build:ident;)*) => {
        $(pub(super) fn $name(build: &mut Build<'_>) -> Result<Lowered> {
            $build(build, $kernel)
        })*
    };
}

builders! {
    add => Binary::Add, arithmetic;
    sub => Binary::Sub, arithmetic;
    mul => Binary::Mul, arithmetic;
    div => Binary::Div, arithmetic;
    pow => Binary::Pow, arithmetic;
    min => Binary::Min, fold;
    max => Binary::Max, fold;
    sum => Binary::Add, fold;
    equal => Comparison::Equal, comparison;
    less => Comparison::Less, comparison;
    less_or_equal => Comparison::LessOrEqual, comparison;
    greater => Comparison::Greater, comparison;
    greater_or_equal => Comparison::GreaterOrEqual, comparison;
    and => Logic::And, logic;
    or => Logic::Or, logic;
}

fn arithmetic(build: &mut Build<'_>, binary: Binary) -> Result<Lowered> {
    build.arity(2, 2)?;
    fold(build, binary)
}

fn fold(build: &mut Build<'_>, binary: Binary) -> Result<Lowered> {
    let dtype = build.alike()?;
    let whole = matches!(dtype, DType::I32 | DType::I64);
    if !NUMBERS.contains(&dtype) || whole && binary == Binary::Pow {
        return Err(build.unsupported(format!("an input of type {dtype}")));
    }
    Ok(Lowered::new(binary, [dtype]))
}

impl Kernel for Binary {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let mut folded = inputs.at(0)?.clone();
        for other in inputs.all().skip(1) {
            folded = match folded.dtype() {
                DType::F32 => self.of::<f32>(&folded, other, scope)?,
                DType::F64 => self.of::<f64>(&folded, other, scope)?,
                DType::I32 => self.of::<i32>(&folded, other, scope)?,
                _ => self.of::<i64>(&folded, other, scope)?,
            };
        }
        Ok(vec![folded])
    }
}

impl Binary {
    fn of<T: Number>(self, left: &Tensor, right: &Tensor, scope: &Scope<'_>) -> Result<Tensor> {
        if self == Self::Div && !T::DTYPE.is_float() {
            let zero = right.as_slice::<T>()?.iter().position(|&x| x == T::default());
            if let Some(at) = zero {
                return Err(scope.invalid(format!("a whole number is divided by element {at}, 0")));
            }
        }
        let f = match self {
            Self::Add => T::add,
            Self::Sub => T::sub,
            Self::Mul => T::mul,
            Self::Div => T::div,
            Self::Pow => T::pow,
            Self::Min => T::least,
            Self::Max => T::greatest,
        };
        if right.len() == 1 && right.shape().len() <= left.shape().len() {
            // A single number, which a scale or a bound often is.
            scope.count(left.shape(), T::DTYPE)?;
            let single = right.as_slice::<T>()?[0];
            let values = left.as_slice::<T>()?.iter().map(|&value| f(value, single)).collect();
            return Tensor::from_vec(left.shape(), values);
        }
        let broadcast = Broadcast::new([left, right], scope)?;
        let count = scope.count(&broadcast.shape, T::DTYPE)?;
        let (left, right) = (left.as_slice::<T>()?, right.as_slice::<T>()?);
        let values = broadcast.map(count, |[l, r]| f(left[l], right[r]));
        Tensor::from_vec(broadcast.shape, values)
    }
}

/// Arithmetic of the number types; whole numbers wrap.
trait Number: Element + Copy + Default + PartialOrd {
    fn add(self, other: Self) -> Self;
    fn sub(self, other: Self) -> Self;
    fn mul(self, other: Self) -> Self;
    fn div(self, other: Self) -> Self;
    fn pow(self, other: Self) -> Self;

    /// NaN if either is, as in numpy.
    fn least(self, other: Self) -> Self {
        if self < other || self.partial_cmp(&self).is_none() { self } else { other }
    }

    fn greatest(self, other: Self) -> Self {
        if self > other || self.partial_cmp(&self).is_none() { self } else { other }
    }
}

macro_rules! floats {
    ($($float:ty),*) => {$(
        impl Number for $float {
            fn add(self, other: Self) -> Self {
                self + other
            }
            fn sub(self, other: Self) -> Self {
                self - other
            }
            fn mul(self, other: Self) -> Self {
                self * other
            }
            fn div(self, other: Self) -> Self {
                self / other
            }
            fn pow(self, other: Self) -> Self {
                self.powf(other)
            }
        }
    )*};
}

macro_rules! wholes {
    ($($whole:ty),*) => {$(
        impl Number for $whole {
            fn add(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            fn sub(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            fn mul(self, other: Self) -> Self {
                self.wrapping_mul(other)
            }
            fn div(self, other: Self) -> Self {
                // Zero was refused before.
                self.checked_div(other).unwrap_or(self)
            }
            fn pow(self, _: Self) -> Self {
                // Refused when the kernel was built.
                self
            }
        }
    )*};
}

floats!(f32, f64);
wholes!(i32, i64);

fn comparison(build: &mut Build<'_>, comparison: Comparison) -> Result<Lowered> {
    build.arity(2, 2)?;
    let dtype = build.alike()?;
    let equal = comparison == Comparison::Equal;
    let compared = match dtype {
        DType::Utf8 | DType::Bool => equal,
        _ => NUMBERS.contains(&dtype),
    };
    if !compared {
        return Err(build.unsupported(format!("an input of type {dtype}")));
    }
    Ok(Lowered::new(comparison, [DType::Bool]))
}

impl Kernel for Comparison {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let (left, right) = (inputs.at(0)?, inputs.at(1)?);
        let answer = match left.dtype() {
            DType::F32 => self.of(left.as_slice::<f32>()?, right.as_slice()?, [left, right], scope),
            DType::F64 => self.of(left.as_slice::<f64>()?, right.as_slice()?, [left, right], scope),
            DType::I32 => self.of(left.as_slice::<i32>()?, right.as_slice()?, [left, right], scope),
            DType::I64 => self.of(left.as_slice::<i64>()?, right.as_slice()?, [left, right], scope),
            DType::Bool => self.of(truths(left), truths(right), [left, right], scope),
            _ => self.of(&left.strs()?, &right.strs()?, [left, right], scope),
        };
        Ok(vec![answer?])
    }
}

impl Comparison {
    fn of<T: PartialOrd>(
        self,
        left: &[T],
        right: &[T],
        tensors: [&Tensor; 2],
        scope: &Scope<'_>,
    ) -> Result<Tensor> {
        let holds = match self {
            Self::Equal => T::eq,
            Self::Less => T::lt,
            Self::LessOrEqual => T::le,
            Self::Greater => T::gt,
            Self::GreaterOrEqual => T::ge,
        };
        let broadcast = Broadcast::new(tensors, scope)?;
        let count = scope.count(&broadcast.shape, DType::Bool)?;
        let values = broadcast.map(count, |[l, r]| holds(&left[l], &right[r]));
        Tensor::from_bools(broadcast.shape, &values)
    }
}

fn logic(build: &mut Build<'_>, logic: Logic) -> Result<Lowered> {
    build.arity(2, 2)?;
    if build.alike()? != DType::Bool {
        return Err(build.invalid("an input that is no truth"));
    }
    Ok(Lowered::new(logic, [DType::Bool]))
}

impl Kernel for Logic {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensors = [inputs.at(0)?, inputs.at(1)?];
        let [left, right] = tensors.map(truths);
        let broadcast = Broadcast::new(tensors, scope)?;
        let count = scope.count(&broadcast.shape, DType::Bool)?;
        let values = broadcast.map(count, |[l, r]| match self {
            Self::And => left[l] & right[r] == 1,
            Self::Or => left[l] | right[r] == 1,
        });
        Ok(vec![Tensor::from_bools(broadcast.shape, &values)?])
    }
}

/// Truths, one byte each, 0 or 1.
pub(super) fn truths(tensor: &Tensor) -> &[u8] {
    tensor.as_bytes().unwrap_or_default()
}
