//! The Mann–Whitney test: whether values of one sample tend to exceed the other's.

use super::{
    Law, PermutationOptions, Superiority,
    hypergeometric::choose_plainly,
    ks::{sorted, tie_groups},
    permutation::share_of_deals,
    probability, real,
    share::hypergeometric_p,
    superiority,
};
use mlops_core::Result;
use statrs::distribution::{ContinuousCDF, Normal};

/// The exact law of ties is counted up to so many steps, some hundredths of a second.
const MOST_STEPS: u128 = 40_000_000;

/// What the Mann–Whitney test says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MannWhitney {
    /// U: the pairs in which the window's value exceeds the reference's, ties counted half.
    pub statistic: f64,
    /// Probability of a U as far from half of all pairs, in either direction, if both samples have
    /// one source; in (0, 1].
    pub p: f64,
    /// By which law.
    pub law: Law,
    /// The effect: U as a share of all pairs, with Newcombe's interval.
    pub effect: Superiority,
}

/// Whether the values of two samples are in one order (H. B. Mann, D. R. Whitney, "On a test of
/// whether one of two random variables is stochastically larger than the other", Annals of
/// Mathematical Statistics 18, 1947), two-sided.
///
/// The law is that of dealing the pooled values, with their ties. It is counted for small samples
/// (40 rows beside 40, say) and for two distinct values; the normal law with a correction for ties
/// and half a step of U for continuity is taken where either side has 20 rows and the values are
/// many: at least 20 distinct ones of which none has half of the rows, or 1,000 rows expected on
/// the smaller side beside the commonest value. Otherwise seeded random deals. Infinite values are
/// ordinary, and ordered. `None` if either side is empty; a NaN is `InvalidInput`.
pub fn mann_whitney(
    reference: &[f64],
    window: &[f64],
    level: f64,
    options: &PermutationOptions,
) -> Result<Option<MannWhitney>> {
    options.check()?;
    let (reference, window) = (sorted(reference, "reference")?, sorted(window, "window")?);
    let groups = tie_groups(&reference, &window);
    let (a, b): (Vec<u64>, Vec<u64>) = groups.iter().copied().unzip();
    let Some(effect) = superiority(&a, &b, level)? else { return Ok(None) };
    let ranked = Ranked::new(&groups);
    let (p, law) = ranked.p(options);
    let statistic = ranked.statistic();
    Ok(Some(MannWhitney { statistic, p: probability(p), law, effect }))
}

/// Groups of equal values, in order.
struct Ranked {
    n: u64,
    m: u64,
    /// Of either sample, in order of the values.
    groups: Vec<(u64, u64)>,
    /// |2·U − n·m|, twice the distance from half of all pairs.
    off: u128,
}

impl Ranked {
    fn new(groups: &[(u64, u64)]) -> Self {
        let (n, m) = groups.iter().fold((0, 0), |(n, m), (a, b)| (n + a, m + b));
        let mut ranked = Self { n, m, groups: groups.to_vec(), off: 0 };
        ranked.off = ranked.twice_u().abs_diff(u128::from(n) * u128::from(m));
        ranked
    }

    /// Twice the pairs that the window wins.
    fn twice_u(&self) -> u128 {
        let (mut below, mut twice) = (0, 0);
        for (a, b) in &self.groups {
            twice += u128::from(*b) * u128::from(2 * below + a);
            below += a;
        }
        twice
    }

    fn statistic(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "rounded once, as any quotient is")]
        let twice = self.twice_u() as f64;
        twice / 2.0
    }

    fn p(&self, options: &PermutationOptions) -> (f64, Law) {
        if let [(a, b), _] = self.groups.as_slice() {
            // Of two values the order is one share.
            return (hypergeometric_p((*a, self.n), (*b, self.m)), Law::Exact);
        }
        if self.groups.len() < 2 {
            return (1.0, Law::Exact);
        }
        if self.steps() <= MOST_STEPS {
            return (self.counted(), Law::Exact);
        }
        if self.normal_is_close() { (self.normal(), Law::Limit) } else { self.dealt(options) }
    }

    fn normal_is_close(&self) -> bool {
        let (rows, small) = (self.n + self.m, self.n.min(self.m));
        let commonest = self.groups.iter().map(|(a, b)| a + b).max().unwrap_or(0);
        let many = self.groups.len() >= 20 && 2 * commonest <= rows;
        let beside = real(small) * real(rows - commonest) / real(rows);
        small >= 20 && (many || beside >= 1000.0)
    }

    /// With the variance n·m/12 · (N + 1 − Σ (t³ − t) / (N (N − 1))) over groups of t ties (E. L.
    /// Lehmann, "Nonparametrics", 1975, section 1.4).
    fn normal(&self) -> f64 {
        let (n, m) = (real(self.n), real(self.m));
        let rows = n + m;
        let ties: f64 = self.groups.iter().map(|(a, b)| real(a + b)).map(|t| t.powi(3) - t).sum();
        let variance = n * m / 12.0 * (rows + 1.0 - ties / (rows * (rows - 1.0)));
        #[expect(clippy::cast_precision_loss, reason = "rounded once, as any quotient is")]
        let off = (self.off as f64 / 2.0 - 0.5).max(0.0);
        2.0 * Normal::standard().sf(off / variance.sqrt())
    }

    /// What counting costs: rows and groups, times the smaller sample, times twice the pairs.
    fn steps(&self) -> u128 {
        let rows = u128::from(self.n + self.m) + self.groups.len() as u128;
        rows * u128::from(self.n.min(self.m) + 1) * (2 * u128::from(self.n) * u128::from(self.m))
    }

    /// The share of deals as far off, counted group by group: after each, in how many ways so many
    /// rows went to the smaller sample and won so many pairs (twice). All terms are positive.
    fn counted(&self) -> f64 {
        let (small, large) = (self.n.min(self.m), self.n.max(self.m));
        let index = |count: u64| usize::try_from(count).unwrap_or(usize::MAX);
        let width = 2 * index(small) * index(large) + 1;
        let mut ways = vec![vec![0.0_f64; width]; index(small) + 1];
        ways[0][0] = 1.0;
        let mut before = 0_u64;
        for (a, b) in &self.groups {
            let ties = a + b;
            let choices = choose_plainly(ties, small);
            for chosen in (0..=small.min(before)).rev() {
                let others = before - chosen;
                // More pairs than these cannot have been won yet.
                let reach = (2 * index(chosen) * index(others) + 1).min(width);
                for own in (1..=ties.min(small - chosen)).rev() {
                    let won = index(own * (2 * others + ties - own));
                    let (from, to) = ways.split_at_mut(index(chosen) + 1);
                    let (from, to) = (&from[index(chosen)], &mut to[index(own) - 1]);
                    let choice = choices[index(own)];
                    let room = reach.min(width.saturating_sub(won));
                    for (to, from) in to[won.min(width)..].iter_mut().zip(&from[..room]) {
                        *to += choice * from;
                    }
                }
            }
            before += ties;
        }
        let pairs = u128::from(self.n) * u128::from(self.m);
        let (mut all, mut far) = (0.0, 0.0);
        for (twice, ways) in ways[index(small)].iter().enumerate() {
            all += ways;
            far += if (twice as u128).abs_diff(pairs) >= self.off { *ways } else { 0.0 };
        }
        far / all
    }

    /// Random deals of the smaller sample's ranks.
    fn dealt(&self, options: &PermutationOptions) -> (f64, Law) {
        // Twice the mean rank from 0 of each row.
        let (mut before, mut ranks) = (0, Vec::new());
        for (a, b) in &self.groups {
            for _ in 0..a + b {
                ranks.push(u128::from(2 * before + a + b));
            }
            before += a + b;
        }
        let small = self.n.min(self.m);
        let own = u128::from(small) * u128::from(small);
        let pairs = u128::from(self.n) * u128::from(self.m);
        let len = usize::try_from(small).unwrap_or(usize::MAX);
        share_of_deals(ranks, len, small, options, |chosen| {
            let sum: u128 = chosen.iter().sum();
            (sum - own).abs_diff(pairs) >= self.off
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn floats(values: &[u8]) -> Vec<f64> {
        values.iter().map(|value| f64::from(*value)).collect()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(80))]

        #[test]
        fn counting_groups_is_counting_deals(
            a in prop::collection::vec(0_u8..6, 1..7),
            b in prop::collection::vec(0_u8..6, 1..7),
        ) {
            let groups = tie_groups(
                &sorted(&floats(&a), "reference").unwrap(),
                &sorted(&floats(&b), "window").unwrap(),
            );
            let ranked = Ranked::new(&groups);
            let every = PermutationOptions::default().with_enumerated(u64::MAX);
            let (by_deals, law) = ranked.dealt(&every);
            prop_assert!(law == Law::Exact && (ranked.counted() - by_deals).abs() < 1e-12);
            prop_assert!((ranked.p(&every).0 - by_deals).abs() < 1e-12);
        }
    }

    /// D5: a shift down is as surprising as the same shift up.
    #[test]
    fn a_shift_down_is_found_as_a_shift_up_is() {
        let base: Vec<f64> = (0..300).map(|at| f64::from(at * 7919 % 1000)).collect();
        let moved = |by: f64| base.iter().map(|value| value + by + 0.25).collect::<Vec<_>>();
        let test = |by| {
            mann_whitney(&base, &moved(by), 0.95, &PermutationOptions::default()).unwrap().unwrap()
        };
        let (up, down) = (test(100.0), test(-100.5));
        assert!(up.p < 1e-3 && (up.p / down.p - 1.0).abs() < 1e-9, "{up:?} {down:?}");
        assert!(up.effect.value > 0.5 && down.effect.value < 0.5 && up.law == Law::Limit);
    }

    #[test]
    fn constants_empties_and_nan_are_answered() {
        let test = |a: &[f64], b: &[f64]| mann_whitney(a, b, 0.95, &PermutationOptions::default());
        assert!((test(&[3.0; 50], &[3.0; 20]).unwrap().unwrap().p - 1.0).abs() < 1e-15);
        let apart = test(&[3.0; 50], &[4.0; 20]).unwrap().unwrap();
        assert!(apart.law == Law::Exact && apart.p < 1e-15);
        assert_eq!(test(&[], &[1.0]).unwrap(), None);
        assert!(test(&[f64::NAN], &[1.0]).is_err());
    }
}
