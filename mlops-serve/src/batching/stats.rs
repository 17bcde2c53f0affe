//! What a batcher counts.

use crate::durations::{DurationCounters, Durations};
use std::sync::atomic::{AtomicU64, Ordering};

/// Upper bounds of [`BatchingStats::rows_per_batch`]; the last cell has none.
pub const ROWS_BOUNDS: [u64; 9] = [1, 2, 4, 8, 16, 32, 64, 128, 256];

/// What a [`Batcher`](super::Batcher) has counted since it exists.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchingStats {
    /// Requests that ran at once, since a permit was free.
    pub at_once: u64,
    /// Batches that were formed of requests that had waited; of one request or of many.
    pub batches: u64,
    /// Requests in those batches.
    pub batched_requests: u64,
    /// Rows in those batches.
    pub batched_rows: u64,
    /// Those batches by their rows: cell i counts up to `ROWS_BOUNDS[i]`, the last what is larger.
    pub rows_per_batch: [u64; ROWS_BOUNDS.len() + 1],
    /// Requests refused since too much waited already.
    pub refused: u64,
    /// Requests whose caller left before they ran.
    pub abandoned: u64,
    /// Requests whose deadline passed before they ran.
    pub expired: u64,
    /// How often a batch that failed was run again as two halves.
    pub bisected: u64,
    /// Batches lost to a panic of what they were given to.
    pub panics: u64,
    /// Requests that wait now.
    pub waiting: u64,
    /// How long those in batches had waited until these were formed.
    pub waited: Durations,
}

/// Counts for one batcher, or for all that took each other's place.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(super) at_once: Counter,
    pub(super) batches: Counter,
    pub(super) batched_requests: Counter,
    batched_rows: Counter,
    rows_per_batch: [Counter; ROWS_BOUNDS.len() + 1],
    pub(super) refused: Counter,
    pub(super) abandoned: Counter,
    pub(super) expired: Counter,
    pub(super) bisected: Counter,
    pub(super) panics: Counter,
    waiting: Counter,
    pub(super) waited: DurationCounters,
}

#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }

    fn take(&self, count: usize) {
        self.0.fetch_sub(count as u64, Ordering::Relaxed);
    }

    fn read(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Counters {
    /// One more waits.
    pub(super) fn came(&self) {
        self.waiting.add(1);
    }

    /// So many wait no longer.
    pub(super) fn went(&self, requests: usize) {
        self.waiting.take(requests);
    }

    pub(super) fn formed(&self, requests: usize, rows: usize) {
        self.went(requests);
        self.batches.add(1);
        self.batched_requests.add(requests);
        self.batched_rows.add(rows);
        let cell = ROWS_BOUNDS.partition_point(|&bound| bound < rows as u64);
        self.rows_per_batch[cell].add(1);
    }

    pub(crate) fn snapshot(&self) -> BatchingStats {
        BatchingStats {
            at_once: self.at_once.read(),
            batches: self.batches.read(),
            batched_requests: self.batched_requests.read(),
            batched_rows: self.batched_rows.read(),
            rows_per_batch: self.rows_per_batch.each_ref().map(Counter::read),
            refused: self.refused.read(),
            abandoned: self.abandoned.read(),
            expired: self.expired.read(),
            bisected: self.bisected.read(),
            panics: self.panics.read(),
            waiting: self.waiting.read(),
            waited: self.waited.read(),
        }
    }
}
