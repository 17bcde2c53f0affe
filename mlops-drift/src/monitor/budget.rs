//! Error that is earned by time and spent on looks.

use mlops_core::{Error, Result, Timestamp};
use serde::{Deserialize, Serialize};

/// Seconds of a year.
const YEAR: f64 = 365.25 * 24.0 * 3600.0;
/// What a monitor may spend from its start on, as if so many seconds had passed.
const GRANT: f64 = 3600.0;
/// The share of what is there that one look spends.
const SHARE: f64 = 1.0 / 16.0;

/// The false alarms that a monitor may still spend, and up to when they were earned: kept beside
/// its reference, it is what a monitor goes on with that is restarted
/// ([`MonitorConfig::with_budget`](super::MonitorConfig::with_budget)).
///
/// One monitor goes on with it: of each of several that did, the promise would be true alone.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AlarmBudget {
    unspent: f64,
    /// Microseconds since 1970.
    upto: Timestamp,
}

impl AlarmBudget {
    pub(super) fn check(&self) -> Result<()> {
        if self.unspent.is_finite() && self.unspent >= 0.0 {
            return Ok(());
        }
        let unspent = self.unspent;
        Err(Error::invalid(format!("a budget of {unspent} false alarms: 0 at least, and finite")))
    }
}

/// Expected false alarms: each look spends some of what the time that passed has earned. Over any
/// year all looks together spend no more than was promised, whoever looks how often; after a
/// moment without time (rows of a table, replayed) looks get less and less, but never nothing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    /// Earned a second, so that the first year's grant and time make up the promise.
    rate: f64,
    left: AlarmBudget,
    /// Whether another monitor earned it: time before it was kept has been earned.
    is_kept: bool,
}

impl Budget {
    pub(super) fn new(per_year: f64, now: Timestamp, kept: Option<AlarmBudget>) -> Self {
        let rate = per_year / (YEAR + GRANT);
        let granted = AlarmBudget { unspent: rate * GRANT, upto: now };
        Self { rate, left: kept.unwrap_or(granted), is_kept: kept.is_some() }
    }

    /// Earns from this time on, which is before the start.
    pub(super) fn begin(&mut self, at: Timestamp) {
        if !self.is_kept {
            self.left.upto = at;
        }
    }

    /// What is there to go on with.
    pub(super) fn left(&self) -> AlarmBudget {
        self.left
    }

    /// What this look may spend; spent.
    pub(super) fn spend(&mut self, now: Timestamp) -> f64 {
        let AlarmBudget { unspent, upto } = &mut self.left;
        *unspent += self.rate * now.since(*upto).as_secs_f64();
        // Who has not looked for longer than a year has not saved up for a worse one.
        *unspent = unspent.min(self.rate * YEAR);
        *upto = (*upto).max(now);
        let spent = *unspent * SHARE;
        *unspent -= spent;
        spent
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::time::Duration;

    proptest! {
        /// However looks, and restarts that go on with what is left, are spread over a year.
        #[test]
        fn a_year_of_looks_spends_no_more_than_was_promised(
            gaps in prop::collection::vec((0_u32..2_000_000, any::<bool>()), 1..400),
            promised in 0.01_f64..100.0,
        ) {
            let start = Timestamp::from_unix_millis(0);
            let (mut now, mut budget, mut spent) = (start, Budget::new(promised, start, None), 0.0);
            for (gap, restarts) in gaps {
                now = now.plus(Duration::from_secs(gap.into()));
                if now.since(start).as_secs_f64() > YEAR {
                    break;
                }
                if restarts {
                    let kept = serde_json::to_string(&budget.left()).unwrap();
                    budget = Budget::new(promised, now, Some(serde_json::from_str(&kept).unwrap()));
                    // Rows of a log that it reads again earn nothing again.
                    budget.begin(start);
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
        let mut budget = Budget::new(1.0, start, None);
        let hour = |at: u64| start.plus(Duration::from_secs(3600 * at));
        let spent: f64 = (1..8766).map(|at| budget.spend(hour(at))).sum();
        assert!((0.99..=1.0).contains(&spent), "{spent}");
    }
}
