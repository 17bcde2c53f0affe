//! Classes that are voted on.

use super::{Given, mean};
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

/// The winner of a soft vote: a position.
pub(super) fn label() -> TensorSpec {
    TensorSpec::column("label", DType::I64)
}

/// The one output of a soft vote.
pub(super) fn probabilities(specs: &[TensorSpec]) -> Result<TensorSpec> {
    let spec = only(specs)?;
    mean::outputs(std::slice::from_ref(spec))?;
    if spec.shape.len() != 2 || spec.name.as_ref() == "label" {
        let text = format!("{spec} is no output of probabilities, a class a position");
        return Err(Error::invalid(text));
    }
    Ok(spec.clone())
}

/// The one output of a hard vote.
pub(super) fn labels(specs: &[TensorSpec]) -> Result<TensorSpec> {
    let spec = only(specs)?;
    if spec.dtype.is_float() || spec.nullable || spec.shape.len() != 1 {
        return Err(Error::invalid(format!("{spec} is no output of labels, one a row")));
    }
    Ok(spec.clone())
}

fn only(specs: &[TensorSpec]) -> Result<&TensorSpec> {
    match specs {
        [spec] => Ok(spec),
        _ => Err(Error::invalid(format!("a vote is on one output, not {}: name it", specs.len()))),
    }
}

/// Mean probabilities, and the position of the largest of each row.
pub(super) fn soft(spec: &TensorSpec, given: &[Given]) -> Result<Tensors> {
    let mean = mean::weighted(spec, given)?;
    let (rows, classes) = (mean.rows(), mean.row_len());
    let labels = if mean.dtype() == DType::F64 {
        largest(mean.as_slice::<f64>()?, rows, classes)
    } else {
        largest(mean.as_slice::<f32>()?, rows, classes)
    };
    Tensors::one(Arc::clone(&spec.name), mean).with("label", Tensor::from_vec([rows], labels)?)
}

fn largest<T: PartialOrd + Copy>(values: &[T], rows: usize, classes: usize) -> Vec<i64> {
    let row = |row: usize| {
        let mut best: Option<(i64, T)> = None;
        for (at, value) in (0..).zip(&values[row * classes..(row + 1) * classes]) {
            // A NaN is not even equal to itself.
            let is_number = value.partial_cmp(value).is_some();
            if is_number && best.is_none_or(|(_, largest)| *value > largest) {
                best = Some((at, *value));
            }
        }
        best.map_or(-1, |(at, _)| at)
    };
    (0..rows).map(row).collect()
}

/// The label of each row that has the largest sum of weights.
pub(super) fn hard(spec: &TensorSpec, given: &[Given]) -> Result<Tensors> {
    let votes: Vec<Vec<&[u8]>> =
        mean::tensors(spec, given)?.into_iter().map(items).collect::<Result<_>>()?;
    let rows = votes.first().map_or(0, Vec::len);
    let weights: Vec<f64> = given.iter().map(|given| given.weight).collect();
    let winners: Vec<&[u8]> = (0..rows)
        .map(|row| {
            let of_row: Vec<&[u8]> = votes.iter().map(|votes| votes[row]).collect();
            winner(&of_row, &weights)
        })
        .collect();
    Ok(Tensors::one(Arc::clone(&spec.name), tensor(spec.dtype, &winners)?))
}

/// Each element as its bytes: equal labels are equal bytes.
fn items(tensor: &Tensor) -> Result<Vec<&[u8]>> {
    match (tensor.as_bytes(), tensor.dtype().size()) {
        (Some(bytes), Some(size)) => Ok(bytes.chunks_exact(size).collect()),
        _ => Ok(tensor.byte_strings()?.collect()),
    }
}

/// Members are few: looking through them is quicker than a map.
fn winner<'a>(votes: &[&'a [u8]], weights: &[f64]) -> &'a [u8] {
    let sum_for = |label: &[u8]| -> f64 {
        let own = votes.iter().zip(weights).filter(|(vote, _)| **vote == label);
        own.map(|(_, weight)| weight).sum()
    };
    let mut best: (&[u8], f64) = (&[], f64::NEG_INFINITY);
    for vote in votes {
        let sum = sum_for(vote);
        if sum > best.1 {
            best = (vote, sum);
        }
    }
    best.0
}

fn tensor(dtype: DType, items: &[&[u8]]) -> Result<Tensor> {
    let rows = [items.len()];
    if dtype.size().is_some() {
        return Tensor::from_buffer(dtype, rows, Buffer::from(items.concat()));
    }
    if dtype == DType::Bytes {
        return Tensor::from_byte_strings(rows, items);
    }
    let texts = items.iter().map(|item| std::str::from_utf8(item));
    let texts: Vec<&str> = texts
        .collect::<Result<_, _>>()
        .map_err(|cause| Error::internal("a label is not UTF-8").with_source(cause))?;
    Tensor::from_strs(rows, &texts)
}
