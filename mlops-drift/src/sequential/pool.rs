//! Rows seen so far, as counts of ordered cells.

use crate::{
    random::Random,
    tests::{MAX_ROWS, real},
};
use mlops_core::{Error, Result};

/// Counts that answer "how many up to here" in the logarithm of their number (P. M. Fenwick, "A
/// new data structure for cumulative frequency tables", Software: Practice and Experience 24,
/// 1994).
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pool {
    counts: Vec<u64>,
    /// At `at`: the sum of the counts `at + 1 - lowest bit of (at + 1) .. at + 1`.
    sums: Vec<u64>,
    total: u64,
}

impl Pool {
    pub(super) fn new(counts: &[u64]) -> Result<Self> {
        let total = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
        let total = total.filter(|total| *total <= MAX_ROWS);
        let Some(total) = total else {
            return Err(Error::too_large(format!("the cells count over {MAX_ROWS} rows")));
        };
        if counts.is_empty() {
            return Err(Error::invalid("a stratum without cells"));
        }
        let mut sums = counts.to_vec();
        for at in 0..sums.len() {
            let above = at | (at + 1);
            if above < sums.len() {
                sums[above] += sums[at];
            }
        }
        Ok(Self { counts: counts.to_vec(), sums, total })
    }

    pub(super) fn counts(&self) -> &[u64] {
        &self.counts
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    /// Adds a row and says how surprisingly large it is among all: uniform on 0..1 if they are
    /// exchangeable, ties broken at random.
    ///
    /// p = (rows in larger cells + U · rows in the same cell, this one included) / all rows (V.
    /// Vovk, A. Gammerman, G. Shafer, "Algorithmic learning in a random world", 2005, section 2.6:
    /// smoothed conformal predictors).
    pub(super) fn rank(&mut self, cell: usize, random: &mut Random) -> Result<f64> {
        if self.total >= MAX_ROWS {
            return Err(Error::too_large(format!("over {MAX_ROWS} rows in a stratum")));
        }
        self.add(cell)?;
        let larger = self.total - self.up_to(cell);
        Ok((real(larger) + random.unit() * real(self.counts[cell])) / real(self.total))
    }

    fn add(&mut self, cell: usize) -> Result<()> {
        let cells = self.counts.len();
        if cell >= cells {
            return Err(Error::invalid(format!("cell {cell} of {cells}")));
        }
        self.counts[cell] += 1;
        self.total += 1;
        let mut at = cell;
        while at < cells {
            self.sums[at] += 1;
            at |= at + 1;
        }
        Ok(())
    }

    /// Takes a row at random; there is one.
    pub(super) fn take(&mut self, random: &mut Random) -> usize {
        let mut left = random.below(self.total);
        // The first cell whose cumulative count exceeds what was drawn.
        let (mut cell, mut step) = (0, self.sums.len().next_power_of_two());
        while step > 0 {
            let beyond = cell + step;
            if beyond <= self.sums.len() && self.sums[beyond - 1] <= left {
                left -= self.sums[beyond - 1];
                cell = beyond;
            }
            step /= 2;
        }
        self.counts[cell] -= 1;
        self.total -= 1;
        let mut at = cell;
        while at < self.sums.len() {
            self.sums[at] -= 1;
            at |= at + 1;
        }
        cell
    }

    /// Rows in cells up to and including this one.
    fn up_to(&self, cell: usize) -> u64 {
        let (mut sum, mut end) = (0, cell + 1);
        while end > 0 {
            sum += self.sums[end - 1];
            end &= end - 1;
        }
        sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sums_are_those_of_the_counts(
            counts in prop::collection::vec(0_u64..9, 1..40),
            more in prop::collection::vec(0_usize..40, 0..60),
        ) {
            let mut pool = Pool::new(&counts).unwrap();
            let mut plain = counts;
            for cell in more {
                let inside = cell < plain.len();
                prop_assert_eq!(pool.add(cell).is_ok(), inside);
                if inside {
                    plain[cell] += 1;
                }
            }
            let mut sum = 0;
            for (cell, count) in plain.iter().enumerate() {
                sum += count;
                prop_assert_eq!(pool.up_to(cell), sum);
            }
            prop_assert_eq!((pool.total(), pool.counts()), (sum, plain.as_slice()));
            let (mut random, mut taken) = (Random::new(1), vec![0; plain.len()]);
            while pool.total() > 0 {
                taken[pool.take(&mut random)] += 1;
            }
            prop_assert_eq!(taken, plain);
        }
    }
}
