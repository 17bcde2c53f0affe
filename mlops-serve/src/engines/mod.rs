//! What loads a model, and what a loaded model can do.

#[cfg(feature = "candle")]
pub mod candle;
#[cfg(any(feature = "tabular", feature = "onnx"))]
mod columns;
#[cfg(any(feature = "onnx", feature = "candle"))]
mod device;
#[cfg(feature = "onnx")]
pub mod onnx;
#[cfg(feature = "remote")]
pub mod remote;
#[cfg(feature = "tabular")]
pub mod tabular;
#[cfg(any(feature = "tabular", feature = "onnx"))]
mod trial;

use mlops_core::{
    Clock, Error, ErrorKind, Result, model::ModelPackage, signature::ModelSignature,
    tensor::Tensors,
};
use std::{
    fmt::Debug,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

/// Loads models of the kinds that it knows.
pub trait Engine: Debug + Send + Sync {
    /// Its name in configurations and messages.
    fn name(&self) -> &'static str;

    /// Whether the package says that it holds a model of a kind that this engine loads. Cheap: it
    /// reads the descriptor, never the weights.
    fn recognises(&self, package: &ModelPackage) -> bool;

    /// Reads the model into memory, ready to run.
    ///
    /// # Behavior
    /// - what the engine cannot compute is `Unsupported` and named here, never in [`Session::run`]
    /// - bytes that are no such model are `InvalidInput`, whatever they are
    fn load(&self, package: &ModelPackage, options: &LoadOptions) -> Result<Arc<dyn Session>>;
}

/// Every engine that this build has, in the order in which they are asked: an ONNX file goes to
/// `tabular` if it can compute all of it, else to `onnx`.
pub fn compiled_in() -> Vec<Arc<dyn Engine>> {
    vec![
        #[cfg(feature = "tabular")]
        Arc::new(tabular::TabularEngine::new()),
        #[cfg(feature = "onnx")]
        Arc::new(onnx::OnnxEngine::new()),
        #[cfg(feature = "candle")]
        Arc::new(candle::CandleEngine::new()),
    ]
}

/// One loaded model. Computes; any number of threads may call it at once, and wait at most for each
/// other: for nothing if its [`SessionInfo::width`] is `None`.
pub trait Session: Debug + Send + Sync {
    /// What it takes and gives.
    fn info(&self) -> &SessionInfo;

    /// Computes the outputs of these inputs.
    ///
    /// # Behavior
    /// - gives the outputs of the signature in its order, or those asked for in the order asked
    /// - a row gives the same bits alone or among others (but for `onnx`, whose kernels differ by size,
    ///   for `candle` elsewhere than on the processor, for an encoder that is told to fill texts up, and for a
    ///   module of a host's own)
    /// - a missing, unknown, wrongly typed or wrongly shaped input, and an unknown output, are
    ///   `InvalidInput` and named
    /// - `Cancelled` soon after `options.stop` was told to stop, `TimedOut` soon after its deadline
    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors>;
}

/// What a session says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct SessionInfo {
    /// What it takes and gives.
    pub signature: ModelSignature,
    /// The engine that loaded it.
    pub engine: &'static str,
    /// Memory that its weights take, in bytes.
    pub weights_bytes: u64,
    /// How many calls compute at once, where further ones wait; any number if `None`.
    pub width: Option<usize>,
}

impl SessionInfo {
    /// A session of this engine.
    pub fn new(signature: ModelSignature, engine: &'static str, weights_bytes: u64) -> Self {
        Self { signature, engine, weights_bytes, width: None }
    }

    /// Sets how many calls compute at once, where further ones wait.
    #[must_use]
    pub fn with_width(mut self, width: Option<usize>) -> Self {
        self.width = width;
        self
    }
}

/// Bounds on a model: what may be loaded, and what one call may use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadOptions {
    /// The largest model file, in bytes; a larger one is `TooLarge`.
    pub max_model_bytes: u64,
    /// The most memory that the tensors of one call may take at a time, in bytes; a call that
    /// needs more is `TooLarge`.
    pub max_working_bytes: u64,
}

impl Default for LoadOptions {
    /// 2 GiB of model, which is what protocol buffers hold, and 4 GiB of tensors.
    fn default() -> Self {
        Self { max_model_bytes: 2 << 30, max_working_bytes: 4 << 30 }
    }
}

impl LoadOptions {
    /// Sets the largest model file, in bytes.
    #[must_use]
    pub fn with_max_model_bytes(mut self, bytes: u64) -> Self {
        self.max_model_bytes = bytes;
        self
    }

    /// Whether a model file may have so many bytes.
    #[cfg(any(feature = "tabular", feature = "onnx"))]
    fn check_size(&self, bytes: u64) -> Result<()> {
        let most = self.max_model_bytes;
        if bytes > most {
            return Err(Error::too_large(format!("the model has {bytes} bytes, over {most}")));
        }
        Ok(())
    }

    /// Sets the most memory that the tensors of one call may take at a time, in bytes.
    #[must_use]
    pub fn with_max_working_bytes(mut self, bytes: u64) -> Self {
        self.max_working_bytes = bytes;
        self
    }
}

/// What one call wants.
#[derive(Clone, Copy, Debug)]
pub struct InferOptions<'a> {
    /// The outputs wanted, in this order; all if `None`.
    pub outputs: Option<&'a [Arc<str>]>,
    /// Looked at while computing.
    pub stop: &'a Stop,
}

impl<'a> InferOptions<'a> {
    /// All outputs, until `stop` is told to stop.
    pub const fn new(stop: &'a Stop) -> Self {
        Self { outputs: None, stop }
    }

    /// Asks for these outputs only.
    #[must_use]
    pub const fn with_outputs(mut self, outputs: &'a [Arc<str>]) -> Self {
        self.outputs = Some(outputs);
        self
    }
}

/// Tells a computation on another thread to give up. Clones share one flag; it never goes back.
#[derive(Clone, Debug)]
pub struct Stop {
    /// Nobody can tell it if `None`.
    told: Option<Arc<AtomicBool>>,
    deadline: Option<(Instant, Arc<dyn Clock>)>,
}

impl Default for Stop {
    fn default() -> Self {
        Self::new()
    }
}

impl Stop {
    /// Not stopped.
    pub fn new() -> Self {
        Self { told: Some(Arc::default()), deadline: None }
    }

    /// For a computation that nobody is left to stop: telling it does nothing, and it costs nothing.
    /// A deadline ends it all the same.
    pub const fn never() -> Self {
        Self { told: None, deadline: None }
    }

    /// From this time on, as the clock shows it, the computation is to give up as well.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant, clock: Arc<dyn Clock>) -> Self {
        self.deadline = Some((deadline, clock));
        self
    }

    /// Tells whoever holds a clone to give up.
    pub fn stop(&self) {
        if let Some(told) = &self.told {
            told.store(true, Ordering::Relaxed);
        }
    }

    /// Whether it was told; a deadline that has passed tells nobody.
    pub fn is_stopped(&self) -> bool {
        self.told.as_ref().is_some_and(|told| told.load(Ordering::Relaxed))
    }

    /// `Cancelled` if it was told, `TimedOut` once the deadline has passed.
    pub fn check(&self) -> Result<()> {
        if self.is_stopped() {
            return Err(Error::new(ErrorKind::Cancelled, "the computation was told to stop"));
        }
        match &self.deadline {
            Some((deadline, clock)) if *deadline <= clock.instant() => {
                Err(Error::new(ErrorKind::TimedOut, "the deadline passed during the computation"))
            }
            _ => Ok(()),
        }
    }
}
