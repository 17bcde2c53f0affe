//! What a call's head says, and what holds of every call: its time, its status, its count.

use crate::http::{Service, body::in_time};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use futures_util::FutureExt;
use mlops_core::{Error, ErrorKind, Result};
use std::{
    future::Future,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};
use tonic::{Code, Status};

/// One call.
#[derive(Clone, Debug)]
pub(super) struct Call {
    pub(super) service: Arc<Service>,
    /// Who asks.
    pub(super) caller: Arc<str>,
    /// When its head came.
    pub(super) started: Instant,
    /// How long the caller waits.
    pub(super) timeout: Option<Duration>,
    /// Whether its messages may be compressed.
    pub(super) is_gzip: bool,
    /// Whether the answer's are.
    pub(super) answers_gzip: bool,
}

impl Call {
    /// Reads a call's head; a wrong one is `InvalidInput`, a coding that is not here `Unsupported`.
    pub(super) fn of(service: &Arc<Service>, headers: &HeaderMap) -> Result<Self> {
        let is_gzip = match headers.get("grpc-encoding").map(HeaderValue::as_bytes) {
            None | Some(b"identity") => false,
            Some(b"gzip") => true,
            Some(_) => {
                return Err(Error::unsupported("\"grpc-encoding\" is neither identity nor gzip"));
            }
        };
        let accepted = headers.get_all("grpc-accept-encoding").iter();
        let mut accepted = accepted.filter_map(|value| value.to_str().ok());
        let takes_gzip = accepted.any(|list| list.split(',').any(|one| one.trim() == "gzip"));
        Ok(Self {
            service: Arc::clone(service),
            caller: Arc::default(),
            started: service.clock.instant(),
            timeout: timeout(headers)?,
            is_gzip,
            // Most clients take it always; who compresses is who finds that it pays.
            answers_gzip: is_gzip && takes_gzip,
        })
    }

    /// The same call, of one who may ask it: by the same metadata as the headers of HTTP.
    pub(super) fn admitted(self, method: &str, headers: &HeaderMap) -> Result<Self> {
        // What probes ask, which have no key.
        if matches!(method, "ServerLive" | "ServerReady") {
            return Ok(self);
        }
        let caller = self.service.caller(headers)?;
        let call = Self { caller, ..self };
        // Of a stream each request counts.
        if method != "ModelStreamInfer" {
            call.one_more()?;
        }
        Ok(call)
    }

    /// Counts one more request of the caller's; `Overloaded` for who asks too often.
    pub(super) fn one_more(&self) -> Result<()> {
        self.service.one_more(&self.caller).map_err(|denied| denied.error)
    }

    /// What is left of the caller's time and, if this is to end in ours too, of ours.
    fn left(&self, ours: Option<Duration>) -> Option<Duration> {
        let limit = [self.timeout, ours].into_iter().flatten().min()?;
        let deadline = self.started.checked_add(limit)?;
        Some(deadline.saturating_duration_since(self.service.clock.instant()))
    }

    /// The value of work that must be done within a request's time.
    pub(super) async fn in_time<T>(&self, work: impl Future<Output = Result<T>>) -> Result<T> {
        let limit = self.left(self.service.config.timeout);
        in_time(limit, pin!(work))
            .await
            .unwrap_or_else(|| Err(late("the message did not come in time")))
    }

    /// The value of work that only the caller's own time ends.
    pub(super) async fn in_callers_time<T>(
        &self,
        work: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let late = || Err(late("the time that the caller gave is over"));
        in_time(self.left(None), pin!(work)).await.unwrap_or_else(late)
    }

    /// The same call for one request of a stream, which begins now.
    pub(super) fn of_stream(&self) -> Self {
        let (timeout, started) = (self.left(None), self.service.clock.instant());
        Self { started, timeout, ..self.clone() }
    }
}

/// The work's value; a panic of ours in it is `Internal`, to this caller alone, and counted.
pub(super) async fn guarded<T>(
    service: &Service,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    AssertUnwindSafe(work).catch_unwind().await.unwrap_or_else(|_| {
        service.counters.panicked();
        Err(Error::internal("answering this request panicked"))
    })
}

fn late(message: &'static str) -> Error {
    Error::new(ErrorKind::TimedOut, message)
}

/// Counts an answer as the same answer over HTTP would be, and logs what is a fault of ours.
pub(super) fn count(service: &Service, error: Option<&Error>) {
    let code = error.map_or(200, |error| error.kind().row().http);
    let code = StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if code.is_server_error() {
        tracing::warn!(status = code.as_u16(), ?error, "a request failed");
    }
    service.counters.answered(code);
}

/// By the family's table; the message crosses, context and causes stay.
pub(super) fn status(error: &Error) -> Status {
    Status::new(Code::from(error.kind().row().grpc), error.message())
}

/// `grpc-timeout`: at most eight digits and a unit.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>> {
    let Some(value) = headers.get("grpc-timeout") else { return Ok(None) };
    let read = || {
        let (digits, unit) = value.to_str().ok()?.split_at_checked(value.len().checked_sub(1)?)?;
        let is_number = digits.bytes().all(|byte| byte.is_ascii_digit());
        let count: u64 = digits.parse().ok().filter(|_| is_number && digits.len() <= 8)?;
        Some(match unit {
            "H" => Duration::from_secs(count * 3600),
            "M" => Duration::from_secs(count * 60),
            "S" => Duration::from_secs(count),
            "m" => Duration::from_millis(count),
            "u" => Duration::from_micros(count),
            "n" => Duration::from_nanos(count),
            _ => return None,
        })
    };
    let wrong =
        || Error::invalid("\"grpc-timeout\" is no number of at most eight digits with a unit");
    read().map(Some).ok_or_else(wrong)
}
