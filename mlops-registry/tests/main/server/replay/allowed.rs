//! The list of differences with their reasons, as `mlflow_replay.py` reads it.

use super::normal::{Difference, json};
use serde::Deserialize;
use std::collections::BTreeSet;

/// The list, and which of its entries allowed something.
#[derive(Deserialize)]
pub(super) struct Allowed {
    #[serde(default, rename = "difference")]
    entries: Vec<Entry>,
    #[serde(skip)]
    used: BTreeSet<usize>,
}

/// Cases, places in their answers and what MLflow answered there: patterns with `*` and `?`.
#[derive(Deserialize)]
struct Entry {
    cases: Vec<String>,
    #[serde(default = "anything")]
    places: Vec<String>,
    #[serde(default = "anything")]
    wanted: Vec<String>,
    reason: String,
}

fn anything() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Allowed {
    pub(super) fn read() -> Self {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mlflow_differences.toml");
        let list: Self = toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
        assert!(list.entries.iter().all(|entry| !entry.reason.is_empty()));
        list
    }

    /// Whether a difference is listed. The first entry that fits is the one that allows it.
    pub(super) fn allows(&mut self, case: &str, found: &Difference) -> bool {
        let wanted = json(&found.wanted);
        let allows = |entry: &Entry| {
            fit(&entry.cases, case)
                && fit(&entry.places, &found.place)
                && fit(&entry.wanted, &wanted)
        };
        let first = self.entries.iter().position(allows);
        self.used.extend(first);
        first.is_some()
    }

    /// The entries for a recording that allowed nothing: of the filters, or of the requests.
    pub(super) fn unused(&self, filters: bool) -> Vec<&[String]> {
        let of_filters = |entry: &Entry| entry.cases.iter().all(|case| case.starts_with("filter "));
        let entries = self.entries.iter().enumerate();
        let unused = entries
            .filter(|(index, entry)| !self.used.contains(index) && of_filters(entry) == filters);
        unused.map(|(_, entry)| entry.cases.as_slice()).collect()
    }
}

fn fit(patterns: &[String], text: &str) -> bool {
    patterns.iter().any(|pattern| fits(pattern.as_bytes(), text.as_bytes()))
}

/// As long as one `*` at most is open, which is so if what stands between two of them is searched for
/// from the left.
fn fits(pattern: &[u8], text: &[u8]) -> bool {
    let (mut at, mut own) = (0, 0);
    let mut retry: Option<(usize, usize)> = None;
    while at < text.len() {
        match pattern.get(own) {
            Some(b'*') => {
                own += 1;
                retry = Some((at, own));
            }
            Some(byte) if *byte == b'?' || *byte == text[at] => (at, own) = (at + 1, own + 1),
            _ => match retry {
                Some((start, after)) => {
                    retry = Some((start + 1, after));
                    (at, own) = (start + 1, after);
                }
                None => return false,
            },
        }
    }
    pattern[own..].iter().all(|byte| *byte == b'*')
}

#[test]
fn patterns_fit_as_in_python() {
    for (pattern, text, wanted) in [
        ("runs: *", "runs: create", true),
        ("answer.*.value", "answer.metrics.3.value", true),
        ("answer.metrics.?.value", "answer.metrics.33.value", false),
        ("*a*b", "xaxb", true),
        ("*a*b", "xaxbx", false),
        ("", "", true),
    ] {
        assert_eq!(fits(pattern.as_bytes(), text.as_bytes()), wanted, "{pattern} {text}");
    }
}
