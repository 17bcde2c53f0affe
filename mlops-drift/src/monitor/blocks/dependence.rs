//! Whether the rows of a day depend on one another, and whether days do.

use super::{Block, GRAIN};
use crate::{monitor::cells::Column, tests::real};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The probability with which a column of independent rows is taken for one of dependent rows; half
/// for the set that holds half of the rows, half for all others. It is high since the error costs
/// some days until a drift is found, and the other one the promise.
const LEVEL: f64 = 0.02;
/// Days of a week.
const WEEK: usize = 7;
/// Weeks below which nothing is said of them.
const FEWEST_WEEKS: usize = 4;

/// What the days of a reference say of a set.
#[derive(Clone, Copy, Default)]
struct Spread {
    /// Squared distances, each in variances of independent rows.
    squares: f64,
    /// What they add up to on average.
    freedom: f64,
    /// What the kurtosis of counts adds to twice that in its variance.
    kurtosis: f64,
}

/// Whether days differ from one another more than independent rows would let them, in any set.
///
/// In a set of share s in a stratum, of m independent rows m·s(1 − s) is the variance of their number,
/// and what is left around the reference's own share, of whose n rows these are m, has the part
/// 1 − m/n of it. The sum of squares over days is taken for a multiple of a chi-square with its mean
/// and its variance, the fourth cumulants of the counts included (F. E. Satterthwaite, "An
/// approximate distribution of estimates of variance components", Biometrics Bulletin 2, 1946).
pub(super) fn is_there(at: usize, column: &Column, reference: &[Block]) -> bool {
    let mut spreads = vec![Spread::default(); column.sets.len()];
    for block in reference {
        let Some(apart) = block.apart(at, column) else { continue };
        let all = real(block.counts.get(at).map_or(0, |counts| counts.iter().sum()));
        for ((set, spread), apart) in column.sets.iter().zip(&mut spreads).zip(apart) {
            spread.add(block, column, set.cells(), (apart, all));
        }
    }
    let others = real(column.sets.len().max(2) as u64 - 1);
    column.sets.iter().zip(&spreads).any(|(set, spread)| {
        let part = if Some(*set) == column.half { 1.0 } else { others };
        spread.probability() < LEVEL / 2.0 / part
    })
}

impl Spread {
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    fn add(
        &mut self,
        block: &Block,
        column: &Column,
        cells: std::ops::Range<usize>,
        (apart, all): (i64, f64),
    ) {
        let rows = real(block.rows());
        let (mut variance, mut fourth, mut left) = (0.0, 0.0, 0.0);
        for (stratum, own) in &block.rows {
            let Some(before) = column.reference.get(stratum) else { continue };
            let n = real(before.iter().sum());
            if n == 0.0 {
                continue;
            }
            // Of the column's own rows, which are fewer where some chose its values.
            let m = real(*own) / rows * all;
            let share = real(before[cells.clone()].iter().sum()) / n;
            let single = share * (1.0 - share);
            variance += m * single;
            fourth += m * single * (1.0 - 6.0 * single);
            left += m * single * (1.0 - m / n).max(0.0);
        }
        if variance > 0.0 {
            let distance = apart as f64 / GRAIN * all;
            self.squares += distance * distance / variance;
            self.freedom += left / variance;
            self.kurtosis += fourth / (variance * variance);
        }
    }

    fn probability(self) -> f64 {
        let variance = 2.0 * self.freedom + self.kurtosis;
        if self.freedom <= 0.0 || variance <= 0.0 {
            return 1.0;
        }
        let freedom = 2.0 * self.freedom * self.freedom / variance;
        let law = ChiSquared::new(freedom);
        law.map_or(1.0, |law| law.sf(self.squares / self.freedom * freedom))
    }
}

/// How many times the means of seven days in a row vary as much as exchangeable days would let
/// them, and its probability.
///
/// Of G means of seven of n numbers of variance s² in random order, the sum of 7·(mean − all)²/s² is
/// G·(1 − 7/n) on average, nearly G − 1, and about a chi-square.
#[expect(clippy::cast_precision_loss, reason = "below 2^53")]
pub(super) fn of_weeks(days: &[i64]) -> Option<(f64, f64)> {
    let (weeks, _) = days.as_chunks::<WEEK>();
    if weeks.len() < FEWEST_WEEKS {
        return None;
    }
    let count = real(days.len() as u64);
    let mean = days.iter().map(|day| *day as f64).sum::<f64>() / count;
    let squares: f64 = days.iter().map(|day| (*day as f64 - mean).powi(2)).sum();
    let variance = squares / (count - 1.0);
    let week = real(WEEK as u64);
    let apart = |days: &[i64; WEEK]| days.iter().map(|day| *day as f64).sum::<f64>() / week - mean;
    let sum: f64 = weeks.iter().map(apart).map(|apart| week * apart * apart).sum();
    let freedom = real(weeks.len() as u64 - 1);
    let law = ChiSquared::new(freedom).ok().filter(|_| variance > 0.0)?;
    Some((sum / variance / freedom, law.sf(sum / variance)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn weeks_of_shuffled_days_vary_as_they_may_and_those_of_a_trend_more() {
        let mut random = Random::new(1);
        let mut found = 0;
        for _ in 0..400 {
            let days: Vec<i64> =
                (0..60).map(|_| i64::try_from(random.below(1000)).unwrap()).collect();
            found += u32::from(of_weeks(&days).unwrap().1 < 0.05);
        }
        // 5% of 400 and three deviations.
        assert!(found <= 20 + 13, "{found}");
        let trend: Vec<i64> = (0..60).map(|day| day * 10).collect();
        assert!(of_weeks(&trend).unwrap().1 < 1e-6);
        assert_eq!(of_weeks(&trend[..20]), None);
        assert_eq!(of_weeks(&[5; 60]), None, "no variance");
    }
}
