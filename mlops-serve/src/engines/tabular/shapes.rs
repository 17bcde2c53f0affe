//! What a model takes and gives: what its file declares, put right by what it really does.

use super::{
    onnx::{Port, PortType},
    plan::{Budget, Output, Plan},
};
use crate::engines::Stop;
use mlops_core::{
    Error, Result,
    arrow::buffer::Buffer,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

/// Elements and bytes beyond which a model is not tried out.
const MAX_TRIAL_ELEMENTS: usize = 1 << 20;
const MAX_TRIAL_BYTES: u64 = 1 << 28;

/// Lengths of axes; `None` takes any.
type Axes = Vec<Option<usize>>;

/// The inputs that the file declares.
pub(super) fn inputs(ports: &[Port]) -> Result<Vec<TensorSpec>> {
    let spec = |port: &Port| match &port.r#type {
        PortType::Tensor(dtype, Some(axes)) => {
            Ok(TensorSpec::new(Arc::clone(&port.name), *dtype, axes.clone()))
        }
        _ => Err(Error::unsupported(format!("input {:?} is no tensor of known shape", port.name))),
    };
    ports.iter().map(spec).collect()
}

/// The whole signature.
///
/// Exporters often declare shapes of outputs that the model does not keep, or none. So the model
/// is run on two rows and on three: an axis as long both times has that length, any other varies.
/// What refuses made-up rows (an encoder that knows their category not, say) keeps what it declares.
pub(super) fn signature(
    inputs: Vec<TensorSpec>,
    ports: &[Port],
    plan: &Plan,
) -> Result<ModelSignature> {
    let observed = match observed(&inputs, plan) {
        // A shape that a kernel does not do is the model's, whatever the rows hold.
        Err(error) if error.kind() == mlops_core::ErrorKind::Unsupported => return Err(error),
        observed => observed.ok().flatten(),
    };
    let mut outputs = Vec::with_capacity(ports.len());
    for (at, (port, output)) in ports.iter().zip(plan.outputs()).enumerate() {
        let declared = declared(port, output)?;
        let seen = observed.as_ref().and_then(|observed| observed.get(at).cloned());
        let axes = seen.or(declared).ok_or_else(|| {
            Error::unsupported(format!("output {:?} has no shape that can be told", port.name))
        })?;
        let mut spec = TensorSpec::new(Arc::clone(&port.name), output.dtype, axes);
        if spec.shape.last() == Some(&Some(output.columns.len())) {
            spec.columns.clone_from(&output.columns);
        }
        outputs.push(spec);
    }
    ModelSignature::new(inputs, outputs)
}

/// The shape that the file declares; a type that is not the one made is `InvalidInput`.
fn declared(port: &Port, output: &Output) -> Result<Option<Axes>> {
    let name = &port.name;
    match &port.r#type {
        PortType::Tensor(dtype, axes) if *dtype == output.dtype => Ok(axes.clone()),
        PortType::Tensor(dtype, _) => {
            let made = output.dtype;
            Err(Error::invalid(format!("output {name:?} is declared as {dtype} and is {made}")))
        }
        PortType::Maps if output.columns.is_empty() => {
            Err(Error::invalid(format!("output {name:?} is declared as maps and is a tensor")))
        }
        PortType::Maps => Ok(Some(vec![None, Some(output.columns.len())])),
        PortType::Unknown => Ok(None),
    }
}

/// The shapes of the outputs of two runs, laid over each other; `None` if there is nothing to run
/// on.
fn observed(inputs: &[TensorSpec], plan: &Plan) -> Result<Option<Vec<Axes>>> {
    let first = observed_on(inputs, plan, "");
    let texts = inputs.iter().any(|spec| spec.dtype == DType::Utf8);
    // A text that is no number cannot be cast to one, and one that is may be no known category.
    if first.is_err() && texts { observed_on(inputs, plan, "0") } else { first }
}

fn observed_on(inputs: &[TensorSpec], plan: &Plan, text: &str) -> Result<Option<Vec<Axes>>> {
    let mut runs = Vec::with_capacity(2);
    for rows in [2, 3] {
        let Some(tensors) = made_up(inputs, rows, text)? else { return Ok(None) };
        runs.push(plan.run(&tensors, None, &Stop::new(), Budget::Together(MAX_TRIAL_BYTES))?);
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
        let Some(count) = count.filter(|&count| count <= MAX_TRIAL_ELEMENTS) else {
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
