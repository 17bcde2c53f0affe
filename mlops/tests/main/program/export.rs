//! `mlops export` and `mlops import --from http://…`: a record goes elsewhere.

use super::{Place, runs::record};
use serde_json::Value;

#[test]
fn a_record_is_exported_for_other_programs() {
    let place = Place::new();
    let [first, _] = record(&place);
    place
        .run(&["export", "--to", "out", "--backend-store-uri", "sqlite:///none.db"])
        .failed(69, "none.db");
    let out = place.run(&["export", "--to", "out"]).ok();
    assert!(out.contains("runs.jsonl: 2 lines") && out.contains("3 artifacts of 8 bytes"), "{out}");
    let run = place.read("out/runs.jsonl");
    let found = run.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    assert!(
        found
            .into_iter()
            .any(|run| run["id"] == first.to_string() && run["params"]["rate"] == "0.1")
    );
    place.run(&["export", "--to", "out"]).failed(73, "not empty");
    let out = place.run(&["export", "--to", "again", "--json"]).ok();
    let note: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(
        (&note["format"], &note["files"]["metrics.jsonl"]["lines"]),
        (&Value::from(1), &Value::from(6))
    );
}

#[test]
fn a_record_is_taken_from_a_running_server() {
    let (there, here) = (Place::new(), Place::new());
    let [first, _] = record(&there);
    let server = there.start("server", &[]);
    let import = ["import", "--from", &server.url];
    let out = here.run(&import).ok();
    assert!(out.contains("1 experiments, 2 runs with 6 points"), "{out}");
    let out = here.run(&import).ok();
    assert!(out.contains("0 runs with 0 points") && out.contains("2 were there already"), "{out}");
    here.run(&["runs", "download", &first.to_string(), "--to", "files"]).ok();
    assert_eq!(here.read("files/notes.txt"), "hello");
    assert_eq!(server.end().code(), Some(0));
    here.run(&["import", "--from", "http://127.0.0.1:9"]).failed(69, "127.0.0.1:9");
    here.run(&["import", "--from", "ftp://ada:secret@host"]).failed(69, "\"ftp\"");
}
