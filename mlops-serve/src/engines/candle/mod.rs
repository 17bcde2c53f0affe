//! Multi-layer perceptrons and sentence encoders in safetensors, computed by candle; perceptrons are
//! trained, too.
//!
//! A package of the flavour `candle` names two files: `config`, a [`MlpConfig`] in JSON, and
//! `weights`, safetensors in which layer *i* is `layers.i.weight` (`[outputs, inputs]`) and
//! `layers.i.bias`, as `PyTorch` lays a linear layer out. One of the flavour `sentence_transformers`,
//! which [`encoder_package`] makes and `MLflow` writes, holds a sentence encoder.
//!
//! A network of a host's own is a [`CandleModule`].
//!
//! Candle splits large products over whatever rayon pool surrounds them; here that is a pool of the
//! engine's own, so that the host's is neither used nor made. On another device ([`CandleDevice`]) the blocks of
//! a call follow each other, larger ones, each on all that the device has; the bits of a row may then depend on
//! its company.

mod config;
mod device;
mod encoder;
mod error;
mod module;
mod network;
mod random;
mod session;
mod train;
mod weights;

/// What modules of a host's own are written with.
pub use candle_core;
pub use config::{Activation, MlpConfig, Task};
pub use device::CandleDevice;
pub use encoder::encoder_package;
pub use module::CandleModule;
pub use train::{TrainOptions, TrainedMlp, train};

use crate::engines::{Engine, LoadOptions, Session};
use candle_core::Device;
use mlops_core::{Error, Result, ResultExt, model::ModelPackage};
use rayon::{ThreadPool, ThreadPoolBuilder};
use session::MlpSession;
use std::{
    fmt, fs,
    sync::{Arc, Mutex, PoisonError},
};

/// Its name, and that of its flavour.
const NAME: &str = "candle";

/// Loads multi-layer perceptrons and sentence encoders. Clones share one pool of threads and one device, made and opened
/// when the first model is loaded.
#[derive(Clone)]
pub struct CandleEngine {
    threads: usize,
    pool: Arc<Mutex<Option<Arc<ThreadPool>>>>,
    device: CandleDevice,
    cpu_fallback: bool,
    /// The device, once it was opened: weights that lie on one of two handles cannot meet inputs on the other.
    opened: Arc<Mutex<Option<Device>>>,
    limits: encoder::Limits,
}

impl CandleEngine {
    /// Computes on the processor, on as many threads as the machine runs at once.
    pub fn new() -> Self {
        Self {
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            pool: Arc::default(),
            device: CandleDevice::Cpu,
            cpu_fallback: false,
            opened: Arc::default(),
            limits: encoder::Limits::default(),
        }
    }

    /// Sets how many threads compute, all models together; at least 1.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads: threads.max(1), pool: Arc::default(), ..self }
    }

    /// Sets where models are computed.
    #[must_use]
    pub fn with_device(self, device: CandleDevice) -> Self {
        Self { device, opened: Arc::default(), ..self }
    }

    /// Says whether a device that is not there is done without, and the processor computes; else loading fails
    /// and names it.
    #[must_use]
    pub fn with_cpu_fallback(self, fallback: bool) -> Self {
        Self { cpu_fallback: fallback, opened: Arc::default(), ..self }
    }

    /// Sets the longest text that an encoder takes, in bytes; 1 MiB if nobody says. A longer one is
    /// `TooLarge`; a text of more words than the model takes is cut.
    #[must_use]
    pub fn with_max_text_bytes(mut self, bytes: usize) -> Self {
        self.limits.max_text_bytes = bytes;
        self
    }

    /// Sets how many texts an encoder computes in one product, filled to the longest of them; if nobody says 1
    /// on the processor, 64 elsewhere. With 1 on the processor a text has the same bits alone and among others;
    /// with more its last bits may differ, and short texts may take less time.
    #[must_use]
    pub fn with_padded_rows(mut self, rows: usize) -> Self {
        self.limits.padded_rows = Some(rows.max(1));
        self
    }

    /// The device that models are computed on, opened if it is not yet; the processor where that is the fallback.
    ///
    /// # Behavior
    /// - what this build lacks the feature for is `Unsupported`, what this machine lacks is `Unavailable`; each
    ///   names the device. A failure is not remembered.
    pub fn device(&self) -> Result<Device> {
        let mut opened = self.opened.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(device) = &*opened {
            return Ok(device.clone());
        }
        let device = match self.device.open() {
            Err(why) if self.cpu_fallback => {
                tracing::warn!(device = %self.device, %why, "the processor computes instead");
                Device::Cpu
            }
            other => other?,
        };
        Ok(opened.insert(device).clone())
    }

    fn pool(&self) -> Result<Arc<ThreadPool>> {
        let mut pool = self.pool.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pool) = &*pool {
            return Ok(Arc::clone(pool));
        }
        let made = Arc::new(thread_pool(self.threads)?);
        *pool = Some(Arc::clone(&made));
        Ok(made)
    }
}

impl Default for CandleEngine {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for CandleEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CandleEngine({} threads, {})", self.threads, self.device)
    }
}

impl Engine for CandleEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognises(&self, package: &ModelPackage) -> bool {
        let flavor = |name| package.descriptor().flavor(name).is_some();
        flavor(NAME) || flavor(encoder::FLAVOR)
    }

    fn load(&self, package: &ModelPackage, options: &LoadOptions) -> Result<Arc<dyn Session>> {
        if package.descriptor().flavor(NAME).is_none() {
            return self.load_packaged(package, options);
        }
        let within = || "loading a candle model";
        let config = read(package, "config", options).context(within)?;
        let config = MlpConfig::from_json(&config).context(within)?;
        let weights = read(package, "weights", options).context(within)?;
        let device = self.device().context(within)?;
        let network = weights::read(&weights, &config, &device).context(within)?;
        let session = MlpSession::new(config, network, (self.pool()?, device), options)?;
        Ok(Arc::new(session))
    }
}

/// The bytes of the file that the flavour names.
fn read(package: &ModelPackage, key: &str, options: &LoadOptions) -> Result<Vec<u8>> {
    let named = package.descriptor().flavor(NAME).and_then(|flavor| flavor.get(key)?.as_str());
    let unnamed = || Error::invalid(format!("the flavor {NAME:?} names no {key:?}"));
    let name = named.ok_or_else(unnamed)?;
    if let Some(path) = package.file(name) {
        let size = fs::metadata(&path).map_err(|source| Error::io(name, source))?.len();
        if size > options.max_model_bytes {
            let (most, message) = (options.max_model_bytes, "bytes are the most that is loaded");
            return Err(Error::too_large(format!("{name:?} has {size} bytes, {most} {message}")));
        }
    }
    package.read(name)
}

/// Threads of our own; they end when the pool is dropped.
fn thread_pool(threads: usize) -> Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads.max(1))
        .thread_name(|number| format!("mlops-candle-{number}"))
        .build()
        .map_err(|cause| {
            Error::unavailable("cannot start the threads that candle computes on")
                .with_source(cause)
        })
}
