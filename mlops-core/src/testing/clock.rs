//! A clock that moves when it is told to.

use crate::{Clock, Timestamp};
use std::{
    sync::Mutex,
    time::{Duration, Instant},
};

/// Stands still until [`advance`](Self::advance) moves both of its hands.
///
/// ```
/// use mlops_core::{Clock, testing::ManualClock};
/// use std::time::Duration;
///
/// let clock = ManualClock::default();
/// let before = clock.now();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(clock.now().since(before), Duration::from_secs(60));
/// ```
#[derive(Debug)]
pub struct ManualClock {
    hands: Mutex<(Timestamp, Instant)>,
}

impl ManualClock {
    /// Starts at this time.
    pub fn new(now: Timestamp) -> Self {
        Self { hands: Mutex::new((now, Instant::now())) }
    }

    /// Moves time forward.
    pub fn advance(&self, by: Duration) {
        let mut hands = self.hands.lock().expect("no holder of this lock panics");
        *hands = (hands.0.plus(by), hands.1 + by);
    }

    fn hands(&self) -> (Timestamp, Instant) {
        *self.hands.lock().expect("no holder of this lock panics")
    }
}

impl Default for ManualClock {
    /// Starts at 2018-01-01T00:00:00Z.
    fn default() -> Self {
        Self::new(Timestamp::from_unix_millis(1_514_764_800_000))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.hands().0
    }
    fn instant(&self) -> Instant {
        self.hands().1
    }
}
