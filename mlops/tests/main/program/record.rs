//! The program beside a record: an alias moves, the record goes away, answers stay explained.

use super::{Place, Serving, rows};
use mlops::{
    Alias, ModelName, Registry,
    registry::{AliasMove, CreateVersion, MoveAlias},
    store::{SqlStore, StoreConfig},
};
use serde_json::Value;
use std::time::{Duration, Instant};

/// Flags that serve the champion and log beside it.
pub(super) fn serve_arguments() -> Vec<&'static str> {
    let model = ["--model", "risk=models:/risk@champion", "--registry-uri", "sqlite:///mlops.db"];
    [&model[..], &["--inference-log", "log"]].concat()
}

/// Registers a model of the test data and lets the champion be it.
pub(super) fn promote(place: &Place, model: &str) {
    promote_from(place, model, model);
}

/// The same, from a folder of this name.
pub(super) fn promote_from(place: &Place, model: &str, folder: &str) {
    let package = place.package(model, folder);
    let version = in_record(place, async |store| {
        let new = CreateVersion::new(ModelName::new("risk").unwrap(), package.folder());
        store.create_version(new).await.unwrap().id.version
    });
    champion(place, version);
}

/// Points the champion at a version.
pub(super) fn champion(place: &Place, version: u64) {
    let (name, alias) = (ModelName::new("risk").unwrap(), Alias::new("champion").unwrap());
    let request = MoveAlias::new(name, alias, version, "better");
    let moved = in_record(place, async |store| store.move_alias(request).await.unwrap());
    assert!(matches!(moved, AliasMove::Moved { .. }));
}

fn in_record<T>(place: &Place, work: impl AsyncFnOnce(SqlStore) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqlStore::open(place.path("mlops.db"), StoreConfig::default()).await;
        work(store.unwrap()).await
    })
}

fn await_version(server: &Serving, version: &str) {
    let late = Instant::now() + Duration::from_secs(20);
    loop {
        let metadata: Value = serde_json::from_str(&server.get("/v2/models/risk").1).unwrap();
        if metadata["versions"][0] == version {
            return;
        }
        assert!(Instant::now() < late, "still {metadata}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn the_server_follows_the_alias_and_every_answer_stays_explained() {
    let place = Place::new();
    promote(&place, "lightgbm");
    let server = place.serve(&serve_arguments());
    let rows: Vec<Vec<f32>> = rows("lightgbm", 3).into_iter().map(|(_, row)| row).collect();
    let (first, before) = server.infer("risk", &rows);
    assert_eq!(first["model_version"], "1");
    promote(&place, "mlp");
    await_version(&server, "2");
    let (second, after) = server.infer("risk", &rows);
    assert_eq!(second["model_version"], "2");
    assert_ne!(first["outputs"], second["outputs"]);
    assert_eq!(server.end().code(), Some(0));
    for (id, version) in [(before, "1"), (after, "2")] {
        let out = place.run(&["why", &id, "--inference-log", "log"]).ok();
        assert!(out.contains(&format!("model      risk version {version}")), "{out}");
        assert_eq!(out.matches("the same to the bit").count(), 3, "{out}");
        // Without the copy beside the log the record gives the model.
        std::fs::remove_dir_all(place.path("log/packages")).unwrap_or_default();
        place.run(&["why", &id, "--inference-log", "log"]).ok();
    }
}

#[test]
fn with_the_record_away_it_starts_from_its_cache_and_says_stale() {
    let place = Place::new();
    promote(&place, "logistic");
    let rows: Vec<Vec<f32>> = rows("logistic", 1).into_iter().map(|(_, row)| row).collect();
    let server = place.serve(&serve_arguments());
    let (first, _) = server.infer("risk", &rows);
    assert_eq!(server.end().code(), Some(0));
    std::fs::rename(place.path("mlops.db"), place.path("away.db")).unwrap();

    let server = place.serve(&serve_arguments());
    let ready: Value = serde_json::from_str(&server.get("/v2/health/ready").1).unwrap();
    assert_eq!((&ready["ready"], &ready["stale"]), (&Value::Bool(true), &Value::Bool(true)));
    assert!(server.get("/metrics").1.contains("mlops_endpoint_stale{endpoint=\"risk\"} 1\n"));
    let (again, id) = server.infer("risk", &rows);
    assert_eq!(first["outputs"], again["outputs"]);
    // It catches up once the record is back.
    std::fs::rename(place.path("away.db"), place.path("mlops.db")).unwrap();
    promote(&place, "mlp");
    await_version(&server, "2");
    assert_eq!(server.end().code(), Some(0));
    place.run(&["why", &id, "--inference-log", "log"]).ok();
}
