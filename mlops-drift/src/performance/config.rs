//! How much is held of what comes in.

use std::sync::Arc;

/// Which outcomes are counted, and how much is held.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct LateAccuracyConfig {
    /// The name of the outcomes that are counted.
    pub outcome: Arc<str>,
    /// The most answers that wait for an outcome, or for its correction; 500,000.
    pub max_answers: usize,
    /// The most outcomes of predictions that are held, and the most of keys; 500,000.
    pub max_outcomes: usize,
    /// The most versions that are told apart; 1,000.
    pub max_versions: usize,
    /// The most bytes of a key, a label or a version's name; 1,024.
    pub max_text: usize,
    /// The level of intervals; 0.95.
    pub level: f64,
}

impl LateAccuracyConfig {
    /// Counts outcomes of this name.
    pub fn new(outcome: impl Into<Arc<str>>) -> Self {
        Self {
            outcome: outcome.into(),
            max_answers: 500_000,
            max_outcomes: 500_000,
            max_versions: 1_000,
            max_text: 1_024,
            level: 0.95,
        }
    }

    /// Sets the most answers that are held.
    #[must_use]
    pub fn with_max_answers(mut self, answers: usize) -> Self {
        self.max_answers = answers;
        self
    }

    /// Sets the most outcomes of predictions, and of keys, that are held.
    #[must_use]
    pub fn with_max_outcomes(mut self, outcomes: usize) -> Self {
        self.max_outcomes = outcomes;
        self
    }

    /// Sets the most versions that are told apart.
    #[must_use]
    pub fn with_max_versions(mut self, versions: usize) -> Self {
        self.max_versions = versions;
        self
    }

    /// Sets the most bytes of a key, a label or a version's name.
    #[must_use]
    pub fn with_max_text(mut self, bytes: usize) -> Self {
        self.max_text = bytes;
        self
    }

    /// Sets the level of intervals.
    #[must_use]
    pub fn with_level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }
}
