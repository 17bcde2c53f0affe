//! How good a model is, for everybody and for each group, and whether another one is better.
//!
//! Every number has an interval; a group too small to judge says so and decides nothing.
//!
//! ```
//! use mlops_core::evaluation::{Evaluation, EvaluationOptions, Metric, Requirement, Slices};
//!
//! let labels: Vec<bool> = (0..1000).map(|row| row % 3 == 0).collect();
//! let scores: Vec<f64> = labels.iter().map(|&yes| if yes { 0.7 } else { 0.2 }).collect();
//! let slices = Slices::new(1000).with("sex", (0..1000).map(|row| if row % 2 == 0 { "f" } else { "m" }))?;
//!
//! let evaluation = Evaluation::binary(&labels, &scores, &slices, &EvaluationOptions::default())?;
//! let decision = evaluation.decide(&[Requirement::at_least(Metric::RocAuc, 0.82)]);
//! assert!(decision.blessed());
//! # Ok::<(), mlops_core::Error>(())
//! ```

mod comparison;
mod decision;
mod measure;
mod metric;
mod slices;

pub use comparison::{Comparison, ComparisonRule};
pub use decision::{Bound, Decision, Requirement};
pub use measure::{Evaluation, Finding, Measured};
pub use metric::Metric;
pub use slices::{Slice, Slices};

use crate::setters::setters;
use serde::{Deserialize, Serialize};

/// How an evaluation is made.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct EvaluationOptions {
    /// A score from here on is a yes.
    pub threshold: f64,
    /// Level of each interval.
    pub level: f64,
    /// A slice of fewer rows is reported as too small and decides nothing.
    pub min_slice_rows: usize,
}

impl Default for EvaluationOptions {
    fn default() -> Self {
        Self { threshold: 0.5, level: 0.95, min_slice_rows: 300 }
    }
}

setters!(EvaluationOptions {
    /// A score from here on is a yes.
    with_threshold => threshold: f64,
    /// Sets the level of each interval.
    with_level => level: f64,
    /// Sets how many rows a slice needs to be judged.
    with_min_slice_rows => min_slice_rows: usize,
});
