//! When a replica is left alone.

use mlops_core::ErrorKind;
use std::{collections::BTreeSet, time::Duration};

/// When a replica is left alone.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReplicasConfig {
    /// So many failures in a row and a replica is left alone; at least 1.
    pub failures: u32,
    /// For how long it is; then one request tries it.
    pub cool_down: Duration,
    /// The kinds of error that are the replica's failure, and not the request's.
    pub kinds: BTreeSet<ErrorKind>,
    /// How long a replica's word that it is ready, or not, is believed.
    pub ready_for: Duration,
}

impl Default for ReplicasConfig {
    /// 5 failures, 10 s; unavailable, timed out, internal; ready for 1 s.
    fn default() -> Self {
        use ErrorKind::{Internal, TimedOut, Unavailable};
        Self {
            failures: 5,
            cool_down: Duration::from_secs(10),
            kinds: [Unavailable, TimedOut, Internal].into(),
            ready_for: Duration::from_secs(1),
        }
    }
}

impl ReplicasConfig {
    /// Sets how many failures in a row; at least 1.
    #[must_use]
    pub fn with_failures(mut self, failures: u32) -> Self {
        self.failures = failures.max(1);
        self
    }

    /// Sets how long a replica is left alone.
    #[must_use]
    pub fn with_cool_down(mut self, cool_down: Duration) -> Self {
        self.cool_down = cool_down;
        self
    }

    /// Sets the kinds of error that are a replica's failure.
    #[must_use]
    pub fn with_kinds(mut self, kinds: impl IntoIterator<Item = ErrorKind>) -> Self {
        self.kinds = kinds.into_iter().collect();
        self
    }

    /// Sets how long a replica's word is believed.
    #[must_use]
    pub fn with_ready_for(mut self, ready_for: Duration) -> Self {
        self.ready_for = ready_for;
        self
    }
}
