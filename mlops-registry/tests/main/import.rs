//! What MLflow's own client wrote and read back is what a record has after the import.
//!
//! `scripts/oracles/mlflow_import.py` made the data with MLflow 3.17.2.

#[path = "import/left.rs"]
mod left;
#[cfg(all(feature = "http", feature = "mlflow"))]
#[path = "import/numbers.rs"]
mod numbers;
#[cfg(all(feature = "http", feature = "mlflow"))]
#[path = "import/places.rs"]
mod places;
#[cfg(all(feature = "http", feature = "mlflow"))]
#[path = "import/server.rs"]
mod server;

use crate::story::Home;
use mlops_core::{
    ErrorKind, Registry, RunId, Timestamp, Tracker, artifact::ArtifactPath, page::Search,
    registry::ModelUri, tracker::MetricQuery,
};
use mlops_registry::{
    SqlStore,
    store::{ImportOptions, ImportSource, Imported},
};
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
};

fn data(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name)
}

fn expected(name: &str) -> Value {
    let text = fs::read_to_string(data(name).join("expected.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

async fn import(store: &SqlStore, from: &ImportSource) -> Imported {
    // Where the data lay when it was made.
    let options = ImportOptions::default()
        .with_moved("file:///tmp/keep/fix/s/artifacts", data("mlflow-3.17/artifacts"));
    store.import(from, &options, |_| ()).await.unwrap()
}

/// Every file of a run.
async fn files(store: &SqlStore, run: RunId) -> Vec<String> {
    let (mut found, mut open) = (Vec::new(), vec![ArtifactPath::new("").unwrap()]);
    while let Some(folder) = open.pop() {
        for entry in Tracker::artifacts(store, &run, &folder).await.unwrap().items {
            match entry.size {
                None => open.push(entry.path),
                Some(_) => found.push(entry.path.to_string()),
            }
        }
    }
    found.sort();
    found
}

async fn check_run(store: &SqlStore, wanted: &Value) {
    check_run_as(store, wanted, |value| value).await;
}

/// A run whose values are those of its client, as something on the way reads them.
async fn check_run_as(store: &SqlStore, wanted: &Value, read: fn(f64) -> f64) {
    let id: RunId = wanted["id"].as_str().unwrap().parse().unwrap();
    let run = store.run(&id).await.unwrap();
    assert_eq!(run.name.as_ref(), wanted["name"]);
    let experiment = store.experiment(&run.experiment).await.unwrap();
    assert_eq!(experiment.name.as_ref(), wanted["experiment"]);
    assert_eq!(serde_json::to_value(run.status).unwrap(), wanted["status"]);
    assert_eq!(serde_json::to_value(run.lifecycle).unwrap(), wanted["lifecycle"]);
    assert_eq!(run.started.unix_millis(), wanted["start"]);
    assert_eq!(run.ended.map(Timestamp::unix_millis), wanted["end"].as_i64());
    assert_eq!(serde_json::to_value(&run.params).unwrap(), wanted["params"]);
    let mut tags = run.tags.clone();
    assert_eq!(tags.remove("mlops.imported").as_deref(), Some("true"));
    assert_eq!(serde_json::to_value(&tags).unwrap(), wanted["tags"]);
    for (metric, points) in wanted["history"].as_object().unwrap() {
        let found = store.metric_history(MetricQuery::new(id, metric.as_str())).await.unwrap();
        let points = points.as_array().unwrap();
        assert_eq!(found.items.len(), points.len());
        for (found, point) in found.items.iter().zip(points) {
            let value = read(point[2].as_str().unwrap().parse().unwrap());
            assert_eq!(
                (found.step, found.time.unix_millis()),
                (point[0].as_i64().unwrap(), point[1].as_i64().unwrap())
            );
            assert!(found.value.total_cmp(&value).is_eq(), "{metric}: {} {value}", found.value);
        }
    }
    assert_eq!(serde_json::to_value(files(store, id).await).unwrap(), wanted["files"]);
}

#[tokio::test]
async fn a_database_is_taken_as_its_client_reads_it() {
    let (home, wanted) = (Home::new().await, expected("mlflow-3.17"));
    let from = ImportSource::Database(data("mlflow-3.17/mlflow.db"));
    let before = fs::read(data("mlflow-3.17/mlflow.db")).unwrap();
    let done = import(&home.store, &from).await;
    assert_eq!((done.experiments, done.runs, done.logged_models, done.versions), (2, 6, 1, 2));
    assert_eq!(done.not_taken, []);
    for run in wanted["runs"].as_array().unwrap() {
        check_run(&home.store, run).await;
    }
    let model = &wanted["models"][0];
    let versions = home.store.versions(Search::new()).await.unwrap().items;
    assert_eq!(versions.len(), model["versions"].as_array().unwrap().len());
    for version in &versions {
        let target = home.folder.path().join(format!("fetched-{}", version.id.version));
        home.store.fetch(&version.id, &target).await.unwrap();
        assert!(target.join("MLmodel").is_file());
    }
    let uri: ModelUri = "models:/twice@champion".parse().unwrap();
    assert_eq!(home.store.resolve(&uri).await.unwrap().id.version, model["aliases"]["champion"]);
    let events = home.store.verify_events().await.unwrap();

    // Again changes nothing, here and there.
    let again = import(&home.store, &from).await;
    assert_eq!((again.experiments, again.runs, again.points, again.artifacts), (0, 0, 0, 0));
    assert_eq!(again.known, 9);
    assert_eq!(home.store.verify_events().await.unwrap(), events);
    assert_eq!(fs::read(data("mlflow-3.17/mlflow.db")).unwrap(), before);
}

#[tokio::test]
async fn a_folder_is_taken_as_its_client_reads_it() {
    let (home, wanted) = (Home::new().await, expected("mlruns-3.17"));
    let from = ImportSource::Folder(data("mlruns-3.17/mlruns"));
    let done = import(&home.store, &from).await;
    assert_eq!((done.experiments, done.runs, done.not_taken.as_slice()), (2, 6, &[][..]));
    for run in wanted["runs"].as_array().unwrap() {
        check_run(&home.store, run).await;
    }
    let again = import(&home.store, &from).await;
    assert_eq!((again.runs, again.known), (0, 6));
}

/// What an import left.
fn left(done: &Imported) -> Vec<&str> {
    done.not_taken.iter().map(|left| left.what.as_str()).collect()
}

#[tokio::test]
async fn what_is_not_there_is_reported_and_taken_when_it_is_found() {
    let (home, wanted) = (Home::new().await, expected("mlflow-3.17"));
    let from = ImportSource::Database(data("mlflow-3.17/mlflow.db"));
    let nowhere =
        ImportOptions::default().with_moved("file:///tmp/keep/fix/s/artifacts", "/nowhere");
    let done = home.store.import(&from, &nowhere, |_| ()).await.unwrap();
    assert_eq!((done.runs, done.logged_models, done.artifacts, done.versions), (6, 1, 0, 0));
    let runs = wanted["runs"].as_array().unwrap();
    let mut all: Vec<String> = runs
        .iter()
        .map(|run| format!("artifacts of run {}", run["id"].as_str().unwrap()))
        .collect();
    all.sort();
    let mut found = left(&done);
    found[..6].sort_unstable();
    assert_eq!(&found[..6], all);
    assert_eq!(
        &found[6..],
        [
            "artifacts of logged model m-9c2134158e6541c68cf5ec0814a03f6a",
            "version 1 of twice",
            "version 2 of twice",
            "alias \"champion\" of twice"
        ]
    );
    for run in home.store.runs(Search::new()).await.unwrap().items {
        assert!(run.status.is_final());
        assert_eq!(run.tags.get("mlops.imported").map(String::as_str), Some("incomplete"));
    }
    for (path, kind) in [
        (ImportSource::Database(data("nothing.db")), ErrorKind::NotFound),
        (ImportSource::Database(home.folder.path().join("mlops.db")), ErrorKind::InvalidInput),
        (ImportSource::Database(data("mlflow-3.17/expected.json")), ErrorKind::Corrupt),
        (ImportSource::Folder(data("nothing")), ErrorKind::NotFound),
    ] {
        let error = home.store.import(&path, &nowhere, |_| ()).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }

    // Still not there: nothing changes, and it is said again.
    let events = home.store.verify_events().await.unwrap();
    let again = home.store.import(&from, &nowhere, |_| ()).await.unwrap();
    assert_eq!((again.runs, again.logged_models, again.points, again.known), (0, 0, 0, 7));
    assert_eq!(again.not_taken, done.not_taken);
    assert_eq!(home.store.verify_events().await.unwrap(), events);

    let whole = import(&Home::new().await.store, &from).await;
    let found = import(&home.store, &from).await;
    assert_eq!((found.runs, found.logged_models, found.points, found.known), (0, 0, 0, 7));
    assert_eq!((found.artifacts, found.bytes), (whole.artifacts, whole.bytes));
    assert_eq!((found.versions, found.not_taken.as_slice()), (2, &[][..]));
    for run in runs {
        check_run(&home.store, run).await;
    }
    let uri: ModelUri = "models:/twice@champion".parse().unwrap();
    assert_eq!(home.store.resolve(&uri).await.unwrap().id.version, 1);
    let last = import(&home.store, &from).await;
    assert_eq!((last.artifacts, last.known, last.not_taken.as_slice()), (0, 9, &[][..]));
}
