//! When requests are to be sent.

use super::Result;
use std::time::{Duration, Instant};

/// At once, or at times of a Poisson process; until the end.
pub(super) struct Schedule {
    length: Duration,
    began: Instant,
    open: Option<Open>,
    is_over: bool,
}

/// Requests at times of their own, whatever becomes of the earlier ones.
struct Open {
    /// Requests a second, and until when: one phase after the other.
    phases: Vec<(f64, Duration)>,
    /// When the next is due, from the beginning.
    next: Duration,
}

impl Schedule {
    /// `closed`, requests a second, or `RATE:SECONDS,RATE:SECONDS…`, which have a length of their own.
    pub(super) fn new(mode: &str, length: Duration) -> Result<Self> {
        let open = match mode {
            "closed" => None,
            phases if phases.contains(':') => Some(Open::of(phases)?),
            rate => Some(Open { phases: vec![(rate.parse()?, length)], next: Duration::ZERO }),
        };
        let last = open.as_ref().and_then(|open| open.phases.last());
        let length = last.map_or(length, |(_, end)| *end);
        Ok(Self { length, began: Instant::now(), open, is_over: false })
    }

    /// Starts the clock.
    pub(super) fn begin(&mut self) -> Instant {
        self.began = Instant::now();
        if let Some(open) = &mut self.open {
            open.step();
        }
        self.began
    }

    /// When the next request should have been sent, if that is not in the future.
    pub(super) fn due(&mut self, now: Instant) -> Option<Instant> {
        let Some(open) = &mut self.open else {
            self.is_over |= now - self.began >= self.length;
            return (!self.is_over).then_some(now);
        };
        self.is_over |= open.next >= self.length;
        let due = self.began + open.next;
        if self.is_over || due > now {
            return None;
        }
        open.step();
        Some(due)
    }

    /// How long until the next; for ever if there is none.
    pub(super) fn wait(&self, now: Instant) -> Option<Duration> {
        let next = self.began + self.open.as_ref()?.next;
        (!self.is_over).then(|| next.saturating_duration_since(now))
    }

    pub(super) fn is_over(&self) -> bool {
        self.is_over
    }
}

impl Open {
    fn of(phases: &str) -> Result<Self> {
        let mut end = Duration::ZERO;
        let phase = |phase: &str| {
            let (rate, seconds) = phase.split_once(':').ok_or("a phase is RATE:SECONDS")?;
            end += Duration::from_secs_f64(seconds.parse()?);
            Ok((rate.parse()?, end))
        };
        let phases = phases.split(',').map(phase).collect::<Result<_>>()?;
        Ok(Self { phases, next: Duration::ZERO })
    }

    /// Goes to the next request. The process has no memory: what would come after a phase's end is drawn
    /// anew from there.
    fn step(&mut self) {
        for &(rate, end) in &self.phases {
            if self.next < end {
                let next = self.next + gap(rate);
                self.next = next.min(end);
                if next < end {
                    return;
                }
            }
        }
    }
}

/// The time between two events of a Poisson process.
fn gap(rate: f64) -> Duration {
    Duration::from_secs_f64(-(1.0 - fastrand::f64()).ln() / rate)
}
