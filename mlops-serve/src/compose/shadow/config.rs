//! How much a shadow has to do, who sees it, and what is counted.

use mlops_core::{
    Error, Result,
    predictor::{PredictRequest, PredictResponse},
};
use std::{fmt, time::Duration};

/// How much the shadow has to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShadowConfig {
    /// The share of requests that it gets a copy of, 0 to 1; they are chosen as if by chance.
    pub fraction: f64,
    /// The most copies that wait for it; at least 1.
    pub queue: usize,
    /// Memory that inputs and answers of waiting copies may hold, in bytes; one copy may always wait.
    pub queue_bytes: usize,
    /// How many it is asked at the same time; at least 1.
    pub at_once: usize,
}

impl Default for ShadowConfig {
    /// Every request, 64 waiting in 64 MiB, one at a time.
    fn default() -> Self {
        Self { fraction: 1.0, queue: 64, queue_bytes: 64 << 20, at_once: 1 }
    }
}

impl ShadowConfig {
    /// Sets the share of requests, 0 to 1.
    #[must_use]
    pub fn with_fraction(mut self, fraction: f64) -> Self {
        self.fraction = fraction;
        self
    }

    /// Sets the most copies that wait; at least 1.
    #[must_use]
    pub fn with_queue(mut self, queue: usize) -> Self {
        self.queue = queue.max(1);
        self
    }

    /// Sets the memory that waiting copies may hold, in bytes.
    #[must_use]
    pub fn with_queue_bytes(mut self, bytes: usize) -> Self {
        self.queue_bytes = bytes;
        self
    }

    /// Sets how many are asked at the same time; at least 1.
    #[must_use]
    pub fn with_at_once(mut self, at_once: usize) -> Self {
        self.at_once = at_once.max(1);
        self
    }
}

/// One request that both answered, or tried to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ShadowPair<'a> {
    /// The request as the shadow got it: without a deadline.
    pub request: &'a PredictRequest,
    /// What the caller got.
    pub champion: &'a PredictResponse,
    /// How long the caller waited.
    pub champion_took: Duration,
    /// What the shadow would have said.
    pub shadow: Result<&'a PredictResponse, &'a Error>,
    /// How long the shadow took, without waiting in its queue.
    pub shadow_took: Duration,
}

/// Sees what both answered. Runs where the shadow does, and never on the task of a request.
pub trait ShadowObserver: fmt::Debug + Send + Sync {
    /// Called once for each request that the shadow was asked; a panic is caught.
    fn observe(&self, pair: ShadowPair<'_>);
}

/// What a shadow has counted. Each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowStats {
    /// Copies that were made for it.
    pub copied: u64,
    /// Of those, the ones that its queue had no room for.
    pub dropped: u64,
    /// Those that it answered; counted once they have been observed, and so in `failed`.
    pub answered: u64,
    /// Those that it failed, or panicked on.
    pub failed: u64,
}
