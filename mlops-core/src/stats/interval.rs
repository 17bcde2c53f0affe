//! Where a true value lies.

use serde::{Deserialize, Serialize};
use std::fmt;

/// Holds the true value with probability `level`, over repetitions of whatever was measured.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Probability, between 0 and 1: 0.95 is usual.
    pub level: f64,
}

impl Interval {
    /// Whether a value lies within, ends included.
    pub fn contains(&self, value: f64) -> bool {
        self.low <= value && value <= self.high
    }

    /// Upper less lower end.
    pub fn width(&self) -> f64 {
        self.high - self.low
    }
}

impl fmt::Display for Interval {
    /// `[0.24, 0.38]`, with as many digits as the formatter asks for; two if it does not say.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = f.precision().unwrap_or(2);
        write!(f, "[{:.digits$}, {:.digits$}]", self.low, self.high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_as_people_write_it() {
        let interval = Interval { low: 0.241, high: 0.3789, level: 0.95 };
        assert_eq!(format!("{interval} {interval:.3}"), "[0.24, 0.38] [0.241, 0.379]");
        assert!(interval.contains(0.3) && !interval.contains(0.4));
    }
}
