//! The service that was there before any model: models go below one of its paths.

use axum::{Router, http::StatusCode, routing::get};
use mlops::serve::http::Service;

/// The host's own routes and fallback, and the Open Inference Protocol below `/ml`.
pub fn app(models: Service) -> Router {
    Router::new()
        .route("/", get(|| async { "home" }))
        .nest("/ml", models.into_router())
        .fallback(|| async { (StatusCode::NOT_FOUND, "the host's own") })
}
