//! The metrics of a yes-or-no model that gives probabilities.

use crate::{Error, Result, stats::Auc};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr};

/// A metric of a yes-or-no model that gives probabilities.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Metric {
    /// Share of rows whose score falls on the right side of the threshold.
    Accuracy,
    /// Probability that a random yes scores above a random no; ties count half.
    RocAuc,
    /// Mean of -ln(probability given to what came), in nats; probabilities are kept off 0 and 1 by 1e-15.
    LogLoss,
    /// Mean squared distance between probability and outcome.
    Brier,
}

impl Metric {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Accuracy, Self::RocAuc, Self::LogLoss, Self::Brier];

    /// The name in reports, gates and tracked runs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accuracy => "accuracy",
            Self::RocAuc => "roc_auc",
            Self::LogLoss => "log_loss",
            Self::Brier => "brier",
        }
    }

    /// Whether more is better.
    pub fn higher_is_better(self) -> bool {
        matches!(self, Self::Accuracy | Self::RocAuc)
    }

    /// One row's share of a metric that is a mean over rows; `None` for the others.
    pub(super) fn of_row(self, label: bool, score: f64) -> Option<f64> {
        match self {
            Self::LogLoss => {
                let given = if label { score } else { 1.0 - score };
                Some(-given.clamp(1e-15, 1.0 - 1e-15).ln())
            }
            Self::Brier => Some((score - f64::from(u8::from(label))).powi(2)),
            Self::Accuracy | Self::RocAuc => None,
        }
    }
}

/// The curve's area, or why there is none.
pub(super) fn area(
    labels: &[bool],
    scores: &[f64],
) -> Result<std::result::Result<Auc, &'static str>> {
    let positive = labels.iter().filter(|&&label| label).count();
    // The error of an area is estimated in each class apart, which takes two rows of each.
    if positive.min(labels.len() - positive) == 1 {
        return Ok(Err("one class has a single row"));
    }
    Ok(Auc::new(labels, scores)?.ok_or("all rows are of one class"))
}

impl fmt::Display for Metric {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Metric {
    type Err = Error;

    fn from_str(name: &str) -> Result<Self> {
        let known = || Self::ALL.map(Self::as_str).join(", ");
        let found = Self::ALL.into_iter().find(|metric| metric.as_str() == name);
        found.ok_or_else(|| {
            Error::invalid(format!("unknown metric {name:?}; there are {}", known()))
        })
    }
}
