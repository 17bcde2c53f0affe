//! Homogeneity, Cramér's V, Fisher's test, two proportions.

use super::{PROBABILITY, STATISTIC, cases, close, counted};
use mlops_drift::tests::{
    Law, Order, PermutationOptions, TableStatistic, chi_square, cramers_v, fisher, homogeneity,
    total_variation, two_proportions,
};
use serde::Deserialize;

#[derive(Deserialize)]
struct Table {
    reference: Vec<u64>,
    window: Vec<u64>,
    degrees: u64,
    pearson: f64,
    pearson_p: f64,
    g: f64,
    g_p: f64,
    total_variation: f64,
    v: f64,
    v_low: f64,
    v_high: f64,
}

#[test]
fn statistics_and_limits_of_tables_are_those_of_scipy() {
    let (mut pearson_limits, mut g_limits) = (0, 0);
    // Deals only where the limit is not taken: few of them, for their p is not compared.
    let options = PermutationOptions::default().with_deals(9);
    for (at, case) in cases::<Table>("tables.json", "homogeneity").iter().enumerate() {
        let what = format!("case {at}");
        let (a, b) = (&case.reference, &case.window);
        let test = |statistic| homogeneity(a, b, statistic, 0.95, &options).unwrap().unwrap();
        let (pearson, g) = (test(TableStatistic::Pearson), test(TableStatistic::LikelihoodRatio));
        assert_eq!((pearson.degrees, g.degrees), (case.degrees, case.degrees), "{what}");
        close(pearson.statistic, case.pearson, STATISTIC, &what);
        // Logarithms of shares that are nearly equal cancel, here as there.
        close(g.statistic, case.g, STATISTIC.max(1e-12 * rows(a, b) / case.g), &what);
        if pearson.law == Law::Limit {
            close(pearson.p, case.pearson_p, PROBABILITY, &what);
            pearson_limits += 1;
        }
        if g.law == Law::Limit {
            close(g.p, case.g_p, PROBABILITY, &what);
            g_limits += 1;
        }
        let plain = chi_square(a, b, 0.0).unwrap().unwrap();
        close(plain.statistic, case.pearson, STATISTIC, &what);
        close(plain.p, case.pearson_p, PROBABILITY, &what);
        let moved = total_variation(a, b, Order::Unordered, 0.95).unwrap().unwrap();
        close(moved.observed, case.total_variation, STATISTIC, &what);
        let v = cramers_v(a, b, 0.95).unwrap().unwrap();
        close(v.value, case.v, STATISTIC, &what);
        // Rows that a rounding of 1e-11 of the noncentrality moves.
        let near = |own: f64, theirs: f64| (own - theirs).abs() <= 1e-7 * case.v_high;
        assert!(near(v.interval.high, case.v_high), "{what}: {v:?} {}", case.v_high);
        assert!(near(v.interval.low, case.v_low.min(v.corrected)), "{what}: {v:?} {}", case.v_low);
    }
    assert!(pearson_limits > 80 && g_limits > 40, "{pearson_limits} {g_limits}");
}

fn rows(a: &[u64], b: &[u64]) -> f64 {
    f64::from(u32::try_from(a.iter().chain(b).sum::<u64>()).unwrap())
}

#[derive(Deserialize)]
struct Dealt {
    reference: Vec<u64>,
    window: Vec<u64>,
    of: u64,
    pearson: u64,
    g: u64,
    total_variation: u64,
    probability: u64,
}

#[test]
fn permutation_laws_of_tables_are_the_count_of_all_deals() {
    for (at, case) in cases::<Dealt>("deals.json", "tables").iter().enumerate() {
        for (statistic, over) in [
            (TableStatistic::Pearson, case.pearson),
            (TableStatistic::LikelihoodRatio, case.g),
            (TableStatistic::TotalVariation, case.total_variation),
            (TableStatistic::Probability, case.probability),
        ] {
            let options = PermutationOptions::default();
            let test = homogeneity(&case.reference, &case.window, statistic, 0.95, &options);
            let test = test.unwrap().unwrap();
            counted(test.p, test.law, over, case.of, &format!("case {at}, {statistic:?}"));
        }
    }
}

#[derive(Deserialize)]
struct TwoByTwo {
    reference: (u64, u64),
    window: (u64, u64),
    p: f64,
    /// Infinite if absent, as is the upper end.
    odds_ratio: Option<f64>,
    low: f64,
    high: Option<f64>,
}

#[test]
fn fishers_test_is_that_of_scipy() {
    for (at, case) in cases::<TwoByTwo>("tables.json", "fisher").iter().enumerate() {
        let what = format!("case {at}");
        let test = fisher(case.reference, case.window, 0.95).unwrap().unwrap();
        close(test.p, case.p, PROBABILITY, &what);
        close(test.odds_ratio, case.odds_ratio.unwrap_or(f64::INFINITY), PROBABILITY, &what);
        // scipy's root finder stops at 1e-12 of a number that is of any size.
        close(test.interval.low, case.low, 1e-6, &what);
        close(test.interval.high, case.high.unwrap_or(f64::INFINITY), 1e-6, &what);
    }
}

#[derive(Deserialize)]
struct Shares {
    reference: (u64, u64),
    window: (u64, u64),
    statistic: f64,
    p: f64,
    low: f64,
    high: f64,
}

#[test]
fn two_proportions_are_those_of_statsmodels() {
    let mut limits = 0;
    for (at, case) in cases::<Shares>("tables.json", "two_proportions").iter().enumerate() {
        let what = format!("case {at}");
        let test = two_proportions(case.reference, case.window, 0.95).unwrap().unwrap();
        // A difference of two shares near each other has fewer digits than they.
        close(test.statistic, case.statistic, 1e-8, &what);
        if test.law == Law::Limit {
            close(test.p, case.p, 1e-7, &what);
            limits += 1;
        }
        let width = case.high - case.low;
        assert!((test.interval.low - case.low).abs() < 1e-8 * width, "{what}");
        assert!((test.interval.high - case.high).abs() < 1e-8 * width, "{what}");
    }
    assert!(limits > 80, "{limits}");
}
