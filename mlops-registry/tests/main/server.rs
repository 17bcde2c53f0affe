//! The server, called as MLflow's clients call it.

#[path = "server/experiments.rs"]
mod experiments;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Method, Request, StatusCode, header::CONTENT_TYPE},
};
use mlops_registry::{
    SqliteStore, StoreConfig,
    mlflow::server::{ServerConfig, router},
};
use serde_json::Value;
use tempfile::TempDir;
use tower::ServiceExt;

/// A fresh record behind its router.
pub(crate) struct Server {
    pub(crate) store: SqliteStore,
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
        let store = SqliteStore::open(path, StoreConfig::default()).await.unwrap();
        Self { router: router(store.clone(), config), store, _folder: folder }
    }

    pub(crate) async fn send(&self, request: Request<Body>) -> (StatusCode, HeaderMap, Bytes) {
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (head, body) = response.into_parts();
        (head.status, head.headers, to_bytes(body, usize::MAX).await.unwrap())
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
