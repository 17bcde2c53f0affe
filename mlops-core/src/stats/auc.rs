//! The area under the ROC curve, its error, and the difference of two on the same rows.

use super::{Interval, normal_quantile, real_len};
use crate::{Error, Result};
use std::cmp::Ordering;

/// The area under the ROC curve of some scores, with what each row adds to its error.
///
/// Ties count half. The error is that of E. R. DeLong, D. M. DeLong, D. L. Clarke-Pearson,
/// "Comparing the areas under two or more correlated receiver operating characteristic curves",
/// Biometrics 44 (1988), by mid-ranks as in X. Sun, W. Xu, "Fast implementation of DeLong's
/// algorithm", IEEE Signal Processing Letters 21 (2014): one sort instead of all pairs.
#[derive(Clone, Debug, PartialEq)]
pub struct Auc {
    /// The area: the probability that a random positive row scores above a random negative one.
    pub value: f64,
    /// For each positive row, the share of negative ones below it.
    positive: Vec<f64>,
    /// For each negative row, the share of positive ones above it.
    negative: Vec<f64>,
}

impl Auc {
    /// Of one score a row; `None` if all rows are of one class, where there is no curve. A score
    /// that is NaN, or another number of labels, is `InvalidInput`.
    pub fn new(labels: &[bool], scores: &[f64]) -> Result<Option<Self>> {
        if labels.len() != scores.len() {
            let (labels, scores) = (labels.len(), scores.len());
            return Err(Error::invalid(format!("{labels} labels for {scores} scores")));
        }
        if let Some(at) = scores.iter().position(|score| score.is_nan()) {
            return Err(Error::invalid(format!("score {at} is not a number")));
        }
        let of = |class: bool| -> Vec<f64> {
            let rows = labels.iter().zip(scores).filter(|(label, _)| **label == class);
            rows.map(|(_, score)| *score).collect()
        };
        let (positive, negative) = (of(true), of(false));
        if positive.is_empty() || negative.is_empty() {
            return Ok(None);
        }
        Ok(Some(Self::of_classes(&positive, &negative)))
    }

    fn of_classes(positive: &[f64], negative: &[f64]) -> Self {
        let (m, n) = (real_len(positive.len()), real_len(negative.len()));
        let all = mid_ranks(&[positive, negative].concat());
        let (of_positive, of_negative) = all.split_at(positive.len());
        // A row's rank among all, less its rank among its own class, counts the other class below it.
        let below = |all: &[f64], own: &[f64]| -> Vec<f64> {
            all.iter().zip(mid_ranks(own)).map(|(all, own)| all - own).collect()
        };
        let positive: Vec<f64> = below(of_positive, positive).iter().map(|k| k / n).collect();
        let negative: Vec<f64> = below(of_negative, negative).iter().map(|k| 1.0 - k / m).collect();
        Self { value: positive.iter().sum::<f64>() / m, positive, negative }
    }

    /// Its variance; zero where a class has one row.
    pub fn variance(&self) -> f64 {
        self.covariance(self)
    }

    /// Its covariance with another area of the same rows.
    pub fn covariance(&self, other: &Self) -> f64 {
        covariance(&self.positive, &other.positive) + covariance(&self.negative, &other.negative)
    }

    /// Where the true area lies: normal on the logit scale, so that it stays within 0 and 1. An
    /// area of exactly 0 or 1 has no error to estimate:
    ///
    /// # Behavior
    /// - an area of 1 gives `[low, 1]` with the exact bound of all pairs in order: `tail^(1/min(m, n))`
    pub fn interval(&self, level: f64) -> Result<Interval> {
        let z = normal_quantile(level)?;
        let (area, error) = (self.value, self.variance().sqrt());
        let fewest = real_len(self.positive.len().min(self.negative.len()));
        let one_sided = ((1.0 - level) / 2.0).powf(1.0 / fewest);
        if area >= 1.0 || area <= 0.0 {
            let (low, high) = if area >= 1.0 { (one_sided, 1.0) } else { (0.0, 1.0 - one_sided) };
            return Ok(Interval { low, high, level });
        }
        let logit = (area / (1.0 - area)).ln();
        let reach = z * error / (area * (1.0 - area));
        let back = |logit: f64| 1.0 / (1.0 + (-logit).exp());
        Ok(Interval { low: back(logit - reach), high: back(logit + reach), level })
    }
}

/// The first area less the second, both of the same rows, and where the true difference lies.
pub fn auc_difference(first: &Auc, second: &Auc, level: f64) -> Result<(f64, Interval)> {
    if (first.positive.len(), first.negative.len())
        != (second.positive.len(), second.negative.len())
    {
        return Err(Error::invalid("the two areas are of different rows"));
    }
    let difference = first.value - second.value;
    let variance = first.variance() + second.variance() - 2.0 * first.covariance(second);
    let reach = normal_quantile(level)? * variance.max(0.0).sqrt();
    let (low, high) = ((difference - reach).max(-1.0), (difference + reach).min(1.0));
    Ok((difference, Interval { low, high, level }))
}

/// The covariance of two means over the same rows.
fn covariance(first: &[f64], second: &[f64]) -> f64 {
    let n = real_len(first.len());
    if first.len() < 2 {
        return 0.0;
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / n;
    let (a, b) = (mean(first), mean(second));
    let products = first.iter().zip(second).map(|(x, y)| (x - a) * (y - b));
    products.sum::<f64>() / (n - 1.0) / n
}

/// Ranks from 1; equal values share the middle of theirs.
fn mid_ranks(values: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..values.len()).collect();
    order.sort_unstable_by(|&a, &b| values[a].total_cmp(&values[b]));
    let mut ranks = vec![0.0; values.len()];
    let mut start = 0;
    // Groups by ==, under which -0 and 0 are one value, though `total_cmp` sorts them apart.
    for group in
        order.chunk_by(|&a, &b| values[a].partial_cmp(&values[b]).is_some_and(Ordering::is_eq))
    {
        let middle = real_len(2 * start + group.len() + 1) / 2.0;
        for &at in group {
            ranks[at] = middle;
        }
        start += group.len();
    }
    ranks
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn area(labels: &[bool], scores: &[f64]) -> Auc {
        Auc::new(labels, scores).unwrap().unwrap()
    }

    /// The definition, over all pairs.
    fn by_pairs(labels: &[bool], scores: &[f64]) -> f64 {
        let (mut wins, mut pairs) = (0.0, 0.0);
        for (i, _) in labels.iter().enumerate().filter(|(_, label)| **label) {
            for (j, _) in labels.iter().enumerate().filter(|(_, label)| !**label) {
                pairs += 1.0;
                wins += match scores[i].partial_cmp(&scores[j]).unwrap() {
                    Ordering::Greater => 1.0,
                    Ordering::Equal => 0.5,
                    Ordering::Less => 0.0,
                };
            }
        }
        wins / pairs
    }

    proptest! {
        #[test]
        fn ranks_give_what_all_pairs_give(rows in proptest::collection::vec((any::<bool>(), -3_i8..3), 2..40)) {
            let labels: Vec<bool> = rows.iter().map(|row| row.0).collect();
            let scores: Vec<f64> = rows.iter().map(|row| f64::from(row.1)).collect();
            let Some(auc) = Auc::new(&labels, &scores).unwrap() else { return Ok(()) };
            prop_assert!((auc.value - by_pairs(&labels, &scores)).abs() < 1e-12);
            let mirrored: Vec<f64> = scores.iter().map(|score| -score).collect();
            prop_assert!((area(&labels, &mirrored).value - (1.0 - auc.value)).abs() < 1e-12);
            let interval = auc.interval(0.95).unwrap();
            prop_assert!(interval.contains(auc.value) && interval.low >= 0.0 && interval.high <= 1.0);
            let (same, around) = auc_difference(&auc, &auc, 0.95).unwrap();
            prop_assert!(same == 0.0 && around.width() < 1e-7);
        }
    }

    #[test]
    fn one_class_has_no_area() {
        assert_eq!(Auc::new(&[true, true], &[0.1, 0.2]).unwrap(), None);
        assert!(Auc::new(&[true, false], &[f64::NAN, 0.2]).is_err());
        assert!(Auc::new(&[true], &[0.1, 0.2]).is_err());
    }
}
