//! Shares, differences, means and corrections.

use super::{Ends, Replay};
use mlops_core::{
    Result,
    stats::{
        Interval, PairedCounts, benjamini_hochberg, bonferroni, clopper_pearson,
        difference_interval, holm, mcnemar_p, mean_interval, paired_difference_interval, wilson,
    },
};
use serde::Deserialize;

const FILE: &str = "intervals.json";

#[derive(Deserialize)]
struct Share {
    k: u64,
    n: u64,
    #[serde(flatten)]
    ends: Ends,
}

fn replay_shares(section: &'static str, interval: fn(u64, u64, f64) -> Result<Interval>) {
    let (mut replay, cases) = Replay::of::<Share>(FILE, section);
    for (at, Share { k, n, ends }) in cases.into_iter().enumerate() {
        let own = interval(k, n, ends.level).unwrap();
        replay.same(at, "low", own.low, ends.low);
        replay.same(at, "high", own.high, ends.high);
    }
    replay.finish();
}

#[test]
fn wilson_intervals_are_those_of_statsmodels() {
    replay_shares("wilson", wilson);
}

#[test]
fn clopper_pearson_intervals_are_those_of_statsmodels() {
    replay_shares("clopper_pearson", clopper_pearson);
}

#[derive(Deserialize)]
struct Difference {
    first: (u64, u64),
    second: (u64, u64),
    #[serde(flatten)]
    ends: Ends,
}

#[test]
fn differences_of_shares_are_those_of_statsmodels() {
    let (mut replay, cases) = Replay::of::<Difference>(FILE, "difference");
    for (at, Difference { first, second, ends }) in cases.into_iter().enumerate() {
        let own = difference_interval(first, second, ends.level).unwrap();
        // An end is a rest of the shares and of their intervals' reach.
        let rest_of = (ends.high - ends.low).abs();
        replay.same_by(at, "low", (own.low, ends.low), rest_of);
        replay.same_by(at, "high", (own.high, ends.high), rest_of);
    }
    replay.finish();
}

#[derive(Deserialize)]
struct Paired {
    counts: [u64; 4],
    difference: f64,
    #[serde(flatten)]
    ends: Ends,
}

fn counted([both, first_only, second_only, neither]: [u64; 4]) -> PairedCounts {
    PairedCounts { both, first_only, second_only, neither }
}

#[test]
fn paired_differences_are_those_of_newcombe() {
    let (mut replay, cases) = Replay::of::<Paired>(FILE, "paired_difference");
    for (at, Paired { counts, difference, ends }) in cases.into_iter().enumerate() {
        let own = paired_difference_interval(counted(counts), ends.level).unwrap();
        let rest_of = (ends.high - ends.low).abs();
        replay.same(at, "difference", counted(counts).difference(), difference);
        replay.same_by(at, "low", (own.low, ends.low), rest_of);
        replay.same_by(at, "high", (own.high, ends.high), rest_of);
    }
    replay.finish();
}

#[derive(Deserialize)]
struct McNemar {
    counts: [u64; 4],
    p: f64,
}

#[test]
fn exact_mcnemar_tests_are_those_of_statsmodels() {
    let (mut replay, cases) = Replay::of::<McNemar>(FILE, "mcnemar");
    for (at, McNemar { counts, p }) in cases.into_iter().enumerate() {
        replay.same(at, "p", mcnemar_p(counted(counts)).unwrap(), p);
    }
    replay.finish();
}

#[derive(Deserialize)]
struct Mean {
    values: Vec<f64>,
    #[serde(rename = "mean")]
    centre: f64,
    #[serde(flatten)]
    ends: Ends,
}

#[test]
fn means_are_those_of_scipy() {
    let (mut replay, cases) = Replay::of::<Mean>(FILE, "mean");
    for (at, Mean { values, centre, ends }) in cases.into_iter().enumerate() {
        let (own_centre, own) = mean_interval(&values, ends.level).unwrap();
        let largest = values.iter().fold(0.0_f64, |most, value| most.max(value.abs()));
        replay.same_by(at, "mean", (own_centre, centre), largest);
        replay.same_by(at, "low", (own.low, ends.low), ends.high.abs());
        replay.same_by(at, "high", (own.high, ends.high), ends.low.abs());
        // The reach itself, as far as the ends' own digits tell it: beside 1e9 seven are left.
        let lost = 4.0 * f64::EPSILON * ends.low.abs().max(ends.high.abs()) / 1e-10;
        replay.same_by(at, "width", (own.width(), ends.high - ends.low), lost);
    }
    replay.finish();
}

#[derive(Deserialize)]
struct Adjusted {
    p: Vec<f64>,
    bonferroni: Vec<f64>,
    holm: Vec<f64>,
    benjamini_hochberg: Vec<f64>,
}

#[test]
fn corrections_are_those_of_statsmodels() {
    let (mut replay, cases) = Replay::of::<Adjusted>(FILE, "adjustments");
    for (at, case) in cases.iter().enumerate() {
        let methods = [
            ("bonferroni", bonferroni(&case.p), &case.bonferroni),
            ("holm", holm(&case.p), &case.holm),
            ("benjamini_hochberg", benjamini_hochberg(&case.p), &case.benjamini_hochberg),
        ];
        for (name, own, theirs) in methods {
            let own = own.unwrap();
            assert_eq!(own.len(), theirs.len());
            for (own, theirs) in own.into_iter().zip(theirs) {
                replay.same(at, name, own, *theirs);
            }
        }
    }
    replay.finish();
}
