//! The server, called as MLflow's clients call it.

#[path = "server/artifacts.rs"]
mod artifacts;
#[path = "server/experiments.rs"]
mod experiments;
#[path = "server/filled.rs"]
mod filled;
#[path = "server/inputs.rs"]
mod inputs;
#[path = "server/logged_models.rs"]
mod logged_models;
#[path = "server/metrics.rs"]
mod metrics;
#[path = "server/models.rs"]
mod models;
#[path = "server/purge.rs"]
mod purge;
#[path = "server/replay.rs"]
mod replay;
#[path = "server/runs.rs"]
mod runs;
#[path = "server/traces.rs"]
mod traces;
#[path = "server/version_1.rs"]
mod version_1;
#[path = "server/versions.rs"]
mod versions;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header::CONTENT_TYPE},
};
use mlops_registry::{
    SqlStore, StoreConfig,
    mlflow::server::{ServerConfig, router},
};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// A refusal with this status and code.
#[track_caller]
pub(crate) fn refused((status, body): (u16, Value), wanted: u16, code: &str) {
    assert_eq!((status, body["error_code"].as_str()), (wanted, Some(code)), "{body}");
}

/// A fresh record behind its router.
pub(crate) struct Server {
    pub(crate) store: SqlStore,
    router: Router,
    _folder: TempDir,
}

impl Server {
    pub(crate) async fn new() -> Self {
        Self::with(ServerConfig::default()).await
    }

    pub(crate) async fn with(config: ServerConfig) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mlops.db");
        let store = SqlStore::open(path, StoreConfig::default()).await.unwrap();
        Self::of(store, folder).again(config)
    }

    /// A record that is there, behind its router.
    pub(crate) fn of(store: SqlStore, folder: TempDir) -> Self {
        Self { router: router(store.clone(), ServerConfig::default()), store, _folder: folder }
    }

    /// The same record behind another router.
    pub(crate) fn again(self, config: ServerConfig) -> Self {
        Self { router: router(self.store.clone(), config), ..self }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, head.headers, to_bytes(body, usize::MAX).await.unwrap())
    }

    /// The status of an answer; the error is that of a body that ends before its end.
    pub(crate) async fn try_send(&self, request: Request<Body>) -> Result<StatusCode, String> {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        let body = to_bytes(body, usize::MAX).await;
        body.map(|_| head.status).map_err(|error| {
            let source = std::error::Error::source(&error).map(ToString::to_string);
            format!("{error} {}", source.unwrap_or_default())
        })
    }

    /// A call with JSON, or a GET with a query in its path; both below `/api/2.0`.
    pub(crate) async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let body = if method == Method::GET { Body::empty() } else { Body::from(body.to_string()) };
        let request = Request::builder()
            .method(method)
            .uri(format!("/api/2.0{path}"))
            .header(CONTENT_TYPE, "application/json");
        let (status, _, bytes) = self.send(request.body(body).unwrap()).await;
        (status.as_u16(), serde_json::from_slice(&bytes).unwrap_or(Value::Null))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, Value::Null).await
    }

    pub(crate) async fn post(&self, path: &str, body: Value) -> (u16, Value) {
        self.call(Method::POST, path, body).await
    }
}

impl Server {
    /// A run of experiment 0, with what else is said of it.
    pub(crate) async fn run(&self, mut body: Value) -> String {
        body["experiment_id"] = "0".into();
        let (status, made) = self.post("/mlflow/runs/create", body).await;
        assert_eq!(status, 200, "{made}");
        made["run"]["info"]["run_id"].as_str().unwrap().to_owned()
    }

    /// A run as it stands.
    pub(crate) async fn shown(&self, run: &str) -> Value {
        let (status, mut got) = self.get(&format!("/mlflow/runs/get?run_id={run}")).await;
        assert_eq!(status, 200, "{got}");
        got["run"].take()
    }

    /// A call that is answered with an empty object.
    #[track_caller]
    pub(crate) fn done(&self, path: &str, body: Value) -> impl Future<Output = ()> {
        let call = self.post(path, body);
        let place = std::panic::Location::caller();
        async move { assert_eq!(call.await, (200, serde_json::json!({})), "{place}") }
    }
}
