//! Which models there are, and which of them answer: the index of Triton's repository extension.

use super::{
    body,
    refusal::{Refusal, json},
    routes::{Health, to_json},
    service::Service,
};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    response::Response,
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
pub(crate) async fn indexed(service: &Service, ready_only: bool) -> Vec<Indexed> {
    let all = Health::of_all(service).await;
    let wanted = all.into_iter().filter(|health| health.is_ready() || !ready_only);
    let one = |health: Health| Indexed {
        state: if health.is_ready() { "READY" } else { "UNAVAILABLE" },
        name: health.name,
        version: health.version,
        reason: health.error.unwrap_or_default(),
    };
    wanted.map(one).collect()
}

/// The body may be absent, or an object with `ready`.
#[derive(Default, Deserialize)]
struct Asked {
    #[serde(default)]
    ready: bool,
}

pub(super) async fn index(
    State(service): State<Arc<Service>>,
    request: Request,
) -> Result<Response, Refusal> {
    let (parts, body) = request.into_parts();
    let held = body::read(&parts.headers, body, &service.config, &service.budget).await?;
    let asked = match held.bytes.trim_ascii() {
        b"" => Asked::default(),
        bytes => serde_json::from_slice(bytes).map_err(|_| {
            Error::invalid("the request is no JSON object whose \"ready\" is true or false")
        })?,
    };
    Ok(json(StatusCode::OK, to_json(&indexed(&service, asked.ready).await)))
}
