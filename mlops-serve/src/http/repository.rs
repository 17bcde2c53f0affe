//! Which models there are, and which of them answer; loading and unloading them: Triton's repository
//! extension.

use super::{
    body,
    loading::Again,
    refusal::{Refusal, json},
    routes::{Health, Target, TargetPath, target, to_json},
    service::Service,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::{IntoResponse, Response},
};
use mlops_core::Error;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One model of the index.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Indexed {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) state: &'static str,
    /// Why it does not answer; empty if it does.
    pub(crate) reason: String,
}

/// All models, or only those that answer.
pub(crate) async fn indexed(service: &Service, ready_only: bool) -> Result<Vec<Indexed>, Error> {
    service.not_yet()?;
    let all = Health::of_all(service).await;
    let wanted = all.into_iter().filter(|health| health.is_ready() || !ready_only);
    let one = |health: Health| Indexed {
        state: if health.is_ready() { "READY" } else { "UNAVAILABLE" },
        name: health.name,
        version: health.version,
        reason: health.error.unwrap_or_default(),
    };
    let mut known: Vec<Indexed> = wanted.map(one).collect();
    if let Some(loading) = service.loading.as_ref().filter(|_| !ready_only) {
        // A loader that does not know them now does not hide those that are there.
        let others = loading.loader.names().await.unwrap_or_default();
        for name in others.iter().filter(|name| service.model(name, None).is_err()) {
            let (name, version) = (name.to_string(), String::new());
            known.push(Indexed { name, version, state: "UNAVAILABLE", reason: "unloaded".into() });
        }
    }
    Ok(known)
}

/// The body may be absent, or an object with `ready`.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    ready: bool,
}

/// What may stand in a request to load or unload a model: parameters that ask for nothing.
#[derive(Default, Deserialize)]
struct Wish {
    #[serde(default)]
    parameters: serde_json::Map<String, serde_json::Value>,
}

impl Wish {
    fn read(bytes: &[u8]) -> Result<(), Error> {
        let Self { parameters } = match bytes.trim_ascii() {
            b"" => Self::default(),
            bytes => serde_json::from_slice(bytes).map_err(|_| {
                Error::invalid("the request is no JSON object that may have \"parameters\"")
            })?,
        };
        check_parameters(parameters.keys())
    }
}

/// `Unsupported` for a parameter that asks for more than is done.
pub(crate) fn check_parameters<'a>(
    mut names: impl Iterator<Item = &'a String>,
) -> Result<(), Error> {
    // Models here depend on none.
    match names.find(|name| *name != "unload_dependents") {
        None => Ok(()),
        Some(_) => Err(Error::unsupported(
            "a model is loaded as the repository has it: no configuration or file is taken",
        )),
    }
}

/// Loads a model, or loads it anew: until that has come up, what was there answers.
pub(super) async fn load(
    State(service): State<Arc<Service>>,
    path: TargetPath,
    request: Request,
) -> Result<Response, Refusal> {
    let Target { name, .. } = target(path)?;
    let loading = service.loading_for(request.headers())?;
    let (parts, mut body) = request.into_parts();
    let held = body::read(&parts.headers, &mut body, &service.config, &service.budget).await?;
    Wish::read(&held.bytes)?;
    drop(held);
    service.refuse_own(&name)?;
    loading.load(&name, None, Again::Replace).await?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn unload(
    State(service): State<Arc<Service>>,
    path: TargetPath,
    request: Request,
) -> Result<Response, Refusal> {
    let Target { name, .. } = target(path)?;
    let loading = service.loading_for(request.headers())?;
    let (parts, mut body) = request.into_parts();
    let held = body::read(&parts.headers, &mut body, &service.config, &service.budget).await?;
    Wish::read(&held.bytes)?;
    service.refuse_own(&name)?;
    loading.unload(&name)?;
    Ok(StatusCode::OK.into_response())
}

pub(super) async fn index(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, mut body) = request.into_parts();
    let held = body::read(&parts.headers, &mut body, &service.config, &service.budget).await?;
    let asked = match held.bytes.trim_ascii() {
        b"" => Asked::default(),
        bytes => serde_json::from_slice(bytes).map_err(|_| {
            Error::invalid("the request is no JSON object whose \"ready\" is true or false")
        })?,
    };
    Ok(json(StatusCode::OK, to_json(&indexed(&service, asked.ready).await?)))
}
