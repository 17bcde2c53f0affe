//! Boosted trees as the libraries that train them save them: the sum of what the trees say, and the function
//! that the objective puts over it.

mod lightgbm;
mod link;

use super::{
    forest::{BLOCK, Forest, Real, Rows},
    ops::nominal_bytes,
};
use crate::engines::Stop;
use link::Link;
use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::{Element, Tensor, Tensors},
};
use std::sync::Arc;

/// The only input: one row of features each.
const INPUT: &str = "features";
/// The only output.
const OUTPUT: &str = "prediction";

/// A model in the number type that its library computes in.
#[derive(Debug)]
pub(super) enum Boosted {
    F64(Ensemble<f64>),
}

/// A model as it was read, and what it says of itself.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) model: Boosted,
    /// The names of its features.
    features: Vec<Arc<str>>,
}

/// Reads a model, if the bytes begin as one in a format that is known here does.
pub(super) fn read(bytes: &[u8]) -> Option<Result<Loaded>> {
    lightgbm::begins(bytes).then(|| lightgbm::read(bytes))
}

impl Loaded {
    /// One input and one output. The last axis of the output is there if the model gives several numbers.
    pub(super) fn signature(&self) -> Result<ModelSignature> {
        let Boosted::F64(model) = &self.model;
        let columns = self.features.len();
        let mut input = TensorSpec::new(INPUT, f64::DTYPE, [None, Some(columns)]);
        input.columns.clone_from(&self.features);
        let shape = if model.outputs == 1 { vec![None] } else { vec![None, Some(model.outputs)] };
        ModelSignature::new(vec![input], vec![TensorSpec::new(OUTPUT, f64::DTYPE, shape)])
    }
}

impl Boosted {
    pub(super) fn weights_bytes(&self) -> u64 {
        let Self::F64(model) = self;
        model.forest.bytes() as u64
    }

    /// The prediction for each row, unless it is not among what is wanted. Inputs were checked.
    pub(super) fn run(
        &self,
        inputs: &Tensors,
        wanted: Option<&[Arc<str>]>,
        stop: &Stop,
        most_bytes: u64,
    ) -> Result<Tensors> {
        if wanted.is_some_and(<[_]>::is_empty) {
            return Ok(Tensors::new());
        }
        let Self::F64(model) = self;
        Ok(Tensors::one(OUTPUT, model.run(inputs.require(INPUT)?, stop, most_bytes)?))
    }
}

/// A forest and what becomes of its sums.
#[derive(Debug)]
pub(super) struct Ensemble<S> {
    forest: Forest<S>,
    /// How many numbers it gives a row.
    outputs: usize,
    /// What each sum is divided by.
    divisor: S,
    link: Link,
}

impl<S: Real + Element> Ensemble<S> {
    fn run(&self, tensor: &Tensor, stop: &Stop, most_bytes: u64) -> Result<Tensor> {
        let (Some(&count), Some(&columns)) = (tensor.shape().first(), tensor.shape().get(1)) else {
            return Err(Error::internal("the shape of an input was not checked"));
        };
        let shape = if self.outputs == 1 { vec![count] } else { vec![count, self.outputs] };
        if nominal_bytes(&shape, S::DTYPE).is_none_or(|bytes| bytes > most_bytes) {
            return Err(Error::too_large(format!(
                "{count} rows need more memory than a call may use"
            )));
        }
        let mut scores = vec![S::default(); count * self.outputs];
        let all = Rows { values: tensor.as_slice::<S>()?, columns, count };
        for ((_, rows), scores) in all.blocks().zip(scores.chunks_mut(BLOCK * self.outputs)) {
            stop.check()?;
            self.forest.visit(rows, |row, leaf| {
                for weight in leaf {
                    scores[row * self.outputs + weight.target as usize] += weight.value;
                }
            });
            for scores in scores.chunks_exact_mut(self.outputs) {
                for score in &mut *scores {
                    *score = *score / self.divisor;
                }
                self.link.apply(scores);
            }
        }
        Tensor::from_vec(shape, scores)
    }
}
