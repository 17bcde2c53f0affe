//! What a conformal test promises.

use mlops_core::{Error, Result};
use serde::{Deserialize, Serialize};

/// Promises and bounds of a [`ConformalTest`](super::ConformalTest).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConformalConfig {
    /// Probability that the evidence ever rejects while nothing changes; 0.05.
    pub alpha: f64,
    /// Rows between two alarms on average, at least, while nothing changes; 10,000.
    pub mean_run_length: f64,
    /// The seed that breaks ties within a cell and orders rows within a merge interval; 0. Replicas
    /// need seeds of their own.
    pub seed: u64,
    /// Strata at most; 1,024 (the hours of a week are 168).
    pub max_strata: usize,
    /// Cells of a stratum at most; 4,096.
    pub max_cells: usize,
}

impl Default for ConformalConfig {
    fn default() -> Self {
        Self { alpha: 0.05, mean_run_length: 10_000.0, seed: 0, max_strata: 1024, max_cells: 4096 }
    }
}

impl ConformalConfig {
    /// Sets the probability of ever rejecting while nothing changes.
    #[must_use]
    pub fn with_alpha(mut self, alpha: f64) -> Self {
        self.alpha = alpha;
        self
    }

    /// Sets the rows between two alarms while nothing changes.
    #[must_use]
    pub fn with_mean_run_length(mut self, rows: f64) -> Self {
        self.mean_run_length = rows;
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Sets how many strata there may be.
    #[must_use]
    pub fn with_max_strata(mut self, strata: usize) -> Self {
        self.max_strata = strata;
        self
    }

    /// Sets how many cells a stratum may have.
    #[must_use]
    pub fn with_max_cells(mut self, cells: usize) -> Self {
        self.max_cells = cells;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if !(self.alpha > 0.0 && self.alpha < 1.0) {
            let alpha = self.alpha;
            return Err(Error::invalid(format!("alpha lies between 0 and 1, not at {alpha}")));
        }
        if !(self.mean_run_length >= 1.0 && self.mean_run_length <= 1e15) {
            let rows = self.mean_run_length;
            return Err(Error::invalid(format!("a mean run length is 1 to 1e15 rows, not {rows}")));
        }
        Ok(())
    }
}
