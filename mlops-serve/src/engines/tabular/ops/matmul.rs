//! Products of matrices, added up in the order of the inner axis, in the type of the elements.

use super::{Build, Inputs, Kernel, Lowered, Scope};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};
use std::ops::{Add, Mul};

trait Real: Element + Add<Output = Self> + Mul<Output = Self> {
    fn of(value: f32) -> Self;
}

impl Real for f32 {
    fn of(value: f32) -> Self {
        value
    }
}

impl Real for f64 {
    fn of(value: f32) -> Self {
        value.into()
    }
}

/// A matrix that may be read with its axes changed over.
#[derive(Clone, Copy)]
struct Matrix<'a, T> {
    values: &'a [T],
    rows: usize,
    columns: usize,
    transposed: bool,
}

impl<'a, T: Real> Matrix<'a, T> {
    fn new(values: &'a [T], stored: (usize, usize), transposed: bool) -> Self {
        let (rows, columns) = if transposed { (stored.1, stored.0) } else { stored };
        Self { values, rows, columns, transposed }
    }

    fn at(&self, row: usize, column: usize) -> T {
        self.values
            [if self.transposed { column * self.rows + row } else { row * self.columns + column }]
    }

    /// Rows of `self` times `other`, of equal inner length, appended to `out`.
    fn times(&self, other: &Self, out: &mut Vec<T>, scope: &Scope<'_>) -> Result<()> {
        let mut sums = vec![T::default(); other.columns];
        for row in 0..self.rows {
            scope.at_row(row)?;
            sums.fill(T::default());
            for inner in 0..self.columns {
                let factor = self.at(row, inner);
                if other.transposed {
                    for (column, sum) in sums.iter_mut().enumerate() {
                        *sum = *sum + factor * other.at(inner, column);
                    }
                } else {
                    let line = &other.values[inner * other.columns..(inner + 1) * other.columns];
                    for (sum, &x) in sums.iter_mut().zip(line) {
                        *sum = *sum + factor * x;
                    }
                }
            }
            out.extend_from_slice(&sums);
        }
        Ok(())
    }
}

/// `alpha * A' * B' + beta * C`, where A and B may be transposed and C repeats as needed.
#[derive(Debug)]
struct Gemm {
    alpha: f32,
    beta: f32,
    transposed: [bool; 2],
}

pub(super) fn gemm(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(2, 3)?;
    let dtype = build.dtype_among(0, &[DType::F32, DType::F64])?;
    build.dtype_among(1, &[dtype])?;
    build.optional_dtype(2, dtype)?;
    let (alpha, beta) = (build.float("alpha")?.unwrap_or(1.0), build.float("beta")?.unwrap_or(1.0));
    let transposed = [build.flag("transA", false)?, build.flag("transB", false)?];
    Ok(Lowered::new(Gemm { alpha, beta, transposed }, [dtype]))
}

impl Kernel for Gemm {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let product = match inputs.at(0)?.dtype() {
            DType::F32 => self.of::<f32>(inputs, scope),
            _ => self.of::<f64>(inputs, scope),
        };
        Ok(vec![product?])
    }
}

impl Gemm {
    fn of<T: Real>(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Tensor> {
        let side = |place: usize| {
            let tensor = inputs.at(place)?;
            let &[rows, columns] = tensor.shape() else {
                return Err(scope.invalid(format!("input {place} is no matrix")));
            };
            Ok(Matrix::new(tensor.as_slice::<T>()?, (rows, columns), self.transposed[place]))
        };
        let (left, right) = (side(0)?, side(1)?);
        let shape = [left.rows, right.columns];
        if left.columns != right.rows {
            let (left, right) = (left.columns, right.rows);
            return Err(scope.invalid(format!("inner axes of {left} and {right}")));
        }
        let mut out = Vec::with_capacity(scope.count(&shape, T::DTYPE)?);
        left.times(&right, &mut out, scope)?;
        let (alpha, beta) = (T::of(self.alpha), T::of(self.beta));
        if alpha != T::of(1.0) {
            for x in &mut out {
                *x = *x * alpha;
            }
        }
        if let Some(addend) = inputs.optional(2) {
            let repeat = repeats(addend.shape(), shape, scope)?;
            let addend = addend.as_slice::<T>()?;
            for (at, x) in out.iter_mut().enumerate() {
                let (row, column) = (at / shape[1], at % shape[1]);
                *x = *x + beta * addend[row * repeat[0] + column * repeat[1]];
            }
        }
        Tensor::from_vec(shape, out)
    }
}

/// How far the next row and the next column of C are: 0 where it repeats.
fn repeats(own: &[usize], shape: [usize; 2], scope: &Scope<'_>) -> Result<[usize; 2]> {
    let (rows, columns) = match *own {
        [] => (1, 1),
        [columns] => (1, columns),
        [rows, columns] => (rows, columns),
        _ => return Err(scope.invalid(format!("an addend of shape {own:?}"))),
    };
    if rows != 1 && rows != shape[0] || columns != 1 && columns != shape[1] {
        return Err(scope.invalid(format!("an addend of shape {own:?} to one of {shape:?}")));
    }
    Ok([if rows == 1 { 0 } else { columns }, usize::from(columns != 1)])
}

/// Numpy's product: matrices are the last two axes; those of the left before that are kept.
#[derive(Debug)]
struct MatMul;

pub(super) fn matmul(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(2, 2)?;
    let dtype = build.dtype_among(0, &[DType::F32, DType::F64])?;
    build.dtype_among(1, &[dtype])?;
    Ok(Lowered::new(MatMul, [dtype]))
}

impl Kernel for MatMul {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let product = match inputs.at(0)?.dtype() {
            DType::F32 => product::<f32>(inputs, scope),
            _ => product::<f64>(inputs, scope),
        };
        Ok(vec![product?])
    }
}

fn product<T: Real>(inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Tensor> {
    let (left, right) = (inputs.at(0)?, inputs.at(1)?);
    let Some((&inner, rows)) = left.shape().split_last() else {
        return Err(scope.invalid("the left input has no axes"));
    };
    // A vector on the right is a matrix of one column, which the product does not have.
    let (right_inner, columns) = match *right.shape() {
        [inner] => (inner, None),
        [inner, columns] => (inner, Some(columns)),
        ref other => {
            return Err(scope.unsupported(format!("a right input of {} axes", other.len())));
        }
    };
    if inner != right_inner {
        return Err(scope.invalid(format!("inner axes of {inner} and {right_inner}")));
    }
    let shape: Vec<usize> = rows.iter().copied().chain(columns).collect();
    let mut out = Vec::with_capacity(scope.count(&shape, T::DTYPE)?);
    let rows = rows.iter().product();
    let left = Matrix::new(left.as_slice::<T>()?, (rows, inner), false);
    let right = Matrix::new(right.as_slice::<T>()?, (inner, columns.unwrap_or(1)), false);
    left.times(&right, &mut out, scope)?;
    Tensor::from_vec(shape, out)
}
