//! How often each model was asked and how long it took: Triton's statistics extension.

use super::service::Service;
use mlops_core::{
    Predictor, Result, Timestamp,
    predictor::{PredictRequest, PredictResponse},
};
use serde::Serialize;
use std::{
    ops::Deref,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

/// Counts of one model, of the version that answered last: another version begins at zero.
#[derive(Debug, Default)]
pub(crate) struct Tally(Mutex<Counts>);

#[derive(Clone, Debug, Default)]
struct Counts {
    version: Option<Arc<str>>,
    last: Option<Timestamp>,
    rows: u64,
    success: Span,
    fail: Span,
    read: Span,
    compute: Span,
}

/// How often something was done, and how long all of it took.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Span {
    pub(crate) count: u64,
    pub(crate) ns: u64,
}

impl Span {
    fn add(&mut self, took: Duration) {
        self.count += 1;
        self.ns = self.ns.saturating_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Statistics of one model, as the protocol says them.
///
/// A predictor is asked and answers; what it does between is its own. So a call of it is one
/// execution, also where a batcher behind it runs several together, and the time that a request waits
/// there is part of `compute_infer`. `queue` and `compute_output` count requests, as `perf_analyzer`
/// wants of all parts, and no time: the one is not seen, the other comes after the counting.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct ModelStatistics {
    pub(crate) name: String,
    pub(crate) version: String,
    /// Milliseconds since 1970.
    pub(crate) last_inference: u64,
    /// Rows that were answered.
    pub(crate) inference_count: u64,
    pub(crate) execution_count: u64,
    pub(crate) inference_stats: Spans,
    /// The sizes of batches are not known here.
    batch_stats: [(); 0],
}

#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Spans {
    /// From a request's head to the answer, not yet written.
    pub(crate) success: Span,
    /// The same, for requests that reached the model and failed.
    pub(crate) fail: Span,
    pub(crate) queue: Span,
    /// From a request's head until the model is asked.
    pub(crate) compute_input: Span,
    /// From there to its answer.
    pub(crate) compute_infer: Span,
    pub(crate) compute_output: Span,
    pub(crate) cache_hit: Span,
    pub(crate) cache_miss: Span,
}

/// A question that is being answered.
pub(super) struct Asked<'a> {
    tally: Option<Counting<'a>>,
    model: &'a dyn Predictor,
    rows: u64,
    started: Instant,
    began: Instant,
}

/// Where a question is counted: with a model of the service's own, or with one that may go meanwhile.
enum Counting<'a> {
    Own(&'a Tally),
    Loaded(Arc<Tally>),
}

impl Deref for Counting<'_> {
    type Target = Tally;

    fn deref(&self) -> &Tally {
        match self {
            Self::Own(tally) => tally,
            Self::Loaded(tally) => tally,
        }
    }
}

impl Service {
    fn counting(&self, name: &str) -> Option<Counting<'_>> {
        let loaded = || self.loading.as_ref()?.tally(name).map(Counting::Loaded);
        self.tallies.get(name).map(|tally| Counting::Own(tally)).or_else(loaded)
    }

    /// Begins to time one question; `started` is when its request came.
    pub(super) fn tally<'a>(
        &'a self,
        name: &str,
        model: &'a dyn Predictor,
        started: Instant,
        request: &PredictRequest,
    ) -> Asked<'a> {
        let rows = request.inputs.rows().unwrap_or(0);
        let tally = self.counting(name);
        let began = self.clock.instant();
        Asked { tally, model, rows: u64::try_from(rows).unwrap_or(u64::MAX), started, began }
    }

    /// What was counted of this model; the version is the one that answers now.
    pub(crate) fn statistics(&self, name: &str, model: &dyn Predictor) -> ModelStatistics {
        let version = model.info().version.to_string();
        let tally = self.counting(name);
        let counts = tally.map(|tally| tally.read(&version)).unwrap_or_default();
        let not_timed = Span { count: counts.success.count, ns: 0 };
        let last = counts.last.map_or(0, Timestamp::unix_millis);
        ModelStatistics {
            name: name.to_owned(),
            version,
            last_inference: u64::try_from(last).unwrap_or(0),
            inference_count: counts.rows,
            execution_count: counts.success.count,
            inference_stats: Spans {
                success: counts.success,
                fail: counts.fail,
                queue: not_timed,
                compute_input: counts.read,
                compute_infer: counts.compute,
                compute_output: not_timed,
                ..Spans::default()
            },
            batch_stats: [],
        }
    }
}

impl Asked<'_> {
    /// When the model was asked.
    pub(super) fn began(&self) -> Instant {
        self.began
    }

    /// Counts what came of it.
    pub(super) fn answered(
        self,
        service: &Service,
        result: Result<&PredictResponse, &mlops_core::Error>,
    ) {
        let Some(tally) = self.tally else { return };
        let version = match result {
            Ok(response) => Arc::clone(&response.version),
            Err(_) => Arc::clone(&self.model.info().version),
        };
        let (now, ended) = (service.clock.now(), service.clock.instant());
        let mut counts = tally.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.version.as_ref() != Some(&version) {
            // A late answer of a version that is gone does not bring it back.
            if self.model.info().version != version {
                return;
            }
            *counts = Counts { version: Some(version), ..Counts::default() };
        }
        let all = ended.saturating_duration_since(self.started);
        counts.last = Some(now);
        if result.is_err() {
            return counts.fail.add(all);
        }
        counts.success.add(all);
        counts.read.add(self.began.saturating_duration_since(self.started));
        counts.compute.add(ended.saturating_duration_since(self.began));
        counts.rows = counts.rows.saturating_add(self.rows);
    }
}

impl Tally {
    fn read(&self, version: &str) -> Counts {
        let counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_now = counts.version.as_deref() == Some(version);
        if is_now { counts.clone() } else { Counts::default() }
    }
}
