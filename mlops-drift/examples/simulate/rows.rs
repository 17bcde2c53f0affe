//! Tests over rows: continuous, heavy-tailed, skewed, discrete.

use crate::{
    null::{HEADER, SIZES, Setting, Wrong, affordable},
    random::Random,
};
use mlops_core::Result;
use mlops_drift::tests::{PermutationOptions, brown_forsythe, energy, ks, mann_whitney, welch};

/// A test of two samples; the seed is for random deals.
type Test = fn(&[f64], &[f64], u64) -> Result<Option<f64>>;

/// The tests by name.
pub(crate) const TESTS: [(&str, Test); 5] = [
    ("ks", |a, b, _| Ok(ks(a, b)?.map(|test| test.p))),
    ("mann_whitney", |a, b, seed| Ok(mann_whitney(a, b, 0.95, &deals(seed))?.map(|test| test.p))),
    ("welch", |a, b, seed| Ok(welch(a, b, 0.95, &deals(seed))?.map(|test| test.p))),
    ("brown_forsythe", |a, b, seed| {
        Ok(brown_forsythe(a, b, 0.95, &deals(seed))?.map(|test| test.p))
    }),
    ("energy", |a, b, seed| Ok(energy(a, b, 0.95, &deals(seed))?.map(|test| test.p))),
];

/// 199 deals: at 5% as right as more are.
fn deals(seed: u64) -> PermutationOptions {
    PermutationOptions::default().with_deals(199).with_enumerated(0).with_seed(seed)
}

/// A value of one law.
type Source = fn(&mut Random) -> f64;

/// The laws by name.
pub(crate) const SOURCES: [(&str, Source); 6] = [
    ("normal", Random::normal),
    ("Cauchy", |random| (std::f64::consts::PI * (random.unit() - 0.5)).tan()),
    ("lognormal, σ = 2", |random| (2.0 * random.normal()).exp()),
    ("rounded normal, 10 levels", |random| (2.0 * random.normal()).round()),
    ("3 levels", |random| (3.0 * random.unit()).floor()),
    ("nine in ten zero", |random| {
        let value = random.normal();
        if random.unit() < 0.9 { 0.0 } else { value }
    }),
];

/// Every test over every source and size.
pub(crate) fn every(repetitions: u32, part: &str, print: &mut dyn FnMut(&str)) -> Result<()> {
    print(HEADER);
    for (source, value) in SOURCES {
        for rows in SIZES {
            for (test, p) in TESTS {
                let repetitions = affordable(repetitions, rows);
                let setting = Setting { test, source, rows, repetitions };
                if setting.is(part) {
                    print(&wrong(&setting, value, p)?.line(&setting));
                }
            }
        }
    }
    Ok(())
}

/// One setting.
pub(crate) fn wrong(setting: &Setting<'_>, value: Source, p: Test) -> Result<Wrong> {
    Wrong::count(setting, |random| {
        let mut sample = |rows: u32| (0..rows).map(|_| value(random)).collect::<Vec<f64>>();
        let (a, b) = (sample(setting.rows.0), sample(setting.rows.1));
        p(&a, &b, random.bits())
    })
}
