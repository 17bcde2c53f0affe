//! When requests are to be sent.

use super::Result;
use std::time::{Duration, Instant};

/// At once, or at times of a Poisson process; until the end.
pub(super) struct Schedule {
    length: Duration,
    began: Instant,
    /// Requests a second, and when the next is due.
    open: Option<(f64, Instant)>,
    is_over: bool,
}

impl Schedule {
    /// `closed`, or requests a second.
    pub(super) fn new(mode: &str, length: Duration) -> Result<Self> {
        let now = Instant::now();
        let open = match mode {
            "closed" => None,
            rate => Some((rate.parse()?, now)),
        };
        Ok(Self { length, began: now, open, is_over: false })
    }

    /// Starts the clock.
    pub(super) fn begin(&mut self) -> Instant {
        self.began = Instant::now();
        if let Some((rate, next)) = &mut self.open {
            *next = self.began + gap(*rate);
        }
        self.began
    }

    /// When the next request should have been sent, if that is not in the future.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let Some((rate, next)) = &mut self.open else {
            self.is_over |= now - self.began >= self.length;
            return (!self.is_over).then_some(now);
        };
        self.is_over |= *next - self.began >= self.length;
        if self.is_over || *next > now {
            return None;
        }
        let due = *next;
        *next += gap(*rate);
        Some(due)
    }

    /// How long until the next; for ever if there is none.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let (_, next) = self.open?;
        (!self.is_over).then(|| next.saturating_duration_since(now))
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

/// The time between two events of a Poisson process.
fn gap(rate: f64) -> Duration {
    Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate)
}
