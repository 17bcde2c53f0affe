//! A chain in the making: what it takes and gives, and whether its steps fit.

use super::{Chain, Flow, Step};
use crate::local::warm_up::made_up;
use mlops_core::{
    Error, Predictor, Result, ResultExt, Transform,
    predictor::PredictorInfo,
    signature::{ModelSignature, TensorSpec},
    tensor::Tensors,
};
use std::sync::Arc;

/// Puts a [`Chain`] together, a step after another.
#[derive(Debug)]
#[must_use]
pub struct ChainBuilder {
    name: Arc<str>,
    version: Arc<str>,
    inputs: Option<Vec<TensorSpec>>,
    outputs: Option<Vec<TensorSpec>>,
    steps: Vec<Step>,
    untried: bool,
}

impl ChainBuilder {
    pub(super) fn new(name: Arc<str>, version: Arc<str>) -> Self {
        Self { name, version, inputs: None, outputs: None, steps: Vec::new(), untried: false }
    }

    /// Says what the chain takes; needed unless its first step is a predictor, whose inputs it
    /// takes then.
    pub fn with_inputs(mut self, inputs: Vec<TensorSpec>) -> Self {
        self.inputs = Some(inputs);
        self
    }

    /// Says what the chain gives; needed unless its last step is a predictor, whose outputs it
    /// gives then.
    pub fn with_outputs(mut self, outputs: Vec<TensorSpec>) -> Self {
        self.outputs = Some(outputs);
        self
    }

    /// Adds a closure: pre- or post-processing. It runs on the request's task, so it is short; it
    /// gives as many rows as it takes, and is tried on none when the chain is built (an inner axis of
    /// any length is as long as its columns, or 1).
    pub fn map(
        mut self,
        name: impl Into<Arc<str>>,
        map: impl Fn(Tensors) -> Result<Tensors> + Send + Sync + 'static,
    ) -> Self {
        self.steps.push(Step::Map { name: name.into(), map: Arc::new(map) });
        self
    }

    /// Adds a transform of rows. It gives what the predictor takes that comes next.
    pub fn transform(mut self, transform: Arc<dyn Transform>) -> Self {
        self.steps.push(Step::Rows { transform, takes: Vec::new(), gives: Vec::new() });
        self
    }

    /// Adds a predictor, which takes its inputs by their names.
    pub fn then(self, predictor: Arc<dyn Predictor>) -> Self {
        self.then_mapped(predictor, std::iter::empty::<(&str, &str)>())
    }

    /// Adds a predictor, some of whose inputs have other names in what flows: `(there, input)`.
    pub fn then_mapped<A: Into<Arc<str>>, B: AsRef<str>>(
        mut self,
        predictor: Arc<dyn Predictor>,
        names: impl IntoIterator<Item = (A, B)>,
    ) -> Self {
        let info = predictor.info();
        let declared = info.signature.inputs.iter().map(|spec| &spec.name);
        let mut inputs: Vec<_> =
            declared.map(|name| (Arc::clone(name), Arc::clone(name))).collect();
        for (from, to) in names {
            match inputs.iter_mut().find(|(_, input)| **input == *to.as_ref()) {
                Some((name, _)) => *name = from.into(),
                // Refused when it is built: the predictor has no such input.
                None => inputs.push((from.into(), to.as_ref().into())),
            }
        }
        let name = Arc::clone(&info.name);
        self.steps.push(Step::Predict { name, predictor, inputs });
        self
    }

    /// Leaves out the trial on no rows, for closures that cannot bear it; then names, types and
    /// shapes show only when requests come. What the chain takes and gives is checked all the same.
    pub fn without_trial(mut self) -> Self {
        self.untried = true;
        self
    }

    /// Checks that the steps fit together. `InvalidInput` names the step that does not.
    pub fn build(self) -> Result<Chain> {
        let name = Arc::clone(&self.name);
        self.checked().context(|| format!("chain {name:?}"))
    }

    fn checked(mut self) -> Result<Chain> {
        if !self.steps.iter().any(|step| step.predictor().is_some()) {
            return Err(Error::invalid("a chain needs a predictor"));
        }
        let inputs = self.inputs.take().map_or_else(|| self.first_inputs(), Ok)?;
        let outputs = self.outputs.take().map_or_else(|| self.last_outputs(), Ok)?;
        let signature = ModelSignature::new(inputs, outputs)?;
        self.name_columns(&signature)?;
        if !self.untried {
            self.try_on_no_rows(&signature)?;
        }
        Ok(Chain::new(PredictorInfo::new(self.name, self.version, signature), self.steps))
    }

    /// What the first predictor takes, under the names that flow.
    fn first_inputs(&self) -> Result<Vec<TensorSpec>> {
        let Some(Step::Predict { predictor, inputs, .. }) = self.steps.first() else {
            let text = "say what the chain takes: its first step is no predictor";
            return Err(Error::invalid(text));
        };
        let info = predictor.info();
        let renamed = |(from, to): &(Arc<str>, Arc<str>)| {
            let unknown = || Error::invalid(format!("model {:?} has no input {to:?}", info.name));
            let mut spec = info.signature.input(to).ok_or_else(unknown)?.clone();
            spec.name = Arc::clone(from);
            Ok(spec)
        };
        inputs.iter().map(renamed).collect()
    }

    fn last_outputs(&self) -> Result<Vec<TensorSpec>> {
        match self.steps.last().and_then(Step::predictor) {
            Some(predictor) => Ok(predictor.info().signature.outputs.clone()),
            None => Err(Error::invalid("say what the chain gives: its last step is no predictor")),
        }
    }

    /// Tells each transform what is around it.
    fn name_columns(&mut self, signature: &ModelSignature) -> Result<()> {
        let mut before = signature.inputs.clone();
        for at in 0..self.steps.len() {
            let after = match self.steps.get(at + 1) {
                Some(Step::Predict { predictor, .. }) => predictor.info().signature.inputs.clone(),
                Some(_) => Vec::new(),
                None => signature.outputs.clone(),
            };
            match &mut self.steps[at] {
                Step::Rows { .. } if after.is_empty() => {
                    return Err(Error::invalid("a transform needs a predictor after it"));
                }
                Step::Rows { takes, gives, .. } => {
                    *takes = std::mem::take(&mut before);
                    *gives = after;
                }
                Step::Predict { predictor, .. } => {
                    before.clone_from(&predictor.info().signature.outputs);
                }
                // Its names are known to it alone.
                Step::Map { .. } => before.clear(),
            }
        }
        Ok(())
    }

    /// No rows at all still show names, types and shapes.
    fn try_on_no_rows(&self, signature: &ModelSignature) -> Result<()> {
        let mut flow = Flow::new(no_rows(&signature.inputs)?);
        for step in &self.steps {
            try_step(step, &mut flow).context(|| format!("step {:?}", step.name()))?;
        }
        let given = flow.into_given();
        for spec in &signature.outputs {
            let missing = || Error::invalid(format!("no step gives output {:?}", spec.name));
            spec.check(given.get(&spec.name).ok_or_else(missing)?)?;
        }
        Ok(())
    }
}

fn try_step(step: &Step, flow: &mut Flow) -> Result<()> {
    let Step::Predict { predictor, inputs, .. } = step else { return step.compute(flow) };
    let info = predictor.info();
    info.signature.check_inputs(&flow.pick(inputs, false)?)?;
    flow.give(no_rows(&info.signature.outputs)?);
    Ok(())
}

fn no_rows(specs: &[TensorSpec]) -> Result<Tensors> {
    made_up(&ModelSignature::new(specs.to_vec(), Vec::new())?, 0)
}
