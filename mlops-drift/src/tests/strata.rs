//! The exact law of a share in several strata, each dealt for itself.

use super::{probability, share::for_each_deal};

/// (Rows of a kind, all rows) of the reference and of the window in one stratum.
pub(crate) type Stratum = ((u64, u64), (u64, u64));

/// Products of probabilities that are worth it: about a millisecond. It is enough wherever strata expect few rows
/// of the kind, which is where the sum is needed.
const WORTH: usize = 1 << 21;
/// Probabilities that are left out; what they add up to is added to every tail.
const LEAST: f64 = 1e-18;

/// The probabilities that the window has over all strata together at most, and at least, as many rows
/// of the kind as it has, if in each stratum all rows of the kind were dealt at random.
///
/// It is the law of a sum of hypergeometric counts, whose probabilities are multiplied out. `None`
/// where that takes too long: what decides it are the numbers of rows, and not how they were dealt.
pub(crate) fn summed_tails(strata: &[Stratum]) -> Option<(f64, f64)> {
    let mut sum = Law { first: 0, weights: vec![1.0], lost: 0.0 };
    let mut work = 0;
    for stratum in strata {
        let next = Law::of(*stratum);
        work += next.weights.len() * sum.weights.len();
        if work > WORTH {
            return None;
        }
        sum = sum.plus(&next);
    }
    let seen: u64 = strata.iter().map(|(_, (with, _))| with).sum();
    let at = usize::try_from(seen.saturating_sub(sum.first)).ok()?;
    let upto = if seen < sum.first { 0 } else { (at + 1).min(sum.weights.len()) };
    let from = at.min(sum.weights.len());
    let tail = |weights: &[f64]| probability(weights.iter().sum::<f64>() + sum.lost);
    Some((tail(&sum.weights[..upto]), tail(&sum.weights[from..])))
}

/// Probabilities of counts from the first one on.
struct Law {
    first: u64,
    weights: Vec<f64>,
    /// Of the counts that were left out, at most.
    lost: f64,
}

impl Law {
    fn of((before, now): Stratum) -> Self {
        let (mut deals, mut all, mut left_out) = (Vec::new(), 0.0, 0.0);
        // Beside the most probable one's weight, of 1: what is less is no count worth its memory.
        for_each_deal(now, before, |count, weight| {
            all += weight;
            if weight >= LEAST {
                deals.push((count, weight));
            } else {
                left_out += weight;
            }
        });
        // From the most probable one upwards, then downwards.
        deals.sort_unstable_by_key(|(count, _)| *count);
        let first = deals.first().map_or(0, |(count, _)| *count);
        let weights = deals.into_iter().map(|(_, weight)| weight / all).collect();
        Self { first, weights, lost: left_out / all }.without_ends()
    }

    /// Of the sum of two counts.
    fn plus(&self, other: &Self) -> Self {
        let mut weights = vec![0.0; self.weights.len() + other.weights.len() - 1];
        for (at, weight) in other.weights.iter().enumerate() {
            let sums = weights.iter_mut().skip(at);
            sums.zip(&self.weights).for_each(|(sum, own)| *sum += weight * own);
        }
        let (first, lost) = (self.first + other.first, self.lost + other.lost);
        Self { first, weights, lost }.without_ends()
    }

    /// The law has one peak: what is left out lies at its ends.
    fn without_ends(mut self) -> Self {
        let kept = |weight: &f64| *weight >= LEAST;
        let end = self.weights.iter().rposition(kept).map_or(0, |last| last + 1);
        self.lost += self.weights.drain(end..).sum::<f64>();
        let start = self.weights.iter().position(kept).unwrap_or(0);
        self.lost += self.weights.drain(..start).sum::<f64>();
        self.first += start as u64;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::{dealt_tails, hypergeometric::choose_plainly};

    #[test]
    fn one_stratum_has_its_own_law() {
        for stratum in [((10, 1000), (30, 500)), ((0, 70), (3, 9)), ((5, 5), (4, 4))] {
            let (fewer, more) = summed_tails(&[stratum]).unwrap();
            let alone = dealt_tails(stratum.0, stratum.1);
            for (own, alone) in [(fewer, alone.0), (more, alone.1)] {
                assert!((own - alone).abs() < 1e-12, "{stratum:?} {own} {alone}");
            }
        }
    }

    /// Every way to deal each stratum, counted out.
    #[test]
    fn few_rows_are_dealt_in_every_way() {
        let strata = [((1, 5), (2, 4)), ((3, 7), (0, 3)), ((0, 4), (3, 6))];
        let counts = |((a, n), (b, m)): Stratum| -> Vec<f64> {
            let (inside, outside) = (choose_plainly(a + b, m), choose_plainly(n + m - a - b, m));
            let ways = |count: usize| {
                let rest = usize::try_from(m).unwrap().checked_sub(count);
                let rest = rest.and_then(|rest| outside.get(rest)).copied().unwrap_or(0.0);
                inside.get(count).map_or(0.0, |ways| ways * rest)
            };
            (0..=usize::try_from(m).unwrap()).map(ways).collect()
        };
        let laws = strata.map(counts);
        let (mut all, mut fewer, mut more) = (0.0, 0.0, 0.0);
        for (i, one) in laws[0].iter().enumerate() {
            for (j, two) in laws[1].iter().enumerate() {
                for (k, three) in laws[2].iter().enumerate() {
                    let ways = one * two * three;
                    all += ways;
                    fewer += if i + j + k <= 5 { ways } else { 0.0 };
                    more += if i + j + k >= 5 { ways } else { 0.0 };
                }
            }
        }
        let found = summed_tails(&strata).unwrap();
        assert!((found.0 - fewer / all).abs() < 1e-12 && (found.1 - more / all).abs() < 1e-12);
    }

    #[test]
    fn many_rows_are_left_to_another_law() {
        let large = ((1 << 19, 1 << 20), (1 << 19, 1 << 20));
        assert!(summed_tails(&[large; 24]).is_none());
        let rare = ((1, 1_000_000), (1, 100_000));
        let (fewer, more) = summed_tails(&[rare; 168]).unwrap();
        assert!(fewer > 0.999 && more < 1e-12, "{fewer} {more}");
    }
}
