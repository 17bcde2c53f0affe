//! An error as MLflow's clients read it.

use super::ours;
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
        let mut body = json!({ "error_code": row.mlflow, "message": error.message() });
        if let Some((state, class)) = classified(row.mlflow) {
            body["sqlstate"] = state.into();
            body["error_class"] = class.into();
        }
        let mut response = (status, Json(body)).into_response();
        if ours::is_conflict(&error) {
            let conflict = axum::http::HeaderValue::from_static(ours::CONFLICT);
            response.headers_mut().insert(ours::KIND, conflict);
        }
        if error.kind() == ErrorKind::Unauthenticated {
            let ask = axum::http::HeaderValue::from_static("Basic realm=\"mlops\"");
            response.headers_mut().insert(WWW_AUTHENTICATE, ask);
        }
        response
    }
}

/// How clients since 3.10 classify an error, by an SQL state and a class: MLflow's table.
fn classified(code: &'static str) -> Option<(&'static str, &'static str)> {
    Some(match code {
        "BAD_REQUEST" | "INVALID_PARAMETER_VALUE" => ("KAM00", "INVALID_PARAMETER_VALUE"),
        "RESOURCE_DOES_NOT_EXIST" => ("KAM00", "RESOURCE_NOT_FOUND"),
        "RESOURCE_ALREADY_EXISTS" | "PERMISSION_DENIED" => ("KAM00", code),
        "INTERNAL_ERROR" | "TEMPORARILY_UNAVAILABLE" => ("XXM00", "CLIENT_INTERNAL_ERROR"),
        _ => return None,
    })
}
