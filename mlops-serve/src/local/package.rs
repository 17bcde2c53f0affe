//! From a package to a session, with what the package puts in front of the model.

use crate::{
    engines::{Engine, LoadOptions, Session},
    rollout::endpoint::check_compatible,
};
use mlops_core::{
    Error, ErrorKind, Result, ResultExt,
    model::{ModelPackage, names},
};
use std::sync::Arc;

/// Loads a package with the first of these engines that knows it and can compute all of it. If it holds
/// a fitted transform, the session takes the raw columns and applies it.
///
/// # Behavior
/// - a package that no engine knows is `Unsupported`; the message names its flavours
/// - one that an engine knows and does not support goes to the next that knows it; if none is left, the
///   message says what each of them lacks
/// - a package with a transform is `Unsupported` in a build without the feature `data`: it is never
///   served without
/// - where the descriptor and the model disagree on the signature, the model's is told to callers
pub fn load_package(
    package: &ModelPackage,
    engines: &[Arc<dyn Engine>],
    options: &LoadOptions,
) -> Result<Arc<dyn Session>> {
    let session = first_that_loads(package, engines, options)?;
    let session = match package.file(names::TRANSFORM) {
        Some(_) => transformed(package, session).context(|| names::TRANSFORM)?,
        None => session,
    };
    if let Some(declared) = package.signature()
        && let Err(difference) = check_compatible(declared, &session.info().signature)
    {
        // What answers is the model, and its own signature is what callers are told.
        tracing::warn!(%difference, "a descriptor does not describe its model");
    }
    Ok(session)
}

fn first_that_loads(
    package: &ModelPackage,
    engines: &[Arc<dyn Engine>],
    options: &LoadOptions,
) -> Result<Arc<dyn Session>> {
    let mut refusals: Vec<(&str, Error)> = Vec::new();
    for engine in engines.iter().filter(|engine| engine.recognises(package)) {
        match engine.load(package, options) {
            Err(error) if error.kind() == ErrorKind::Unsupported => {
                refusals.push((engine.name(), error));
            }
            // What went before did not support it: that is said, too, if this fails otherwise.
            Err(error) if !refusals.is_empty() => {
                refusals.push((engine.name(), error));
                break;
            }
            loaded => return loaded,
        }
    }
    Err(refused(package, engines, refusals))
}

/// What the engines that were asked said.
fn refused(
    package: &ModelPackage,
    engines: &[Arc<dyn Engine>],
    mut refusals: Vec<(&str, Error)>,
) -> Error {
    let has = |name: &str| engines.iter().any(|engine| engine.name() == name);
    let hint = if package.descriptor().flavor("onnx").is_some() && !has("onnx") {
        "; the engine \"onnx\" (feature `onnx`), which loads any ONNX model, is not there"
    } else {
        ""
    };
    match refusals.pop() {
        Some((_, only)) if refusals.is_empty() && hint.is_empty() => only,
        Some((name, last)) => {
            let said = refusals
                .iter()
                .map(|(name, error)| format!("engine {name:?}: {}; ", error.message()));
            let said: String = said.collect();
            Error::new(last.kind(), format!("{said}engine {name:?}: {}{hint}", last.message()))
        }
        None => {
            let flavors: Vec<_> = package.descriptor().flavors.keys().collect();
            let names: Vec<_> = engines.iter().map(|engine| engine.name()).collect();
            Error::unsupported(format!(
                "no engine loads a model of the flavors {flavors:?}; there are {names:?}{hint}"
            ))
        }
    }
}

#[cfg(feature = "data")]
fn transformed(package: &ModelPackage, session: Arc<dyn Session>) -> Result<Arc<dyn Session>> {
    let text = String::from_utf8(package.read(names::TRANSFORM)?)
        .map_err(|cause| Error::invalid("it is not UTF-8").with_source(cause))?;
    let transform = mlops_core::data::FittedTransform::from_json(&text)?;
    let declared = package.signature().map(|signature| signature.inputs.clone());
    let inputs = declared.filter(|inputs| !inputs.is_empty());
    let inputs = inputs.unwrap_or_else(|| transform.input_specs());
    let session = super::TransformedSession::new(inputs, Arc::new(transform), session)?;
    Ok(Arc::new(session))
}

#[cfg(not(feature = "data"))]
fn transformed(_: &ModelPackage, _: Arc<dyn Session>) -> Result<Arc<dyn Session>> {
    Err(Error::unsupported("it is not read in a build without the feature `data`"))
}
