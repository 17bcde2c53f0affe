//! Whether a set's share is the same in the window and in the reference, stratum by stratum.

use super::cells::{Counts, Set};
use crate::tests::{dealt_tails, real, summed_tails, tail_exponent};
use statrs::distribution::{ContinuousCDF, Normal};
use std::collections::BTreeMap;

/// Scores below which the exact law is not asked: the answer is 1 then, which is on the safe side.
const PLAIN: f64 = 3.0;

/// Probabilities from which on digits tell them apart: in one stratum the law is summed from its far
/// end; in several it leaves out what is rarer than it can add up.
const KNOWN: (f64, f64) = (1e-290, 1e-14);

/// A stratum's share: (rows in the set, all rows) of the reference and of the window.
type Shares = ((u64, u64), (u64, u64));

/// The shares of a set in each stratum of which both sides have rows.
pub(super) fn shares<'a>(
    set: Set,
    reference: &'a BTreeMap<u32, Counts>,
    window: &'a BTreeMap<u32, Counts>,
) -> impl Iterator<Item = Shares> + 'a {
    window
        .iter()
        .filter_map(move |(stratum, own)| {
            Some((set.share(reference.get(stratum)?), set.share(own)))
        })
        .filter(|((_, n), (_, m))| *n > 0 && *m > 0)
}

/// How far the window's rows in the set are above what the reference says, in deviations (the
/// Mantel–Haenszel score, without a correction).
pub(super) fn score(shares: impl Iterator<Item = Shares>) -> f64 {
    let (mut apart, mut variance) = (0.0, 0.0);
    for ((a, n), (b, m)) in shares {
        let (with, n, m) = (real(a + b), real(n), real(m));
        let all = n + m;
        apart += real(b) - with * m / all;
        variance += with * (all - with) / all * (n / all) * (m / (all - 1.0).max(1.0));
    }
    if variance > 0.0 { apart / variance.sqrt() } else { 0.0 }
}

/// The probability of shares at least as far apart as these, in either direction, if both sides of
/// each stratum have one source.
///
/// In one stratum it is twice the smaller tail of the hypergeometric law of dealing all rows of the
/// set at random: valid at any size and at any level, also where the reference's own quantiles made
/// the cells (the rows of the window below the reference's r-th smallest have the negative
/// hypergeometric law, and its tails are no larger than these). In several strata it is that of the
/// sum of their deals, which is as exact. Only where that takes too long, of which the numbers of
/// rows decide, the strata's tails are combined by S. A. Stouffer's method ("The American Soldier",
/// 1949), weighed by the roots of n·m/(n + m): valid too, but deaf where a stratum expects hardly a
/// row of the set, since none is then no evidence for more.
pub(super) fn probability(
    set: Set,
    reference: &BTreeMap<u32, Counts>,
    window: &BTreeMap<u32, Counts>,
) -> f64 {
    if score(shares(set, reference, window)).abs() < PLAIN {
        return 1.0;
    }
    let each: Vec<Shares> = shares(set, reference, window).collect();
    let one = match each.as_slice() {
        [] => return 1.0,
        [(before, now)] => dealt_tails(*before, *now),
        several => summed_tails(several).unwrap_or_else(|| combined(several.iter().copied())),
    };
    (2.0 * one.0.min(one.1)).min(1.0)
}

/// How sure it is that the shares differ, to order sets by: minus the logarithm of their
/// [`probability`], and about that where all it says is that it is very small.
pub(super) fn sureness(
    p: f64,
    set: Set,
    reference: &BTreeMap<u32, Counts>,
    window: &BTreeMap<u32, Counts>,
) -> f64 {
    if p >= KNOWN.1 {
        return -p.ln();
    }
    let each: Vec<Shares> = shares(set, reference, window).collect();
    let known = if each.len() == 1 { KNOWN.0 } else { KNOWN.1 };
    if p >= known { -p.ln() } else { tail_exponent(&each).max(-known.ln()) }
}

/// The tails of several strata as one pair.
fn combined(shares: impl Iterator<Item = Shares>) -> (f64, f64) {
    let normal = Normal::standard();
    // How many deviations a tail of this probability is away.
    let far = |p: f64| -normal.inverse_cdf(p.clamp(f64::MIN_POSITIVE, 1.0 - f64::EPSILON));
    let (mut low, mut high, mut weights) = (0.0, 0.0, 0.0);
    for (before, now) in shares {
        let (n, m) = (real(before.1), real(now.1));
        let weight = (n * m / (n + m)).sqrt();
        let (fewer, more) = dealt_tails(before, now);
        low += weight * far(fewer);
        high += weight * far(more);
        weights += weight * weight;
    }
    let tail = |sum: f64| normal.sf(sum / weights.sqrt()).max(f64::MIN_POSITIVE);
    (tail(low), tail(high))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{monitor::cells::Column, random::Random, tests::share_difference};

    fn one(counts: &[u64]) -> BTreeMap<u32, Counts> {
        BTreeMap::from([(0, counts.to_vec())])
    }

    fn first_cell() -> Set {
        let rows = crate::monitor::testing::texts(&["a", "b"], 50);
        let reference = crate::Profile::fit(&[rows], &crate::ProfileOptions::default()).unwrap();
        let column = reference.columns().next().unwrap();
        Column::of(&column, &[(0, &reference)]).sets[0]
    }

    #[test]
    fn one_stratum_has_the_exact_law() {
        let set = first_cell();
        let p = probability(set, &one(&[10, 990]), &one(&[30, 470]));
        let both = share_difference((10, 1000), (30, 500), 0.95).unwrap().unwrap().p;
        assert!(both <= p && p <= 2.0 * both, "{p} {both}");
        assert!(probability(set, &one(&[10, 990]), &one(&[6, 494])) > 0.99, "not asked");
    }

    /// One row in a thousand has the value, then two and a half: in most hours of a week none does.
    #[test]
    fn a_rare_value_that_becomes_less_rare_is_heard_in_many_strata() {
        let set = first_cell();
        let hours = |counts: fn(u32) -> Counts| (0..168).map(|at| (at, counts(at))).collect();
        let reference = hours(|_| vec![1, 999]);
        let window = hours(|at| if at % 4 == 0 { vec![1, 99] } else { vec![0, 100] });
        let p = probability(set, &reference, &window);
        assert!((1e-9..1e-5).contains(&p), "{p}");
        let as_rare = hours(|at| if at % 10 == 0 { vec![1, 99] } else { vec![0, 100] });
        assert!(probability(set, &reference, &as_rare) > 0.5);
    }

    /// Ever further from the reference, and all below what the law adds up.
    #[test]
    fn of_changes_that_are_as_good_as_impossible_the_further_one_is_surer() {
        let set = first_cell();
        let hours = |counts: [u64; 2]| -> BTreeMap<u32, Counts> {
            (0..24).map(|at| (at, counts.to_vec())).collect()
        };
        let further = (20..=60).step_by(5).map(|with| {
            let (reference, window) = (hours([40, 360]), hours([with, 100 - with]));
            let p = probability(set, &reference, &window);
            (p, sureness(p, set, &reference, &window))
        });
        let further: Vec<(f64, f64)> = further.collect();
        assert!(further.iter().all(|(p, _)| *p < 1e-14), "{further:?}");
        assert!(further.windows(2).any(|two| two[1].0 >= two[0].0), "p would do: {further:?}");
        assert!(further.windows(2).all(|two| two[1].1 > two[0].1 + 10.0), "{further:?}");
        let single = |now: &[u64]| probability(set, &one(&[100, 99_900]), &one(now));
        let (far, further) = ([9_000, 1_000], [9_900, 100]);
        assert!(single(&far).max(single(&further)) <= 2.0 * f64::MIN_POSITIVE);
        let sure = |now: &[u64]| sureness(single(now), set, &one(&[100, 99_900]), &one(now));
        assert!(sure(&further) > sure(&far) && sure(&far) > 700.0);
        let (near, p) = ([9, 991], single(&[9, 991]));
        assert!(p > 1e-9 && (sure(&near) + p.ln()).abs() < 1e-12);
    }

    /// Of strata of very different shares, mixed as the reference is not.
    #[test]
    fn strata_are_wrong_no_more_often_than_they_say() {
        let (set, mut random, mut wrong) = (first_cell(), Random::new(5), 0);
        let draws = 4_000;
        for _ in 0..draws {
            let mut side = |rows: [u64; 3]| -> BTreeMap<u32, Counts> {
                let draw = |(stratum, rows): (usize, u64)| {
                    let share = [0.1, 0.5, 0.9][stratum];
                    let with = (0..rows).filter(|_| random.unit() < share).count() as u64;
                    (u32::try_from(stratum).unwrap(), vec![with, rows - with])
                };
                rows.into_iter().enumerate().map(draw).collect()
            };
            let (reference, window) = (side([200, 200, 200]), side([20, 60, 100]));
            wrong += u32::from(probability(set, &reference, &window) <= 0.01);
        }
        // One in a hundred at most, and three deviations.
        assert!(wrong <= 40 + 19, "{wrong} of {draws}");
        let (reference, window) = (
            BTreeMap::from([(0, vec![100, 900]), (1, vec![900, 100])]),
            BTreeMap::from([(0, vec![30, 70]), (1, vec![97, 3])]),
        );
        let p = probability(set, &reference, &window);
        assert!((1e-12..1e-6).contains(&p), "{p}");
    }
}
