//! An error as MLflow's clients read it.

use axum::{
    Json,
    http::{StatusCode, header::WWW_AUTHENTICATE},
    response::{IntoResponse, Response},
};
use mlops_core::{Error, ErrorKind};
use serde_json::json;

/// An error on its way out.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) Error);

impl From<Error> for Refusal {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let (row, error) = (self.0.kind().row(), self.0);
        if row.mlflow_http >= 500 {
            // The wire carries the message alone; what led to it is for who runs the server.
            tracing::warn!(%error, source = ?std::error::Error::source(&error), "a call failed");
        }
        let status =
            StatusCode::from_u16(row.mlflow_http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let body = json!({ "error_code": row.mlflow, "message": error.message() });
        let mut response = (status, Json(body)).into_response();
        if error.kind() == ErrorKind::Unauthenticated {
            let ask = axum::http::HeaderValue::from_static("Basic realm=\"mlops\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, ask);
        }
        response
    }
}
