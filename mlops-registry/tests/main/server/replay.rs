//! What a real MLflow server was asked, asked of ours: the answers are the same, but for listed reasons.
//!
//! `scripts/peers/mlflow_wire.py` says what a recorded case is, and makes them;
//! `data/mlflow_differences.toml` has the reasons.

#[path = "replay/normal.rs"]
mod normal;
#[path = "replay/session.rs"]
mod session;

use serde::Deserialize;
use serde_json::Value;
use session::Session;
use std::collections::{BTreeMap, BTreeSet};

/// The groups of cases whose answers count.
const GROUPS: [&str; 8] =
    ["server", "experiments", "runs", "metrics", "batch", "history", "inputs", "searches"];

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

/// One request and what it was answered with.
#[derive(Deserialize)]
pub(super) struct Case {
    pub(super) name: String,
    pub(super) method: String,
    pub(super) path: String,
    #[serde(default)]
    pub(super) query: Vec<(String, Value)>,
    pub(super) json: Option<Value>,
    pub(super) text: Option<String>,
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    #[serde(default)]
    pub(super) headers: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) capture: BTreeMap<String, String>,
    status: u16,
    answer: Value,
}

#[derive(Deserialize)]
struct Allowed {
    #[serde(default, rename = "difference")]
    differences: Vec<Difference>,
}

/// Cases and places that may differ; patterns with `*` and `?`.
#[derive(Deserialize)]
struct Difference {
    cases: Vec<String>,
    #[serde(default = "anywhere")]
    places: Vec<String>,
}

fn anywhere() -> Vec<String> {
    vec!["*".to_owned()]
}

impl Allowed {
    fn allows(&self, case: &str, place: &str) -> bool {
        let any = |patterns: &[String], text| patterns.iter().any(|p| fits(p.as_bytes(), text));
        let allows = |one: &Difference| {
            any(&one.cases, case.as_bytes()) && any(&one.places, place.as_bytes())
        };
        self.differences.iter().any(allows)
    }
}

fn fits(pattern: &[u8], text: &[u8]) -> bool {
    match pattern.split_first() {
        None => text.is_empty(),
        Some((b'*', rest)) => (0..=text.len()).any(|skip| fits(rest, &text[skip..])),
        Some((first, rest)) => match text.split_first() {
            Some((own, text)) => (*first == b'?' || first == own) && fits(rest, text),
            None => false,
        },
    }
}

#[tokio::test]
async fn answers_are_those_of_a_real_server() {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mlflow_replay.json");
    let recorded: Recorded = serde_json::from_slice(&std::fs::read(root).unwrap()).unwrap();
    let list = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data/mlflow_differences.toml");
    let allowed: Allowed = toml::from_str(&std::fs::read_to_string(list).unwrap()).unwrap();
    let mut session = Session::new().await;
    let (mut wrong, mut counted) = (Vec::new(), 0);
    for case in &recorded.cases {
        let group = case.name.split(':').next().unwrap_or_default();
        let counts = GROUPS.contains(&group);
        counted += usize::from(counts);
        let found = match session.ask(case).await {
            Err(what) => vec![("capture".to_owned(), what)],
            Ok((status, answer)) if status != case.status => {
                vec![("status".to_owned(), format!("{status}, not {}: {answer}", case.status))]
            }
            Ok((_, answer)) => {
                let mut found = Vec::new();
                normal::compare(&case.answer, &answer, "answer", &mut found);
                found
            }
        };
        for (place, what) in found {
            if counts && !allowed.allows(&case.name, &place) {
                let what: String = what.chars().take(300).collect();
                wrong.push(format!("{}\n    {place}: {what}", case.name));
            }
        }
    }
    let names: BTreeSet<&str> = GROUPS.into_iter().collect();
    assert!(counted >= 250 && names.len() == GROUPS.len(), "{counted} cases");
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
}
