//! Bounds of a local predictor.

use std::time::Duration;

/// What a [`LocalPredictor`](super::LocalPredictor) may use.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LocalConfig {
    /// The longest that a call may compute on a thread of the host.
    pub inline_limit: Duration,
    /// How many threads of its own compute; at least 1.
    pub threads: usize,
    /// The most requests that wait for a thread; at least 1.
    pub queue: usize,
    /// The most rows that one request may have; more is `TooLarge`.
    pub max_rows: Option<usize>,
    /// The most rows that a request computed on a thread of the host may have; the warm-up sees
    /// whether so many, or how many fewer, take less than `inline_limit`. 0 measures nothing: then
    /// every request is computed on the predictor's own threads.
    pub warm_up_rows: usize,
}

impl Default for LocalConfig {
    /// 100 µs, as many threads as the machine runs at once, 256 waiting, 65,536 rows, 64 inline.
    fn default() -> Self {
        Self {
            inline_limit: Duration::from_micros(100),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            queue: 256,
            max_rows: Some(65_536),
            warm_up_rows: 64,
        }
    }
}

impl LocalConfig {
    /// Sets the longest that a call may compute on a thread of the host.
    #[must_use]
    pub fn with_inline_limit(mut self, limit: Duration) -> Self {
        self.inline_limit = limit;
        self
    }

    /// Sets how many threads of its own compute; at least 1.
    #[must_use]
    pub fn with_threads(mut self, threads: usize) -> Self {
        self.threads = threads.max(1);
        self
    }

    /// Sets the most requests that wait for a thread; at least 1.
    #[must_use]
    pub fn with_queue(mut self, queue: usize) -> Self {
        self.queue = queue.max(1);
        self
    }

    /// Sets the most rows that one request may have.
    #[must_use]
    pub fn with_max_rows(mut self, max_rows: Option<usize>) -> Self {
        self.max_rows = max_rows;
        self
    }

    /// Sets the most rows that a request computed on a thread of the host may have.
    #[must_use]
    pub fn with_warm_up_rows(mut self, rows: usize) -> Self {
        self.warm_up_rows = rows;
        self
    }
}
