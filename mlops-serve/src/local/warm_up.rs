//! Runs a model on made-up rows: to touch what it will need, and to see how long it takes.

use super::{Compute, LocalConfig};
use crate::engines::Stop;
use mlops_core::{
    Error, ErrorKind, Result,
    arrow::buffer::Buffer,
    signature::{ModelSignature, TensorSpec},
    tensor::{Tensor, Tensors},
};
use std::sync::Arc;

/// The most rows, up to the configured bound, that take less than the limit; 0 if one row does not.
pub(super) fn inline_rows(compute: &Arc<Compute>, config: &LocalConfig) -> Result<usize> {
    if config.warm_up_rows == 0 || config.inline_limit.is_zero() {
        return Ok(0);
    }
    let (compute, config) = (Arc::clone(compute), config.clone());
    // On a thread of its own: a model is never run on the host's before it is known to be short.
    let warming = std::thread::Builder::new()
        .name("mlops-warm-up".to_owned())
        .spawn(move || measure(&compute, &config))
        .map_err(|source| Error::io("a thread to warm a model up", source))?;
    let measured = warming.join();
    match measured.unwrap_or_else(|_| Err(Error::internal("the warm-up panicked"))) {
        // Zeros and empty texts need not be inputs that the model takes.
        Err(error) if error.kind() == ErrorKind::InvalidInput => Ok(0),
        other => other,
    }
}

fn measure(compute: &Compute, config: &LocalConfig) -> Result<usize> {
    let signature = &compute.session.info().signature;
    let stop = Stop::new();
    // The first call touches what later ones find ready.
    compute.run(&made_up(signature, 1)?, None, &stop)?;
    if signature.inputs.iter().any(has_free_inner_axis) {
        return Ok(0);
    }
    let mut inline = 0;
    while inline < config.warm_up_rows {
        let rows = (2 * inline).clamp(1, config.warm_up_rows);
        let inputs = made_up(signature, rows)?;
        if compute.time(&inputs, &stop, config.inline_limit)? > config.inline_limit {
            break;
        }
        inline = rows;
    }
    Ok(inline)
}

/// Whether a row may be of any size: then rows say nothing of the time that they take.
fn has_free_inner_axis(spec: &TensorSpec) -> bool {
    spec.shape.iter().skip(1).any(Option::is_none) && spec.columns.is_empty()
}

/// Rows of more elements are not made up: they would not be short, and a model may ask for any size.
const MOST_ELEMENTS: usize = 1 << 22;

/// Rows of zeros and empty texts.
pub(crate) fn made_up(signature: &ModelSignature, rows: usize) -> Result<Tensors> {
    let mut inputs = Tensors::new();
    for spec in &signature.inputs {
        inputs.push(Arc::clone(&spec.name), zeros(spec, rows)?)?;
    }
    Ok(inputs)
}

fn zeros(spec: &TensorSpec, rows: usize) -> Result<Tensor> {
    let inner = |axis: &Option<usize>| axis.unwrap_or(spec.columns.len().max(1));
    let first = spec.shape.first().map(|axis| axis.unwrap_or(rows));
    let shape: Vec<usize> = first.into_iter().chain(spec.shape.iter().skip(1).map(inner)).collect();
    // Of this kind so that the warm-up forgives it: such a model never runs inline.
    let too_large = || Error::invalid(format!("input {:?} has too many elements", spec.name));
    let count = shape.iter().try_fold(1_usize, |count, &axis| count.checked_mul(axis));
    let count = count.filter(|&count| count <= MOST_ELEMENTS).ok_or_else(too_large)?;
    match spec.dtype.size() {
        Some(size) => {
            let bytes = count.checked_mul(size).ok_or_else(too_large)?;
            Tensor::from_buffer(spec.dtype, shape, Buffer::from(vec![0_u8; bytes]))
        }
        None if spec.dtype == mlops_core::tensor::DType::Utf8 => {
            Tensor::from_strs(shape, &vec![""; count])
        }
        None => Tensor::from_byte_strings(shape, &vec![""; count]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::{ErrorKind, tensor::DType};

    #[test]
    fn a_model_that_asks_for_any_size_is_not_given_it() {
        for dtype in [DType::F32, DType::Utf8, DType::Bytes] {
            let huge = TensorSpec::new("x", dtype, [None, Some(1 << 40)]);
            assert_eq!(zeros(&huge, 1).unwrap_err().kind(), ErrorKind::InvalidInput);
        }
    }
}
