//! Names, and where their numbers are.

use super::recording::Recording;
#[cfg(feature = "http")]
use crate::http::HttpCounts;
use crate::rollout::endpoint::EndpointStats;
use metrics::Unit;

/// A name, what it is, and its number.
type Family<S> = (&'static str, &'static str, fn(&S) -> u64);

pub(super) const ERRORS: &str = "mlops_endpoint_errors_total";
pub(super) const INFO: &str = "mlops_endpoint_info";
pub(super) const STALE: &str = "mlops_endpoint_stale";
pub(super) const VERSION_ANSWERED: &str = "mlops_endpoint_version_answered_total";
pub(super) const VERSION_FAILED: &str = "mlops_endpoint_version_failed_total";
pub(super) const REQUEST_SECONDS: &str = "mlops_endpoint_request_seconds";
pub(super) const WAIT_SECONDS: &str = "mlops_batcher_wait_seconds";
pub(super) const ROWS: &str = "mlops_batcher_rows";

pub(super) const COUNTERS: [Family<EndpointStats>; 13] = [
    ("mlops_endpoint_requests_total", "Requests that came", |e| e.requests),
    ("mlops_endpoint_answered_total", "Requests answered", |e| e.answered),
    ("mlops_endpoint_abandoned_total", "Requests given up by callers", |e| e.abandoned),
    ("mlops_endpoint_rows_total", "Rows in answers", |e| e.rows),
    ("mlops_endpoint_swaps_total", "Models that took another's place", |e| e.swaps),
    ("mlops_endpoint_panics_total", "Calls lost to a panic", |e| e.panics),
    ("mlops_batcher_at_once_total", "Requests that did not wait", |e| e.batching.at_once),
    ("mlops_batcher_requests_total", "Requests that waited and ran", |e| {
        e.batching.batched_requests
    }),
    ("mlops_batcher_refused_total", "Requests refused as too much waited", |e| e.batching.refused),
    ("mlops_batcher_abandoned_total", "Requests given up before they ran", |e| {
        e.batching.abandoned
    }),
    ("mlops_batcher_expired_total", "Requests too late before they ran", |e| e.batching.expired),
    ("mlops_batcher_bisected_total", "Failed batches run again in halves", |e| e.batching.bisected),
    ("mlops_batcher_panics_total", "Batches lost to a panic", |e| e.batching.panics),
];

pub(super) const GAUGES: [Family<EndpointStats>; 2] = [
    ("mlops_endpoint_in_flight", "Requests being answered", |e| e.in_flight),
    ("mlops_batcher_waiting", "Requests that wait", |e| e.batching.waiting),
];

#[cfg(feature = "http")]
pub(super) const ROUTER: [Family<HttpCounts>; 5] = [
    ("mlops_http_requests_total", "Requests answered, over gRPC too", |h| h.requests),
    ("mlops_http_refused_total", "Requests answered with a 4xx, or its like in gRPC", |h| {
        h.refused
    }),
    ("mlops_http_failed_total", "Requests answered with a 5xx, or its like in gRPC", |h| h.failed),
    (
        "mlops_http_internal_errors_total",
        "Requests answered with a 500, or its like in gRPC",
        |h| h.internal_errors,
    ),
    ("mlops_http_panics_total", "Panics caught by the router", |h| h.panics),
];

/// Says once what each name means.
pub(super) fn describe(recording: &Recording<'_>) {
    let recorder = recording.0;
    let counter = |name: &'static str, help: &'static str| {
        recorder.describe_counter(name.into(), Some(Unit::Count), help.into());
    };
    for (name, help, _) in COUNTERS {
        counter(name, help);
    }
    #[cfg(feature = "http")]
    for (name, help, _) in ROUTER {
        counter(name, help);
    }
    counter(ERRORS, "Requests that failed, by kind");
    counter(VERSION_ANSWERED, "Requests that this version answered");
    counter(VERSION_FAILED, "Requests that failed with this version");
    let gauge = |name: &'static str, help: &'static str| {
        recorder.describe_gauge(name.into(), Some(Unit::Count), help.into());
    };
    for (name, help, _) in GAUGES {
        gauge(name, help);
    }
    gauge(INFO, "The model that answers: 1, and 0 for what did");
    gauge(STALE, "Whether the registry is not followed");
    for (name, unit, help) in [
        (REQUEST_SECONDS, Unit::Seconds, "How long answers and errors took in the process"),
        (WAIT_SECONDS, Unit::Seconds, "How long requests waited that ran in a batch"),
        (ROWS, Unit::Count, "Rows of batches of requests that waited"),
    ] {
        recorder.describe_histogram(name.into(), Some(unit), help.into());
    }
}
