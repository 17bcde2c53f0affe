//! Numbers that are averaged.

use super::Given;
use mlops_core::{
    Error, Result,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

/// The outputs, if they can be averaged.
pub(super) fn outputs(specs: &[TensorSpec]) -> Result<Vec<TensorSpec>> {
    if specs.is_empty() {
        return Err(Error::invalid("there is no output to average"));
    }
    for spec in specs {
        if !matches!(spec.dtype, DType::F32 | DType::F64) {
            let (name, dtype) = (&spec.name, spec.dtype);
            let text =
                format!("output {name:?} of type {dtype} has no mean: name outputs of floats");
            return Err(Error::invalid(text));
        }
        if spec.nullable {
            let name = &spec.name;
            return Err(Error::invalid(format!(
                "output {name:?} may be null, and a null has no mean"
            )));
        }
    }
    Ok(specs.to_vec())
}

pub(super) fn combine(specs: &[TensorSpec], given: &[Given]) -> Result<Tensors> {
    let mut means = Tensors::new();
    for spec in specs {
        means.push(Arc::clone(&spec.name), weighted(spec, given)?)?;
    }
    Ok(means)
}

/// Σ wᵢ xᵢ / Σ wᵢ of one output.
pub(super) fn weighted(spec: &TensorSpec, given: &[Given]) -> Result<Tensor> {
    let parts = tensors(spec, given)?;
    let weights: f64 = given.iter().map(|given| given.weight).sum();
    let shape = parts.first().map(|part| part.shape().to_vec()).unwrap_or_default();
    let mut sums = vec![0.0_f64; parts.first().map_or(0, |part| part.len())];
    for (part, given) in parts.iter().zip(given) {
        add(&mut sums, part, given.weight)?;
    }
    let means = sums.into_iter().map(|sum| sum / weights);
    match spec.dtype {
        DType::F64 => Tensor::from_vec(shape, means.collect::<Vec<f64>>()),
        #[expect(clippy::cast_possible_truncation, reason = "rounding to single is documented")]
        _ => Tensor::from_vec(shape, means.map(|mean| mean as f32).collect::<Vec<f32>>()),
    }
}

fn add(sums: &mut [f64], part: &Tensor, weight: f64) -> Result<()> {
    if part.dtype() == DType::F64 {
        let values = part.as_slice::<f64>()?.iter();
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * value);
    } else {
        let values = part.as_slice::<f32>()?.iter();
        sums.iter_mut().zip(values).for_each(|(sum, value)| *sum += weight * f64::from(*value));
    }
    Ok(())
}

/// One output of all members, all of one shape.
pub(super) fn tensors<'a>(spec: &TensorSpec, given: &'a [Given]) -> Result<Vec<&'a Tensor>> {
    let parts: Vec<&Tensor> =
        given.iter().map(|given| given.outputs.require(&spec.name)).collect::<Result<_>>()?;
    if parts.windows(2).any(|pair| pair[0].shape() != pair[1].shape()) {
        let text = format!("members gave output {:?} in different shapes", spec.name);
        return Err(Error::internal(text));
    }
    Ok(parts)
}
