//! Boosted trees as the libraries that train them save them: the sum of what the trees say, and the function
//! that the objective puts over it.

mod lightgbm;
mod link;
mod ubjson;
mod xgboost;

use super::{
    forest::{BLOCK, Forest, Real, Rows},
    ops::nominal_bytes,
};
use crate::engines::Stop;
use link::Link;
use mlops_core::{
    Error, Result,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Element, Tensor, Tensors},
};
use std::sync::Arc;

/// The only input: one row of features each.
const INPUT: &str = "features";
/// The only output.
const OUTPUT: &str = "prediction";

/// A model in the number type that its library computes in.
#[derive(Debug)]
pub(super) enum Boosted {
    F32(Ensemble<f32>),
    F64(Ensemble<f64>),
}

/// Asks the model, whichever number type it has.
macro_rules! ask {
    ($boosted:expr, $model:ident => $asked:expr) => {
        match $boosted {
            Boosted::F32($model) => $asked,
            Boosted::F64($model) => $asked,
        }
    };
}

/// A model as it was read, and what it says of itself.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) model: Boosted,
    /// How many features it takes.
    columns: usize,
    /// Their names, or nothing.
    features: Vec<Arc<str>>,
}

/// Reads a model, if the bytes begin as one in a format that is known here does.
pub(super) fn read(bytes: &[u8]) -> Option<Result<Loaded>> {
    if lightgbm::begins(bytes) {
        return Some(lightgbm::read(bytes));
    }
    xgboost::begins(bytes).then(|| xgboost::read(bytes))
}

impl Loaded {
    /// One input and one output. The last axis of the output is there if the model gives several numbers.
    pub(super) fn signature(&self) -> Result<ModelSignature> {
        let dtype = match &self.model {
            Boosted::F32(_) => DType::F32,
            Boosted::F64(_) => DType::F64,
        };
        let mut input = TensorSpec::new(INPUT, dtype, [None, Some(self.columns)]);
        input.columns.clone_from(&self.features);
        let shape = match ask!(&self.model, model => model.outputs()) {
            1 => vec![None],
            several => vec![None, Some(several)],
        };
        ModelSignature::new(vec![input], vec![TensorSpec::new(OUTPUT, dtype, shape)])
    }
}

impl Boosted {
    pub(super) fn weights_bytes(&self) -> u64 {
        ask!(self, model => model.forest.bytes()) as u64
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
        let rows = inputs.require(INPUT)?;
        Ok(Tensors::one(OUTPUT, ask!(self, model => model.run(rows, stop, most_bytes))?))
    }
}

/// A forest and what becomes of its sums.
#[derive(Debug)]
pub(super) struct Ensemble<S> {
    forest: Forest<S>,
    /// How many sums there are of a row.
    sums: usize,
    /// What each begins with.
    base: Vec<S>,
    /// What each is divided by.
    divisor: S,
    link: Link,
}

impl<S: Real + Element> Ensemble<S> {
    /// How many numbers it gives of a row.
    fn outputs(&self) -> usize {
        if self.link == Link::Largest { 1 } else { self.sums }
    }

    fn run(&self, tensor: &Tensor, stop: &Stop, most_bytes: u64) -> Result<Tensor> {
        let (Some(&count), Some(&columns)) = (tensor.shape().first(), tensor.shape().get(1)) else {
            return Err(Error::internal("the shape of an input was not checked"));
        };
        let outputs = self.outputs();
        let shape = if outputs == 1 { vec![count] } else { vec![count, outputs] };
        if nominal_bytes(&shape, S::DTYPE).is_none_or(|bytes| bytes > most_bytes) {
            let text = format!("{count} rows need more memory than a call may use");
            return Err(Error::too_large(text));
        }
        let mut predictions = Vec::with_capacity(count * outputs);
        let mut sums = self.base.repeat(BLOCK.min(count));
        let all = Rows { values: tensor.as_slice::<S>()?, columns, count };
        for (first, rows) in all.blocks() {
            stop.check()?;
            if first > 0 {
                sums.chunks_exact_mut(self.sums).for_each(|sums| sums.copy_from_slice(&self.base));
            }
            self.forest.visit(rows, |row, leaf| {
                for weight in leaf {
                    sums[row * self.sums + weight.target as usize] += weight.value;
                }
            });
            for sums in sums.chunks_exact_mut(self.sums).take(rows.count) {
                for sum in &mut *sums {
                    *sum = *sum / self.divisor;
                }
                predictions.extend_from_slice(self.link.apply(sums));
            }
        }
        Tensor::from_vec(shape, predictions)
    }
}
