//! How much a cache keeps, and what it counts.

use std::time::Duration;

/// How much is kept, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedConfig {
    /// The most answers.
    pub entries: usize,
    /// The most bytes of all answers together: of their values, and 256 more for each.
    pub bytes: usize,
    /// How long an answer is good; for ever if `None`.
    pub ttl: Option<Duration>,
}

impl Default for CachedConfig {
    /// 4,096 answers, 32 MiB, one minute.
    fn default() -> Self {
        Self { entries: 4096, bytes: 32 << 20, ttl: Some(Duration::from_mins(1)) }
    }
}

impl CachedConfig {
    /// Sets the most answers.
    #[must_use]
    pub fn with_entries(mut self, entries: usize) -> Self {
        self.entries = entries;
        self
    }

    /// Sets the most bytes of all answers together.
    #[must_use]
    pub fn with_bytes(mut self, bytes: usize) -> Self {
        self.bytes = bytes;
        self
    }

    /// Sets how long an answer is good.
    #[must_use]
    pub fn with_ttl(mut self, ttl: Option<Duration>) -> Self {
        self.ttl = ttl;
        self
    }
}

/// What a cache has counted since it exists, and what it holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CachedStats {
    /// Requests answered from the cache.
    pub hits: u64,
    /// Requests that the predictor was asked for.
    pub misses: u64,
    /// Requests that waited for the answer to the same question asked by another.
    pub joined: u64,
    /// Answers that gave way to others.
    pub evicted: u64,
    /// Answers that it holds.
    pub entries: usize,
    /// Their bytes, as the configuration counts them.
    pub bytes: usize,
}
