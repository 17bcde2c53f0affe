//! What endpoints and routers count, told to the metrics recorder of the process.
//!
//! Requests pay nothing for it: they count in plain atomics, as always, and [`Telemetry`] carries over
//! what has come to those since it looked last.

mod families;
mod recording;
mod watch;

#[cfg(feature = "http")]
use crate::http::{HttpCounters, HttpCounts};
use crate::rollout::endpoint::Endpoint;
use recording::Recording;
#[cfg(feature = "http")]
use std::sync::Arc;
use std::{
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};
use watch::Watch;

/// Tells the recorder that the host has installed for the `metrics` facade what endpoints and routers
/// have counted.
///
/// | name | kind | labels |
/// |---|---|---|
/// | `mlops_endpoint_requests_total`, `…_answered_total`, `…_abandoned_total`, `…_rows_total`, `…_swaps_total`, `…_panics_total` | counter | `endpoint` |
/// | `mlops_endpoint_errors_total` | counter | `endpoint`, `kind` |
/// | `mlops_endpoint_version_answered_total`, `…_failed_total` | counter | `endpoint`, `version` |
/// | `mlops_endpoint_info`: 1 for what answers, 0 for what did | gauge | `endpoint`, `model`, `version` |
/// | `mlops_endpoint_in_flight`, `mlops_endpoint_stale` | gauge | `endpoint` |
/// | `mlops_endpoint_request_seconds` | histogram | `endpoint` |
/// | `mlops_batcher_at_once_total`, `…_requests_total`, `…_refused_total`, `…_abandoned_total`, `…_expired_total`, `…_bisected_total`, `…_panics_total` | counter | `endpoint` |
/// | `mlops_batcher_waiting` | gauge | `endpoint` |
/// | `mlops_batcher_wait_seconds`, `mlops_batcher_rows` | histogram | `endpoint` |
/// | `mlops_http_requests_total`, `…_refused_total`, `…_failed_total`, `…_internal_errors_total`, `…_panics_total` | counter | – |
///
/// The names are those of `mlops serve`'s page, so that its dashboard reads a host's metrics too.
///
/// # Behavior
/// - what is counted from when it is given is told, once: two of these for one endpoint count double, and
///   what is told while no recorder is installed is lost
/// - a histogram has the resolution of the counters: what fell in a cell of
///   [`DURATION_BOUNDS`](crate::DURATION_BOUNDS) or [`ROWS_BOUNDS`](crate::batching::ROWS_BOUNDS) is
///   recorded as the cell's upper bound, so that a recorder with these very bounds has the same counts in
///   each bucket; what is past the last bound as a mean that is no less than theirs
/// - of a version all is told, also once it is gone; but one that came and went between two looks only the
///   endpoint's own counters know
/// - an endpoint is not kept: when its last handle is dropped its series stay where they are
///
/// ```
/// use metrics_exporter_prometheus::PrometheusBuilder;
/// use mlops_core::{Predictor, predictor::PredictRequest, signature::ModelSignature, testing::FnPredictor};
/// use mlops_serve::{Endpoint, telemetry::Telemetry};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let model = FnPredictor::new("risk", ModelSignature::default(), |inputs| Ok(inputs.clone()));
/// let endpoint = Endpoint::from_predictor("risk", model);
/// let telemetry = Telemetry::new().with_endpoint(&endpoint);
///
/// // The recorder is the host's, whichever it is; `install_recorder` is the way of a real one.
/// let recorder = PrometheusBuilder::new().build_recorder();
/// let page = recorder.handle();
/// # let runtime = tokio::runtime::Builder::new_current_thread().build()?;
/// # runtime.block_on(endpoint.predict(PredictRequest::default()))?;
/// metrics::with_local_recorder(&recorder, || {
///     // Before each scrape; or `tokio::spawn(telemetry.run(Duration::from_secs(5)))` for whoever pushes.
///     telemetry.update();
/// });
/// assert!(page.render().contains("mlops_endpoint_answered_total{endpoint=\"risk\"} 1"));
/// # Ok(())
/// # }
/// ```
#[derive(Default)]
pub struct Telemetry(Mutex<Watched>);

#[derive(Default)]
struct Watched {
    endpoints: Vec<Watch>,
    #[cfg(feature = "http")]
    routers: Vec<(Arc<HttpCounters>, HttpCounts)>,
    is_described: bool,
}

impl Telemetry {
    /// Watches nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Watches this endpoint, and its batcher, without keeping either.
    #[must_use]
    pub fn with_endpoint(self, endpoint: &Endpoint) -> Self {
        self.add_endpoint(endpoint);
        self
    }

    /// As [`with_endpoint`](Self::with_endpoint), for one that comes later.
    pub fn add_endpoint(&self, endpoint: &Endpoint) {
        self.watched(|watched| watched.endpoints.push(Watch::new(endpoint)));
    }

    /// Watches what a router counts: [`Service::counters`](crate::http::Service::counters).
    #[cfg(feature = "http")]
    #[must_use]
    pub fn with_router(self, counters: Arc<HttpCounters>) -> Self {
        self.watched(|watched| watched.routers.push((counters, HttpCounts::default())));
        self
    }

    /// Tells the recorder what has been counted since the last time. Waits for no request; histograms are
    /// recorded value by value, as the facade has it, so that each answer since then costs what one record
    /// costs there.
    pub fn update(&self) {
        metrics::with_recorder(|recorder| {
            self.watched(|watched| watched.tell(&Recording(recorder)));
        });
    }

    /// [Updates](Self::update) every so often until it is dropped, on a runtime of tokio that has a timer.
    pub async fn run(self, every: Duration) {
        loop {
            self.update();
            tokio::time::sleep(every).await;
        }
    }

    fn watched<T>(&self, act: impl FnOnce(&mut Watched) -> T) -> T {
        // A recorder that panicked has been told a part: what it has not heard is told the next time.
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Watched {
    fn tell(&mut self, recording: &Recording<'_>) {
        if !std::mem::replace(&mut self.is_described, true) {
            families::describe(recording);
        }
        self.endpoints.retain_mut(|watch| watch.tell(recording));
        #[cfg(feature = "http")]
        for (counters, told) in &mut self.routers {
            let now = counters.read();
            for (name, _, read) in families::ROUTER {
                recording.count(name, Vec::new(), read(&now).saturating_sub(read(told)));
            }
            *told = now;
        }
    }
}

impl fmt::Debug for Telemetry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.watched(|watched| f.debug_tuple("Telemetry").field(&watched.endpoints).finish())
    }
}
