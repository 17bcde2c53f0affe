//! Paths and methods, and the routes that only describe.

use super::{
    access::guarded,
    counters::counted,
    infer, oip, openapi, outcomes,
    refusal::{Refusal, json},
    repository,
    service::Service,
    statistics::ModelStatistics,
    unread::finished,
};
use axum::{
    Router,
    extract::{Path, State, rejection::PathRejection},
    http::{Method, StatusCode},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use futures_util::future::join_all;
use mlops_core::{Error, Predictor};
use serde::{Deserialize, Serialize};
use std::{pin::pin, sync::Arc, time::Duration};

/// The model, and perhaps the version, that a path names.
#[derive(Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) version: Option<String>,
}

pub(super) type TargetPath = Result<Path<Target>, PathRejection>;

/// All routes. Unknown paths are answered below `/v2` only, so that a host keeps its own fallback.
pub(super) fn router(service: &Arc<Service>) -> Router {
    let mut router = Router::new()
        .route("/v2", get(server))
        .route("/v2/", get(server))
        .route("/v2/health/live", get(live))
        .route("/v2/health/ready", get(ready))
        .route("/v2/openapi.json", get(openapi::document))
        .route("/v2/docs", get(openapi::page))
        .route("/v2/models", get(models))
        .route("/v2/models/stats", get(all_statistics))
        .route("/v2/repository/index", post(repository::index))
        .route("/v2/repository/models/{name}/load", post(repository::load))
        .route("/v2/repository/models/{name}/unload", post(repository::unload))
        .route("/v2/models/{name}/outcomes", post(outcomes::outcomes));
    for model in ["/v2/models/{name}", "/v2/models/{name}/versions/{version}"] {
        router = router
            .route(model, get(metadata))
            .route(&format!("{model}/config"), get(configuration))
            .route(&format!("{model}/ready"), get(model_ready))
            .route(&format!("{model}/stats"), get(statistics))
            .route(&format!("{model}/infer"), post(infer::infer));
    }
    let router = router
        .method_not_allowed_fallback(async |method: Method| wrong_method(&method))
        .route("/v2/{*rest}", axum::routing::any(no_such_path))
        .route_layer(from_fn_with_state(Arc::clone(service), guarded))
        .route_layer(from_fn_with_state(Arc::clone(service), finished))
        .route_layer(from_fn_with_state(Arc::clone(service), counted))
        .with_state(Arc::clone(service));
    service.models.keys().filter(|name| stands_as_it_is(name)).fold(router, |router, name| {
        router.route(&format!("/v2/models/{name}/infer"), infer::direct(service, name))
    })
}

/// Whether a path has this name without percent-encoding, and a route without escapes.
fn stands_as_it_is(name: &str) -> bool {
    let unreserved = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~".contains(&byte);
    !name.is_empty() && name.bytes().all(unreserved)
}

/// The parts of a path; percent-encoding that is no UTF-8 is the caller's mistake.
pub(super) fn target(path: TargetPath) -> Result<Target, Refusal> {
    let wrong = |_| Error::invalid("the path's percent-encoding is not UTF-8");
    Ok(path.map_err(wrong)?.0)
}

async fn no_such_path() -> Refusal {
    Refusal::new(StatusCode::NOT_FOUND, "there is no such path: see GET /v2")
}

pub(super) fn wrong_method(method: &Method) -> Refusal {
    let message = format!("method {method} is not for this path");
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, message)
}

async fn server(State(service): State<Arc<Service>>) -> Response {
    let config = &service.config;
    json(StatusCode::OK, oip::server_metadata(&config.server_name, &config.server_version))
}

async fn live() -> Response {
    json(StatusCode::OK, br#"{"live":true}"#.to_vec())
}

async fn models(State(service): State<Arc<Service>>) -> Result<Response, Refusal> {
    #[derive(Serialize)]
    struct Models<'a> {
        models: Vec<&'a str>,
    }
    service.not_yet()?;
    let all = service.all();
    let models = Models { models: all.iter().map(|(name, _)| name.as_ref()).collect() };
    Ok(json(StatusCode::OK, to_json(&models)))
}

async fn metadata(
    State(service): State<Arc<Service>>,
    path: TargetPath,
) -> Result<Response, Refusal> {
    let Target { name, version } = target(path)?;
    let info = service.model(&name, version.as_deref())?.info();
    Ok(json(StatusCode::OK, oip::model_metadata(&name, &info)))
}

async fn configuration(
    State(service): State<Arc<Service>>,
    path: TargetPath,
) -> Result<Response, Refusal> {
    let Target { name, version } = target(path)?;
    let info = service.model(&name, version.as_deref())?.info();
    let body = oip::model_configuration(&name, &info, &service.config.limits);
    Ok(json(StatusCode::OK, body))
}

async fn statistics(
    State(service): State<Arc<Service>>,
    path: TargetPath,
) -> Result<Response, Refusal> {
    let Target { name, version } = target(path)?;
    let model = service.model(&name, version.as_deref())?;
    Ok(json(
        StatusCode::OK,
        to_json(&Statistics { model_stats: vec![service.statistics(&name, &*model)] }),
    ))
}

async fn all_statistics(State(service): State<Arc<Service>>) -> Response {
    let all = service.all();
    let each = all.iter().map(|(name, model)| service.statistics(name, model));
    json(StatusCode::OK, to_json(&Statistics { model_stats: each.collect() }))
}

#[derive(Serialize)]
struct Statistics {
    model_stats: Vec<ModelStatistics>,
}

/// One model's health.
#[derive(Serialize)]
pub(crate) struct Health {
    pub(crate) name: String,
    pub(crate) version: String,
    ready: bool,
    stale: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
}

impl Health {
    pub(crate) async fn of(service: &Service, name: &str, model: &dyn Predictor) -> Self {
        let limit = service.config.timeout.map(|limit| limit.min(Duration::from_secs(5)));
        let ready = super::body::in_time(limit, pin!(model.ready())).await;
        let error = match ready {
            Some(Ok(())) => None,
            Some(Err(error)) => Some(error.message().to_owned()),
            None => Some("it did not say in time whether it is ready".to_owned()),
        };
        let status = service.status(name);
        let error = error.map(|error| format!("model {name:?} is not ready: {error}"));
        Self {
            name: name.to_owned(),
            version: model.info().version.as_ref().to_owned(),
            ready: error.is_none(),
            stale: status.stale,
            reason: status.reason,
            error,
        }
    }

    /// Of every model, asked at the same time.
    pub(crate) async fn of_all(service: &Service) -> Vec<Self> {
        let all = service.all();
        let each = all.iter().map(|(name, model)| Self::of(service, name, model));
        join_all(each).await
    }

    pub(crate) fn is_ready(&self) -> bool {
        self.ready
    }
}

async fn model_ready(
    State(service): State<Arc<Service>>,
    path: TargetPath,
) -> Result<Response, Refusal> {
    let Target { name, version } = target(path)?;
    let model = service.model(&name, version.as_deref())?;
    let health = Health::of(&service, &name, &*model).await;
    Ok(json(ready_status(health.ready), to_json(&health)))
}

/// Ready if every model is, and there is one: a server without models answers nobody.
async fn ready(State(service): State<Arc<Service>>) -> Response {
    #[derive(Serialize)]
    struct All {
        ready: bool,
        stale: bool,
        models: Vec<Health>,
        #[serde(skip_serializing_if = "Option::is_none")]
        error: Option<String>,
    }
    let models = Health::of_all(&service).await;
    let error = match models.iter().find_map(|health| health.error.clone()) {
        None if models.is_empty() && !service.may_be_empty() => {
            Some("no model is loaded".to_owned())
        }
        error => error,
    };
    let (ready, stale) = (error.is_none(), models.iter().any(|health| health.stale));
    let all = All { ready, stale, models, error };
    json(ready_status(all.ready), to_json(&all)).into_response()
}

fn ready_status(ready: bool) -> StatusCode {
    if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE }
}

pub(super) fn to_json(value: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(value).expect("text and booleans are valid JSON")
}
