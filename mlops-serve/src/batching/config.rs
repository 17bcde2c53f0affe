//! Bounds of a batcher.

/// What a [`Batcher`](super::Batcher) may gather, and what may wait for it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchingConfig {
    /// The most rows of a batch; at least 1. A request of more rows runs alone.
    pub max_batch_rows: usize,
    /// Batches that are handed on while every permit is taken, once requests enough for a whole one wait, so that
    /// what computes finds the next when it has done one. More urgent requests no longer overtake them.
    pub ahead: usize,
    /// The most requests that wait; at least 1.
    pub max_waiting_requests: usize,
    /// The most rows that wait, in all requests together.
    pub max_waiting_rows: usize,
    /// The most memory that the inputs of waiting requests may take, in bytes.
    pub max_waiting_bytes: usize,
}

impl Default for BatchingConfig {
    /// 128 rows a batch, one ahead; 1,024 requests, 65,536 rows, 64 MiB waiting.
    fn default() -> Self {
        Self {
            max_batch_rows: 128,
            ahead: 1,
            max_waiting_requests: 1024,
            max_waiting_rows: 65_536,
            max_waiting_bytes: 64 << 20,
        }
    }
}

impl BatchingConfig {
    /// Sets the most rows of a batch; at least 1.
    #[must_use]
    pub fn with_max_batch_rows(mut self, rows: usize) -> Self {
        self.max_batch_rows = rows.max(1);
        self
    }

    /// Sets how many whole batches are handed on while every permit is taken; with 0 each waits for a permit.
    #[must_use]
    pub fn with_ahead(mut self, batches: usize) -> Self {
        self.ahead = batches;
        self
    }

    /// Sets the most requests that wait; at least 1.
    #[must_use]
    pub fn with_max_waiting_requests(mut self, requests: usize) -> Self {
        self.max_waiting_requests = requests.max(1);
        self
    }

    /// Sets the most rows that wait, in all requests together.
    #[must_use]
    pub fn with_max_waiting_rows(mut self, rows: usize) -> Self {
        self.max_waiting_rows = rows;
        self
    }

    /// Sets the most memory that the inputs of waiting requests may take, in bytes.
    #[must_use]
    pub fn with_max_waiting_bytes(mut self, bytes: usize) -> Self {
        self.max_waiting_bytes = bytes;
        self
    }
}
