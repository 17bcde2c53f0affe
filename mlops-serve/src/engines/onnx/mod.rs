//! Any ONNX model, computed by ONNX Runtime.
//!
//! The library of ONNX Runtime, a C++ program, is no part of a build: it is found and loaded when the
//! first model is (`places`, `library`). A process has one such library and one environment of it, kept
//! until the process ends; nothing else is global. ONNX Runtime sends no telemetry from here, writes to no
//! stream of the host's and reads no environment variable on our behalf.
//!
//! **Whom to trust.** `tabular` bears any bytes; ONNX Runtime is C++ and parses and runs what a file says.
//! What it refuses is an error here, but a file made to harm it may crash the process or take all of
//! its memory: load models of people whom you trust to run code.
//!
//! Rows of a batch need not give the bits that they give alone: kernels differ by size.

mod config;
mod convert;
mod external;
mod library;
mod places;
mod pool;
mod providers;
mod refusal;
mod session;
mod signature;
mod watch;

pub use config::{ExecutionProvider, OnnxConfig, Optimisation};
pub use library::OnnxLibrary;
pub use session::OnnxSession;

use super::{Engine, LoadOptions, Session};
use mlops_core::{Error, Result, ResultExt, artifact::ArtifactPath, model::ModelPackage};
use ort::environment::Environment;
use session::Source;
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};
use watch::Watch;

/// The engine's name, and how `MLflow` marks a package that holds such a file.
const NAME: &str = "onnx";
/// Where it says what the file is called, and what it is called if it says nothing.
const DATA: (&str, &str) = ("data", "model.onnx");

/// Loads any ONNX model that the ONNX Runtime of this machine can compute.
#[derive(Clone, Default)]
pub struct OnnxEngine {
    config: OnnxConfig,
    environment: Option<Environment>,
    /// The thread that ends runs, there while a model is.
    watch: Arc<Mutex<Weak<Watch>>>,
}

impl OnnxEngine {
    /// The engine; the library is looked for when a model is loaded.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets how models are computed.
    #[must_use]
    pub fn with_config(mut self, config: OnnxConfig) -> Self {
        self.config = config;
        self
    }

    /// For a host that uses `ort` itself, which allows one environment a process: takes the host's.
    #[must_use]
    pub fn with_environment(mut self, environment: &Environment) -> Self {
        self.environment = Some(environment.clone());
        self
    }

    /// Loads the library of ONNX Runtime if no model has done so, and says which it is. `Unavailable`
    /// says what was looked for and the command that brings it.
    pub fn library() -> Result<OnnxLibrary> {
        library::load().map(|(library, _)| library)
    }

    /// The files that a model keeps weights in, relative to its own folder: they travel with it.
    pub fn files_beside(model: impl AsRef<Path>) -> Result<Vec<ArtifactPath>> {
        let model = model.as_ref();
        let files = external::files_beside(model).context(|| model.display().to_string())?;
        Ok(files.into_iter().collect())
    }

    /// Loads a bare file; what it keeps in other files is looked for beside it.
    pub fn load_file(
        &self,
        path: impl AsRef<Path>,
        options: &LoadOptions,
    ) -> Result<Arc<OnnxSession>> {
        let path = path.as_ref();
        let within = || format!("loading {}", path.display());
        self.load_from(Source::File(path), options).context(within).map(Arc::new)
    }

    /// Loads the bytes of a file that keeps nothing in other files.
    ///
    /// # Behavior
    /// - bytes that are no ONNX model are `InvalidInput`
    /// - an operator, a type or a version that ONNX Runtime does not know is `Unsupported`, as is an input
    ///   or output that is no tensor
    pub fn load_bytes(&self, bytes: &[u8], options: &LoadOptions) -> Result<OnnxSession> {
        self.load_from(Source::Bytes(bytes), options)
    }

    fn load_from(&self, source: Source<'_>, options: &LoadOptions) -> Result<OnnxSession> {
        let environment = self.environment.as_ref();
        OnnxSession::load(source, environment, &self.config, self.watch()?, options)
    }

    fn watch(&self) -> Result<Arc<Watch>> {
        let mut watch = self.watch.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watch) = watch.upgrade() {
            return Ok(watch);
        }
        let opened = Arc::new(Watch::open()?);
        *watch = Arc::downgrade(&opened);
        Ok(opened)
    }
}

impl fmt::Debug for OnnxEngine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OnnxEngine({:?})", self.config)
    }
}

impl Engine for OnnxEngine {
    fn name(&self) -> &'static str {
        NAME
    }

    fn recognises(&self, package: &ModelPackage) -> bool {
        model_file(package).is_some()
    }

    fn load(&self, package: &ModelPackage, options: &LoadOptions) -> Result<Arc<dyn Session>> {
        let folder = package.folder().display();
        let missing = || Error::invalid(format!("the model package {folder} holds no ONNX model"));
        let path = model_file(package).ok_or_else(missing)?;
        let within = || format!("loading {}", path.display());
        let mut session = self.load_from(Source::File(&path), options).context(within)?;
        if let Some(described) = package.signature() {
            session.name_columns(described);
        }
        Ok(Arc::new(session))
    }
}

fn model_file(package: &ModelPackage) -> Option<PathBuf> {
    let data = package.descriptor().flavor(NAME)?.get(DATA.0);
    package.file(data.and_then(|name| name.as_str()).unwrap_or(DATA.1))
}
