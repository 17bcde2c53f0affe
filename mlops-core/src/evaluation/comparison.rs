//! Two models on the same rows: what a promotion is decided by.

use super::{
    Decision, EvaluationOptions, Finding, Measured, Metric, Slice, Slices,
    measure::{check, right_answers},
    metric::area,
};
use crate::{
    Result,
    registry::Unmet,
    stats::{Interval, PairedCounts, auc_difference, mean_interval, paired_difference_interval},
};
use serde::{Deserialize, Serialize};

/// How much better a challenger is than a champion, on the same rows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Comparison {
    /// How it was made.
    pub options: EvaluationOptions,
    /// Rows in all.
    pub rows: usize,
    /// The improvement by each metric, of all rows and of each slice: above zero the challenger is
    /// better, whichever way the metric points.
    pub improvements: Vec<Measured>,
}

/// When a challenger replaces a champion.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ComparisonRule {
    /// The metric that must improve: its interval over all rows lies above zero.
    pub metric: Metric,
    /// How much worse a deciding slice may be by that metric. A slice fails if it is *shown* to be
    /// worse by more: its interval, corrected for the number of slices, lies below minus this.
    pub slice_margin: f64,
}

impl ComparisonRule {
    /// Better by this metric, and no deciding slice worse by more than 0.01.
    pub fn better_by(metric: Metric) -> Self {
        Self { metric, slice_margin: 0.01 }
    }

    /// Sets how much worse a deciding slice may be.
    #[must_use]
    pub fn with_slice_margin(mut self, margin: f64) -> Self {
        self.slice_margin = margin;
        self
    }
}

impl Comparison {
    /// Compares two sets of scores of the same rows against what came.
    ///
    /// Intervals of slices are at a level corrected for their number (Bonferroni), so that many
    /// slices do not make one fail by chance.
    ///
    /// # Behavior
    /// - as [`Evaluation::binary`](super::Evaluation::binary) for bad scores, small slices and single classes
    /// - a model compared with itself improves by zero
    pub fn binary(
        labels: &[bool],
        champion: &[f64],
        challenger: &[f64],
        slices: &Slices,
        options: &EvaluationOptions,
    ) -> Result<Self> {
        check(labels, champion).map_err(|error| error.context("champion"))?;
        check(labels, challenger).map_err(|error| error.context("challenger"))?;
        slices.check(labels.len())?;
        let pair = Pair { labels, champion, challenger };
        let groups: Vec<(Slice, Vec<usize>)> = slices.iter().collect();
        let deciding =
            groups.iter().filter(|(_, rows)| rows.len() >= options.min_slice_rows).count();
        #[expect(clippy::cast_precision_loss, reason = "slices are few")]
        let corrected = 1.0 - (1.0 - options.level) / deciding.max(1) as f64;

        let all: Vec<usize> = (0..labels.len()).collect();
        let mut improvements = pair.group(None, &all, options.level, options)?;
        for (slice, rows) in groups {
            improvements.extend(pair.group(Some(&slice), &rows, corrected, options)?);
        }
        Ok(Self { options: options.clone(), rows: labels.len(), improvements })
    }

    /// Whether the challenger replaces the champion; if not, every reason.
    pub fn decide(&self, rule: &ComparisonRule) -> Decision {
        let of_metric = self.improvements.iter().filter(|own| own.metric == rule.metric);
        Decision::new(of_metric.filter_map(|own| unmet(own, rule)).collect())
    }
}

fn unmet(own: &Measured, rule: &ComparisonRule) -> Option<Unmet> {
    let metric = rule.metric;
    let Some(slice) = &own.slice else {
        let gate = format!("{metric} better than the champion's");
        return match &own.finding {
            Finding::Value { interval, .. } if interval.low > 0.0 => None,
            Finding::Value { value, interval } => {
                Some(Unmet::new(gate, format!("improves by {value:.4} {interval:.4}")))
            }
            Finding::TooFewRows => Some(Unmet::new(gate, "too few rows to tell")),
            Finding::Undefined { why } => Some(Unmet::new(gate, format!("undefined: {why}"))),
        };
    };
    match &own.finding {
        Finding::Value { value, interval } if interval.high < -rule.slice_margin => {
            let gate = format!("{metric} of {slice} not worse by more than {}", rule.slice_margin);
            Some(Unmet::new(gate, format!("worse by {:.4}, improvement {interval:.4}", -value)))
        }
        _ => None,
    }
}

struct Pair<'a> {
    labels: &'a [bool],
    champion: &'a [f64],
    challenger: &'a [f64],
}

impl Pair<'_> {
    fn group(
        &self,
        slice: Option<&Slice>,
        rows: &[usize],
        level: f64,
        options: &EvaluationOptions,
    ) -> Result<Vec<Measured>> {
        let pick = |scores: &[f64]| -> Vec<f64> { rows.iter().map(|&row| scores[row]).collect() };
        let labels: Vec<bool> = rows.iter().map(|&row| self.labels[row]).collect();
        let (champion, challenger) = (pick(self.champion), pick(self.challenger));
        let group = Pair { labels: &labels, champion: &champion, challenger: &challenger };
        let too_few = rows.len() < 2 || (slice.is_some() && rows.len() < options.min_slice_rows);
        let one = |metric: Metric| {
            let finding = if too_few {
                Finding::TooFewRows
            } else {
                group.improvement(metric, level, options.threshold)?
            };
            Ok(Measured { slice: slice.cloned(), metric, rows: rows.len(), finding })
        };
        Metric::ALL.into_iter().map(one).collect()
    }

    fn improvement(&self, metric: Metric, level: f64, threshold: f64) -> Result<Finding> {
        let (value, interval) = match metric {
            Metric::Accuracy => self.accuracy(level, threshold)?,
            Metric::RocAuc => {
                let areas =
                    (area(self.labels, self.challenger)?, area(self.labels, self.champion)?);
                match areas {
                    (Ok(challenger), Ok(champion)) => {
                        auc_difference(&challenger, &champion, level)?
                    }
                    (Err(why), _) | (_, Err(why)) => {
                        return Ok(Finding::Undefined { why: why.into() });
                    }
                }
            }
            Metric::LogLoss | Metric::Brier => self.mean_loss(metric, level)?,
        };
        Ok(Finding::Value { value, interval })
    }

    fn accuracy(&self, level: f64, threshold: f64) -> Result<(f64, Interval)> {
        let mut counts = PairedCounts::default();
        let challenger = right_answers(self.labels, self.challenger, threshold);
        let champion = right_answers(self.labels, self.champion, threshold);
        for pair in challenger.zip(champion) {
            match pair {
                (true, true) => counts.both += 1,
                (true, false) => counts.first_only += 1,
                (false, true) => counts.second_only += 1,
                (false, false) => counts.neither += 1,
            }
        }
        Ok((counts.difference(), paired_difference_interval(counts, level)?))
    }

    /// The champion's loss less the challenger's.
    fn mean_loss(&self, metric: Metric, level: f64) -> Result<(f64, Interval)> {
        let rows = self.labels.iter().zip(self.champion).zip(self.challenger);
        let saved = |((&label, &champion), &challenger): ((&bool, &f64), &f64)| {
            Some(metric.of_row(label, champion)? - metric.of_row(label, challenger)?)
        };
        mean_interval(&rows.filter_map(saved).collect::<Vec<f64>>(), level)
    }
}
