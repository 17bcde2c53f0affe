//! What was counted, for each version and of the joins.

use super::Answer;
use crate::{report::Performance, tests::real};
use mlops_core::{
    Result,
    inference_log::OutcomeValue,
    stats::{Interval, wilson},
};
use std::sync::Arc;

/// How one version did. Rows, not requests.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct VersionAccuracy {
    /// The version, as people write it.
    pub version: Arc<str>,
    /// Rows that were answered.
    pub answered: u64,
    /// Answered rows whose outcome is known and can be compared.
    pub known: u64,
    /// Known rows that were answered rightly.
    pub right: u64,
    /// Answered rows whose outcome is known and of another kind than the answer: a label beside a
    /// number, or a number that is none.
    pub incomparable: u64,
    /// Right of known rows with Wilson's interval; `None` while nothing is known.
    pub accuracy: Option<(f64, Interval)>,
}

impl VersionAccuracy {
    /// A row of a report; `None` while nothing is known.
    pub fn row(&self) -> Option<Performance> {
        let (value, interval) = self.accuracy?;
        let row = Performance::new(Arc::clone(&self.version), "accuracy", value, self.known);
        Some(row.with_interval(interval))
    }
}

/// What became of what came in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct JoinCounts {
    /// Outcomes of the name that is counted.
    pub outcomes: u64,
    /// Those for a row or key that already had one.
    pub repeated: u64,
    /// Rows and keys that have an outcome and no answer so far; of answers that were settled, too,
    /// what is known only by their key or came afterwards.
    pub unknown: u64,
    /// Outcomes of other names, which are ignored.
    pub other_names: u64,
    /// Answers that came again.
    pub repeated_answers: u64,
    /// Answers that were counted for good to make room.
    pub settled: u64,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    answered: u64,
    known: u64,
    right: u64,
    incomparable: u64,
}

impl Tally {
    pub(super) fn add(&mut self, answer: &Answer, outcome: Option<&OutcomeValue>) {
        self.answered += 1;
        match outcome.map(|outcome| answer.is_right(outcome)) {
            None => {}
            Some(None) => self.incomparable += 1,
            Some(Some(right)) => {
                self.known += 1;
                self.right += u64::from(right);
            }
        }
    }

    pub(super) fn of(self, version: Arc<str>, level: f64) -> Result<VersionAccuracy> {
        let Self { answered, known, right, incomparable } = self;
        let interval = (known > 0).then(|| wilson(right, known, level)).transpose()?;
        let accuracy = interval.map(|interval| (real(right) / real(known), interval));
        Ok(VersionAccuracy { version, answered, known, right, incomparable, accuracy })
    }
}
