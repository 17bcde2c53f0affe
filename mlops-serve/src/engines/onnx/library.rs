//! Finds and loads ONNX Runtime's library, once a process.

use super::places::{EXPLICIT, Surroundings};
use mlops_core::{Error, Result};
use ort::{
    environment::{Environment, EnvironmentBuilder},
    logging::{LogLevel, LoggerFunction},
};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// The oldest ONNX Runtime that has what is called here.
const OLDEST: u32 = ort::MINOR_VERSION;

/// The library that this process has loaded.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct OnnxLibrary {
    /// Where it lies.
    pub path: PathBuf,
    /// What it says of its build: version, branch, flags.
    pub build: String,
}

/// What was loaded. A process has one library and one environment of ONNX Runtime, made when the
/// first model is loaded and kept until the process ends: `ort` allows no second one.
static LOADED: Mutex<Option<(OnnxLibrary, Environment)>> = Mutex::new(None);

/// The library, loaded; `Unavailable` says what was looked for and how to get it. A failure is not
/// remembered: what is installed meanwhile is found the next time.
pub(super) fn load() -> Result<(OnnxLibrary, Environment)> {
    let mut loaded = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(loaded) = &*loaded {
        return Ok(loaded.clone());
    }
    let found = find(&Surroundings::of_this_process())?;
    Ok(loaded.insert(found).clone())
}

fn find(surroundings: &Surroundings) -> Result<(OnnxLibrary, Environment)> {
    let mut refused = Vec::new();
    for path in surroundings.candidates() {
        match open(&path) {
            Ok(environment) => {
                let build = ort::info().to_owned();
                tracing::debug!(path = %path.display(), build, "ONNX Runtime is loaded");
                return Ok((OnnxLibrary { path, build }, environment));
            }
            Err(why) => refused.push(why),
        }
    }
    let tried = match (&surroundings.explicit, refused.is_empty()) {
        (Some(_), _) => format!("{EXPLICIT} names it: {}", refused.join("; ")),
        (None, true) => surroundings.described(),
        (None, false) => format!("none of those found serves: {}", refused.join("; ")),
    };
    Err(Error::unavailable(format!(
        "the library of ONNX Runtime, 1.{OLDEST} or newer, cannot be loaded: {tried}; `pip install \
         onnxruntime` in the active Python environment brings it, or {EXPLICIT} names its file"
    )))
}

/// Loads one, or says why not.
fn open(path: &Path) -> Result<Environment, String> {
    if !path.is_file() {
        return Err(format!("{} is no file", path.display()));
    }
    // A library that answers nonsense makes ort panic in places.
    let opened = catch_unwind(AssertUnwindSafe(|| {
        let builder = ort::init_from(path).map_err(|cause| cause.to_string())?;
        environment(builder).map_err(|cause| format!("{}: {cause}", path.display()))
    }));
    opened.unwrap_or_else(|_| Err(format!("{} is no ONNX Runtime", path.display())))
}

/// Sends nothing to anybody, and logs through `tracing` alone.
fn environment(builder: EnvironmentBuilder) -> ort::Result<Environment> {
    let environment =
        builder.with_name("mlops").with_telemetry(false).with_logger(logger()).build()?;
    environment.set_log_level(LogLevel::Warning);
    Ok(environment)
}

/// What ONNX Runtime logs may quote inputs, so that only where it was said is passed on; what makes a
/// call fail comes back as its error.
fn logger() -> LoggerFunction {
    Arc::new(|level, category, _, location, _| {
        if level >= LogLevel::Warning {
            tracing::debug!(?level, category, location, "ONNX Runtime logged");
        }
    })
}
