//! Tests over counts of categories, from 2 to 500.

use crate::{
    null::{HEADER, SIZES, Setting, Wrong, affordable},
    random::Random,
};
use mlops_core::Result;
use mlops_drift::tests::{
    MIN_EXPECTED, PermutationOptions, TableStatistic, chi_square, fisher, homogeneity,
    share_difference, two_proportions,
};

/// A test of two samples of counts; the seed is for random deals.
type Test = fn(&[u64], &[u64], u64) -> Result<Option<f64>>;

/// The tests by name.
pub(crate) const TESTS: [(&str, Test); 8] = [
    ("chi_square", |a, b, _| Ok(chi_square(a, b, MIN_EXPECTED)?.map(|test| test.p))),
    ("Pearson", |a, b, seed| by(TableStatistic::Pearson, a, b, seed)),
    ("G", |a, b, seed| by(TableStatistic::LikelihoodRatio, a, b, seed)),
    ("total variation", |a, b, seed| by(TableStatistic::TotalVariation, a, b, seed)),
    ("Freeman–Halton", |a, b, seed| by(TableStatistic::Probability, a, b, seed)),
    ("Fisher", |a, b, _| Ok(fisher((a[0], a[1]), (b[0], b[1]), 0.95)?.map(|test| test.p))),
    (
        "two_proportions",
        |a, b, _| Ok(two_proportions(share(a), share(b), 0.95)?.map(|test| test.p)),
    ),
    ("share_difference", |a, b, _| {
        Ok(share_difference(share(a), share(b), 0.95)?.map(|test| test.p))
    }),
];
/// From here on tests of two cells.
pub(crate) const OF_TWO: usize = 5;

/// 199 deals: at 5% as right as more are.
fn by(statistic: TableStatistic, a: &[u64], b: &[u64], seed: u64) -> Result<Option<f64>> {
    let options =
        PermutationOptions::default().with_deals(199).with_enumerated(500).with_seed(seed);
    Ok(homogeneity(a, b, statistic, 0.95, &options)?.map(|test| test.p))
}

fn share(counts: &[u64]) -> (u64, u64) {
    (counts[0], counts.iter().sum())
}

/// Every test over every source and size.
pub(crate) fn every(repetitions: u32, part: &str, print: &mut dyn FnMut(&str)) -> Result<()> {
    print(HEADER);
    for (source, weights) in sources() {
        for rows in SIZES {
            for (at, (test, p)) in TESTS.into_iter().enumerate() {
                if at >= OF_TWO && weights.len() > 2 {
                    continue;
                }
                let repetitions = affordable(repetitions, rows);
                let setting = Setting { test, source, rows, repetitions };
                if setting.is(part) {
                    print(&wrong(&setting, &weights, p)?.line(&setting));
                }
            }
        }
    }
    Ok(())
}

/// One setting.
pub(crate) fn wrong(setting: &Setting<'_>, weights: &[f64], p: Test) -> Result<Wrong> {
    Wrong::count(setting, |random| {
        let (a, b) =
            (counts(random, weights, setting.rows.0), counts(random, weights, setting.rows.1));
        p(&a, &b, random.bits())
    })
}

/// Counts of rows drawn by cumulative weights.
fn counts(random: &mut Random, weights: &[f64], rows: u32) -> Vec<u64> {
    let mut counts = vec![0; weights.len()];
    for _ in 0..rows {
        let unit = random.unit();
        let at = weights.partition_point(|cumulative| *cumulative <= unit);
        counts[at.min(weights.len() - 1)] += 1;
    }
    counts
}

/// Names and cumulative weights.
pub(crate) fn sources() -> Vec<(&'static str, Vec<f64>)> {
    let even = |k: u32| cumulative((0..k).map(|_| 1.0));
    let zipf = |k: u32| cumulative((1..=k).map(|rank| 1.0 / f64::from(rank)));
    vec![
        ("2 levels, even", even(2)),
        ("2 levels, 1 in 50", cumulative([1.0, 49.0].into_iter())),
        ("5 levels, even", even(5)),
        ("5 levels, 1/rank", zipf(5)),
        ("20 levels, 1/rank", zipf(20)),
        ("100 levels, 1/rank", zipf(100)),
        ("500 levels, 1/rank", zipf(500)),
    ]
}

fn cumulative(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    let weights: Vec<f64> = weights.collect();
    let all: f64 = weights.iter().sum();
    let sum = |sum: &mut f64, weight: &f64| {
        *sum += weight / all;
        Some(*sum)
    };
    weights.iter().scan(0.0, sum).collect()
}
