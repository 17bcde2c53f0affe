//! What an endpoint counts: plain atomics, so that reading them costs nothing and installs nothing.

use crate::{
    batching::{self, BatchingStats},
    durations::{DurationCounters, Durations},
};
use mlops_core::{ErrorKind, Result, predictor::PredictResponse};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// A snapshot of an endpoint's counters. Each only grows, but for `in_flight`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStats {
    /// Requests that came.
    pub requests: u64,
    /// Requests that were answered.
    pub answered: u64,
    /// Requests that failed, by the kind of their error; kinds without one are absent.
    pub errors: BTreeMap<ErrorKind, u64>,
    /// Requests whose caller gave up before there was an answer.
    pub abandoned: u64,
    /// Requests that are being answered now.
    pub in_flight: u64,
    /// Rows in the answers.
    pub rows: u64,
    /// Time that answers and errors took, together.
    pub took: Duration,
    /// How long each of them took.
    pub durations: Durations,
    /// What answers now, and what it has answered since it took over.
    pub live: VersionStats,
    /// Models that took the place of another.
    pub swaps: u64,
    /// Calls lost to a panic.
    pub panics: u64,
    /// What its batchers counted; all zero if it has none.
    pub batching: BatchingStats,
}

/// Counts of one version, as long as it answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct VersionStats {
    /// The model's name, which may differ from the endpoint's.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// Requests that it answered.
    pub answered: u64,
    /// Requests that failed with it.
    pub failed: u64,
}

#[derive(Debug)]
pub(super) struct Counters {
    requests: AtomicU64,
    answered: AtomicU64,
    errors: Vec<(ErrorKind, AtomicU64)>,
    abandoned: AtomicU64,
    rows: AtomicU64,
    durations: DurationCounters,
    swaps: AtomicU64,
    inner: InnerCounters,
}

/// What is counted inside of the predictors, by all that take each other's place.
#[derive(Clone, Debug, Default)]
pub(super) struct InnerCounters {
    /// Predictors catch the panics of their sessions.
    pub(super) panics: Arc<AtomicU64>,
    pub(super) batching: Arc<batching::Counters>,
}

impl Default for Counters {
    fn default() -> Self {
        let zero = AtomicU64::default;
        Self {
            requests: zero(),
            answered: zero(),
            errors: ErrorKind::all().map(|kind| (kind, zero())).collect(),
            abandoned: zero(),
            rows: zero(),
            durations: DurationCounters::default(),
            swaps: zero(),
            inner: InnerCounters::default(),
        }
    }
}

/// A request that came. Dropped without its end it counts as abandoned.
#[must_use]
pub(super) struct Counting<'a>(Option<&'a Counters>);

impl Counters {
    pub(super) fn begin(&self) -> Counting<'_> {
        add(&self.requests, 1);
        Counting(Some(self))
    }

    pub(super) fn swapped(&self) {
        add(&self.swaps, 1);
    }

    pub(super) fn panicked(&self) {
        add(&self.inner.panics, 1);
    }

    /// Counts from here on what these counters say, too.
    pub(super) fn with_inner(inner: InnerCounters) -> Self {
        Self { inner, ..Self::default() }
    }

    pub(super) fn snapshot(&self) -> EndpointStats {
        // Ends are read before beginnings, so that none is in flight that has not begun.
        let counts = self.errors.iter().map(|(kind, count)| (*kind, get(count)));
        let errors: BTreeMap<_, _> = counts.filter(|(_, count)| *count > 0).collect();
        let (answered, abandoned) = (get(&self.answered), get(&self.abandoned));
        let (requests, durations) = (get(&self.requests), self.durations.read());
        let ended = answered + abandoned + errors.values().sum::<u64>();
        EndpointStats {
            requests,
            answered,
            errors,
            abandoned,
            in_flight: requests.saturating_sub(ended),
            rows: get(&self.rows),
            took: durations.sum,
            durations,
            live: VersionStats::default(),
            swaps: get(&self.swaps),
            panics: get(&self.inner.panics),
            batching: self.inner.batching.snapshot(),
        }
    }
}

impl Counting<'_> {
    pub(super) fn end(mut self, result: &Result<PredictResponse>, took: Duration) {
        let Some(counters) = self.0.take() else { return };
        counters.durations.add(took);
        match result {
            Ok(response) => {
                let rows = response.outputs.rows().unwrap_or(0);
                add(&counters.rows, rows as u64);
                add(&counters.answered, 1);
            }
            Err(error) => {
                let count = counters.errors.iter().find(|(kind, _)| *kind == error.kind());
                if let Some((_, count)) = count {
                    add(count, 1);
                }
            }
        }
    }
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        if let Some(counters) = self.0 {
            add(&counters.abandoned, 1);
        }
    }
}

/// Counters are read apart from everything else, but ends after beginnings: see `snapshot`.
fn add(counter: &AtomicU64, by: u64) {
    counter.fetch_add(by, Ordering::Release);
}

fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Acquire)
}
