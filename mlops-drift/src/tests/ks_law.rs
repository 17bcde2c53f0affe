//! The law of the two-sample Kolmogorov–Smirnov statistic when both samples come from one source.

use super::{probability, real};

/// Probability, over all ways to deal the pooled rows into samples of `n` and `m`, that
/// `max |i·m − j·n| ≥ bound` at the ends of tie groups, where `i` and `j` count the rows of
/// either sample up to there.
///
/// `groups` are the sizes of the groups of equal values, in order; they add up to `n + m`. Dealing
/// row by row is a walk on the lattice from (0, 0) to (n, m) that steps to `i + 1` with
/// probability (n − i) / (rows left). The walk is followed forward by its probabilities and
/// stopped where it first exceeds, at the end of a group; what was stopped adds up to the result.
/// Every term is positive, so nothing cancels and small probabilities keep all their digits; a
/// term that underflows is 10⁻³⁰⁸ of a whole. Ties as in Schröer and Trenkler, "Exact and
/// randomization distributions of Kolmogorov-Smirnov tests two or three samples", Computational
/// Statistics & Data Analysis 20 (1995); there paths that stay inside are counted instead.
///
/// Time n·m, memory min(n, m).
pub(super) fn exceedance(n: u64, m: u64, groups: impl Iterator<Item = u64>, bound: u128) -> f64 {
    if bound == 0 {
        return 1.0;
    }
    let mut walk = Walk::new(n.min(m), n.max(m));
    let mut exceeded = 0.0;
    for group in groups {
        for _ in 0..group {
            walk.step();
        }
        exceeded += walk.stop(bound);
    }
    probability(exceeded)
}

/// The lattice walk: after `dealt` rows, `now[i]` is the probability that `i` of them went to the
/// smaller sample and that the walk was not stopped before.
struct Walk {
    small: u64,
    large: u64,
    dealt: u64,
    /// Outside of `low..=high` every probability is 0.
    low: usize,
    high: usize,
    now: Vec<f64>,
    next: Vec<f64>,
    /// 0, 1, 2 … as reals, so that the inner loop converts nothing.
    index: Vec<f64>,
}

impl Walk {
    fn new(small: u64, large: u64) -> Self {
        let index: Vec<f64> = (0..=small).map(real).collect();
        let mut now = vec![0.0; index.len()];
        now[0] = 1.0;
        Self { small, large, dealt: 0, low: 0, high: 0, next: vec![0.0; now.len()], now, index }
    }

    fn step(&mut self) {
        let left = self.small + self.large - self.dealt;
        let inverse = 1.0 / real(left);
        // The large sample still lacks large − (dealt − i) = offset + i rows.
        let offset = real(self.large) - real(self.dealt);
        let small = real(self.small);
        let high = (self.high + 1).min(self.index.len() - 1);
        let (low, range) = (self.low, self.low + 1..high + 1);
        if let Some(beyond) = self.now.get_mut(self.high + 1) {
            // What an earlier, wider range left there.
            *beyond = 0.0;
        }
        self.next[low] = self.now[low] * (offset + self.index[low]) * inverse;
        let stay = self.now[range.clone()].iter().zip(&self.index[range.clone()]);
        let rise = self.now[low..high].iter().zip(&self.index[low..high]);
        for ((next, (stay, at)), (rise, below)) in self.next[range].iter_mut().zip(stay).zip(rise) {
            *next = (stay * (offset + at) + rise * (small - below)) * inverse;
        }
        std::mem::swap(&mut self.now, &mut self.next);
        (self.high, self.dealt) = (high, self.dealt + 1);
    }

    /// Ends the walks that exceed here and returns their probability.
    fn stop(&mut self, bound: u128) -> f64 {
        let mut stopped = 0.0;
        while self.low < self.high && self.exceeds(self.low, bound) {
            stopped += std::mem::take(&mut self.now[self.low]);
            self.low += 1;
        }
        while self.high > self.low && self.exceeds(self.high, bound) {
            stopped += std::mem::take(&mut self.now[self.high]);
            self.high -= 1;
        }
        if self.exceeds(self.low, bound) {
            stopped += std::mem::take(&mut self.now[self.low]);
        }
        stopped
    }

    /// Whether i rows of the small sample, and the rest of those dealt, exceed; an `i` that the
    /// deal cannot have reached has probability 0, whatever this says.
    fn exceeds(&self, i: usize, bound: u128) -> bool {
        let i = i as u128;
        let j = u128::from(self.dealt).saturating_sub(i);
        (i * u128::from(self.large)).abs_diff(j * u128::from(self.small)) >= bound
    }
}

/// Kolmogorov's limit law: the probability that the supremum of a Brownian bridge's absolute value
/// is at least `x`.
///
/// For `x` below 1.18 by Jacobi's other form of the series, which converges fast there
/// (Marsaglia, Tsang and Wang, "Evaluating Kolmogorov's distribution", Journal of Statistical
/// Software 8(18), 2003, equation for the limit).
pub(super) fn kolmogorov(x: f64) -> f64 {
    use std::f64::consts::PI;
    if x < 0.04 {
        // The complement is under 10⁻³³⁰.
        return 1.0;
    }
    let tail = if x < 1.18 {
        let square = PI * PI / (8.0 * x * x);
        let sum: f64 = [1.0_f64, 3.0, 5.0, 7.0].iter().map(|k| (-k * k * square).exp()).sum();
        1.0 - (2.0 * PI).sqrt() / x * sum
    } else {
        let term = |k: f64| (-2.0 * k * k * x * x).exp();
        2.0 * (term(1.0) - term(2.0) + term(3.0) - term(4.0))
    };
    probability(tail)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The share of all deals that exceed, counted one by one.
    fn enumerated(n: u64, m: u64, groups: &[u64], bound: u128) -> f64 {
        let total = n + m;
        let deals = (0_u64..1 << total).filter(|deal| u64::from(deal.count_ones()) == n);
        let (mut all, mut over) = (0_u32, 0_u32);
        for deal in deals {
            let (mut end, mut exceeds) = (0, false);
            for group in groups {
                end += group;
                let i = u128::from((deal & ((1 << end) - 1)).count_ones());
                let j = u128::from(end) - i;
                exceeds |= (i * u128::from(m)).abs_diff(j * u128::from(n)) >= bound;
            }
            all += 1;
            over += u32::from(exceeds);
        }
        f64::from(over) / f64::from(all)
    }

    proptest! {
        #[test]
        fn the_law_is_the_count_of_all_deals(
            groups in prop::collection::vec(1_u64..4, 2..7),
            share in 0.0..1.0_f64,
            bound in 0_u128..40,
        ) {
            let total: u64 = groups.iter().sum();
            prop_assume!(total <= 14);
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "small and positive")]
            let n = 1 + (real(total - 2) * share).round() as u64;
            let counted = enumerated(n, total - n, &groups, bound);
            let law = exceedance(n, total - n, groups.iter().copied(), bound);
            prop_assert!((law - counted).abs() <= 1e-13 * counted + 1e-300, "{law} {counted}");
        }
    }

    #[test]
    fn both_series_of_the_limit_law_meet() {
        for x in [1.1, 1.15, 1.17999] {
            let term = |k: f64| (-1.0_f64).powf(k - 1.0) * (-2.0 * k * k * x * x).exp();
            let series = 2.0 * (1..=8).map(|k| term(f64::from(k))).sum::<f64>();
            assert!((kolmogorov(x) - series).abs() < 1e-14);
        }
    }
}
