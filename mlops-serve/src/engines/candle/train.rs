//! Training a perceptron.

use super::{
    CandleDevice, MlpConfig, NAME, Task, error::internal, network::Network, random::SplitMix64,
    session::check_finite, thread_pool, weights,
};
use crate::engines::Stop;
use candle_core::{Device, Tensor as Candle};
use candle_nn::optim::{AdamW, Optimizer, ParamsAdamW};
use mlops_core::{Error, Result, ResultExt, model::PackageBuilder, tensor::Tensor};

const CONFIG_FILE: &str = "config.json";
const WEIGHTS_FILE: &str = "model.safetensors";

/// How a perceptron is trained.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TrainOptions {
    /// Names the first weights and the order of rows.
    pub seed: u64,
    /// How often every row is seen; at least 1.
    pub epochs: usize,
    /// Rows in one step; at least 1.
    pub batch_rows: usize,
    /// The first step's learning rate; it falls to 0 along half a cosine.
    pub learning_rate: f64,
    /// The share of each weight that a step at learning rate 1 would take away.
    pub weight_decay: f64,
    /// How many threads compute; at least 1.
    pub threads: usize,
    /// Where it is computed.
    pub device: CandleDevice,
}

impl Default for TrainOptions {
    /// Seed 0, 10 epochs in steps of 256 rows from a learning rate of 0.003, a decay of 0.01, as
    /// many threads as the machine runs at once, on the processor.
    fn default() -> Self {
        Self {
            seed: 0,
            epochs: 10,
            batch_rows: 256,
            learning_rate: 0.003,
            weight_decay: 0.01,
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            device: CandleDevice::Cpu,
        }
    }
}

impl TrainOptions {
    /// As [`TrainOptions::default`].
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets what names the first weights and the order of rows.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how often every row is seen; at least 1.
    #[must_use]
    pub fn with_epochs(mut self, epochs: usize) -> Self {
        self.epochs = epochs.max(1);
        self
    }

    /// Sets the rows in one step; at least 1.
    #[must_use]
    pub fn with_batch_rows(mut self, rows: usize) -> Self {
        self.batch_rows = rows.max(1);
        self
    }

    /// Sets the first step's learning rate.
    #[must_use]
    pub fn with_learning_rate(mut self, rate: f64) -> Self {
        self.learning_rate = rate;
        self
    }

    /// Sets the share of each weight that a step at learning rate 1 would take away.
    #[must_use]
    pub fn with_weight_decay(mut self, decay: f64) -> Self {
        self.weight_decay = decay;
        self
    }

    /// Sets how many threads compute; at least 1.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Sets where it is computed.
    #[must_use]
    pub fn with_device(mut self, device: CandleDevice) -> Self {
        self.device = device;
        self
    }
}

/// A perceptron that has learned.
#[derive(Clone, Debug)]
pub struct TrainedMlp {
    config: MlpConfig,
    weights: Vec<u8>,
    losses: Vec<f64>,
}

impl TrainedMlp {
    /// Its shape.
    pub fn config(&self) -> &MlpConfig {
        &self.config
    }

    /// Its weights in safetensors.
    pub fn weights(&self) -> &[u8] {
        &self.weights
    }

    /// The mean loss over each epoch, as the weights went along: cross-entropy in nats for classes,
    /// squared error for numbers.
    pub fn losses(&self) -> &[f64] {
        &self.losses
    }

    /// A package that [`CandleEngine`](super::CandleEngine) loads.
    ///
    /// With a transform beside it (`transform.json`), the host overrides the signature by one whose
    /// inputs are the raw columns.
    pub fn package(&self) -> Result<PackageBuilder> {
        let flavor = serde_json::json!({"config": CONFIG_FILE, "weights": WEIGHTS_FILE});
        PackageBuilder::new()
            .with_flavor(NAME, flavor)?
            .with_signature(&self.config.signature()?)
            .with_file(CONFIG_FILE, self.config.to_json()?)?
            .with_file(WEIGHTS_FILE, self.weights.clone())
    }
}

/// Trains a perceptron of this shape on rows `x: float32[rows, width]` and their truth `y`: for
/// classes `int64[rows]` from 0 on, for numbers `float32[rows, numbers]` (or `[rows]` if it is one).
///
/// ```
/// use mlops_core::tensor::{Tensor, Tensors};
/// use mlops_serve::{Engine, InferOptions, LoadOptions, Stop};
/// use mlops_serve::engines::candle::{CandleEngine, MlpConfig, Task, TrainOptions, train};
///
/// // What no line can tell apart: exactly one of two is set.
/// let x = Tensor::from_vec([4, 2], vec![0_f32, 0.0, 0.0, 1.0, 1.0, 0.0, 1.0, 1.0])?;
/// let y = Tensor::from_vec([4], vec![0_i64, 1, 1, 0])?;
/// let config = MlpConfig::new(2, Task::Classes(2)).with_hidden([16]);
/// let options = TrainOptions::new().with_epochs(200).with_learning_rate(0.05);
/// let stop = Stop::new();
/// let model = train(&config, &x, &y, &options, &stop)?;
///
/// # let folder = std::env::temp_dir().join(format!("mlops-doc-{}", std::process::id()));
/// let package = model.package()?.write(&folder)?;
/// let session = CandleEngine::new().load(&package, &LoadOptions::default())?;
/// let outputs = session.run(&Tensors::one("x", x), &InferOptions::new(&stop))?;
/// assert_eq!(outputs.require("label")?.as_slice::<i64>()?, [0, 1, 1, 0]);
/// # let _ = std::fs::remove_dir_all(folder);
/// # Ok::<(), mlops_core::Error>(())
/// ```
///
/// By `AdamW` (Loshchilov, Hutter: Decoupled Weight Decay Regularization, 2019). Computes for long:
/// asynchronous code calls it where blocking is allowed.
///
/// # Behavior
/// - the same rows, shape, options and processor give the same bits, whatever `threads` is; another device may
///   add in another order each time
/// - a device that this build or machine lacks is `Unsupported` or `Unavailable`, and named
/// - a wrong type or shape, a number that is not finite and a class that is not there are
///   `InvalidInput`, and so is a loss that grows beyond all bounds
/// - `Cancelled` soon after `stop` was told to stop
pub fn train(
    config: &MlpConfig,
    x: &Tensor,
    y: &Tensor,
    options: &TrainOptions,
    stop: &Stop,
) -> Result<TrainedMlp> {
    let within = || "training a perceptron";
    let device = options.device.open().context(within)?;
    let rows = Rows::new(config, x, y, &device).context(within)?;
    let pool = thread_pool(options.threads)?;
    let (network, losses) = pool.install(|| learn(config, &rows, options, stop))?;
    Ok(TrainedMlp { config: config.clone(), weights: weights::write(&network)?, losses })
}

/// What is learned from, checked.
struct Rows {
    x: Candle,
    y: Candle,
    count: u32,
}

impl Rows {
    fn new(config: &MlpConfig, x: &Tensor, y: &Tensor, device: &Device) -> Result<Self> {
        let signature = config.signature()?;
        let spec = signature.inputs.first();
        let spec = spec.ok_or_else(|| Error::internal("a perceptron has an input"))?;
        spec.check(x)?;
        let (rows, values) = (x.rows(), x.as_slice::<f32>()?);
        check_finite(spec, values, config.width)?;
        if rows == 0 || y.rows() != rows {
            let truth = y.rows();
            return Err(Error::invalid(format!(
                "{rows} rows cannot be learned from {truth} truths"
            )));
        }
        let count = u32::try_from(rows).map_err(|_| Error::too_large("more than 2^32 rows"))?;
        let failed = internal("reading the rows");
        let x = Candle::from_slice(values, (rows, config.width), device).map_err(&failed)?;
        let y = match config.task {
            Task::Classes(classes) => Candle::from_slice(labels(y, classes)?, rows, device),
            Task::Numbers(numbers) => {
                Candle::from_slice(targets(y, rows, numbers)?, (rows, numbers), device)
            }
        };
        Ok(Self { x, y: y.map_err(&failed)?, count })
    }

    fn select(&self, rows: &[u32]) -> candle_core::Result<(Candle, Candle)> {
        let rows = Candle::from_slice(rows, rows.len(), self.x.device())?;
        Ok((self.x.index_select(&rows, 0)?, self.y.index_select(&rows, 0)?))
    }
}

fn labels(y: &Tensor, classes: usize) -> Result<&[i64]> {
    no_nulls(y)?;
    let labels = y.as_slice::<i64>()?;
    let known = |label: &i64| usize::try_from(*label).is_ok_and(|label| label < classes);
    if labels.len() != y.rows() {
        return Err(Error::invalid(format!("labels have shape {:?}, not one a row", y.shape())));
    }
    match labels.iter().position(|label| !known(label)) {
        Some(row) => Err(Error::invalid(format!("the label of row {row} is none of {classes}"))),
        None => Ok(labels),
    }
}

fn targets(y: &Tensor, rows: usize, numbers: usize) -> Result<&[f32]> {
    no_nulls(y)?;
    let targets = y.as_slice::<f32>()?;
    if targets.len() != rows * numbers {
        return Err(Error::invalid(format!(
            "truths have shape {:?}, not [{rows}, {numbers}]",
            y.shape()
        )));
    }
    match targets.iter().position(|target| !target.is_finite()) {
        Some(at) => Err(Error::invalid(format!("the truth of row {} is not finite", at / numbers))),
        None => Ok(targets),
    }
}

fn no_nulls(y: &Tensor) -> Result<()> {
    match y.nulls() {
        Some(_) => Err(Error::invalid("the truth of some rows is null")),
        None => Ok(()),
    }
}

/// The weights, and the mean loss of each epoch.
fn learn(
    config: &MlpConfig,
    rows: &Rows,
    options: &TrainOptions,
    stop: &Stop,
) -> Result<(Network, Vec<f64>)> {
    let mut random = SplitMix64::new(options.seed);
    let failed = internal("training");
    let (network, variables) =
        Network::random(config, &mut random, rows.x.device()).map_err(&failed)?;
    let params = ParamsAdamW {
        lr: options.learning_rate,
        weight_decay: options.weight_decay,
        ..ParamsAdamW::default()
    };
    let mut optimizer = AdamW::new(variables, params).map_err(&failed)?;
    let batch = options.batch_rows.max(1);
    let steps = options.epochs.max(1) * (rows.count as usize).div_ceil(batch);
    let (mut order, mut losses) = ((0..rows.count).collect::<Vec<_>>(), Vec::new());
    let mut done = 0;
    for epoch in 0..options.epochs.max(1) {
        random.shuffle(&mut order);
        let mut total = 0.0;
        for rows_of_step in order.chunks(batch) {
            stop.check()?;
            optimizer.set_learning_rate(options.learning_rate * remaining(done, steps));
            let loss = one_step(config, &network, &mut optimizer, rows.select(rows_of_step));
            total += loss.map_err(&failed)? * count(rows_of_step.len());
            done += 1;
        }
        let loss = total / f64::from(rows.count);
        if !loss.is_finite() {
            return Err(Error::invalid(format!(
                "training grew beyond all bounds in epoch {}: try a learning rate below {}",
                epoch + 1,
                options.learning_rate
            )));
        }
        losses.push(loss);
    }
    Ok((network, losses))
}

/// Learns from some rows and gives the mean loss that they had before.
fn one_step(
    config: &MlpConfig,
    network: &Network,
    optimizer: &mut AdamW,
    rows: candle_core::Result<(Candle, Candle)>,
) -> candle_core::Result<f64> {
    let (x, y) = rows?;
    let out = network.together(&x)?;
    let loss = match config.task {
        Task::Classes(_) => candle_nn::loss::cross_entropy(&out, &y)?,
        Task::Numbers(_) => candle_nn::loss::mse(&out, &y)?,
    };
    optimizer.backward_step(&loss)?;
    loss.to_scalar::<f32>().map(f64::from)
}

/// The share of the learning rate at a step: half a cosine.
fn remaining(step: usize, steps: usize) -> f64 {
    0.5 * (1.0 + (std::f64::consts::PI * count(step) / count(steps)).cos())
}

#[expect(clippy::cast_precision_loss, reason = "counts of steps are far below 2^52")]
fn count(count: usize) -> f64 {
    count as f64
}
