//! Making room: the oldest answers are counted for good and forgotten.

use super::{KeyRow, LateAccuracy, Row};
use std::{collections::BTreeSet, sync::Arc};

impl LateAccuracy {
    pub(super) fn settle_answers(&mut self) {
        while self.answers.len() > self.config.max_answers {
            let Some(row) = self.answers.oldest(1).pop() else { return };
            self.settle(&row);
        }
    }

    /// An outcome that makes room settles its answer, so that nothing known is lost.
    pub(super) fn settle_outcomes(&mut self) {
        while self.of_row.len() > self.config.max_outcomes {
            let Some(row) = self.of_row.oldest(1).pop() else { return };
            if !self.settle(&row) {
                self.of_row.remove(&row);
                self.counts.unknown += 1;
            }
        }
    }

    /// Whole eighths at a time: each makes a round through the answers.
    pub(super) fn settle_keys(&mut self) {
        if self.of_key.len() <= self.config.max_outcomes {
            return;
        }
        let too_many = self.of_key.len() - self.config.max_outcomes;
        let leaving = self.of_key.oldest(too_many.max(self.config.max_outcomes / 8));
        let mut unknown: BTreeSet<KeyRow> = leaving.iter().cloned().collect();
        let mut rows = Vec::new();
        for (row, answer) in self.answers.iter() {
            if let Some(key) = &answer.key {
                unknown.remove(&(Arc::clone(key), answer.row));
            }
            let by_key = self.known(answer).and_then(|known| known.by_key);
            if by_key.is_some_and(|key| leaving.binary_search(&key).is_ok()) {
                rows.push(*row);
            }
        }
        for row in &rows {
            self.settle(row);
        }
        for key in &leaving {
            self.of_key.remove(key);
        }
        self.counts.unknown += unknown.len() as u64;
    }

    /// Counts an answer for good and forgets it with its own outcome; whether it was held.
    fn settle(&mut self, row: &Row) -> bool {
        let Some((_, answer)) = self.answers.get(row) else { return false };
        let answer = answer.clone();
        let outcome = self.known(&answer).map(|known| known.value.clone());
        let tally = self.settled.entry(Arc::clone(&answer.version)).or_default();
        tally.add(&answer, outcome.as_ref());
        self.answers.remove(row);
        self.of_row.remove(row);
        self.counts.settled += 1;
        true
    }
}
