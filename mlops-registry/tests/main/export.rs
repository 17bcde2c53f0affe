//! An export says what the record holds, in a form that needs nothing of ours to be read.

use crate::story::{Home, stream};
use mlops_core::{
    Digest, ErrorKind, Registry, Timestamp, Tracker,
    artifact::ArtifactPath,
    page::Search,
    registry::MoveAlias,
    tracker::{Batch, Metric, MetricQuery, RunChange, RunStatus},
};
use mlops_registry::store::{ImportOptions, ImportSource};
use serde_json::{Value, json};
use std::{fs, path::Path};

fn lines(folder: &Path, file: &str) -> Vec<Value> {
    let text = fs::read_to_string(folder.join(file)).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[tokio::test]
async fn a_record_of_mlflow_is_whole_in_its_export() {
    let home = Home::new().await;
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/mlflow-3.17");
    let moved = ImportOptions::default()
        .with_moved("file:///tmp/keep/fix/s/artifacts", data.join("artifacts"));
    let from = ImportSource::Database(data.join("mlflow.db"));
    home.store.import(&from, &moved, |_| ()).await.unwrap();
    let expected = fs::read_to_string(data.join("expected.json")).unwrap();
    let expected: Value = serde_json::from_str(&expected).unwrap();

    let to = home.folder.path().join("export");
    let note = home.store.export(&to, |_| ()).await.unwrap();
    // What MLflow's own client read is what the lines say.
    let (runs, points) = (lines(&to, "runs.jsonl"), lines(&to, "metrics.jsonl"));
    for wanted in expected["runs"].as_array().unwrap() {
        let run = runs.iter().find(|run| run["id"] == wanted["id"]).unwrap();
        assert_eq!((&run["params"], &run["status"]), (&wanted["params"], &wanted["status"]));
        for (metric, history) in wanted["history"].as_object().unwrap() {
            let own = |point: &&Value| point["run"] == wanted["id"] && point["metric"] == **metric;
            let own: Vec<&Value> = points.iter().filter(own).collect();
            assert_eq!(own.len(), history.as_array().unwrap().len(), "{metric}");
            for (point, wanted) in own.iter().zip(history.as_array().unwrap()) {
                let time: Timestamp = point["time"].as_str().unwrap().parse().unwrap();
                assert_eq!(
                    (&point["step"], json!(time.unix_millis())),
                    (&wanted[0], wanted[1].clone())
                );
                let wanted: f64 = wanted[2].as_str().unwrap().parse().unwrap();
                let value = match &point["value"] {
                    Value::String(word) => word.parse().unwrap(),
                    number => number.as_f64().unwrap(),
                };
                assert!(f64::total_cmp(&value, &wanted).is_eq(), "{value} {wanted}");
            }
        }
    }
    assert_eq!(
        lines(&to, "aliases.jsonl")[0]["version"],
        expected["models"][0]["aliases"]["champion"]
    );
    assert_eq!(lines(&to, "versions.jsonl").len(), 2);
    // The note knows each file, and each artifact lies under its digest.
    for (name, file) in &note.files {
        let bytes = fs::read(to.join(name)).unwrap();
        assert_eq!((Digest::of(&bytes), bytes.len() as u64), (file.digest, file.bytes), "{name}");
        assert_eq!(lines(&to, name).len() as u64, file.lines, "{name}");
    }
    let written: Value =
        serde_json::from_str(&fs::read_to_string(to.join("export.json")).unwrap()).unwrap();
    assert_eq!(written, serde_json::to_value(&note).unwrap());
    let mut refers: Vec<Value> =
        lines(&to, "files.jsonl").iter().map(|file| file["digest"].clone()).collect();
    for version in lines(&to, "versions.jsonl") {
        refers.extend(
            version["manifest"].as_object().unwrap().values().map(|file| file["digest"].clone()),
        );
    }
    assert!(!refers.is_empty());
    for digest in refers {
        let digest: Digest = digest.as_str().unwrap().parse().unwrap();
        let hex = digest.to_hex();
        let bytes = fs::read(to.join("artifacts/sha256").join(&hex[..2]).join(&hex)).unwrap();
        assert_eq!(Digest::of(bytes), digest);
    }
    // Again gives the same lines; a folder that holds something is left alone.
    let again = home.store.export(home.folder.path().join("again"), |_| ()).await.unwrap();
    assert_eq!((again.files, again.artifacts), (note.files, note.artifacts));
    let error = home.store.export(&to, |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error}");
}

#[tokio::test]
async fn long_series_and_odd_numbers_are_whole_and_damage_is_named() {
    let home = Home::new().await;
    let run = home.run("long").await.id;
    let point = |step: i64| Metric::new("loss", f64::NAN, step, Timestamp::from_unix_micros(step));
    let mut batch: Vec<Metric> = (0..60_000).map(point).collect();
    batch.push(Metric::new("a", f64::NEG_INFINITY, -1, Timestamp::from_unix_micros(1)));
    home.store.log_batch(&run, Batch::new().with_metrics(batch)).await.unwrap();
    let path = ArtifactPath::new("notes.txt").unwrap();
    let file =
        home.store.write_artifact(&run, &path, stream(vec![b"hello".to_vec()])).await.unwrap();
    home.store
        .update_run(&run, RunChange::default().with_status(RunStatus::Finished))
        .await
        .unwrap();
    let version = home.store.create_version(home.version("risk", "w").with_run(run)).await.unwrap();
    let champion =
        MoveAlias::new(version.id.model.clone(), "champion".parse().unwrap(), 1, "first");
    home.store.move_alias(champion).await.unwrap();

    let to = home.folder.path().join("export");
    let note = home.store.export(&to, |_| ()).await.unwrap();
    assert_eq!(note.files["metrics.jsonl"].lines, 60_001);
    let points = lines(&to, "metrics.jsonl");
    let steps: Vec<i64> = points
        .iter()
        .filter(|point| point["metric"] == "loss")
        .map(|point| point["step"].as_i64().unwrap())
        .collect();
    assert!(steps.into_iter().eq(0..60_000));
    assert!(points.iter().any(|point| point["value"] == "-Infinity"));
    let query = MetricQuery::new(run, "a");
    assert_eq!(home.store.metric_history(query).await.unwrap().items.len(), 1);
    let events = lines(&to, "events.jsonl");
    assert_eq!(events.len() as u64, home.store.verify_events().await.unwrap());
    assert!(
        events.iter().any(|event| event["reason"] == "first" && event["kind"] == "alias.moved")
    );
    assert_eq!(
        home.store.experiments(Search::new()).await.unwrap().items.len(),
        lines(&to, "experiments.jsonl").len()
    );

    crate::conformance::damage(home.folder.path(), &file);
    let broken = home.folder.path().join("broken");
    let error = home.store.export(&broken, |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&file.digest.to_hex()[..8]), "{error}");
    assert!(!broken.join("export.json").exists());
}
