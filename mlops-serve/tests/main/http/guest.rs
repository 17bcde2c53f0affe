//! A guest in a host's own app: its own routes, fallback, layers and runtime stay the host's.

use super::{good, model};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Request, StatusCode},
    routing::get,
};
use mlops_serve::http::{HttpConfig, Service, router};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

fn host() -> Router {
    let service = Service::new().with_model(model("sum"));
    Router::new()
        .route("/", get(|| async { "home" }))
        .nest("/ml", service.into_router())
        .fallback(|| async { (StatusCode::NOT_FOUND, "the host's own") })
}

async fn send(app: Router, request: Request<Body>) -> (StatusCode, Vec<u8>) {
    let response = app.oneshot(request).await.unwrap();
    let status = response.status();
    (status, to_bytes(response.into_body(), usize::MAX).await.unwrap().to_vec())
}

fn post(path: &str) -> Request<Body> {
    Request::post(path).body(Body::from(good().to_string())).unwrap()
}

fn fetch(path: &str) -> Request<Body> {
    Request::get(path).body(Body::empty()).unwrap()
}

#[tokio::test]
async fn nested_below_a_path_of_the_hosts() {
    let (status, _) = send(host(), post("/ml/v2/models/sum/infer")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(send(host(), fetch("/")).await, (StatusCode::OK, b"home".to_vec()));
    for path in ["/elsewhere", "/ml/elsewhere", "/v2"] {
        let answer = send(host(), fetch(path)).await;
        assert_eq!(answer, (StatusCode::NOT_FOUND, b"the host's own".to_vec()), "{path}");
    }
    let (status, body) = send(host(), fetch("/ml/v2/nothing")).await;
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (status, body),
        (StatusCode::NOT_FOUND, json!({ "error": "there is no such path: see GET /v2" }))
    );
}

/// The barest runtime there is: one thread, no timers, no I/O.
#[test]
fn on_a_current_thread_runtime_without_timers() {
    let config = HttpConfig::default().with_timeout(None);
    let app = router([Arc::new(model("sum")) as Arc<dyn mlops_core::Predictor>], config);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    let (status, _) = runtime.block_on(send(app.clone(), post("/v2/models/sum/infer")));
    assert_eq!(status, StatusCode::OK);
    let (status, _) = runtime.block_on(send(app, fetch("/v2/health/ready")));
    assert_eq!(status, StatusCode::OK);
}
