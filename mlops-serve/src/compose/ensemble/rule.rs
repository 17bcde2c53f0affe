//! How answers become one.

use super::{Given, mean, stack::Stack, vote};
use mlops_core::{
    Predictor, Result, predictor::PredictRequest, signature::TensorSpec, tensor::Tensors,
};
use std::sync::Arc;

/// How answers become one.
#[derive(Debug)]
pub(super) enum Rule {
    /// Of these outputs.
    Mean(Vec<TensorSpec>),
    /// Of this output of probabilities; and the position of the largest.
    SoftVote(TensorSpec),
    /// On this output of labels.
    Vote(TensorSpec),
    Stack(Stack),
}

impl Rule {
    /// What is asked of this member.
    pub(super) fn asks(&self, member: usize) -> &[TensorSpec] {
        match self {
            Self::Mean(specs) => specs,
            Self::SoftVote(spec) | Self::Vote(spec) => std::slice::from_ref(spec),
            Self::Stack(stack) => stack.asks(member),
        }
    }

    /// What the ensemble gives.
    pub(super) fn outputs(&self) -> Vec<TensorSpec> {
        match self {
            Self::Mean(specs) => specs.clone(),
            Self::SoftVote(spec) => vec![spec.clone(), vote::label()],
            Self::Vote(spec) => vec![spec.clone()],
            Self::Stack(stack) => stack.last.info().signature.outputs.clone(),
        }
    }

    pub(super) fn last(&self) -> Option<&Arc<dyn Predictor>> {
        match self {
            Self::Stack(stack) => Some(&stack.last),
            _ => None,
        }
    }

    pub(super) async fn combine(
        &self,
        request: &PredictRequest,
        given: &[Given],
    ) -> Result<Tensors> {
        match self {
            Self::Mean(specs) => mean::combine(specs, given),
            Self::SoftVote(spec) => vote::soft(spec, given),
            Self::Vote(spec) => vote::hard(spec, given),
            Self::Stack(stack) => stack.combine(request, given).await,
        }
    }
}
