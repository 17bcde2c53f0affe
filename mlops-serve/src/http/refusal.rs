//! Errors as HTTP says them: a status and `{"error": "…"}`.

use axum::{
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use mlops_core::Error;

/// Why a request gets no answer.
#[derive(Debug)]
pub(super) struct Refusal {
    status: StatusCode,
    message: String,
    may_retry: bool,
}

impl Refusal {
    /// A refusal that HTTP alone knows: a method, a coding, a body that does not come.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self { status, message: message.into(), may_retry: false }
    }
}

impl From<Error> for Refusal {
    /// By the family's table; the message crosses, context and causes go to the log.
    fn from(error: Error) -> Self {
        let row = error.kind().row();
        let status = StatusCode::from_u16(row.http).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if status.is_server_error() {
            tracing::warn!(status = row.http, error = ?error, "a request failed");
        }
        Self { status, message: error.message().to_owned(), may_retry: row.may_retry }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            error: &'a str,
        }
        let body = serde_json::to_vec(&Body { error: &self.message }).expect("text is valid JSON");
        let mut response = json(self.status, body);
        let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        if self.may_retry && busy.contains(&self.status) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
