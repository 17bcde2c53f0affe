//! Whether windows differ from one another more than rows drawn at random would let them.

use super::cells::{Counts, Set};
use crate::tests::real;
use statrs::distribution::{ChiSquared, ContinuousCDF};
use std::collections::{BTreeMap, VecDeque};

/// Windows that are remembered.
const KEPT: usize = 64;
/// Windows below which nothing is said.
const FEWEST: usize = 12;
/// How often the mean may change among them, without a column being called unsteady.
const STEPS: usize = 4;
/// The probability, over all columns, with which one look finds a steady column unsteady.
const LEVEL: f64 = 1e-6;
/// The probability above which an unsteady column is taken for steady again.
const CALM: f64 = 0.05;
/// The least variance of a window's count for its score to be about normal.
const LEAST: f64 = 10.0;

/// Scores of a column's windows: how far the rows in the set that holds half of the reference are
/// above what it says, in deviations of rows drawn independently.
///
/// Independent rows make the scores' squares, taken from their mean, a chi-square of as many less
/// one. Both a reference of few rows and a drift move the mean; so the mean may change once, where
/// that explains most. What is left is autocorrelation or a season.
#[derive(Clone, Debug, Default)]
pub(super) struct Steadiness {
    scores: VecDeque<f64>,
    unsteady: bool,
}

/// What the latest windows say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Change {
    None,
    /// It was steady so far; its windows vary so many times as much as they should.
    BecameUnsteady(f64, f64),
}

impl Steadiness {
    pub(super) fn is_unsteady(&self) -> bool {
        self.unsteady
    }

    /// Takes a window's rows by stratum.
    pub(super) fn update(
        &mut self,
        set: Set,
        reference: &BTreeMap<u32, Counts>,
        window: &BTreeMap<u32, Counts>,
        columns: usize,
    ) -> Change {
        let (mut apart, mut variance) = (0.0, 0.0);
        for (stratum, own) in window {
            let Some(before) = reference.get(stratum) else { continue };
            let ((a, n), (b, m)) = (set.share(before), set.share(own));
            if n > 0 {
                let share = real(a) / real(n);
                apart += real(b) - real(m) * share;
                variance += real(m) * share * (1.0 - share);
            }
        }
        if variance < LEAST {
            return Change::None;
        }
        if self.scores.len() == KEPT {
            self.scores.pop_front();
        }
        self.scores.push_back(apart / variance.sqrt());
        self.judge(columns)
    }

    fn judge(&mut self, columns: usize) -> Change {
        if self.scores.len() < FEWEST {
            return Change::None;
        }
        let scores: Vec<f64> = self.scores.iter().copied().collect();
        let freedom = real((scores.len() - STEPS - 1) as u64);
        let left = left_after_steps(&scores);
        let p = ChiSquared::new(freedom).map_or(1.0, |law| law.sf(left));
        if !self.unsteady && p < LEVEL / real(columns as u64) {
            self.unsteady = true;
            return Change::BecameUnsteady(left / freedom, p);
        }
        self.unsteady &= p <= CALM;
        Change::None
    }
}

/// The least sum of squares around means that change at most [`STEPS`] times.
fn left_after_steps(scores: &[f64]) -> f64 {
    let n = scores.len();
    let mut sums = vec![(0.0, 0.0)];
    sums.extend(scores.iter().scan((0.0, 0.0), |sum, z| {
        *sum = (sum.0 + z, sum.1 + z * z);
        Some(*sum)
    }));
    let around_mean = |from: usize, to: usize| {
        let (sum, squares) = (sums[to].0 - sums[from].0, sums[to].1 - sums[from].1);
        (squares - sum * sum / real((to - from) as u64)).max(0.0)
    };
    // Of the first so many scores, with one mean more in each round.
    let mut least: Vec<f64> =
        (0..=n).map(|to| if to == 0 { 0.0 } else { around_mean(0, to) }).collect();
    for _ in 0..STEPS {
        let before = least.clone();
        for (to, own) in least.iter_mut().enumerate().skip(2) {
            *own = (1..to).map(|from| before[from] + around_mean(from, to)).fold(*own, f64::min);
        }
    }
    least[n]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn after(scores: impl IntoIterator<Item = f64>) -> bool {
        let mut steadiness = Steadiness::default();
        for score in scores {
            steadiness.scores.push_back(score);
            let _ = steadiness.judge(10);
        }
        steadiness.is_unsteady()
    }

    #[test]
    fn seasons_are_unsteady_and_some_steps_are_not() {
        let mut random = Random::new(3);
        // The sum of twelve uniform numbers is nearly normal.
        let mut normal = || (0..12).map(|_| random.unit()).sum::<f64>() - 6.0;
        let noise: Vec<f64> = (0..60).map(|_| normal()).collect();
        assert!(!after(noise.clone()));
        let steps = noise.iter().enumerate().map(|(at, z)| z + [0.0, 20.0, 5.0, 0.0][at / 15]);
        assert!(!after(steps));
        let day =
            (0_u32..).map(|hour| 10.0 * (f64::from(hour) / 24.0 * std::f64::consts::TAU).sin());
        assert!(after(noise.iter().zip(day).map(|(z, day)| z + day)));
        assert!(after(noise.iter().map(|z| z * 4.0)));
    }
}
