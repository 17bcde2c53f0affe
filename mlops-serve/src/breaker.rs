//! Leaving alone what keeps failing: counts and times, without waiting and without a clock.

use std::time::{Duration, Instant};

/// How often something has failed of late, and whether it is left alone for that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Breaker {
    /// Failures since it last answered.
    failures: u32,
    /// It is left alone until then.
    until: Option<Instant>,
    /// One request tries whether it answers again.
    trying: bool,
}

impl Breaker {
    pub(crate) fn is_left_alone(&self, now: Instant) -> bool {
        self.until.is_some_and(|until| self.trying || now < until)
    }

    /// It is asked; if its time alone is over, this is the request that tries it.
    pub(crate) fn begin(&mut self, now: Instant) {
        self.trying |= self.until.is_some_and(|until| until <= now);
    }

    /// It was asked; `went_well` is `None` if that says nothing of it. So many failures in a row and it
    /// is left alone for this long.
    pub(crate) fn end(
        &mut self,
        went_well: Option<bool>,
        now: Instant,
        failures: u32,
        cool_down: Duration,
    ) {
        match went_well {
            Some(true) => *self = Self::default(),
            Some(false) => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= failures.max(1) {
                    // A time that cannot be told is one that never comes soon enough to matter.
                    self.until = now.checked_add(cool_down).or(self.until);
                    self.trying = false;
                }
            }
            // Whoever tried it was dropped, or was wrong: another one tries.
            None => self.trying = false,
        }
    }
}
