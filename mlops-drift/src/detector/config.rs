//! When a profile detector says what.

use mlops_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Thresholds of a [`ProfileDetector`](super::ProfileDetector).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ProfileDetectorConfig {
    /// The share of false findings allowed among the columns found to differ (Benjamini and
    /// Hochberg's false discovery rate); 0.05.
    pub alpha: f64,
    /// The total variation distance up to which a difference is negligible, however sure it is;
    /// 0.05: one row in twenty is elsewhere. For a normal law that is a mean moved by an eighth of
    /// a standard deviation, for a category a share moved by five points. Between yearly cohorts
    /// of a census, which nobody would call drifted, it reaches about 0.04.
    pub margin: f64,
    /// The same for the share of rows that are missing where the reference misses none, or that have a
    /// value which it does not list where it lists all; 0.001. From never to sometimes is another kind
    /// of change than more often, and more than that is a warning.
    pub novel_margin: f64,
    /// The level of intervals; 0.95.
    pub level: f64,
    /// Rows below which, on either side, nothing is said; 50.
    pub min_rows: u64,
}

impl Default for ProfileDetectorConfig {
    fn default() -> Self {
        Self { alpha: 0.05, margin: 0.05, novel_margin: 0.001, level: 0.95, min_rows: 50 }
    }
}

impl ProfileDetectorConfig {
    /// Sets the false discovery rate.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets the largest negligible total variation distance.
    #[must_use]
    pub fn with_margin(mut self, margin: f64) -> Self {
        self.margin = margin;
        self
    }

    /// Sets the largest negligible share of missing rows, or of values not listed, where the reference
    /// has none such.
    #[must_use]
    pub fn with_novel_margin(mut self, margin: f64) -> Self {
        self.novel_margin = margin;
        self
    }

    /// Sets the level of intervals.
    #[must_use]
    pub fn with_level(mut self, level: f64) -> Self {
        self.level = level;
        self
    }

    /// Sets the rows below which nothing is said.
    #[must_use]
    pub fn with_min_rows(mut self, rows: u64) -> Self {
        self.min_rows = rows;
        self
    }

    pub(crate) fn check(&self) -> Result<()> {
        let inside = |value: f64| value > 0.0 && value < 1.0;
        for (name, value) in [("alpha", self.alpha), ("level", self.level)] {
            if !inside(value) {
                return Err(Error::invalid(format!("{name} lies between 0 and 1, not at {value}")));
            }
        }
        for (name, value) in [("margin", self.margin), ("novel margin", self.novel_margin)] {
            if value != 0.0 && !inside(value) {
                return Err(Error::invalid(format!("{name} lies between 0 and 1, not at {value}")));
            }
        }
        Ok(())
    }
}
