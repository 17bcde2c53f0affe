//! One step of a chain, and what flows from one to the next.

use mlops_core::{Error, Predictor, Result, Transform, signature::TensorSpec, tensor::Tensors};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

pub(super) type Map = dyn Fn(Tensors) -> Result<Tensors> + Send + Sync;

pub(super) enum Step {
    /// Tensors to tensors.
    Map { name: Arc<str>, map: Arc<Map> },
    /// Rows to rows; `takes` names the columns of packed tensors, `gives` packs them again.
    Rows { transform: Arc<dyn Transform>, takes: Vec<TensorSpec>, gives: Vec<TensorSpec> },
    /// A predictor, and where each of its inputs comes from: (its name in what flows, the input).
    Predict { name: Arc<str>, predictor: Arc<dyn Predictor>, inputs: Vec<(Arc<str>, Arc<str>)> },
}

/// What a step can take from.
pub(super) struct Flow {
    own: Tensors,
    /// What the step before gave; `None` before the first, which is given the request's own.
    given: Option<Tensors>,
}

impl Flow {
    pub(super) fn new(own: Tensors) -> Self {
        Self { own, given: None }
    }

    /// What the last step gave.
    pub(super) fn into_given(self) -> Tensors {
        self.given.unwrap_or(self.own)
    }

    /// All that the step before gave.
    fn take(&mut self) -> Tensors {
        self.given.take().unwrap_or_else(|| self.own.clone())
    }

    pub(super) fn give(&mut self, tensors: Tensors) {
        self.given = Some(tensors);
    }

    /// What a predictor takes, under its own names; `InvalidInput` names what does not flow. Nobody takes
    /// anything after the last, for whom all there is need not be copied.
    pub(super) fn pick(
        &mut self,
        inputs: &[(Arc<str>, Arc<str>)],
        is_last: bool,
    ) -> Result<Tensors> {
        let all = self.given.as_mut().unwrap_or(&mut self.own);
        let is_all = all.len() == inputs.len()
            && all.iter().zip(inputs).all(|((name, _), (from, to))| name == from && from == to);
        if is_last && is_all {
            return Ok(std::mem::take(all));
        }
        let mut picked = Tensors::new();
        for (from, to) in inputs {
            let given = self.given.as_ref().and_then(|given| given.get(from));
            let tensor = given.or_else(|| self.own.get(from));
            let missing = || {
                Error::invalid(format!("no step before gives {from:?}, which input {to:?} needs"))
            };
            picked.push(Arc::clone(to), tensor.ok_or_else(missing)?.clone())?;
        }
        Ok(picked)
    }
}

impl Step {
    /// Itself in messages.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Map { name, .. } | Self::Predict { name, .. } => name,
            Self::Rows { .. } => "transform",
        }
    }

    pub(super) fn predictor(&self) -> Option<&Arc<dyn Predictor>> {
        match self {
            Self::Predict { predictor, .. } => Some(predictor),
            _ => None,
        }
    }

    /// Whether it is a predictor that takes just these, under their own names.
    pub(super) fn takes(&self, inputs: &[TensorSpec]) -> bool {
        let Self::Predict { inputs: own, .. } = self else { return false };
        let mut pairs = own.iter().zip(inputs);
        own.len() == inputs.len() && pairs.all(|((from, to), spec)| from == to && *to == spec.name)
    }

    /// What needs no predictor.
    pub(super) fn compute(&self, flow: &mut Flow) -> Result<()> {
        let given = flow.take();
        // What a closure says in its panic may quote an input.
        let computing = catch_unwind(AssertUnwindSafe(|| match self {
            Self::Map { map, .. } => map(given),
            Self::Rows { transform, takes, gives } => {
                Tensors::from_batch(&transform.apply(&given.to_batch(takes)?)?, gives)
            }
            Self::Predict { .. } => Ok(given),
        }));
        let tensors = computing.unwrap_or_else(|_| Err(Error::internal("it panicked")));
        flow.give(tensors?);
        Ok(())
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Map { name, .. } => write!(f, "Map({name})"),
            Self::Rows { transform, .. } => write!(f, "Rows({transform:?})"),
            Self::Predict { predictor, inputs, .. } => {
                write!(f, "Predict({predictor:?} of {inputs:?})")
            }
        }
    }
}
