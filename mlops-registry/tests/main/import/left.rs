//! What cannot be read is left, the rest is taken, and what can be read later comes later.

use super::{check_run, data, expected, import, left};
use crate::story::{Home, copy};
use mlops_core::{
    RunId, Tracker,
    tracker::{MetricQuery, RunChange, RunStatus},
};
use mlops_registry::store::{GcOptions, ImportSource};
use serde_json::Value;
use std::{fs, time::Duration};
use tempfile::TempDir;

const EXPERIMENT: &str = "104165602922541446";

/// A folder `mlruns` that may be changed.
fn mlruns() -> (TempDir, ImportSource) {
    let folder = tempfile::tempdir().unwrap();
    copy(&data("mlruns-3.17/mlruns"), folder.path());
    let from = ImportSource::Folder(folder.path().to_owned());
    (folder, from)
}

fn named<'a>(wanted: &'a Value, name: &str) -> (&'a Value, RunId) {
    let mut runs = wanted["runs"].as_array().unwrap().iter();
    let run = runs.find(|run| run["name"] == name).unwrap();
    (run, run["id"].as_str().unwrap().parse().unwrap())
}

#[tokio::test]
async fn what_is_malformed_is_left_and_taken_once_it_is_mended() {
    let (home, wanted, (folder, from)) = (Home::new().await, expected("mlruns-3.17"), mlruns());
    let own = |path: &str| (folder.path().join(path), data("mlruns-3.17/mlruns").join(path));
    let ((_, child), (_, broken)) = (named(&wanted, "child"), named(&wanted, "broken"));
    let damaged = [
        (own(&format!("{EXPERIMENT}/{child}/meta.yaml")), ""),
        (own(&format!("{EXPERIMENT}/{broken}/metrics/auc")), "1795263019000 0.5\nno point"),
        (own(".trash/549755222310033555/meta.yaml"), "artifact_location: nowhere"),
    ];
    for ((path, _), text) in &damaged {
        fs::write(path, text).unwrap();
    }
    let done = import(&home.store, &from).await;
    assert_eq!(done.runs, 3);
    let experiment =
        format!("experiment in {}", folder.path().join(".trash/549755222310033555").display());
    let mut found = left(&done);
    found.sort_unstable();
    let (child, broken) = (format!("run {child}"), format!("run {broken}"));
    let mut all = [experiment.as_str(), &child, &broken];
    all.sort_unstable();
    assert_eq!(found, all);
    assert!(done.not_taken.iter().any(|left| left.why.contains("no status of a run")));

    let again = import(&home.store, &from).await;
    assert_eq!((again.runs, again.known, again.not_taken.len()), (0, 3, 3));
    for ((path, whole), _) in &damaged {
        fs::copy(whole, path).unwrap();
    }
    let done = import(&home.store, &from).await;
    assert_eq!((done.runs, done.known, done.not_taken.as_slice()), (3, 3, &[][..]));
    for run in wanted["runs"].as_array().unwrap() {
        check_run(&home.store, run).await;
    }
}

#[tokio::test]
async fn a_row_that_is_malformed_is_left() {
    let (home, wanted) = (Home::new().await, expected("mlflow-3.17"));
    let mut bytes = fs::read(data("mlflow-3.17/mlflow.db")).unwrap();
    while let Some(at) = bytes.windows(6).position(|text| text == b"FAILED") {
        bytes[at..at + 6].copy_from_slice(b"FAIL??");
    }
    let path = home.folder.path().join("mlflow.db");
    fs::write(&path, bytes).unwrap();
    let done = import(&home.store, &ImportSource::Database(path)).await;
    assert_eq!((done.runs, done.logged_models, done.versions), (5, 1, 2));
    assert_eq!(left(&done), [format!("run {}", named(&wanted, "broken").1)]);
}

#[tokio::test]
async fn a_file_that_cannot_be_a_file_here_leaves_its_run_incomplete() {
    let (home, wanted, (folder, from)) = (Home::new().await, expected("mlruns-3.17"), mlruns());
    let (run, id) = named(&wanted, "parent");
    let odd = folder.path().join(format!("{EXPERIMENT}/{id}/artifacts/notes/a\\b"));
    fs::write(&odd, "odd").unwrap();
    let done = import(&home.store, &from).await;
    assert_eq!(
        (done.runs, left(&done)),
        (6, vec![&*format!("artifact \"notes/a\\\\b\" of run {id}")])
    );
    // What came stays as it is here, and is not counted again.
    let again = import(&home.store, &from).await;
    assert_eq!((again.known, again.artifacts, again.not_taken), (6, 0, done.not_taken));
    fs::rename(&odd, odd.with_file_name("c.txt")).unwrap();
    let done = import(&home.store, &from).await;
    assert_eq!((done.known, done.artifacts, done.bytes, done.not_taken.len()), (6, 1, 3, 0));
    let mut run = run.clone();
    run["files"].as_array_mut().unwrap().insert(1, "notes/c.txt".into());
    check_run(&home.store, &run).await;
}

#[tokio::test]
async fn a_run_that_had_not_ended_is_read_again() {
    let (home, wanted, (folder, from)) = (Home::new().await, expected("mlruns-3.17"), mlruns());
    let ((run, id), (_, other)) = (named(&wanted, "child"), named(&wanted, "broken"));
    let meta = |id: RunId| folder.path().join(format!("{EXPERIMENT}/{id}/meta.yaml"));
    let ended = [id, other].map(|id| fs::read_to_string(meta(id)).unwrap());
    for (id, ended) in [id, other].into_iter().zip(&ended) {
        let lines = ended.lines().map(|line| match line.split_once(": ") {
            Some(("status", _)) => "status: 1\n".to_owned(),
            Some(("end_time", _)) => "end_time: null\n".to_owned(),
            _ => format!("{line}\n"),
        });
        fs::write(meta(id), lines.collect::<String>()).unwrap();
    }
    let points = folder.path().join(format!("{EXPERIMENT}/{id}/metrics/auc"));
    let all = fs::read(&points).unwrap();
    fs::remove_file(&points).unwrap();
    let done = import(&home.store, &from).await;
    assert_eq!((done.runs, done.not_taken.as_slice()), (6, &[][..]));
    let (events, before) =
        (home.store.verify_events().await.unwrap(), home.store.run(&id).await.unwrap());
    assert_eq!((before.status, before.ended), (RunStatus::Running, None));
    let again = import(&home.store, &from).await;
    assert_eq!((again.runs, again.points, again.known), (0, 0, 6));
    assert_eq!(home.store.run(&id).await.unwrap(), before);
    assert_eq!(home.store.verify_events().await.unwrap(), events);

    // It measures on, and ends; the other is ended here, which counts.
    fs::write(&points, all).unwrap();
    import(&home.store, &from).await;
    let history = home.store.metric_history(MetricQuery::new(id, "auc")).await.unwrap();
    assert_eq!(history.items.len(), run["history"]["auc"].as_array().unwrap().len());
    let killed = RunChange::default().with_status(RunStatus::Killed);
    home.store.update_run(&other, killed).await.unwrap();
    for (id, ended) in [id, other].into_iter().zip(ended) {
        fs::write(meta(id), ended).unwrap();
    }
    let done = import(&home.store, &from).await;
    assert_eq!((done.runs, done.known, done.not_taken.as_slice()), (0, 6, &[][..]));
    check_run(&home.store, run).await;
    assert_eq!(home.store.run(&other).await.unwrap().status, RunStatus::Killed);
}

#[tokio::test]
async fn what_was_deleted_nobody_knows_when_is_deleted_now() {
    let (home, (folder, from)) = (Home::new().await, mlruns());
    let meta =
        folder.path().join(format!("{EXPERIMENT}/1e3dcf3bfeef4567b20165bcbe429970/meta.yaml"));
    let text = fs::read_to_string(&meta).unwrap();
    let known = text.lines().filter(|line| !line.starts_with("deleted_time"));
    // Fifty years before.
    let known =
        known.map(|line| if line.starts_with("start_time") { "start_time: 1" } else { line });
    fs::write(&meta, known.collect::<Vec<_>>().join("\n")).unwrap();
    fs::remove_dir_all(folder.path().join(".trash")).unwrap();
    assert_eq!(import(&home.store, &from).await.not_taken, []);
    let long_ago = GcOptions::default().with_purge_deleted(Duration::from_hours(1));
    assert_eq!(home.store.collect_garbage(long_ago).await.unwrap().runs, 0);
    let all = GcOptions::default().with_purge_deleted(Duration::ZERO);
    assert_eq!(home.store.collect_garbage(all).await.unwrap().runs, 1);
}
