//! What is purged leaves nothing behind: python3 looks into the file.

use super::{Server, filled::Filled};
use axum::http::Method;
use mlops_core::{Clock, ErrorKind, RunId, testing::ManualClock};
use mlops_registry::{SqlStore, StoreConfig, store::GcOptions};
use serde_json::{Value, json};
use std::{path::Path, process::Command, sync::Arc, time::Duration};

/// Prints what is violated, and every column of every table whose values contain one of these texts. The
/// log says for ever that it was there.
const LOOK: &str = r#"
import json, sqlite3, sys
db, wanted = sqlite3.connect(sys.argv[1]), sys.argv[2:]
found, rows = [], {}
for name, in db.execute("select name from sqlite_master where type = 'table'").fetchall():
    if name.startswith(("events", "event_", "sqlite_")):
        continue
    columns = [row[1] for row in db.execute(f"pragma table_info({name})")]
    rows[name] = db.execute(f"select count(*) from {name}").fetchone()[0]
    for column in columns:
        for text in wanted:
            sql = f"select count(*) from {name} where instr(cast({column} as text), ?)"
            if db.execute(sql, [text]).fetchone()[0]:
                found.append(f"{name}.{column} says {text}")
experiments = "select id from experiments"
for name, column in [(t, c) for t in rows for c in [r[1] for r in db.execute(f"pragma table_info({t})")]]:
    if column == "experiment":
        sql = f"select count(*) from {name} where experiment not in ({experiments})"
        if db.execute(sql).fetchone()[0]:
            found.append(f"{name} has an experiment that is gone")
series = "select id from metric_series"
sql = f"select count(*) from metric_segments where id / 16777216 not in ({series})"
if db.execute(sql).fetchone()[0]:
    found.append("metric_segments has a series that is gone")
broken = [str(row) for row in db.execute("pragma foreign_key_check")]
print(json.dumps({"found": found, "broken": broken, "rows": rows}))
"#;

/// What is found of these; nothing where there is no python3.
fn look(file: &Path, wanted: &[&str]) -> Option<Value> {
    let mut python = Command::new("python3");
    let output = python.arg("-c").arg(LOOK).arg(file).args(wanted).output().ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

#[tokio::test]
async fn what_is_purged_leaves_no_row() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("mlops.db");
    let store = crate::story::open(folder.path()).await.unwrap();
    let server = Server::of(store, folder);
    let (gone, partly) = (server.fill("gone", 1).await, server.fill("partly", 2).await);
    let kept = server.fill("kept", 3).await;
    let all = [&gone, &partly, &kept];
    let Some(before) = look(&file, &all.map(|one| one.run.as_str())) else {
        return println!("skipped: no python3 here");
    };
    for table in before["rows"].as_object().unwrap() {
        // A table that is empty here would prove nothing; these have nothing to do with runs.
        let others =
            ["garbage", "artifact_pins", "principal", "version", "model_numbers", "aliases"];
        let registered = ["models", "model_tags"].contains(&table.0.as_str());
        let other = registered || others.iter().any(|other| table.0.starts_with(other));
        assert!(other || table.1.as_u64() > Some(0), "{} is empty", table.0);
    }
    assert!(before["found"].as_array().unwrap().len() > 20, "{}", before["found"]);

    let body = json!({ "experiment_id": gone.experiment });
    server.done("/mlflow/experiments/delete", body).await;
    server.done("/mlflow/runs/delete", json!({ "run_id": partly.run })).await;
    let path = format!("/mlflow/logged-models/{}", partly.model);
    assert_eq!(server.call(Method::DELETE, &path, json!({})).await.0, 200);
    let at_once = GcOptions::default().with_older_than(Duration::ZERO);
    let done =
        server.store.collect_garbage(at_once.with_purge_deleted(Duration::ZERO)).await.unwrap();
    assert_eq!((done.runs, done.logged_models, done.experiments), (3, 2, 1));

    let Filled { run, nested, model, trace, .. } = &gone;
    let left = look(&file, &[run, nested, model, trace, &partly.run, &partly.model]).unwrap();
    // A run that is still there names the one that it was part of, as its client wrote it down.
    let allowed = format!("run_tags.value says {}", partly.run);
    let found = left["found"].as_array().unwrap().iter();
    let found: Vec<_> = found.filter(|found| found.as_str() != Some(&allowed)).collect();
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(left["broken"], json!([]));

    whole(&server, &kept).await;
    let id = run.parse().unwrap();
    assert_eq!(server.store.run(&id).await.unwrap_err().kind(), ErrorKind::NotFound);
    let (_, trace) = server.get(&format!("/mlflow/traces/get?trace_id={}", partly.trace)).await;
    assert_eq!(trace["trace"]["spans"].as_array().unwrap().len(), 2);
    server.store.verify_events().await.unwrap();
}

const DAY: Duration = Duration::from_hours(24);

/// What a record has whose clock says how long ago something was.
struct Aging {
    server: Server,
    clock: Arc<ManualClock>,
    experiment: String,
}

impl Aging {
    async fn new() -> Self {
        let (folder, clock) = (tempfile::tempdir().unwrap(), Arc::new(ManualClock::default()));
        let config = StoreConfig::default().with_clock(Arc::clone(&clock) as Arc<dyn Clock>);
        let store = SqlStore::open(folder.path().join("mlops.db"), config).await.unwrap();
        let server = Server::of(store, folder);
        let (_, made) = server.post("/mlflow/experiments/create", json!({ "name": "old" })).await;
        let experiment = made["experiment_id"].as_str().unwrap().to_owned();
        Self { server, clock, experiment }
    }

    /// A run that began when the clock stood so.
    async fn run(&self) -> RunId {
        let started = self.clock.now().unix_millis();
        let body = json!({ "experiment_id": self.experiment, "start_time": started });
        let (status, made) = self.server.post("/mlflow/runs/create", body).await;
        assert_eq!(status, 200, "{made}");
        made["run"]["info"]["run_id"].as_str().unwrap().parse().unwrap()
    }

    async fn of_experiment(&self, what: &str) {
        let path = format!("/mlflow/experiments/{what}");
        self.server.done(&path, json!({ "experiment_id": self.experiment })).await;
    }

    /// How many runs and experiments go that were deleted 30 days ago.
    async fn purged(&self) -> (u64, u64) {
        let options = GcOptions::default().with_purge_deleted(30 * DAY);
        let planned = self.server.store.collect_garbage(options.with_dry_run(true)).await.unwrap();
        let done = self.server.store.collect_garbage(options).await.unwrap();
        assert_eq!((planned.runs, planned.experiments), (done.runs, done.experiments));
        (done.runs, done.experiments)
    }
}

/// When a run began says nothing about when it was deleted.
#[tokio::test]
async fn what_is_deleted_with_its_experiment_can_be_restored_for_as_long_as_was_said() {
    let aging = Aging::new().await;
    let (first, second) = (aging.run().await, aging.run().await);
    aging.clock.advance(60 * DAY);
    aging.of_experiment("delete").await;
    assert_eq!(aging.purged().await, (0, 0), "they were deleted today");
    aging.clock.advance(29 * DAY);
    assert_eq!(aging.purged().await, (0, 0));
    aging.of_experiment("restore").await;
    for run in [first, second] {
        assert_eq!(aging.server.shown(&run.to_string()).await["info"]["lifecycle_stage"], "active");
    }
    aging.of_experiment("delete").await;
    aging.clock.advance(30 * DAY);
    assert_eq!(aging.purged().await, (2, 1));
}

#[tokio::test]
async fn a_run_that_was_restored_with_its_experiment_was_never_deleted() {
    let aging = Aging::new().await;
    let (alone, other) = (aging.run().await, aging.run().await);
    let gone = json!({ "run_id": alone.to_string() });
    aging.server.done("/mlflow/runs/delete", gone.clone()).await;
    aging.clock.advance(20 * DAY);
    aging.of_experiment("delete").await;
    aging.of_experiment("restore").await;
    aging.clock.advance(60 * DAY);
    aging.of_experiment("delete").await;
    assert_eq!(aging.purged().await, (0, 0), "its first deletion was undone");
    aging.of_experiment("restore").await;

    // Who was deleted alone and before goes by that, whatever becomes of the experiment later.
    aging.server.done("/mlflow/runs/delete", gone).await;
    aging.clock.advance(29 * DAY);
    aging.of_experiment("delete").await;
    aging.clock.advance(DAY);
    assert_eq!(aging.purged().await, (1, 0));
    let store = &aging.server.store;
    assert_eq!(store.run(&alone).await.unwrap_err().kind(), ErrorKind::NotFound);
    store.run(&other).await.unwrap();
}

/// What nobody deleted is all there.
async fn whole(server: &Server, kept: &Filled) {
    let shown = server.shown(&kept.run).await;
    assert_eq!(shown["data"]["params"].as_array().unwrap().len(), 2);
    assert_eq!(shown["inputs"]["dataset_inputs"].as_array().unwrap().len(), 1);
    let path = format!("/mlflow/metrics/get-history?run_id={}&metric_key=loss", kept.run);
    let (_, history) = server.get(&path).await;
    let points = usize::try_from(super::filled::POINTS).unwrap();
    assert_eq!(history["metrics"].as_array().unwrap().len(), points);
    let (_, model) = server.get(&format!("/mlflow/logged-models/{}", kept.model)).await;
    assert_eq!(model["model"]["data"]["metrics"][0]["value"], 0.75);
    let files = "/ajax-api/2.0/mlflow/logged-models";
    let uri = format!("{files}/{}/artifacts/files?artifact_file_path=MLmodel", kept.model);
    assert_eq!(server.ask(Method::GET, &uri, &[], "").await.2.as_ref(), b"flavors: {}\n");
}
