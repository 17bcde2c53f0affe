//! A loaded perceptron.

use super::{MlpConfig, NAME, Task, error::internal, network::Network, weights::floats};
use crate::engines::{InferOptions, LoadOptions, Session, SessionInfo, Stop};
use candle_core::Device;
use mlops_core::{
    Error, Result,
    signature::TensorSpec,
    tensor::{Tensor, Tensors},
};
use rayon::{ThreadPool, iter::ParallelIterator, slice::ParallelSlice};
use std::{fmt, sync::Arc};

/// Rows that a thread computes before it looks whether it should stop.
const BLOCK_ROWS: usize = 128;
/// Rows that a device computes before somebody looks: enough that what surrounds a product is little beside it.
const DEVICE_BLOCK_ROWS: usize = 8192;

pub(super) struct MlpSession {
    info: SessionInfo,
    input: TensorSpec,
    config: MlpConfig,
    network: Network,
    pool: Arc<ThreadPool>,
    /// Where the network lies.
    device: Device,
    max_working_bytes: u64,
}

impl MlpSession {
    pub(super) fn new(
        config: MlpConfig,
        network: Network,
        (pool, device): (Arc<ThreadPool>, Device),
        options: &LoadOptions,
    ) -> Result<Self> {
        let signature = config.signature()?;
        let no_input = || Error::internal("a perceptron has an input");
        let input = signature.input(&config.input).ok_or_else(no_input)?.clone();
        let numbers: usize = config.layers().iter().map(|(begin, end)| (begin + 1) * end).sum();
        let info = SessionInfo::new(signature, NAME, 4 * numbers as u64);
        let max_working_bytes = options.max_working_bytes;
        Ok(Self { info, input, config, network, pool, device, max_working_bytes })
    }

    /// What a call of so many rows holds at a time: its answers, and on each thread, or on the device, a block
    /// before and after a layer.
    fn check_size(&self, rows: usize) -> Result<()> {
        let (Task::Classes(outputs) | Task::Numbers(outputs)) = self.config.task;
        let at_once = if self.device.is_cpu() {
            self.pool.current_num_threads() * rows.min(BLOCK_ROWS)
        } else {
            rows.min(DEVICE_BLOCK_ROWS)
        };
        let blocks = at_once * self.config.widest();
        let needed = (rows as u64).saturating_mul(outputs as u64 * 3) + 3 * blocks as u64;
        if needed.saturating_mul(4) > self.max_working_bytes {
            return Err(Error::too_large(format!("{rows} rows need more memory than is allowed")));
        }
        Ok(())
    }

    /// Probabilities or numbers of all rows, one row after the other.
    fn compute(&self, x: &[f32], stop: &Stop) -> Result<Vec<f32>> {
        let width = self.config.width;
        let one = |block: &[f32]| stop.check().and_then(|()| self.block(block));
        let blocks: Result<Vec<Vec<f32>>> = if self.device.is_cpu() {
            self.pool.install(|| x.par_chunks(BLOCK_ROWS * width).map(one).collect())
        } else {
            x.chunks(DEVICE_BLOCK_ROWS * width).map(one).collect()
        };
        Ok(blocks?.concat())
    }

    fn block(&self, x: &[f32]) -> Result<Vec<f32>> {
        let shape = (x.len() / self.config.width, self.config.width);
        let outputs = candle_core::Tensor::from_slice(x, shape, &self.device)
            .and_then(|x| {
                let alone = self.device.is_cpu();
                if alone { self.network.row_by_row(&x) } else { self.network.together(&x) }
            })
            .and_then(|out| match self.config.task {
                Task::Classes(_) => candle_nn::ops::softmax_last_dim(&out.contiguous()?),
                Task::Numbers(_) => Ok(out),
            });
        floats(&outputs.map_err(internal("computing a model"))?)
    }

    /// The tensors of the signature, by position.
    fn outputs(&self, rows: usize, values: Vec<f32>) -> Result<Vec<Tensor>> {
        let (Task::Classes(width) | Task::Numbers(width)) = self.config.task;
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid(format!(
                "row {} of input {:?} has numbers so large that the answer is not finite",
                at / width,
                self.input.name
            )));
        }
        let labels = matches!(self.config.task, Task::Classes(_))
            .then(|| Tensor::from_vec([rows], values.chunks(width).map(likeliest).collect()));
        let values = Tensor::from_vec([rows, width], values);
        labels.into_iter().chain([values]).collect()
    }
}

impl Session for MlpSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        let signature = &self.info.signature;
        signature.check_inputs(inputs)?;
        signature.check_outputs(options.outputs.unwrap_or_default())?;
        let x = inputs.require(&self.input.name)?;
        let (rows, x) = (x.rows(), x.as_slice::<f32>()?);
        self.check_size(rows)?;
        check_finite(&self.input, x, self.config.width)?;
        let outputs = self.outputs(rows, self.compute(x, options.stop)?)?;
        let mut all = Tensors::new();
        for (spec, tensor) in signature.outputs.iter().zip(outputs) {
            all.push(Arc::clone(&spec.name), tensor)?;
        }
        let Some(wanted) = options.outputs else { return Ok(all) };
        let pick = |some: Tensors, name: &Arc<str>| {
            some.with(Arc::clone(name), all.require(name)?.clone())
        };
        wanted.iter().try_fold(Tensors::new(), pick)
    }
}

impl fmt::Debug for MlpSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MlpSession({:?})", self.config)
    }
}

/// The position of the first of the largest.
fn likeliest(probabilities: &[f32]) -> i64 {
    let mut best = (0, f32::NEG_INFINITY);
    for (at, probability) in (0..).zip(probabilities) {
        if *probability > best.1 {
            best = (at, *probability);
        }
    }
    best.0
}

/// Names the first row and column whose number is not finite.
pub(super) fn check_finite(spec: &TensorSpec, values: &[f32], width: usize) -> Result<()> {
    let Some(at) = values.iter().position(|value| !value.is_finite()) else { return Ok(()) };
    let (row, column) = (at / width, at % width);
    let column = spec.columns.get(column).map_or(column.to_string(), |name| format!("{name:?}"));
    Err(Error::invalid(format!(
        "row {row}, column {column} of input {:?} is not a finite number; a transform may fill it",
        spec.name
    )))
}
