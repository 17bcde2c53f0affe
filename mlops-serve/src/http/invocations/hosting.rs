//! Several models behind one server, as `SageMaker`'s multi-model endpoints ask for them.

use super::Scoring;
use crate::http::{
    body,
    loading::Again,
    refusal::{Refusal, json},
    routes::to_json,
    service::Service,
};
use axum::{
    Router,
    extract::{Path, Request, State, rejection::PathRejection},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use mlops_core::{Error, Result};
use serde::{Deserialize, Serialize};

type NamePath = Result<Path<String>, PathRejection>;

/// `/models` and what is below it.
pub(super) fn routes() -> Router<Scoring> {
    Router::new()
        .route("/models", get(list).post(load))
        .route("/models/{name}", get(describe).delete(unload))
        .route("/models/{name}/invoke", post(invoke))
}

#[derive(Serialize)]
struct Listed {
    models: Vec<Hosted>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Hosted {
    model_name: String,
    model_url: String,
}

impl Hosted {
    /// A model that was there from the start has no URL.
    fn of(service: &Service, name: &str) -> Self {
        let url = service.loading.as_ref().and_then(|loading| loading.url(name));
        Self { model_name: name.to_owned(), model_url: url.unwrap_or_default() }
    }
}

async fn list(State(Scoring { service, .. }): State<Scoring>) -> Response {
    if let Err(error) = service.not_yet() {
        return Refusal::from(error).into_scoring_response();
    }
    let models = service.all().iter().map(|(name, _)| Hosted::of(&service, name)).collect();
    json(StatusCode::OK, to_json(&Listed { models }))
}

async fn describe(State(Scoring { service, .. }): State<Scoring>, path: NamePath) -> Response {
    let found = name(path).and_then(|name| {
        service.model(&name, None)?;
        Ok(json(StatusCode::OK, to_json(&Hosted::of(&service, &name))))
    });
    found.unwrap_or_else(Refusal::into_scoring_response)
}

#[derive(Deserialize)]
struct Asked {
    model_name: String,
    url: Option<String>,
}

async fn load(State(scoring): State<Scoring>, request: Request) -> Response {
    let loaded = async {
        let service = &scoring.service;
        let loading = service.loading_for(request.headers())?;
        let (parts, mut body) = request.into_parts();
        let held = body::read(&parts.headers, &mut body, &service.config, &service.budget).await?;
        let asked: Asked = serde_json::from_slice(&held.bytes).map_err(|_| {
            Error::invalid(
                "the request is no JSON object with the texts \"model_name\" and \"url\"",
            )
        })?;
        drop(held);
        service.refuse_own(&asked.model_name)?;
        loading.load(&asked.model_name, asked.url.as_deref(), Again::Refuse).await?;
        Ok(json(StatusCode::OK, to_json(&Hosted::of(service, &asked.model_name))))
    };
    loaded.await.unwrap_or_else(Refusal::into_scoring_response)
}

async fn unload(State(scoring): State<Scoring>, path: NamePath, request: Request) -> Response {
    let service = &scoring.service;
    let unloaded = name(path).and_then(|name| {
        let loading = service.loading_for(request.headers())?;
        service.refuse_own(&name)?;
        loading.unload(&name)?;
        Ok(json(StatusCode::OK, b"{}".to_vec()))
    });
    unloaded.unwrap_or_else(Refusal::into_scoring_response)
}

async fn invoke(State(scoring): State<Scoring>, path: NamePath, request: Request) -> Response {
    let answered = async {
        let name = name(path)?;
        scoring.score(&name, request).await
    };
    answered.await.unwrap_or_else(Refusal::into_scoring_response)
}

fn name(path: NamePath) -> Result<String, Refusal> {
    let wrong = |_| Error::invalid("the path's percent-encoding is not UTF-8");
    Ok(path.map_err(wrong)?.0)
}
