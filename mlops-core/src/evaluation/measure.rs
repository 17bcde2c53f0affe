//! One model's metrics, for all rows and for each slice.

use super::{Decision, EvaluationOptions, Metric, Requirement, Slice, Slices, metric::area};
use crate::{
    Error, Result,
    stats::{Interval, mean_interval, wilson},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// What a model measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Evaluation {
    /// How it was made.
    pub options: EvaluationOptions,
    /// Rows in all.
    pub rows: usize,
    /// Every metric of all rows, then of each slice.
    pub measured: Vec<Measured>,
}

/// One metric of one group of rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Measured {
    /// The group; all rows if `None`.
    pub slice: Option<Slice>,
    /// The metric.
    pub metric: Metric,
    /// Rows of the group.
    pub rows: usize,
    /// What was found.
    pub finding: Finding,
}

/// A number with its interval, or why there is none.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Finding {
    /// An estimate and where the true value lies.
    Value {
        /// The estimate.
        value: f64,
        /// Where the true value lies.
        interval: Interval,
    },
    /// The group is too small to judge; it decides nothing.
    TooFewRows,
    /// The metric has no value on these rows.
    Undefined {
        /// Why.
        why: Arc<str>,
    },
}

impl Finding {
    /// The estimate, if there is one.
    pub fn value(&self) -> Option<f64> {
        match self {
            Self::Value { value, .. } => Some(*value),
            Self::TooFewRows | Self::Undefined { .. } => None,
        }
    }
}

impl Evaluation {
    /// Measures scores, the probabilities of yes, against what came.
    ///
    /// # Behavior
    /// - a score that is NaN or outside 0..=1 is `InvalidInput` and its row is named
    /// - a slice under `min_slice_rows` is `TooFewRows` with its number of rows
    /// - an area of rows of one class is `Undefined`
    /// - the order of the rows changes nothing
    pub fn binary(
        labels: &[bool],
        scores: &[f64],
        slices: &Slices,
        options: &EvaluationOptions,
    ) -> Result<Self> {
        check(labels, scores)?;
        slices.check(labels.len())?;
        let all: Vec<usize> = (0..labels.len()).collect();
        let mut measured = measure_group(None, &all, labels, scores, options)?;
        for (slice, rows) in slices.iter() {
            measured.extend(measure_group(Some(&slice), &rows, labels, scores, options)?);
        }
        Ok(Self { options: options.clone(), rows: labels.len(), measured })
    }

    /// A metric of all rows, or of a slice.
    pub fn get(&self, metric: Metric, slice: Option<&Slice>) -> Option<&Measured> {
        let wanted = |own: &&Measured| own.metric == metric && own.slice.as_ref() == slice;
        self.measured.iter().find(wanted)
    }

    /// Whether the model meets every requirement; if not, each that it misses.
    pub fn decide(&self, requirements: &[Requirement]) -> Decision {
        Decision::new(
            requirements.iter().filter_map(|requirement| requirement.unmet(self)).collect(),
        )
    }
}

pub(super) fn check(labels: &[bool], scores: &[f64]) -> Result<()> {
    if labels.len() != scores.len() {
        let (labels, scores) = (labels.len(), scores.len());
        return Err(Error::invalid(format!("{labels} labels for {scores} scores")));
    }
    match scores.iter().position(|score| !(0.0..=1.0).contains(score)) {
        Some(row) => Err(Error::invalid(format!("row {row}: the score is no probability"))),
        None => Ok(()),
    }
}

fn measure_group(
    slice: Option<&Slice>,
    rows: &[usize],
    labels: &[bool],
    scores: &[f64],
    options: &EvaluationOptions,
) -> Result<Vec<Measured>> {
    let labels: Vec<bool> = rows.iter().map(|&row| labels[row]).collect();
    let scores: Vec<f64> = rows.iter().map(|&row| scores[row]).collect();
    let too_few = rows.len() < 2 || (slice.is_some() && rows.len() < options.min_slice_rows);
    let one = |metric: Metric| {
        let finding =
            if too_few { Finding::TooFewRows } else { measure(metric, &labels, &scores, options)? };
        Ok(Measured { slice: slice.cloned(), metric, rows: rows.len(), finding })
    };
    Metric::ALL.into_iter().map(one).collect()
}

fn measure(
    metric: Metric,
    labels: &[bool],
    scores: &[f64],
    options: &EvaluationOptions,
) -> Result<Finding> {
    let level = options.level;
    let (value, interval) = match metric {
        Metric::Accuracy => {
            let right = right_answers(labels, scores, options.threshold).filter(|&right| right);
            let (right, n) = (right.count() as u64, labels.len() as u64);
            let interval = wilson(right, n, level)?;
            (ratio(right, n), interval)
        }
        Metric::RocAuc => match area(labels, scores)? {
            Ok(area) => (area.value, area.interval(level)?),
            Err(why) => return Ok(Finding::Undefined { why: why.into() }),
        },
        Metric::LogLoss | Metric::Brier => {
            let rows = labels.iter().zip(scores);
            let shares: Vec<f64> =
                rows.filter_map(|(&label, &score)| metric.of_row(label, score)).collect();
            mean_interval(&shares, level)?
        }
    };
    Ok(Finding::Value { value, interval })
}

/// For each row whether the score falls on the right side of the threshold.
pub(super) fn right_answers<'a>(
    labels: &'a [bool],
    scores: &'a [f64],
    threshold: f64,
) -> impl Iterator<Item = bool> + 'a {
    labels.iter().zip(scores).map(move |(&label, &score)| (score >= threshold) == label)
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows stay below 2^53")]
fn ratio(part: u64, whole: u64) -> f64 {
    part as f64 / whole as f64
}
