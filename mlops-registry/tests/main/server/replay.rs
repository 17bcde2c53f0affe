//! What a real MLflow server was asked, asked of ours: the answers are the same, but for listed reasons.
//!
//! `scripts/peers/mlflow_wire.py` says what a recorded case is, and makes them;
//! `data/mlflow_differences.toml` has the reasons.

#[path = "replay/allowed.rs"]
mod allowed;
#[path = "replay/filters.rs"]
mod filters;
#[path = "replay/normal.rs"]
mod normal;
#[path = "replay/session.rs"]
mod session;

use allowed::Allowed;
use futures_util::{StreamExt as _, stream};
use normal::Difference;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use session::Session;
use std::collections::BTreeMap;

#[derive(Deserialize)]
struct Recorded {
    cases: Vec<Case>,
}

/// One request and what it was answered with.
#[derive(Default, Deserialize)]
struct Case {
    #[serde(default)]
    name: String,
    method: String,
    path: String,
    #[serde(default)]
    query: Vec<(String, Value)>,
    json: Option<Value>,
    text: Option<String>,
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    capture: BTreeMap<String, String>,
    status: u16,
    answer: Value,
}

#[tokio::test]
async fn answers_are_those_of_a_real_server() {
    let recorded: Recorded = golden("mlflow_replay.json");
    let (mut session, mut report) = (Session::new().await, Report::new());
    for case in &recorded.cases {
        let found = asked(&mut session, case).await;
        report.add(&case.name, found);
    }
    report.finish(250, false);
}

#[tokio::test]
async fn filters_find_what_a_real_server_finds() {
    let recorded: filters::Recorded = golden("mlflow_filters.json");
    let (mut session, mut report) = (Session::new().await, Report::new());
    for case in &recorded.population {
        let found = asked(&mut session, case).await;
        report.add(&case.name, found);
    }
    let made = report.counted;
    // They change nothing, so several may be on their way.
    let asked = stream::iter(&recorded.cases).map(|search| search.difference(&session));
    let found: Vec<_> = asked.buffered(16).collect().await;
    for (search, found) in recorded.cases.iter().zip(found) {
        report.add(&search.name(), found.into_iter().collect());
    }
    report.finish(made + 1_000, true);
}

fn golden<T: DeserializeOwned>(name: &str) -> T {
    let path = format!("{}/tests/data/{name}", env!("CARGO_MANIFEST_DIR"));
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

/// Where an answer differs from what was recorded.
async fn asked(session: &mut Session, case: &Case) -> Vec<Difference> {
    let one = |place: &str, wanted, given| {
        vec![Difference { place: place.to_owned(), wanted, given: Value::String(given) }]
    };
    match session.ask(case).await {
        Err(what) => one("capture", json!("an answer to go on with"), what),
        Ok((status, answer)) if status != case.status => {
            one("status", json!(case.status), format!("{status} {answer}"))
        }
        Ok((_, answer)) => normal::differences(&case.answer, &answer),
    }
}

/// What differed without a reason.
struct Report {
    allowed: Allowed,
    counted: usize,
    wrong: Vec<String>,
}

impl Report {
    fn new() -> Self {
        Self { allowed: Allowed::read(), counted: 0, wrong: Vec::new() }
    }

    fn add(&mut self, case: &str, found: Vec<Difference>) {
        self.counted += 1;
        for difference in found {
            if !self.allowed.allows(case, &difference) {
                let Difference { place, wanted, given } = difference;
                let what: String =
                    format!("wanted {wanted}, given {given}").chars().take(300).collect();
                self.wrong.push(format!("{case}\n    {place}: {what}"));
            }
        }
    }

    /// So many cases were asked, all that differs is listed, and all that is listed differs.
    fn finish(self, least: usize, filters: bool) {
        let Self { allowed, counted, wrong } = self;
        assert!(counted >= least, "{counted} cases");
        assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
        let unused = allowed.unused(filters);
        assert!(unused.is_empty(), "no longer differs, take it from the list: {unused:#?}");
    }
}
