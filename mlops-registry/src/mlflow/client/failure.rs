//! What a server refuses and what keeps it from answering, in the family's words.

use super::{http::Session, sign_in::SignIn};
use crate::mlflow::wire::{Refusal, extension::ERROR_KIND};
use mlops_core::{Error, ErrorKind};
use reqwest::{StatusCode, header::HeaderMap};
use std::time::Duration;

/// The longest message that is kept of what a server says.
const LONGEST: usize = 2_000;

/// Why there is no answer, and whether there may be one.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) again: Again,
    /// How long the server asks to wait.
    pub(super) after: Option<Duration>,
}

/// Whether a request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    /// If doing it twice does no harm.
    IfRepeatable,
    /// It was not done.
    Always,
}

impl Failure {
    /// The server did not answer.
    pub(super) fn transport(session: &Session, cause: reqwest::Error) -> Self {
        let server = session.server();
        let (kind, again, what) = if cause.is_connect() {
            (ErrorKind::Unavailable, Again::Always, "cannot be reached")
        } else if cause.is_timeout() {
            (ErrorKind::TimedOut, Again::IfRepeatable, "did not answer in time")
        } else if cause.is_builder() {
            (ErrorKind::InvalidInput, Again::Never, "cannot be sent this request")
        } else {
            (ErrorKind::Unavailable, Again::IfRepeatable, "broke off")
        };
        let kind =
            if cause.is_connect() && cause.is_timeout() { ErrorKind::TimedOut } else { kind };
        // Its address is known and may hold what is nobody's business.
        let error = Error::new(kind, format!("{server} {what}")).with_source(cause.without_url());
        Self { error, again, after: None }
    }

    /// The server refused.
    pub(super) fn refused(
        session: &Session,
        status: StatusCode,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Self {
        let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
        let code = refusal.error_code.as_deref();
        let message = refusal.message.as_deref().map(|text| said(&session.sign_in, text));
        let message = message.unwrap_or_else(|| format!("{} answered {status}", session.server()));
        // What MLflow's codes cannot say, our server says in a header.
        let conflict = headers.get(ERROR_KIND).is_some_and(|kind| kind == "conflict");
        let kind = if conflict { ErrorKind::Conflict } else { kind(code, status, &message) };
        let again = match status.as_u16() {
            429 => Again::Always,
            408 | 500 | 502..=504 => Again::IfRepeatable,
            _ => Again::Never,
        };
        Self { error: Error::new(kind, message), again, after: retry_after(headers) }
    }

    pub(super) fn never(error: Error) -> Self {
        Self { error, again: Again::Never, after: None }
    }
}

/// A message of a server: without secrets, control characters, and what is too long.
fn said(sign_in: &SignIn, text: &str) -> String {
    let text = sign_in.redacted(text);
    let shown = text.chars().map(|c| if c.is_control() { ' ' } else { c });
    let mut shown: String = shown.take(LONGEST).collect();
    if text.chars().nth(LONGEST).is_some() {
        shown.push('…');
    }
    shown
}

/// The kind that MLflow's code means, else the status.
fn kind(code: Option<&str>, status: StatusCode, message: &str) -> ErrorKind {
    use ErrorKind as K;
    match code {
        // MLflow says no more about these two, which a caller tells apart.
        Some("INVALID_PARAMETER_VALUE") if is_conflict(message) => K::Conflict,
        Some("INVALID_PARAMETER_VALUE" | "BAD_REQUEST" | "MALFORMED_REQUEST") => K::InvalidInput,
        Some("NOT_FOUND" | "ENDPOINT_NOT_FOUND") if status == StatusCode::NOT_FOUND => K::NotFound,
        Some("ALREADY_EXISTS") => K::AlreadyExists,
        Some("ABORTED") => K::Conflict,
        Some("CUSTOMER_UNAUTHORIZED") => K::Unauthenticated,
        Some("RESOURCE_EXHAUSTED") => K::Overloaded,
        Some(code) => {
            K::all().find(|kind| kind.row().mlflow == code).unwrap_or_else(|| of_status(status))
        }
        None => of_status(status),
    }
}

/// Another value for a parameter, or a thing that is deleted.
fn is_conflict(message: &str) -> bool {
    message.contains("Changing param values is not allowed")
        || message.contains("must be in the 'active' state")
}

fn of_status(status: StatusCode) -> ErrorKind {
    use ErrorKind as K;
    match status.as_u16() {
        401 => K::Unauthenticated,
        403 => K::PermissionDenied,
        404 => K::NotFound,
        // A redirection is not followed: credentials stay with the server that they are for.
        300..=399 | 405 | 501 => K::Unsupported,
        408 | 504 => K::TimedOut,
        409 | 412 => K::Conflict,
        413 => K::TooLarge,
        429 => K::Overloaded,
        502 | 503 => K::Unavailable,
        400..=499 => K::InvalidInput,
        _ => K::Internal,
    }
}

/// `Retry-After` in seconds; its other form, a date, is passed over.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(reqwest::header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_of_the_table_comes_back_as_its_kind() {
        for kind_of in ErrorKind::all() {
            let row = kind_of.row();
            let status = StatusCode::from_u16(row.mlflow_http).unwrap();
            let found = kind(Some(row.mlflow), status, "");
            // MLflow has no code of its own for what is too large.
            let wanted =
                if kind_of == ErrorKind::TooLarge { ErrorKind::InvalidInput } else { kind_of };
            assert_eq!(found, wanted, "{}", row.mlflow);
        }
        assert_eq!(kind(None, StatusCode::PAYLOAD_TOO_LARGE, ""), ErrorKind::TooLarge);
        assert_eq!(kind(Some("NEW_WORD"), StatusCode::FORBIDDEN, ""), ErrorKind::PermissionDenied);
    }

    #[test]
    fn a_message_is_one_short_line() {
        let text = said(&SignIn::default(), &format!("a\nb{}", "x".repeat(3_000)));
        assert!(text.starts_with("a bx") && text.chars().count() == LONGEST + 1);
    }
}
