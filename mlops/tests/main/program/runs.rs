//! `mlops runs`, on a file and through a running server.

use super::Place;
use mlops::{
    RunId, Timestamp, Tracker,
    artifact::ArtifactPath,
    store::{SqlStore, StoreConfig},
    tracker::{Batch, CreateExperiment, CreateRun, DatasetInput, Metric, RunChange, RunStatus},
};
use serde_json::{Value, json};

/// Two runs of one experiment; the second has no files.
pub(super) fn record(place: &Place) -> [RunId; 2] {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = SqlStore::open(place.path("mlops.db"), StoreConfig::default()).await.unwrap();
        let new = CreateExperiment::new("Ada's income");
        let experiment = store.create_experiment(new).await.unwrap().id;
        let mut runs = Vec::new();
        for (rate, last) in [("0.1", 0.25), ("0.2", f64::NAN)] {
            let started = Timestamp::from_unix_millis(1_514_764_800_000);
            let new = CreateRun::new(experiment.clone()).with_name(format!("rate {rate}").into());
            let run = store.create_run(new.with_started(started)).await.unwrap().id;
            let points = [1.0, f64::INFINITY, last].into_iter().zip(0..);
            let points = points.map(|(value, step)| Metric::new("loss", value, step, started));
            let batch = Batch::new()
                .with_metrics(points.collect())
                .with_params(vec![("rate".into(), rate.into()), ("model".into(), "mlp".into())])
                .with_tags(vec![("note".into(), "two\nlines \u{1b}[2J".into())])
                .with_inputs(vec![DatasetInput::new("adult", "d1", "training").with_rows(9)]);
            store.log_batch(&run, batch).await.unwrap();
            runs.push(run);
        }
        for (path, text) in [("notes.txt", "hello"), ("model/a/weights", "w"), ("model/b", "bb")] {
            let body = Box::pin(futures_util::stream::iter([Ok(bytes::Bytes::from(text))]));
            let path = ArtifactPath::new(path).unwrap();
            store.write_artifact(&runs[0], &path, body).await.unwrap();
        }
        let end = RunChange::default().with_status(RunStatus::Finished);
        let end = end.with_ended(Timestamp::from_unix_millis(1_514_764_801_500));
        store.update_run(&runs[0], end).await.unwrap();
        [runs[0], runs[1]]
    })
}

/// Does it on the file, then through a server.
fn everywhere(check: impl Fn(&Place, [RunId; 2], &[&str])) {
    let place = Place::new();
    let runs = record(&place);
    check(&place, runs, &["--backend-store-uri", "sqlite:///mlops.db"]);
    let place = Place::new();
    let runs = record(&place);
    let server = place.start("server", &[]);
    check(&place, runs, &["--tracking-uri", &server.url]);
    assert_eq!(server.end().code(), Some(0));
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn runs_are_listed_and_shown() {
    everywhere(|place, [first, second], at| {
        let runs = |words: &[&str]| place.run(&[&["runs"], words, at].concat());
        let out = runs(&["list", "--show", "metrics.loss,params.rate,tags.none"]).ok();
        assert!(out.contains(&first.to_string()) && out.contains(&second.to_string()), "{out}");
        assert!(out.contains("0.25") && out.contains("NaN") && out.contains("1.5 s"), "{out}");
        let named = ["list", "--experiment", "Ada's income", "--filter", "params.rate = '0.2'"];
        let found = lines(&runs(&[&named[..], &["--json"]].concat()).ok());
        assert_eq!((found.len(), &found[0]["id"]), (1, &json!(second)));
        assert_eq!(found[0]["metrics"]["loss"]["value"], "NaN");
        let one = runs(&["list", "--limit", "1", "--order-by", "params.rate DESC", "--json"]);
        assert!(one.err.contains("there are more than 1"), "{}", one.err);
        assert_eq!(lines(&one.ok())[0]["id"], json!(second));
        runs(&["list", "--experiment", "nobody's"]).failed(66, "nobody's");
        runs(&["list", "--filter", "metrics.loss <"]).failed(65, "byte");
        runs(&["list", "--show", "loss"]).failed(2, "metrics.NAME");

        let out = runs(&["show", &first.to_string()]).ok();
        for words in ["FINISHED", "rate 0.1", "adult", "notes.txt", "5 bytes", "model/", "0.25"] {
            assert!(out.contains(words), "{out} has no {words:?}");
        }
        // Nobody's text moves the cursor or makes a line.
        assert!(out.contains("two\\nlines \\u{1b}[2J") && !out.contains('\u{1b}'), "{out}");
        let whole: Value =
            serde_json::from_str(&runs(&["show", &first.to_string(), "--json"]).ok()).unwrap();
        assert_eq!(
            (&whole["params"]["rate"], &whole["ended"]),
            (&json!("0.1"), &json!("2018-01-01T00:00:01.500000Z"))
        );
        assert_eq!(whole["artifacts"][1], json!({ "path": "notes.txt", "size": 5 }));
        assert_eq!(whole["inputs"][0]["rows"], 9);
        let unknown = RunId::from_u128(7).to_string();
        runs(&["show", &unknown]).failed(66, &unknown);
        runs(&["show", "seven"]).failed(2, "32 hexadecimal digits");
    });
}

#[test]
fn histories_and_differences_are_shown() {
    everywhere(|place, [first, second], at| {
        let runs = |words: &[&str]| place.run(&[&["runs"], words, at].concat());
        let (first, second) = (first.to_string(), second.to_string());
        let points = lines(&runs(&["history", &second, "loss", "--json"]).ok());
        let values: Vec<&Value> = points.iter().map(|point| &point["value"]).collect();
        assert_eq!(values, [&json!(1.0), &json!("Infinity"), &json!("NaN")]);
        let out = runs(&["history", &first, "loss"]).ok();
        assert_eq!(out.lines().count(), 3);
        assert!(out.ends_with(" 2  2018-01-01 00:00:00  0.25\n"), "{out}");
        runs(&["history", &first, "gain"]).failed(66, "no metric \"gain\"");

        let out = runs(&["compare", &first, &second]).ok();
        assert!(out.contains("params.rate") && out.contains("metrics.loss"), "{out}");
        assert!(!out.contains("params.model") && !out.contains("tags.note"), "{out}");
        let out: Value =
            serde_json::from_str(&runs(&["compare", &first, &second, "--json"]).ok()).unwrap();
        let of = |what: &str| {
            out["rows"].as_array().unwrap().iter().find(|row| row["what"] == what).unwrap()["values"].clone()
        };
        assert_eq!(
            (of("params.rate"), of("metrics.loss")),
            (json!(["0.1", "0.2"]), json!([0.25, "NaN"]))
        );
        assert!(runs(&["compare", &first, &second, "--all"]).ok().contains("params.model"));
        assert_eq!(runs(&["compare", &second, &second]).ok(), "no difference\n");
        runs(&["compare", &first]).failed(2, "2 values required");
    });
}

#[test]
fn runs_are_deleted_restored_and_downloaded() {
    everywhere(|place, [first, second], at| {
        let runs = |words: &[&str]| place.run(&[&["runs"], words, at].concat());
        let (first, second) = (first.to_string(), second.to_string());
        assert_eq!(runs(&["delete", &second]).ok(), format!("deleted {second}\n"));
        assert_eq!(lines(&runs(&["list", "--json"]).ok()).len(), 1);
        assert_eq!(lines(&runs(&["list", "--view", "all", "--json"]).ok()).len(), 2);
        runs(&["show", &second]).ok();
        runs(&["restore", &second]).ok();
        assert_eq!(lines(&runs(&["list", "--json"]).ok()).len(), 2);

        let out = runs(&["download", &first, "--to", "deep/all"]).ok();
        assert!(out.contains("3 files of 8 bytes"), "{out}");
        assert_eq!(place.read("deep/all/model/a/weights"), "w");
        runs(&["download", &first, "model", "--to", "model"]).ok();
        assert_eq!(
            (place.read("model/a/weights"), place.read("model/b")),
            ("w".into(), "bb".into())
        );
        runs(&["download", &first, "model", "--to", "model"]).failed(73, "exists already");
        runs(&["download", &first, "model/b", "--to", "one", "--json"]).ok();
        assert_eq!(place.read("one/b"), "bb");
        runs(&["download", &first, "nothing", "--to", "none"]).failed(66, "nothing");
        runs(&["download", &first, "../b", "--to", "none"]).failed(2, "leaves its folder");
        assert!(!place.path("none").exists());
    });
}

#[test]
fn damaged_bytes_are_refused_and_leave_no_folder() {
    let place = Place::new();
    let [first, _] = record(&place);
    let digest = mlops::Digest::of("hello").to_hex();
    let objects = place.path("artifacts/sha256");
    let mut folders = vec![objects];
    let mut damaged = 0;
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.file_name().unwrap().to_str().unwrap().contains(&digest[4..]) {
                let mut permissions = std::fs::metadata(&path).unwrap().permissions();
                #[expect(clippy::permissions_set_readonly_false, reason = "a test's own file")]
                permissions.set_readonly(false);
                std::fs::set_permissions(&path, permissions).unwrap();
                std::fs::write(path, "jello").unwrap();
                damaged += 1;
            }
        }
    }
    assert_eq!(damaged, 1);
    let download = ["runs", "download", &first.to_string(), "--to", "all"];
    place.run(&download).failed(74, "notes.txt");
    assert!(!place.path("all").exists());
    // A server that a record is asked of must be there.
    place.run(&["runs", "list", "--tracking-uri", "http://127.0.0.1:9"]).failed(69, "127.0.0.1:9");
    let both = ["--tracking-uri", "http://127.0.0.1:9", "--artifacts-destination", "a"];
    place.run(&[&["runs", "list"], &both[..]].concat()).failed(65, "--artifacts-destination");
}
