//! Operators that pick elements line by line: `TopK` and `GatherElements`.

use super::{
    Build, Inputs, Kernel, Lowered, Scope,
    pieces::{ALL_TYPES, Piece, around, assemble},
    select::indices,
};
use mlops_core::{
    Result,
    tensor::{DType, Element, Tensor},
};
use std::cmp::Ordering;

/// The greatest or least elements along one axis, and where they are.
#[derive(Debug)]
struct TopK {
    axis: i64,
    greatest: bool,
    /// How many, unless that is an input.
    count: Option<i64>,
}

pub(super) fn top_k(build: &mut Build<'_>) -> Result<Lowered> {
    let dtype = build.dtype_among(0, &[DType::F32, DType::F64, DType::I32, DType::I64])?;
    let axis = build.int("axis")?.unwrap_or(-1);
    let mut count = None;
    if build.version < 10 {
        build.arity(1, 1)?;
        count = Some(build.int("k")?.ok_or_else(|| build.invalid("attribute \"k\" is missing"))?);
    } else {
        build.arity(2, 2)?;
        build.dtype_among(1, &[DType::I64])?;
    }
    let greatest = build.flag("largest", true)?;
    // Any order would do if they need not be sorted.
    build.flag("sorted", true)?;
    Ok(Lowered::new(TopK { axis, greatest, count }, [dtype, DType::I64]))
}

impl Kernel for TopK {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let tensor = inputs.at(0)?;
        let axis = scope.axis(self.axis, tensor.shape().len())?;
        let given = inputs.optional(1).map(|count| count.as_slice::<i64>()).transpose()?;
        let ((Some(count), _) | (None, Some(&[count]))) = (self.count, given) else {
            return Err(scope.invalid("K is not one number"));
        };
        let length = tensor.shape()[axis];
        let known = usize::try_from(count).ok().filter(|&count| count <= length);
        let count = known.ok_or_else(|| scope.invalid(format!("{count} of {length} elements")))?;
        match tensor.dtype() {
            DType::F32 => self.along::<f32>(tensor, axis, count, scope),
            DType::F64 => self.along::<f64>(tensor, axis, count, scope),
            DType::I32 => self.along::<i32>(tensor, axis, count, scope),
            _ => self.along::<i64>(tensor, axis, count, scope),
        }
    }
}

impl TopK {
    fn along<T: Element>(
        &self,
        tensor: &Tensor,
        axis: usize,
        count: usize,
        scope: &Scope<'_>,
    ) -> Result<Vec<Tensor>> {
        let (before, length, below) = around(tensor.shape(), axis);
        let mut shape = tensor.shape().to_vec();
        shape[axis] = count;
        let all = scope.count(&shape, T::DTYPE)?.max(scope.count(&shape, DType::I64)?);
        // What is sorted lies beside the outputs.
        let mut order = Vec::with_capacity(scope.count(&[length], DType::I64)?);
        let (mut picked, mut places) = (vec![T::default(); all], vec![0_i64; all]);
        let values = tensor.as_slice::<T>()?;
        for block in 0..before {
            scope.at_row(block)?;
            for inner in 0..below {
                order.clear();
                order.extend(
                    (0_i64..)
                        .zip((0..length).map(|at| values[(block * length + at) * below + inner])),
                );
                self.sort(&mut order, count);
                for (at, &(place, value)) in order.iter().take(count).enumerate() {
                    let to = (block * count + at) * below + inner;
                    (picked[to], places[to]) = (value, place);
                }
            }
        }
        Ok(vec![Tensor::from_vec(&shape[..], picked)?, Tensor::from_vec(&shape[..], places)?])
    }

    /// Puts the wanted elements in front, in order; of equal ones the first comes first.
    fn sort<T: Element>(&self, line: &mut [(i64, T)], count: usize) {
        let order = |a: &(i64, T), b: &(i64, T)| {
            let values = if self.greatest { descending(a.1, b.1) } else { descending(b.1, a.1) };
            values.then(a.0.cmp(&b.0))
        };
        if count == 0 {
            return;
        }
        if count < line.len() {
            line.select_nth_unstable_by(count - 1, order);
        }
        line[..count].sort_unstable_by(order);
    }
}

/// The greater first. NaN is greater than any number, so that this is an order.
fn descending<T: Element>(a: T, b: T) -> Ordering {
    let is_nan = |x: T| x.partial_cmp(&x).is_none();
    b.partial_cmp(&a).unwrap_or_else(|| is_nan(b).cmp(&is_nan(a)))
}

/// For each place of a tensor of places, the element at it along one axis.
#[derive(Debug)]
struct GatherElements(i64);

pub(super) fn gather_elements(build: &mut Build<'_>) -> Result<Lowered> {
    build.arity(2, 2)?;
    let dtype = build.dtype_among(0, ALL_TYPES)?;
    build.dtype_among(1, &[DType::I64, DType::I32])?;
    Ok(Lowered::new(GatherElements(build.int("axis")?.unwrap_or(0)), [dtype]))
}

impl Kernel for GatherElements {
    fn run(&self, inputs: &Inputs<'_>, scope: &Scope<'_>) -> Result<Vec<Tensor>> {
        let (tensor, places) = (inputs.at(0)?, inputs.at(1)?);
        let (own, shape) = (tensor.shape(), places.shape());
        let axis = scope.axis(self.0, own.len())?;
        let within = |at: usize| at == axis || shape[at] <= own[at];
        if own.len() != shape.len() || !(0..own.len()).all(within) {
            return Err(scope.invalid(format!("places of shape {shape:?} in one of {own:?}")));
        }
        let chosen = scope.positions(&indices(places)?, own[axis])?;
        let mut strides = vec![1_usize; own.len()];
        for axis in (1..own.len()).rev() {
            strides[axis - 1] = strides[axis] * own[axis];
        }
        let pieces = chosen.into_iter().enumerate().map(|(mut at, chosen)| {
            let mut place = chosen * strides[axis];
            for (other, &length) in shape.iter().enumerate().rev() {
                if other != axis {
                    place += at % length * strides[other];
                }
                at /= length;
            }
            Piece::of(place, 1)
        });
        Ok(vec![assemble(&[tensor], shape, pieces, scope)?])
    }
}
