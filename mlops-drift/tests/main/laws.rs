//! Tests over counts and over rows beside scipy, statsmodels and counting
//! (`scripts/oracles/laws.py`).

#[path = "laws/counts.rs"]
mod counts;
#[path = "laws/coverage.rs"]
mod coverage;
#[path = "laws/equivalence.rs"]
mod equivalence;
#[path = "laws/rows.rs"]
mod rows;

use mlops_drift::tests::Law;
use serde::de::DeserializeOwned;
use std::path::Path;

/// A section of a file, at least 200 cases.
fn cases<T: DeserializeOwned>(file: &str, section: &str) -> Vec<T> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
    let mut all: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    let cases: Vec<T> = serde_json::from_value(all[section].take()).unwrap();
    assert!(cases.len() >= 200, "{section}: {} cases", cases.len());
    cases
}

const STATISTIC: f64 = 1e-10;
const PROBABILITY: f64 = 1e-8;

#[track_caller]
fn close(ours: f64, theirs: f64, relative: f64, what: &str) {
    let same = ours.to_bits() == theirs.to_bits();
    assert!(
        same || (ours - theirs).abs() <= relative * theirs.abs(),
        "{what}: {ours:e}, oracle {theirs:e}"
    );
}

/// A count of deals beside the exact law.
#[track_caller]
fn counted(p: f64, law: Law, over: u64, of: u64, what: &str) {
    assert_eq!(law, Law::Exact, "{what}");
    let real = |count: u64| f64::from(u32::try_from(count).unwrap());
    close(p, real(over) / real(of), 1e-11, what);
}
