//! Why there is no answer, and what may be done about it.

use axum::http::{HeaderMap, StatusCode, header};
use mlops_core::{Error, ErrorKind};
use std::{error::Error as _, time::Duration};
use tonic::Status;

/// Why one attempt got no answer.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: Error,
    pub(super) again: Again,
    /// How long the server wants to be left alone.
    pub(super) after: Option<Duration>,
}

/// Whether the request may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Again {
    Never,
    /// If what may have been computed may be computed again.
    IfHarmless,
    /// Nothing was computed.
    Safely,
}

/// Of what the server says of itself, so much is kept for the log.
const MOST_TEXT: usize = 1000;

impl From<Error> for Failure {
    /// Of ours, or of an answer that has begun.
    fn from(error: Error) -> Self {
        Self { error, again: Again::Never, after: None }
    }
}

impl Failure {
    /// There was no answer at all, not its head either.
    pub(super) fn unanswered(cause: hyper_util::client::legacy::Error) -> Self {
        let inner = cause.source().and_then(|inner| inner.downcast_ref::<hyper::Error>());
        let is_garbage = inner.is_some_and(hyper::Error::is_parse);
        let (error, again) = if cause.is_connect() {
            (Error::unavailable("no connection to the server came about"), Again::Safely)
        } else if is_garbage {
            (Error::corrupt("the server does not speak HTTP"), Again::Never)
        } else {
            (Error::unavailable("the connection broke before the answer began"), Again::IfHarmless)
        };
        Self { error: error.with_source(cause), again, after: None }
    }

    /// The server refused, over HTTP.
    pub(super) fn refused(status: StatusCode, headers: &HeaderMap, body: &[u8]) -> Self {
        let error = Error::new(kind(status), format!("the server answered {}", status.as_u16()));
        let again = match status.as_u16() {
            429 | 503 => Again::Safely,
            502 => Again::IfHarmless,
            _ => Again::Never,
        };
        Self { error: with_said(error, body), again, after: retry_after(headers) }
    }

    /// The server refused, over gRPC; `begun` says that an answer had.
    pub(super) fn status(status: &Status, begun: bool) -> Self {
        let code = status.code();
        let kind = grpc_kind(code);
        let error = Error::new(kind, format!("the server answered {code:?}"));
        let refused = matches!(kind, ErrorKind::Unavailable | ErrorKind::Overloaded);
        let again = if refused && !begun { Again::Safely } else { Again::Never };
        Self { error: with_said(error, status.message().as_bytes()), again, after: None }
    }
}

/// What the server said goes to the log, and not to callers: it may quote what it was sent.
fn with_said(error: Error, said: &[u8]) -> Error {
    let text = String::from_utf8_lossy(&said[..said.len().min(MOST_TEXT)]);
    let text: String = text.chars().filter(|c| !c.is_control()).collect();
    if text.is_empty() { error } else { error.with_source(text) }
}

/// The family's table read from the other side; statuses that it does not have are of the nearest kind.
fn kind(status: StatusCode) -> ErrorKind {
    let code = status.as_u16();
    match code {
        // Others than ours say so where they are not ready.
        500 => ErrorKind::Internal,
        408 => ErrorKind::TimedOut,
        415 | 405 => ErrorKind::Unsupported,
        502 => ErrorKind::Unavailable,
        _ => {
            let row = ErrorKind::all().find(|kind| kind.row().http == code);
            row.unwrap_or(match code {
                400..=499 => ErrorKind::InvalidInput,
                500..=599 => ErrorKind::Internal,
                _ => ErrorKind::Corrupt,
            })
        }
    }
}

fn grpc_kind(code: tonic::Code) -> ErrorKind {
    match code {
        // The table has two kinds for this; a request that is too large is refused again, and no harm done.
        tonic::Code::ResourceExhausted => ErrorKind::Overloaded,
        tonic::Code::FailedPrecondition | tonic::Code::OutOfRange => ErrorKind::InvalidInput,
        _ => {
            let row = ErrorKind::all().find(|kind| kind.row().grpc == code as i32);
            row.unwrap_or(ErrorKind::Internal)
        }
    }
}

/// `Retry-After`: seconds, or a date, which is so far away as it is from the answer's own `Date`. The
/// server's clock tells the two apart, and not ours, which may go otherwise.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name| Some(headers.get(name)?.to_str().ok()?.trim());
    let after = text(header::RETRY_AFTER)?;
    if let Ok(seconds) = after.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = |text| httpdate::parse_http_date(text).ok();
    let (then, now) = (date(after)?, date(text(header::DATE)?)?);
    Some(then.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_a_kind_and_those_of_the_table_their_own() {
        for kind_of in ErrorKind::all() {
            let row = kind_of.row();
            let Ok(status) = StatusCode::from_u16(row.http) else { continue };
            let back = kind(status);
            assert_eq!(back.row().http, row.http, "{kind_of:?}");
            let back = grpc_kind(tonic::Code::from(row.grpc));
            assert_eq!(back.row().grpc, row.grpc, "{kind_of:?}");
        }
        let kind = |code| kind(StatusCode::from_u16(code).unwrap());
        assert_eq!(kind(500), ErrorKind::Internal);
        assert_eq!(kind(422), ErrorKind::InvalidInput);
        assert_eq!(kind(302), ErrorKind::Corrupt);
        assert_eq!(kind(599), ErrorKind::Internal);
    }

    #[test]
    fn a_server_says_how_long_in_seconds_or_by_a_date() {
        let wait = |after: &str, date: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header::RETRY_AFTER, after.parse().unwrap());
            if !date.is_empty() {
                headers.insert(header::DATE, date.parse().unwrap());
            }
            Failure::refused(StatusCode::SERVICE_UNAVAILABLE, &headers, b"").after
        };
        let (now, later) = ("Sun, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:50:07 GMT");
        assert_eq!(wait("90", now), Some(Duration::from_secs(90)));
        assert_eq!(wait(later, now), Some(Duration::from_secs(30)));
        // The two older forms of a date.
        assert_eq!(wait("Sun Nov  6 08:49:47 1994", now), Some(Duration::from_secs(10)));
        assert_eq!(wait("Sunday, 06-Nov-94 08:49:38 GMT", now), Some(Duration::from_secs(1)));
        assert_eq!(wait(now, later), Some(Duration::ZERO), "it is over");
        assert_eq!((wait(later, ""), wait("soon", now), wait("-1", now)), (None, None, None));
    }

    #[test]
    fn what_a_server_says_goes_to_the_log_alone() {
        let failure = Failure::refused(StatusCode::BAD_REQUEST, &HeaderMap::new(), b"hunter2\x07");
        assert_eq!(failure.error.to_string(), "the server answered 400");
        assert!(format!("{:?}", failure.error).ends_with("caused by: hunter2"));
    }
}
