//! Names of packed columns, from the package that a model came in.

use mlops_core::signature::{ModelSignature, TensorSpec};
use std::sync::Arc;

/// Names the positions of packed inputs and outputs as the package's descriptor does.
///
/// A descriptor may describe the same tensors, or one column for each position of the only input.
pub(super) fn name_columns(own: &mut ModelSignature, described: &ModelSignature) {
    let tensors = own.inputs.iter_mut().map(|spec| (spec, &described.inputs));
    let tensors = tensors.chain(own.outputs.iter_mut().map(|spec| (spec, &described.outputs)));
    for (spec, described) in tensors {
        let same = described.iter().find(|other| other.name == spec.name);
        if let Some(same) = same.filter(|same| fits(spec, same.columns.len())) {
            spec.columns.clone_from(&same.columns);
        }
    }
    if let [only] = &mut own.inputs[..]
        && only.columns.is_empty()
        && fits(only, described.inputs.len())
        && described.inputs.iter().all(|column| column.shape.len() == 1)
    {
        only.columns = described.inputs.iter().map(|column| Arc::clone(&column.name)).collect();
    }
}

fn fits(spec: &TensorSpec, columns: usize) -> bool {
    columns > 0 && spec.shape.len() == 2 && spec.shape[1] == Some(columns)
}
