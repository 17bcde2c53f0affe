//! How often the intervals of effects hold the truth, over samples of a known law.

use crate::random::Random;
use mlops_core::stats::Interval;
use mlops_drift::tests::{
    PermutationOptions, brown_forsythe, cramers_v, energy, fisher, share_equivalence, welch,
};

const TRIALS: u32 = 400;

/// Misses of a truth: at most 5%, and three deviations.
#[track_caller]
fn holds(what: &str, truth: f64, mut interval: impl FnMut(&mut Random) -> Interval) {
    let mut random = Random::new(17);
    let misses = (0..TRIALS).filter(|_| !interval(&mut random).contains(truth)).count();
    assert!(misses <= 33, "{what}: {misses} misses in {TRIALS}");
}

fn few_deals(random: &mut Random) -> PermutationOptions {
    PermutationOptions::default().with_deals(199).with_enumerated(0).with_seed(random.bits())
}

fn normals(random: &mut Random, rows: u32, mean: f64, spread: f64) -> Vec<f64> {
    (0..rows).map(|_| mean + spread * random.normal()).collect()
}

#[test]
fn intervals_of_effects_over_counts_hold() {
    let (before, now) = ([0.5, 0.3, 0.15, 0.05], [0.4, 0.3, 0.2, 0.1]);
    let (many, few) = (600_u32, 300_u32);
    holds("Cramér's V", population_v(before, now, [2.0 / 3.0, 1.0 / 3.0]), |random| {
        let (reference, window) = (random.counts(&before, many), random.counts(&now, few));
        cramers_v(&reference, &window, 0.95).unwrap().unwrap().interval
    });
    holds("Cramér's V of nothing", 0.0, |random| {
        let (reference, window) = (random.counts(&before, many), random.counts(&before, few));
        cramers_v(&reference, &window, 0.95).unwrap().unwrap().interval
    });
    holds("the odds ratio", 0.4 / 0.6 / (0.3 / 0.7), |random| {
        let (a, b) = (random.counts(&[0.3, 0.7], 90), random.counts(&[0.4, 0.6], 50));
        fisher((a[0], a[1]), (b[0], b[1]), 0.95).unwrap().unwrap().interval
    });
}

/// Of two laws, whose samples are these parts of all rows.
fn population_v(before: [f64; 4], now: [f64; 4], [of_before, of_now]: [f64; 2]) -> f64 {
    let squares = before
        .iter()
        .zip(&now)
        .map(|(old, new)| (old - new) * (old - new) / (of_before * old + of_now * new));
    (of_before * of_now * squares.sum::<f64>()).sqrt()
}

#[test]
fn intervals_of_effects_over_rows_hold() {
    holds("the difference of means", 0.5, |random| {
        let (a, b) = (normals(random, 60, 0.0, 1.0), normals(random, 25, 0.5, 2.0));
        welch(&a, &b, 0.95, &few_deals(random)).unwrap().unwrap().interval
    });
    holds("the ratio of spreads", 1.5, |random| {
        let (a, b) = (normals(random, 120, 3.0, 1.0), normals(random, 60, 0.0, 1.5));
        brown_forsythe(&a, &b, 0.95, &few_deals(random)).unwrap().unwrap().spread.unwrap().interval
    });
    // Of normal values half a deviation apart: 2E|X − Y| − E|X − X'| − E|Y − Y'| = 0.139597.
    holds("the energy distance", 0.139_597_f64.sqrt(), |random| {
        let (a, b) = (normals(random, 100, 0.0, 1.0), normals(random, 50, 0.5, 1.0));
        energy(&a, &b, 0.95, &few_deals(random)).unwrap().unwrap().interval
    });
}

/// At the margin itself equivalence is claimed one time in twenty at most.
#[test]
fn equivalence_is_not_claimed_at_the_margin() {
    let mut random = Random::new(18);
    let claimed = (0..TRIALS).filter(|_| {
        let (a, b) = (random.counts(&[0.3, 0.7], 2000), random.counts(&[0.35, 0.65], 1500));
        share_equivalence((a[0], 2000), (b[0], 1500), 0.05, 0.05).unwrap().unwrap().equivalent
    });
    let claimed = claimed.count();
    assert!((1..=33).contains(&claimed), "{claimed} of {TRIALS}");
}
