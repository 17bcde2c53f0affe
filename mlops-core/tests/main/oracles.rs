//! Intervals, corrections and metrics agree with scipy, statsmodels and scikit-learn.
//!
//! `scripts/oracles/stats.py` made `tests/data/intervals.json` and `metrics.json`. Numbers agree
//! within 1e-10 of their size. Where a number is a small rest of larger ones, as the end of an
//! interval near zero, its size is that of what was subtracted; the check says which.
//!
//! Where definitions differ, the script writes ours out instead of asking a library:
//! - log-loss keeps the probability of what came within 1e-15 and 1 - 1e-15 on either side;
//!   scikit-learn clips the probability of yes at 2.2e-16, so that it differs at scores of 0 and 1
//! - the interval of one area is normal on the logit scale, and exact for an area of 0 or 1; in
//!   DeLong's variance a class of one row adds nothing (it has no sample variance)
//! - scipy's beta quantile keeps eight digits for a few of a billion rows: those cases are exact
//!   roots in fifty digits
//! - no library has Newcombe's paired interval (method 10 with continuity correction)

#[path = "oracles/intervals.rs"]
mod intervals;
#[path = "oracles/metrics.rs"]
mod metrics;

use serde::{Deserialize, de::DeserializeOwned};
use std::{fs, path::Path};

/// An interval as the files hold it.
#[derive(Deserialize)]
struct Ends {
    level: f64,
    low: f64,
    high: f64,
}

/// The cases of one section, and how well we do on them.
struct Replay {
    section: &'static str,
    worst: f64,
    differences: Vec<String>,
}

impl Replay {
    /// Reads a section of a file, at least fifty cases.
    fn of<T: DeserializeOwned>(file: &str, section: &'static str) -> (Self, Vec<T>) {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(file);
        let mut all: serde_json::Value = serde_json::from_slice(&fs::read(path).unwrap()).unwrap();
        let cases: Vec<T> = serde_json::from_value(all[section].take()).unwrap();
        assert!(cases.len() >= 50, "{section}: {} cases", cases.len());
        (Self { section, worst: 0.0, differences: Vec::new() }, cases)
    }

    /// Compares a number with the oracle's, by the oracle's own size.
    fn same(&mut self, case: usize, what: &str, ours: f64, theirs: f64) {
        self.same_by(case, what, (ours, theirs), 0.0);
    }

    /// Compares two numbers by the larger of the oracle's size and that of what it is a rest of.
    fn same_by(&mut self, case: usize, what: &str, (ours, theirs): (f64, f64), rest_of: f64) {
        let size = theirs.abs().max(rest_of);
        let gap = (ours - theirs).abs();
        // Zero beside zero has no size.
        let off = if gap > 0.0 { gap / size } else { gap };
        self.worst = self.worst.max(off);
        if off > 1e-10 || off.is_nan() {
            self.differences.push(format!("case {case}: {what} {ours:e}, oracle {theirs:e}"));
        }
    }

    /// Fails with all that differed.
    #[expect(clippy::print_stdout, reason = "how close we came is worth seeing with --nocapture")]
    fn finish(self) {
        let Self { section, worst, differences } = self;
        println!("{section}: largest relative difference {worst:.1e}");
        let some = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
        assert!(differences.is_empty(), "{section}: {} differ\n{some}", differences.len());
    }
}
