//! What is asked of a member, and what members have in common.

use super::EnsembleConfig;
use crate::compose::Arm;
use mlops_core::{
    Error, Result, ResultExt, predictor::PredictRequest, signature::TensorSpec, tensor::Tensors,
};
use std::sync::Arc;

/// An arm, and what is asked of it.
#[derive(Debug)]
pub(super) struct Member {
    pub(super) arm: Arm,
    inputs: Vec<Arc<str>>,
}

/// What one member gave, and what that counts.
pub(super) struct Given {
    pub(super) at: usize,
    pub(super) weight: f64,
    pub(super) outputs: Tensors,
}

impl Member {
    pub(super) fn new(arm: Arm) -> Self {
        let info = arm.predictor.info();
        let inputs = info.signature.inputs.iter().map(|spec| Arc::clone(&spec.name)).collect();
        Self { arm, inputs }
    }

    /// The specifications of what the rule works on.
    pub(super) fn outputs(&self, config: &EnsembleConfig) -> Result<Vec<TensorSpec>> {
        let signature = &self.arm.predictor.info().signature;
        let Some(names) = &config.outputs else { return Ok(signature.outputs.clone()) };
        let find = |name: &Arc<str>| {
            let arm = &self.arm.name;
            let unknown = || Error::invalid(format!("arm {arm:?} has no output {name:?}"));
            signature.output(name).cloned().ok_or_else(unknown)
        };
        names.iter().map(find).collect()
    }

    pub(super) async fn ask(
        &self,
        at: usize,
        request: &PredictRequest,
        outputs: &[TensorSpec],
    ) -> Result<Given> {
        let Arm { name, weight, .. } = &self.arm;
        let mut inner = request.clone();
        inner.outputs = Some(outputs.iter().map(|spec| Arc::clone(&spec.name)).collect());
        if inner.inputs.len() != self.inputs.len() {
            let own = |some: Tensors, name: &Arc<str>| {
                some.with(Arc::clone(name), request.inputs.require(name)?.clone())
            };
            inner.inputs = self.inputs.iter().try_fold(Tensors::new(), own)?;
        }
        let answered = self.arm.call(inner).await.context(|| format!("arm {name:?}"))?;
        let rows = request.inputs.rows()?;
        for spec in outputs {
            let given = answered.outputs.get(&spec.name);
            let fits = given.is_some_and(|given| spec.check(given).is_ok() && given.rows() == rows);
            if !fits {
                let text = format!("arm {name:?} gave no output {:?} as declared", spec.name);
                return Err(Error::internal(text));
            }
        }
        Ok(Given { at, weight: *weight, outputs: answered.outputs })
    }
}

/// What all members take together; an input of one name is the same for all that take it.
pub(super) fn all_inputs(arms: &[Arm]) -> Result<Vec<TensorSpec>> {
    let mut inputs: Vec<TensorSpec> = Vec::new();
    for arm in arms {
        for spec in &arm.predictor.info().signature.inputs {
            match inputs.iter().find(|other| other.name == spec.name) {
                None => inputs.push(spec.clone()),
                Some(other) if other == spec => {}
                Some(_) => {
                    let (arm, input) = (&arm.name, &spec.name);
                    let text = format!("arm {arm:?} and another disagree on input {input:?}");
                    return Err(Error::invalid(text));
                }
            }
        }
    }
    Ok(inputs)
}

/// The outputs that the rule works on, which are the same for all members.
pub(super) fn common(members: &[Member], config: &EnsembleConfig) -> Result<Vec<TensorSpec>> {
    let mut all = members.iter().map(|member| Ok((&member.arm.name, member.outputs(config)?)));
    let Some(first) = all.next() else { return Ok(Vec::new()) };
    let (first, outputs) = first?;
    for other in all {
        let (other, theirs) = other?;
        if theirs != outputs {
            let text = format!("arms {first:?} and {other:?} disagree on the outputs to combine");
            return Err(Error::invalid(text));
        }
    }
    Ok(outputs)
}
