//! What a router that keeps no counts of its own has answered, and the last net under a panic in it.

use axum::{
    Router,
    extract::{Request, State},
    http::StatusCode,
    middleware::{Next, from_fn_with_state},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use mlops_serve::http::HttpCounts;
use std::{
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Counts of what a router has answered.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    requests: AtomicU64,
    refused: AtomicU64,
    failed: AtomicU64,
    internal: AtomicU64,
    panics: AtomicU64,
}

impl Counters {
    /// The same router, counted from now on.
    pub(crate) fn around(self: Arc<Self>, router: Router) -> Router {
        router.layer(from_fn_with_state(self, counted))
    }

    /// The counts now.
    pub(crate) fn read(&self) -> HttpCounts {
        let now = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut counts = HttpCounts::default();
        counts.requests = now(&self.requests);
        counts.refused = now(&self.refused);
        counts.failed = now(&self.failed);
        counts.internal_errors = now(&self.internal);
        counts.panics = now(&self.panics);
        counts
    }

    fn answered(&self, status: StatusCode) {
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

async fn counted(State(counters): State<Arc<Counters>>, request: Request, next: Next) -> Response {
    let answered = AssertUnwindSafe(next.run(request)).catch_unwind().await;
    let response = answered.unwrap_or_else(|_| {
        add(&counters.panics);
        (StatusCode::INTERNAL_SERVER_ERROR, "answering this request panicked").into_response()
    });
    counters.answered(response.status());
    response
}
