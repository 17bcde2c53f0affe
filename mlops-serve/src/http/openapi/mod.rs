//! What the routes are and what each model takes, for programs (`GET /v2/openapi.json`, `OpenAPI` 3.1)
//! and for people (`GET /v2/docs`, one page that fetches nothing and needs no scripts).

mod page;
mod schemas;

use super::service::Service;
use axum::{
    extract::State,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// A route: method, path, what it does, and who it is for.
pub(super) struct Route {
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    pub(super) about: &'static str,
    pub(super) group: &'static str,
    pub(super) body: Body,
}

/// What a request's body is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    None,
    /// One of the named schemas.
    Json(&'static str),
    /// A table or tensors, in the forms of MLflow's scoring server.
    Scoring,
}

const fn route(
    method: &'static str,
    path: &'static str,
    about: &'static str,
    group: &'static str,
    body: Body,
) -> Route {
    Route { method, path, about, group, body }
}

const HEALTH: &str = "health";
const MODELS: &str = "models";
const INFER: &str = "inference";
const REPOSITORY: &str = "repository";
const SCORING: &str = "scoring";

/// The routes of every router.
#[rustfmt::skip]
const ROUTES: &[Route] = &[
    route("get", "/v2", "The server's name, version and extensions", HEALTH, Body::None),
    route("get", "/v2/health/live", "Whether the server is there", HEALTH, Body::None),
    route("get", "/v2/health/ready", "Whether every model would answer: 503 if one would not", HEALTH, Body::None),
    route("get", "/v2/models", "The models' names", MODELS, Body::None),
    route("get", "/v2/models/stats", "How often models were asked, and how long it took", MODELS, Body::None),
    route("get", "/v2/models/{model}", "What a model takes and gives", MODELS, Body::None),
    route("get", "/v2/models/{model}/config", "Its configuration, as Triton says it", MODELS, Body::None),
    route("get", "/v2/models/{model}/ready", "Whether it would answer: 503 if not", MODELS, Body::None),
    route("get", "/v2/models/{model}/stats", "How often it was asked, and how long it took", MODELS, Body::None),
    route("post", "/v2/models/{model}/infer", "Asks the model: JSON here, raw tensors by Triton's binary extension", INFER, Body::Json("InferRequest")),
    route("post", "/v2/models/{model}/outcomes", "Says what came of predictions: one outcome, or an array of them", INFER, Body::Json("Outcomes")),
    route("get", "/v2/models/{model}/versions/{version}", "What this version takes and gives", MODELS, Body::None),
    route("post", "/v2/models/{model}/versions/{version}/infer", "Asks this version: 404 if another one answers now", INFER, Body::Json("InferRequest")),
    route("post", "/v2/repository/index", "The models, and which of them answer", REPOSITORY, Body::Json("Index")),
];

/// Those of a router with a loader.
#[rustfmt::skip]
const LOADING: &[Route] = &[
    route("post", "/v2/repository/models/{model}/load", "Loads a model, or loads it anew: 507 where there is no room", REPOSITORY, Body::Json("Wish")),
    route("post", "/v2/repository/models/{model}/unload", "Takes a model out", REPOSITORY, Body::Json("Wish")),
];

/// Those in the forms of MLflow's scoring server.
#[rustfmt::skip]
const SCORED: &[Route] = &[
    route("get", "/ping", "Whether the model would answer", SCORING, Body::None),
    route("get", "/version", "The server's version", SCORING, Body::None),
    route("post", "/invocations", "Asks the model about a table or tensors", SCORING, Body::Scoring),
];

/// Those of `SageMaker`'s endpoints with several models.
#[rustfmt::skip]
const HOSTED: &[Route] = &[
    route("get", "/models", "The models, and where they were loaded from", SCORING, Body::None),
    route("get", "/models/{model}", "Where a model was loaded from", SCORING, Body::None),
    route("post", "/models/{model}/invoke", "Asks a model about a table or tensors", SCORING, Body::Scoring),
];

/// Those of both with a loader.
#[rustfmt::skip]
const HOSTED_LOADING: &[Route] = &[
    route("post", "/models", "Loads a model: 409 if it is loaded, 507 where there is no room", SCORING, Body::Json("Load")),
    route("delete", "/models/{model}", "Takes a model out", SCORING, Body::None),
];

/// The routes that this service answers.
pub(super) fn routes(service: &Service) -> impl Iterator<Item = &'static Route> {
    let (loads, (scored, hosted)) = (service.loading.is_some(), service.scores());
    let parts = [
        (true, ROUTES),
        (loads, LOADING),
        (scored || hosted, SCORED),
        (hosted, HOSTED),
        (hosted && loads, HOSTED_LOADING),
    ];
    parts.into_iter().filter(|(is_there, _)| *is_there).flat_map(|(_, routes)| routes)
}

/// `GET /v2/openapi.json`: of the models that are there now.
pub(super) async fn document(State(service): State<Arc<Service>>) -> Response {
    super::refusal::json(StatusCode::OK, super::routes::to_json(&of(&service)))
}

/// `GET /v2/docs`.
pub(super) async fn page(State(service): State<Arc<Service>>) -> Response {
    let headers = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8"),
        // Nothing is fetched, run or framed, whatever a model is called.
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; style-src 'unsafe-inline'"),
    ];
    (headers, page::of(&service)).into_response()
}

fn of(service: &Service) -> Value {
    let mut paths = Map::new();
    for route in routes(service) {
        add(&mut paths, route.path, route.method, operation(route, route.path));
    }
    let mut components = schemas::fixed();
    for (at, (name, model)) in service.all().iter().enumerate() {
        let info = model.info();
        // A path of its own, beside the one for all: its schema is this model's.
        let path = format!("/v2/models/{}/infer", in_path(name));
        let schema = format!("InferRequest_{at}");
        components.insert(schema.clone(), schemas::request(&info.signature));
        let mut infer = json!({
            "operationId": format!("infer_{at}"),
            "summary": format!("Asks model {name}, version {}", info.version),
            "tags": [INFER],
            "requestBody": json_body(&schema),
            "responses": responses(Some("InferResponse")),
        });
        infer["requestBody"]["content"]["application/json"]["example"] =
            schemas::example(&info.signature);
        add(&mut paths, &path, "post", infer);
    }
    let tags = [HEALTH, MODELS, INFER, REPOSITORY, SCORING].map(|name| json!({ "name": name }));
    let config = &service.config;
    let mut document = json!({
        "openapi": "3.1.0",
        "info": {
            "title": config.server_name,
            "version": config.server_version,
            "description": "Models behind the Open Inference Protocol v2.",
        },
        // Seen from the document's own place: also where a host has nested the routes.
        "servers": [{ "url": ".." }],
        "tags": tags,
        "paths": paths,
        "components": { "schemas": components },
    });
    if service.authenticator.is_some() {
        document["components"]["securitySchemes"] = json!({
            "bearer": { "type": "http", "scheme": "bearer" },
            "key": { "type": "apiKey", "in": "header", "name": "X-API-Key" },
        });
        document["security"] = json!([{ "bearer": [] }, { "key": [] }]);
        for path in super::access::OPEN {
            if let Some(open) = document["paths"].get_mut(path) {
                open["get"]["security"] = json!([]);
            }
        }
    }
    document
}

fn add(paths: &mut Map<String, Value>, path: &str, method: &str, operation: Value) {
    let item = paths.entry(path).or_insert_with(|| json!({}));
    item[method] = operation;
}

fn operation(route: &Route, path: &str) -> Value {
    let words = path.split(['/', '{', '}']).filter(|word| !word.is_empty());
    let id: Vec<&str> = std::iter::once(route.method).chain(words).collect();
    let parameters: Vec<Value> = ["model", "version"]
        .into_iter()
        .filter(|name| path.contains(&format!("{{{name}}}")))
        .map(|name| json!({ "name": name, "in": "path", "required": true, "schema": { "type": "string" } }))
        .collect();
    let answer = (route.group == INFER && route.path.ends_with("infer")).then_some("InferResponse");
    let mut operation = json!({
        "operationId": id.join("_"),
        "summary": route.about,
        "tags": [route.group],
        "parameters": parameters,
        "responses": responses(answer),
    });
    match route.body {
        Body::None => {}
        Body::Json(schema) => operation["requestBody"] = json_body(schema),
        Body::Scoring => operation["requestBody"] = scoring_body(),
    }
    operation
}

fn json_body(schema: &str) -> Value {
    json!({ "content": { "application/json": { "schema": reference(schema) } } })
}

fn scoring_body() -> Value {
    let mut body = json_body("ScoringRequest");
    body["content"]["text/csv"] = json!({ "schema": { "type": "string" } });
    if cfg!(feature = "data") {
        body["content"]["application/vnd.apache.parquet"] = json!({});
    }
    body
}

fn responses(answer: Option<&str>) -> Value {
    let answer = answer.map_or(json!({}), reference);
    let error = json!({ "application/json": { "schema": reference("Error") } });
    json!({
        "200": { "description": "What was asked for", "content": { "application/json": { "schema": answer } } },
        "4XX": { "description": "The caller's mistake, or a bound", "content": error },
        "5XX": { "description": "The server's or the model's fault", "content": error },
    })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// A name as one part of a path.
fn in_path(name: &str) -> String {
    use std::fmt::Write;
    let mut encoded = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a String cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}
