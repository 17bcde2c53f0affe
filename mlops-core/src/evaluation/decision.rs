//! What must hold, and whether it does.

use super::{Evaluation, Finding, Metric, Slice};
use crate::registry::Unmet;
use serde::{Deserialize, Serialize};
use std::fmt;

/// Yes, or every reason why not.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Decision {
    /// Every condition that is not met.
    pub unmet: Vec<Unmet>,
}

impl Decision {
    /// From what is not met.
    pub fn new(unmet: Vec<Unmet>) -> Self {
        Self { unmet }
    }

    /// Whether every condition is met.
    pub fn blessed(&self) -> bool {
        self.unmet.is_empty()
    }
}

impl fmt::Display for Decision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.blessed() {
            return f.write_str("blessed");
        }
        write!(f, "refused")?;
        self.unmet.iter().try_for_each(|unmet| write!(f, "\n- {unmet}"))
    }
}

/// A bound that one metric must keep: what a first model is promoted by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Requirement {
    /// The metric.
    pub metric: Metric,
    /// The group; all rows if `None`.
    pub slice: Option<Slice>,
    /// The bound of the estimate.
    pub bound: Bound,
}

/// One side of an estimate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Bound {
    /// This or more.
    AtLeast(f64),
    /// This or less.
    AtMost(f64),
}

impl Requirement {
    /// This or more, over all rows.
    pub fn at_least(metric: Metric, bound: f64) -> Self {
        Self { metric, slice: None, bound: Bound::AtLeast(bound) }
    }

    /// This or less, over all rows.
    pub fn at_most(metric: Metric, bound: f64) -> Self {
        Self { metric, slice: None, bound: Bound::AtMost(bound) }
    }

    /// Of a slice instead of all rows.
    #[must_use]
    pub fn of(mut self, slice: Slice) -> Self {
        self.slice = Some(slice);
        self
    }

    /// What is found instead, if the requirement is not met. A slice that is too small to judge
    /// decides nothing; a slice that is not there is not met.
    pub(super) fn unmet(&self, evaluation: &Evaluation) -> Option<Unmet> {
        let gate = self.to_string();
        let Some(measured) = evaluation.get(self.metric, self.slice.as_ref()) else {
            return Some(Unmet::new(gate, "no such rows were evaluated"));
        };
        match &measured.finding {
            Finding::Value { value, .. } if self.holds(*value) => None,
            Finding::Value { value, interval } => {
                Some(Unmet::new(gate, format!("{value:.4} {interval:.4}")))
            }
            Finding::TooFewRows if self.slice.is_some() => None,
            Finding::TooFewRows => Some(Unmet::new(gate, "too few rows to tell")),
            Finding::Undefined { why } => Some(Unmet::new(gate, format!("undefined: {why}"))),
        }
    }

    fn holds(&self, value: f64) -> bool {
        match self.bound {
            Bound::AtLeast(bound) => value >= bound,
            Bound::AtMost(bound) => value <= bound,
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.metric)?;
        if let Some(slice) = &self.slice {
            write!(f, " of {slice}")?;
        }
        match self.bound {
            Bound::AtLeast(bound) => write!(f, " at least {bound}"),
            Bound::AtMost(bound) => write!(f, " at most {bound}"),
        }
    }
}
