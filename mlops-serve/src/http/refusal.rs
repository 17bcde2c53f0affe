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
    /// Seconds.
    retry_after: u64,
    /// As MLflow says it.
    code: &'static str,
}

impl Refusal {
    /// A refusal that HTTP alone knows: a method, a coding, a body that does not come.
    pub(super) fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
            may_retry: false,
            retry_after: 1,
            code: "BAD_REQUEST",
        }
    }

    pub(super) fn status(&self) -> StatusCode {
        self.status
    }

    /// Says when it may be tried again, if that is known, in seconds.
    pub(super) fn with_retry_after(mut self, seconds: Option<u64>) -> Self {
        self.retry_after = seconds.unwrap_or(self.retry_after);
        self
    }

    /// As MLflow's scoring server writes errors.
    pub(super) fn into_scoring_response(self) -> Response {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            error_code: &'a str,
            message: &'a str,
        }
        self.respond(&Body { error_code: self.code, message: &self.message })
    }

    fn respond(&self, body: &impl serde::Serialize) -> Response {
        let body = serde_json::to_vec(body).expect("text is valid JSON");
        let mut response = json(self.status, body);
        let busy = [StatusCode::TOO_MANY_REQUESTS, StatusCode::SERVICE_UNAVAILABLE];
        if self.status == StatusCode::UNAUTHORIZED {
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if self.may_retry && busy.contains(&self.status) {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(self.retry_after));
        }
        response
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
        let (message, may_retry) = (error.message().to_owned(), row.may_retry);
        Self { status, message, may_retry, retry_after: 1, code: row.mlflow }
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        #[derive(serde::Serialize)]
        struct Body<'a> {
            error: &'a str,
        }
        self.respond(&Body { error: &self.message })
    }
}

/// An answer in JSON.
pub(super) fn json(status: StatusCode, body: Vec<u8>) -> Response {
    (status, [(header::CONTENT_TYPE, "application/json")], body).into_response()
}
