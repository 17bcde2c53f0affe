//! Time is passed in, so that tests and replays own it.

use crate::Timestamp;
use std::{fmt, time::Instant};

/// What time it is.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Wall-clock time: for records that people and other machines read.
    fn now(&self) -> Timestamp;
    /// Monotonic time: for durations and deadlines.
    fn instant(&self) -> Instant;
}

/// The operating system's clocks.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that asks the system")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is a machine without a clock; zero says so plainly.
        let micros = since.map_or(0, |elapsed| elapsed.as_micros());
        Timestamp::from_unix_micros(i64::try_from(micros).unwrap_or(i64::MAX))
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}
