//! The tests of two samples beside what scipy, and counting, say (`scripts/oracles/drift.py`).

use mlops_drift::tests::{chi_square, ks, ks_cells};
use serde::{Deserialize, de::DeserializeOwned};
use std::path::Path;

#[derive(Deserialize)]
struct File<T> {
    cases: Vec<T>,
}

fn cases<T: DeserializeOwned>(name: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    serde_json::from_str::<File<T>>(&text).unwrap().cases
}

fn assert_close(ours: f64, theirs: f64, relative: f64, what: &str) {
    assert!(
        (ours - theirs).abs() <= relative * theirs.abs(),
        "{what}: {ours:e}, oracle {theirs:e}"
    );
}

#[derive(Deserialize)]
struct Ordered {
    /// Of each value in ascending order, whether it is the reference's or the window's.
    order: String,
    statistic: f64,
    p: f64,
}

#[test]
fn ks_equals_the_exact_law_of_scipy_without_ties() {
    let cases: Vec<Ordered> = cases("ks_exact.json");
    assert_eq!(cases.len(), 200);
    for (at, case) in cases.iter().enumerate() {
        let values_of = |side: char| -> Vec<f64> {
            let places = case.order.chars().zip(0_u32..).filter(|(own, _)| *own == side);
            // Any ascending values do.
            places.map(|(_, place)| f64::from(place).sqrt() - 7.0).collect()
        };
        let (mut reference, window) = (values_of('r'), values_of('w'));
        reference.reverse();
        let test = ks(&reference, &window).unwrap().unwrap();
        let what = format!("case {at}, {} and {} rows", reference.len(), window.len());
        assert!(test.exact, "{what}");
        assert_close(test.statistic, case.statistic, 1e-14, &what);
        assert_close(test.p, case.p, 1e-10, &what);

        let (a, b): (Vec<u64>, Vec<u64>) =
            case.order.chars().map(|side| if side == 'r' { (1, 0) } else { (0, 1) }).unzip();
        assert_eq!(ks_cells(&a, &b).unwrap().unwrap(), test, "{what}");
    }
    let smallest = cases.iter().map(|case| case.p).fold(1.0, f64::min);
    assert!(smallest < 1e-20, "the oracle reaches far into the tail: {smallest:e}");
}

#[derive(Deserialize)]
struct Tied {
    reference: Vec<u32>,
    window: Vec<u32>,
    statistic: f64,
    over: u32,
    of: u32,
    scipy_ignoring_ties: Option<f64>,
}

#[test]
fn ks_equals_the_count_of_all_deals_with_ties() {
    let cases: Vec<Tied> = cases("ks_ties.json");
    assert_eq!(cases.len(), 100);
    let mut too_large = 0;
    for (at, case) in cases.iter().enumerate() {
        let real = |side: &[u32]| side.iter().copied().map(f64::from).collect::<Vec<_>>();
        let test = ks(&real(&case.reference), &real(&case.window)).unwrap().unwrap();
        let (counted, what) = (f64::from(case.over) / f64::from(case.of), format!("case {at}"));
        assert!(test.exact, "{what}");
        assert_close(test.statistic, case.statistic, 1e-14, &what);
        assert_close(test.p, counted, 1e-12, &what);
        too_large += u32::from(case.scipy_ignoring_ties.is_some_and(|p| p > 1.2 * counted));
    }
    assert!(too_large > 50, "ties matter in most of these cases, not in {too_large}");
}

#[derive(Deserialize)]
struct Table {
    reference: Vec<u64>,
    window: Vec<u64>,
    statistic: f64,
    degrees: u64,
    p: f64,
    cramers_v: f64,
}

#[test]
fn chi_square_equals_the_contingency_test_of_scipy() {
    let cases: Vec<Table> = cases("chi_square.json");
    assert_eq!(cases.len(), 100);
    for (at, case) in cases.iter().enumerate() {
        let test = chi_square(&case.reference, &case.window, 0.0).unwrap().unwrap();
        let what = format!("case {at}");
        assert_eq!((test.degrees, test.pooled), (case.degrees, 0), "{what}");
        assert_close(test.statistic, case.statistic, 1e-10, &what);
        assert_close(test.p, case.p, 1e-9, &what);
        assert_close(test.cramers_v, case.cramers_v, 1e-10, &what);
    }
    let empty = |case: &Table| case.reference.iter().zip(&case.window).any(|(a, b)| a + b == 0);
    assert!(cases.iter().any(empty), "cells that both sides lack are among them");
}
