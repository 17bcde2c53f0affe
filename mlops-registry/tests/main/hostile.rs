//! Filters and names that mean no good: an answer or a clear refusal, never a panic or a database's error.

use crate::story::Home;
use mlops_core::{
    ErrorKind, ExperimentId, ModelName, Registry, Result, Tracker,
    page::Search,
    registry::CreateModel,
    tracker::{Batch, CreateExperiment, CreateRun},
};
use proptest::{
    strategy::{Strategy, ValueTree},
    test_runner::{Config, RngAlgorithm, TestRng, TestRunner},
};

/// How many strings are tried in the suite; a million with `MLOPS_HOSTILE=1000000`.
const STRINGS: usize = 4000;

fn strings() -> usize {
    std::env::var("MLOPS_HOSTILE").ok().and_then(|count| count.parse().ok()).unwrap_or(STRINGS)
}

/// The same strings every time.
fn runner() -> TestRunner {
    TestRunner::new_with_rng(Config::default(), TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}

/// Pieces of the grammar and of SQL, and anything at all.
fn filter() -> impl Strategy<Value = String> {
    let pieces = proptest::sample::select(vec![
        "metrics.",
        "params.",
        "tags.",
        "attributes.",
        "dataset.",
        "loss",
        "`a b`",
        "\"q\"",
        "run_id",
        "status",
        "start_time",
        "name",
        "version_number",
        "=",
        "!=",
        "<",
        ">=",
        "LIKE",
        "ILIKE",
        "IN",
        "NOT",
        "IS",
        "NULL",
        "AND",
        "OR",
        "(",
        ")",
        ",",
        "'",
        "''",
        "'x'",
        "'%'",
        "'_'",
        "0",
        "-1",
        "1e400",
        "NaN",
        "inf",
        "0x1",
        ";",
        "--",
        "/*",
        "*/",
        "drop table runs",
        "$1",
        "?",
        "\\",
        "\0",
        "é",
        "\u{202e}",
        "🦀",
        " ",
        "\t",
        "\n",
        "''''",
        "`",
        "``",
        "\"\"",
        "9223372036854775808",
    ]);
    let joined =
        proptest::collection::vec((pieces, proptest::bool::ANY), 0..12).prop_map(|pieces| {
            pieces.into_iter().fold(String::new(), |mut text, (piece, spaced)| {
                text.push_str(piece);
                text.push_str(if spaced { " " } else { "" });
                text
            })
        });
    proptest::prop_oneof![4 => joined, 1 => "\\PC{0,40}", 1 => "(?s).{0,40}"]
}

/// Refused by the grammar, or answered.
fn fair<T>(answer: Result<T>, text: &str) -> Option<T> {
    match answer {
        Ok(value) => Some(value),
        Err(error) => {
            let kind = error.kind();
            assert!(
                matches!(kind, ErrorKind::InvalidInput | ErrorKind::TooLarge),
                "{text:?}: {error:?}"
            );
            None
        }
    }
}

#[tokio::test]
async fn no_filter_harms_the_record() {
    let home = Home::new().await;
    home.run("one").await;
    let (mut runner, filters) = (runner(), filter());
    let mut valid = 0;
    for number in 0..strings() {
        let text = filters.new_tree(&mut runner).unwrap().current();
        let search = || Search::new().with_filter(text.clone()).with_max_results(5);
        let answered = match number % 5 {
            0 => fair(home.store.experiments(search()).await, &text).is_some(),
            1 => fair(home.store.models(search()).await, &text).is_some(),
            2 => fair(home.store.versions(search()).await, &text).is_some(),
            3 => fair(home.store.runs(search()).await, &text).is_some(),
            _ => {
                let ordered = Search::new().with_order_by(text.clone()).with_max_results(5);
                fair(home.store.runs(ordered).await, &text).is_some()
            }
        };
        valid += usize::from(answered);
    }
    println!("{} filters, {valid} of them valid", strings());
    assert!(valid > 0 && valid < strings());
    home.store.verify_events().await.unwrap();
}

#[tokio::test]
async fn no_name_harms_the_record() {
    let home = Home::new().await;
    let (mut runner, names) = (runner(), filter());
    let mut run = home.run("one").await.id;
    for number in 0..strings() / 10 {
        // Who reads a run reads all of its tags: a million of them would be asked of one run.
        if number % 100 == 99 {
            run = home.run(&format!("next {number}")).await.id;
        }
        let text = names.new_tree(&mut runner).unwrap().current();
        let new = CreateExperiment::new(text.as_str());
        match home.store.create_experiment(new).await {
            Ok(made) => assert_eq!(made.name.as_ref(), text),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            refused => drop(fair(refused, &text)),
        }
        let pair = (text.clone(), text.clone());
        let batch = Batch::new().with_tags(vec![pair.clone()]).with_params(vec![pair]);
        if fair(home.store.log_batch(&run, batch).await, &text).is_some() {
            let kept = home.store.run(&run).await.unwrap();
            assert_eq!(kept.tags.get(&text), Some(&text), "{text:?}");
            assert_eq!(kept.params.get(&text), Some(&text), "{text:?}");
        }
        if let Ok(name) = ModelName::new(text.as_str()) {
            match home.store.create_model(CreateModel::new(name)).await {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                made => assert_eq!(made.unwrap().name.as_str(), text),
            }
        }
        let new = CreateRun::new(ExperimentId::new("0").unwrap()).with_name(text.as_str().into());
        fair(home.store.create_run(new).await, &text);
    }
    home.store.verify_events().await.unwrap();
}
