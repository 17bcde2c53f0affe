//! The permutation law: what a statistic would be if the pooled rows were dealt at random.

use super::real;
use crate::random::Random;
use mlops_core::{Error, Result};

/// By which law a p-value was computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Law {
    /// Every deal of the pooled rows counted, or a sum that equals the count.
    Exact,
    /// The limit for many rows, taken only where the test's page says that it is close.
    Limit,
    /// So many seeded random deals, of which b were at least as extreme: (b + 1) / (deals + 1).
    /// That is never too small on average over seeds (B. Phipson, G. K. Smyth, "Permutation
    /// p-values should never be zero", Statistical Applications in Genetics and Molecular Biology
    /// 9, 2010), and never below 1 / (deals + 1).
    Permutation {
        /// How many random deals.
        deals: u32,
    },
}

/// How a permutation law is computed.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PermutationOptions {
    /// Random deals at most; 9,999. Fewer, but 199 at least, where they would cost over some 10^8
    /// steps.
    pub deals: u32,
    /// Deals that are counted one by one at most, before random ones are taken; 20,000.
    pub enumerated: u64,
    /// The seed of random deals: the same seed and rows give the same p.
    pub seed: u64,
}

impl Default for PermutationOptions {
    fn default() -> Self {
        Self { deals: 9_999, enumerated: 20_000, seed: 0 }
    }
}

impl PermutationOptions {
    /// Sets how many random deals there are at most.
    #[must_use]
    pub fn with_deals(mut self, deals: u32) -> Self {
        self.deals = deals;
        self
    }

    /// Sets how many deals are counted one by one at most.
    #[must_use]
    pub fn with_enumerated(mut self, deals: u64) -> Self {
        self.enumerated = deals;
        self
    }

    /// Sets the seed of random deals.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    pub(super) fn check(&self) -> Result<()> {
        if self.deals == 0 {
            return Err(Error::invalid("a permutation law needs at least one deal"));
        }
        Ok(())
    }

    /// The deals made where each takes so many steps.
    fn affordable(&self, steps: u64) -> u32 {
        let most = MOST_STEPS / steps.max(1);
        self.deals.min(u32::try_from(most).unwrap_or(u32::MAX).max(LEAST_DEALS))
    }

    /// The share of random deals, seen one included, for which `extreme` holds.
    pub(super) fn random(
        &self,
        steps: u64,
        mut extreme: impl FnMut(&mut Random) -> bool,
    ) -> (f64, Law) {
        let (mut random, deals) = (Random::new(self.seed), self.affordable(steps));
        let beyond = (0..deals).filter(|_| extreme(&mut random)).count();
        let p = (real(beyond as u64) + 1.0) / (f64::from(deals) + 1.0);
        (p, Law::Permutation { deals })
    }
}

const MOST_STEPS: u64 = 100_000_000;
const LEAST_DEALS: u32 = 199;
/// Of a larger pool, a shuffle waits for memory at each step.
const IN_A_CACHE: usize = 100_000;

/// Whether a statistic is at least the seen one, but for rounding: a deal that ties with it counts.
pub(super) fn at_least(statistic: f64, seen: f64) -> bool {
    statistic >= seen || statistic >= seen - 1e-11 * seen.abs()
}

/// Ways to deal `total` rows into a sample of `small` and the rest; `None` beyond `most`.
pub(super) fn deals(total: u64, small: u64, most: u64) -> Option<u64> {
    let mut ways = 1_u128;
    for chosen in 1..=u128::from(small.min(total - small)) {
        ways = ways * (u128::from(total) + 1 - chosen) / chosen;
        if ways > u128::from(most) {
            return None;
        }
    }
    u64::try_from(ways).ok()
}

/// Deals of a pool: which of it is in the sample of `small`.
///
/// Every deal in turn where there are few, else random ones; `extreme` sees what is chosen, in no
/// order. `steps` is what one deal costs. What is dealt is best what `extreme` needs to know: to look
/// that up in a large pool takes longer than all else.
pub(super) fn share_of_deals<T: Copy>(
    mut pool: Vec<T>,
    small: usize,
    steps: u64,
    options: &PermutationOptions,
    mut extreme: impl FnMut(&[T]) -> bool,
) -> (f64, Law) {
    let total = pool.len();
    if let Some(ways) = deals(total as u64, small as u64, options.enumerated) {
        let mut places: Vec<usize> = (0..small).collect();
        let mut chosen = Vec::with_capacity(small);
        let mut beyond = 0_u64;
        for _ in 0..ways {
            chosen.clear();
            chosen.extend(places.iter().map(|at| pool[*at]));
            beyond += u64::from(extreme(&chosen));
            next_combination(&mut places, total);
        }
        return (real(beyond) / real(ways), Law::Exact);
    }
    if total > IN_A_CACHE {
        let mut chosen = Vec::new();
        return options.random(steps, |random| {
            draw_in_order(&pool, small, random, &mut chosen);
            extreme(&chosen)
        });
    }
    options.random(steps, |random| {
        // The start of a shuffle; where the last one ended is as good as any order.
        for at in 0..small {
            let other = at + random.index(total - at);
            pool.swap(at, other);
        }
        extreme(&pool[..small])
    })
}

/// Takes each in turn with the share that is still to be drawn: memory is read from end to end.
fn draw_in_order<T: Copy>(pool: &[T], small: usize, random: &mut Random, chosen: &mut Vec<T>) {
    chosen.clear();
    chosen.extend(pool.iter().take(small + 1));
    let mut left = small;
    for (others, item) in (1..=pool.len()).rev().zip(pool) {
        // What is not drawn is written over by the next: no branch that is guessed wrong.
        chosen[small - left] = *item;
        left -= usize::from(random.index(others) < left);
    }
    chosen.truncate(small);
}

/// The next ascending choice of indices below `total`, in lexicographic order.
fn next_combination(chosen: &mut [usize], total: usize) {
    let small = chosen.len();
    let Some(at) = (0..small).rev().find(|&at| chosen[at] < total - small + at) else { return };
    chosen[at] += 1;
    for later in at + 1..small {
        chosen[later] = chosen[later - 1] + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_deal_is_seen_once() {
        let mut seen = std::collections::BTreeSet::new();
        let (share, law) =
            share_of_deals((0..7).collect(), 3, 1, &PermutationOptions::default(), |chosen| {
                seen.insert(chosen.to_vec());
                chosen.contains(&0)
            });
        assert_eq!((seen.len(), law), (35, Law::Exact));
        assert!((share - 15.0 / 35.0).abs() < 1e-15);
        assert_eq!(deals(40, 20, 20_000), None);
        assert_eq!(deals(5, 0, 20_000), Some(1));
    }

    #[test]
    fn large_pools_are_dealt_evenly() {
        let pool: Vec<usize> = (0..10).collect();
        let (mut random, mut chosen, mut times) = (Random::new(5), Vec::new(), [0_u32; 10]);
        for _ in 0..10_000 {
            draw_in_order(&pool, 4, &mut random, &mut chosen);
            assert!(chosen.len() == 4 && chosen.is_sorted_by(|a, b| a < b), "{chosen:?}");
            for at in &chosen {
                times[*at] += 1;
            }
        }
        assert!(times.iter().all(|times| times.abs_diff(4_000) < 250), "{times:?}");
        draw_in_order(&pool, 10, &mut random, &mut chosen);
        assert_eq!(chosen, pool);
    }

    #[test]
    fn random_deals_are_even_and_repeatable() {
        let options = PermutationOptions::default().with_enumerated(0).with_seed(3);
        let run =
            || share_of_deals((0..30).collect(), 12, 12, &options, |chosen| chosen.contains(&29));
        let (share, law) = run();
        assert_eq!((law, run().0.to_bits()), (Law::Permutation { deals: 9_999 }, share.to_bits()));
        assert!((share - 0.4).abs() < 0.02, "{share}");
        let dear = options.random(u64::MAX, |_| false);
        assert_eq!(dear, (1.0 / 200.0, Law::Permutation { deals: 199 }));
    }
}
