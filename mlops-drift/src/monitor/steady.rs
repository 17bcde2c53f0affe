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
/// How much of a stratum's reference's noise a window is allowed: it has 1, and repeats it.
const NOISE: f64 = 3.0;
/// The least variance of a window's count for its score to be about normal.
const LEAST: f64 = 10.0;

/// A column's windows: how far the share of rows in the set that holds half of the reference is above
/// what it says, each weighed by one over its variance if rows are drawn independently.
///
/// Independent rows make the weighed squares, taken from their mean, a chi-square of as many less
/// one. What a reference gets wrong, having few rows itself, moves all shares alike, whatever
/// their windows' sizes (and not their scores: a large window's more than a small one's); so does a
/// drift, from some window on. So the mean is left out, and may change [`STEPS`] times where that
/// explains most. What is left is autocorrelation or a season.
#[derive(Clone, Debug, Default)]
pub(super) struct Steadiness {
    windows: VecDeque<Apart>,
    unsteady: bool,
}

/// How far one window's share is from the reference's.
#[derive(Clone, Copy, Debug)]
struct Apart {
    share: f64,
    /// One over its variance.
    weight: f64,
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
        // The noise of a stratum's reference comes round with the season, as a season would.
        let repeated = if reference.len() > 1 { NOISE } else { 0.0 };
        let (mut apart, mut variance, mut rows) = (0.0, 0.0, 0.0);
        for (stratum, own) in window {
            let Some(before) = reference.get(stratum) else { continue };
            let ((a, n), (b, m)) = (set.share(before), set.share(own));
            if n > 0 {
                let share = real(a) / real(n);
                apart += real(b) - real(m) * share;
                rows += real(m);
                variance += real(m) * share * (1.0 - share) * (1.0 + repeated * real(m) / real(n));
            }
        }
        if variance < LEAST {
            return Change::None;
        }
        if self.windows.len() == KEPT {
            self.windows.pop_front();
        }
        self.windows.push_back(Apart { share: apart / rows, weight: rows * rows / variance });
        self.judge(columns)
    }

    fn judge(&mut self, columns: usize) -> Change {
        if self.windows.len() < FEWEST {
            return Change::None;
        }
        let windows: Vec<Apart> = self.windows.iter().copied().collect();
        let freedom = real((windows.len() - STEPS - 1) as u64);
        let left = left_after_steps(&windows);
        let p = ChiSquared::new(freedom).map_or(1.0, |law| law.sf(left));
        if !self.unsteady && p < LEVEL / real(columns as u64) {
            self.unsteady = true;
            return Change::BecameUnsteady(left / freedom, p);
        }
        self.unsteady &= p <= CALM;
        Change::None
    }
}

/// The least weighed sum of squares around means that change at most [`STEPS`] times.
fn left_after_steps(windows: &[Apart]) -> f64 {
    let n = windows.len();
    let mut sums = vec![(0.0, 0.0, 0.0)];
    sums.extend(windows.iter().scan((0.0, 0.0, 0.0), |sum, Apart { share, weight }| {
        *sum = (sum.0 + weight, sum.1 + weight * share, sum.2 + weight * share * share);
        Some(*sum)
    }));
    let around_mean = |from: usize, to: usize| {
        let (before, upto) = (sums[from], sums[to]);
        let (weight, sum) = (upto.0 - before.0, upto.1 - before.1);
        (upto.2 - before.2 - sum * sum / weight).max(0.0)
    };
    // Of the first so many windows, with one mean more in each round.
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
        for share in scores {
            steadiness.windows.push_back(Apart { share, weight: 1.0 });
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

    /// The reference's own error is two of its deviations; nothing else is there.
    #[test]
    fn windows_of_very_different_sizes_are_steady() {
        let rows = crate::monitor::testing::texts(&["a", "b"], 50);
        let reference = crate::Profile::fit(&[rows], &crate::ProfileOptions::default()).unwrap();
        let column = crate::monitor::cells::Column::of(
            &reference.columns().next().unwrap(),
            &[(0, &reference)],
        );
        let set = column.sets[1];
        let before = BTreeMap::from([(0, vec![0, 1045, 955, 0])]);
        let (mut random, mut steadiness) = (Random::new(4), Steadiness::default());
        for window in 0..60 {
            let rows: u64 = if window % 2 == 0 { 200 } else { 20_000 };
            let with = (0..rows).filter(|_| random.unit() < 0.5).count() as u64;
            let now = BTreeMap::from([(0, vec![0, with, rows - with, 0])]);
            let change = steadiness.update(set, &before, &now, 1);
            assert_eq!(change, Change::None, "window {window}");
        }
    }
}
