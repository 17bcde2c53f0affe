//! What a model takes and gives: what its file declares, put right by what it really does.

use super::{
    budget::Budget,
    onnx::{Port, PortType},
    plan::{Output, Plan},
};
use crate::engines::{
    Stop,
    trial::{Axes, observed},
};
use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::Tensors,
};
use std::sync::Arc;

/// Bytes beyond which a model is not tried out.
const MAX_TRIAL_BYTES: u64 = 1 << 28;

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
    let run = |tensors: &Tensors| {
        plan.run(tensors, None, &Stop::new(), Budget::Together(MAX_TRIAL_BYTES))
    };
    let observed = match observed(&inputs, run) {
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
