//! Error that is earned by time and spent on looks.

use mlops_core::Timestamp;

/// Seconds of a year.
const YEAR: f64 = 365.25 * 24.0 * 3600.0;
/// What a monitor may spend from its start on, as if so many seconds had passed.
const GRANT: f64 = 3600.0;
/// The share of what is there that one look spends.
const SHARE: f64 = 1.0 / 16.0;

/// Expected false alarms: each look spends some of what the time that passed has earned. Over any
/// year all looks together spend no more than was promised, whoever looks how often; after a
/// moment without time (rows of a table, replayed) looks get less and less, but never nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Earned a second, so that the first year's grant and time make up the promise.
    rate: f64,
    unspent: f64,
    upto: Timestamp,
}

impl Budget {
    pub(super) fn new(per_year: f64, now: Timestamp) -> Self {
        let rate = per_year / (YEAR + GRANT);
        Self { rate, unspent: rate * GRANT, upto: now }
    }

    /// Earns from this time on, which is before the start.
    pub(super) fn begin(&mut self, at: Timestamp) {
        self.upto = at;
    }

    /// What this look may spend; spent.
    pub(super) fn spend(&mut self, now: Timestamp) -> f64 {
        self.unspent += self.rate * now.since(self.upto).as_secs_f64();
        // Who has not looked for longer than a year has not saved up for a worse one.
        self.unspent = self.unspent.min(self.rate * YEAR);
        self.upto = self.upto.max(now);
        let spent = self.unspent * SHARE;
        self.unspent -= spent;
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        /// However looks are spread over a year.
        #[test]
        fn a_year_of_looks_spends_no_more_than_was_promised(
            gaps in prop::collection::vec(0_u32..2_000_000, 1..400),
            promised in 0.01_f64..100.0,
        ) {
            let start = Timestamp::from_unix_millis(0);
            let (mut now, mut budget, mut spent) = (start, Budget::new(promised, start), 0.0);
            for gap in gaps {
                now = now.plus(Duration::from_secs(gap.into()));
                if now.since(start).as_secs_f64() > YEAR {
                    break;
                }
                let more = budget.spend(now);
                prop_assert!(more > 0.0);
                spent += more;
            }
            prop_assert!(spent <= promised * (1.0 + 1e-12), "{spent} of {promised}");
        }
    }

    #[test]
    fn a_steady_looker_spends_nearly_all_of_it() {
        let start = Timestamp::from_unix_millis(0);
        let mut budget = Budget::new(1.0, start);
        let hour = |at: u64| start.plus(Duration::from_secs(3600 * at));
        let spent: f64 = (1..8766).map(|at| budget.spend(hour(at))).sum();
        assert!((0.99..=1.0).contains(&spent), "{spent}");
    }
}
