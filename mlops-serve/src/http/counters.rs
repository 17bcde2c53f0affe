//! What a router counts, and the last net under a handler that panics.

use super::{refusal::Refusal, service::Service, trace};
use axum::{
    extract::{Request, State},
    http::StatusCode,
    middleware::Next,
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use mlops_core::Error;
use std::{
    panic::AssertUnwindSafe,
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};
use tracing::{Instrument, Span};

/// Counts of a router since it was made; shared with whoever asked [`Service::counters`] for them.
///
/// Plain numbers: a host that exports metrics reads them when it is scraped.
#[derive(Debug, Default)]
pub struct HttpCounters {
    requests: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    internal: AtomicU64,
    panics: AtomicU64,
}

/// [`HttpCounters`] at one moment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HttpCounts {
    /// Requests that this service has answered, over HTTP or gRPC, however; those in progress are not among them.
    pub requests: u64,
    /// Answered with a 4xx: the caller's mistake, or a bound that holds for everybody.
    pub refused: u64,
    /// Answered with a 5xx.
    pub failed: u64,
    /// Of the failed, those answered 500: a bug of ours, or stored bytes that are damaged.
    pub internal_errors: u64,
    /// Panics caught in a model or in the router itself.
    pub panics: u64,
}

impl HttpCounters {
    /// The counts now.
    pub fn read(&self) -> HttpCounts {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        HttpCounts {
            requests: now(&self.requests),
            refused: now(&self.refused),
            failed: now(&self.failed),
            internal_errors: now(&self.internal),
            panics: now(&self.panics),
        }
    }

    pub(crate) fn panicked(&self) {
        add(&self.panics);
    }

    pub(crate) fn answered(&self, status: StatusCode) {
        add(&self.requests);
        if status.is_client_error() {
            add(&self.refused);
        }
        if status.is_server_error() {
            add(&self.failed);
        }
        if status == StatusCode::INTERNAL_SERVER_ERROR {
            add(&self.internal);
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

/// Around every route: a panic of the router's own becomes a 500 to its caller alone.
pub(super) async fn counted(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let traced = trace::span(request.headers());
    service.counted(traced, pin!(next.run(request))).await
}

impl Service {
    /// The answer, counted, in the caller's trace if there is one; of a panic of ours it is a 500.
    pub(super) async fn counted(
        &self,
        traced: Option<Span>,
        answering: Pin<&mut impl Future<Output = Response>>,
    ) -> Response {
        let answering = AssertUnwindSafe(answering).catch_unwind();
        let answered = match traced {
            None => answering.await,
            Some(span) => Box::pin(answering.instrument(span)).await,
        };
        let response = answered.unwrap_or_else(|_| {
            self.counters.panicked();
            Refusal::from(Error::internal("answering this request panicked")).into_response()
        });
        self.counters.answered(response.status());
        response
    }
}
