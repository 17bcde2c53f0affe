//! How long things took: a histogram of plain numbers, for whoever exports them.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// Upper bounds of [`Durations::counts`]; the last cell has none. From what a small model takes to what
/// callers no longer wait for, 1 – 2.5 – 5 a decade.
pub const DURATION_BOUNDS: [Duration; 19] = {
    const fn micros(micros: u64) -> Duration {
        Duration::from_micros(micros)
    }
    [
        micros(10),
        micros(25),
        micros(50),
        micros(100),
        micros(250),
        micros(500),
        micros(1_000),
        micros(2_500),
        micros(5_000),
        micros(10_000),
        micros(25_000),
        micros(50_000),
        micros(100_000),
        micros(250_000),
        micros(500_000),
        micros(1_000_000),
        micros(2_500_000),
        micros(5_000_000),
        micros(10_000_000),
    ]
};

/// How often something took how long.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Durations {
    /// Cell i counts what took up to `DURATION_BOUNDS[i]` and more than the bound before, the last what
    /// took longer.
    pub counts: [u64; DURATION_BOUNDS.len() + 1],
    /// All of it together.
    pub sum: Duration,
}

impl Durations {
    /// How often, however long it took.
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }
}

/// Counts durations, from any thread.
#[derive(Debug, Default)]
pub(crate) struct DurationCounters {
    counts: [AtomicU64; DURATION_BOUNDS.len() + 1],
    sum_nanos: AtomicU64,
}

impl DurationCounters {
    pub(crate) fn add(&self, took: Duration) {
        let cell = DURATION_BOUNDS.partition_point(|bound| *bound < took);
        let nanos = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.sum_nanos.fetch_add(nanos, Ordering::Relaxed);
        self.counts[cell].fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Durations {
        let counts = self.counts.each_ref().map(|count| count.load(Ordering::Relaxed));
        Durations { counts, sum: Duration::from_nanos(self.sum_nanos.load(Ordering::Relaxed)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_duration_is_in_the_cell_of_its_bound() {
        let counters = DurationCounters::default();
        for micros in [0, 10, 11, 25, 9_999, 10_000_000, 10_000_001] {
            counters.add(Duration::from_micros(micros));
        }
        let durations = counters.read();
        assert_eq!((durations.counts[0], durations.counts[1], durations.counts[9]), (2, 2, 1));
        assert_eq!((durations.counts[18], durations.counts[19]), (1, 1));
        assert_eq!(durations.sum, Duration::from_micros(20_010_046));
        assert!(DURATION_BOUNDS.is_sorted());
        assert_eq!(durations.count(), 7);
    }
}
