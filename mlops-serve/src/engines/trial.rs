//! What shapes the outputs of a model have, seen by running it on a few made-up rows.

use mlops_core::{
    Result,
    arrow::buffer::Buffer,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

/// Elements beyond which a model is not tried out.
const MAX_ELEMENTS: usize = 1 << 20;

/// Lengths of axes; `None` takes any.
pub(super) type Axes = Vec<Option<usize>>;

/// The shapes of the outputs of two runs, laid over each other; `None` if there is nothing to run
/// on.
pub(super) fn observed(
    inputs: &[TensorSpec],
    run: impl Fn(&Tensors) -> Result<Tensors>,
) -> Result<Option<Vec<Axes>>> {
    let first = observed_on(inputs, &run, "");
    let texts = inputs.iter().any(|spec| spec.dtype == DType::Utf8);
    // A text that is no number cannot be cast to one, and one that is may be no known category.
    if first.is_err() && texts { observed_on(inputs, &run, "0") } else { first }
}

fn observed_on(
    inputs: &[TensorSpec],
    run: impl Fn(&Tensors) -> Result<Tensors>,
    text: &str,
) -> Result<Option<Vec<Axes>>> {
    let mut runs = Vec::with_capacity(2);
    for rows in [2, 3] {
        let Some(tensors) = made_up(inputs, rows, text)? else { return Ok(None) };
        runs.push(run(&tensors)?);
    }
    let [two, three] = &runs[..] else { return Ok(None) };
    let mut observed = Vec::with_capacity(two.len());
    for ((_, two), (_, three)) in two.iter().zip(three.iter()) {
        if two.shape().len() != three.shape().len() {
            return Ok(None);
        }
        let axes = two.shape().iter().zip(three.shape());
        observed.push(axes.map(|(&two, &three)| (two == three).then_some(two)).collect());
    }
    Ok(Some(observed))
}

/// Zeros, and this text; `None` if an axis other than the first is not known, or for too many.
fn made_up(inputs: &[TensorSpec], rows: usize, text: &str) -> Result<Option<Tensors>> {
    let mut tensors = Tensors::new();
    for spec in inputs {
        let mut shape = Vec::with_capacity(spec.shape.len());
        for (at, axis) in spec.shape.iter().enumerate() {
            match axis {
                Some(length) => shape.push(*length),
                None if at == 0 => shape.push(rows),
                None => return Ok(None),
            }
        }
        let count = shape.iter().try_fold(1_usize, |count, &axis| count.checked_mul(axis));
        let Some(count) = count.filter(|&count| count <= MAX_ELEMENTS) else {
            return Ok(None);
        };
        let tensor = match spec.dtype {
            DType::Utf8 => Tensor::from_strs(shape, &vec![text; count])?,
            dtype => {
                let bytes = vec![0_u8; count * dtype.size().unwrap_or(1)];
                Tensor::from_buffer(dtype, shape, Buffer::from_vec(bytes))?
            }
        };
        tensors.push(Arc::clone(&spec.name), tensor)?;
    }
    Ok(Some(tensors))
}
