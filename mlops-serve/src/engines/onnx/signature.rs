//! What a model takes and gives, as ONNX Runtime tells it.

use super::convert::dtype;
use crate::engines::trial::Axes;
use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
};
use ort::value::{Outlet, TensorElementType, ValueType};

/// More inputs, or outputs, than any model has: looking for one among them takes as long as there are.
const MOST: usize = 4096;

/// The signature that the file declares; an output whose shape it does not declare has no axes here.
pub(super) fn declared(inputs: &[Outlet], outputs: &[Outlet]) -> Result<ModelSignature> {
    let specs = |side: &str, outlets: &[Outlet]| -> Result<Vec<TensorSpec>> {
        if outlets.len() > MOST {
            let count = outlets.len();
            return Err(Error::unsupported(format!("the model has {count} {side}s, over {MOST}")));
        }
        outlets.iter().map(|outlet| spec(side, outlet)).collect()
    };
    let signature = ModelSignature::new(specs("input", inputs)?, specs("output", outputs)?)?;
    check_rows(&signature)?;
    Ok(signature)
}

fn spec(side: &str, outlet: &Outlet) -> Result<TensorSpec> {
    let name = outlet.name();
    let ValueType::Tensor { ty, shape, .. } = outlet.dtype() else {
        return Err(Error::unsupported(not_a_tensor(side, outlet)));
    };
    let no_type = |ty: &TensorElementType| {
        Error::unsupported(format!(
            "{side} {name:?} has elements of type {ty}, which is not known here"
        ))
    };
    let dtype = dtype(*ty).ok_or_else(|| no_type(ty))?;
    let axes: Axes = shape.iter().map(|axis| usize::try_from(*axis).ok()).collect();
    Ok(TensorSpec::new(name, dtype, axes))
}

/// Names what it is, and the way out that there mostly is.
fn not_a_tensor(side: &str, outlet: &Outlet) -> String {
    let name = outlet.name();
    match outlet.dtype() {
        ValueType::Sequence(of) if of.is_map() => format!(
            "{side} {name:?} is a sequence of maps, as `ZipMap` makes them; export the model without: \
             skl2onnx takes `options={{'zipmap': False}}`, onnxmltools `zipmap=False`"
        ),
        other => format!("{side} {name:?} is no tensor but {other}"),
    }
}

/// The first axis of every input is the batch: lengths that can never agree are refused.
fn check_rows(signature: &ModelSignature) -> Result<()> {
    let rows = |spec: &TensorSpec| spec.shape.first().copied().flatten();
    let mut fixed = signature.inputs.iter().filter_map(|spec| Some((&spec.name, rows(spec)?)));
    let Some((first, length)) = fixed.next() else { return Ok(()) };
    match fixed.find(|(_, other)| *other != length) {
        None => Ok(()),
        Some((name, other)) => Err(Error::unsupported(format!(
            "input {first:?} has {length} rows and input {name:?} {other}: the first axis of every input \
             has to be the batch"
        ))),
    }
}

/// Outputs whose declared shape is not what the model did give the shape that it had: exporters declare
/// shapes that a model does not keep, or none.
pub(super) fn corrected(signature: &mut ModelSignature, seen: &[Axes]) {
    for (spec, seen) in signature.outputs.iter_mut().zip(seen) {
        let fits = |(declared, seen): (&Option<usize>, &Option<usize>)| {
            declared.is_none() || declared == seen
        };
        let same_rank = spec.shape.len() == seen.len();
        if !same_rank || !spec.shape.iter().zip(seen).all(fits) {
            spec.shape.clone_from(seen);
        }
    }
}
