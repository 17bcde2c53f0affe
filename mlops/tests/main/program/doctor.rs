//! `mlops doctor`.

use super::{Place, onnx};
use serde_json::Value;

/// Each check's result by its name.
fn results(out: &str) -> std::collections::BTreeMap<String, String> {
    let one = |line: &str| {
        let check: Value = serde_json::from_str(line).unwrap();
        let text = |key: &str| check[key].as_str().unwrap().to_owned();
        (text("check"), text("result"))
    };
    out.lines().map(one).collect()
}

#[test]
fn a_bare_machine_is_well() {
    let place = Place::new();
    let model = onnx("forest");
    let out = place.run(&["doctor", "--json", "--model", model.to_str().unwrap()]).ok();
    let results = results(&out);
    assert_eq!(results["versions"], "ok");
    assert_eq!(results["engines"], "ok");
    assert_eq!(results["record"], "skipped");
    assert_eq!(results["model forest"], "ok");
}

#[test]
fn what_is_broken_is_named() {
    let place = Place::new();
    place.write("mlops.db", "this is no database, though it is long enough to look like one");
    place.write("model.onnx", "no model");
    std::fs::create_dir_all(place.path("cache/risk")).unwrap();
    let digest = place.package("logistic", "package").digest();
    let copy = place.path("cache/risk").join(digest.to_hex());
    std::fs::rename(place.path("package"), &copy).unwrap();
    let arguments = ["doctor", "--json", "--cache-dir", "cache", "--model", "model.onnx"];
    let run = place.run(&[&arguments[..], &["--inference-log", "absent"]].concat());
    assert_eq!(run.code, Some(1), "{}{}", run.out, run.err);
    let first = results(&run.out);
    let failed = |name: &str| first[name] == "failed";
    assert!(failed("record") && failed("model model") && failed("inference log"), "{}", run.out);
    assert_eq!(first["cache"], "ok");

    std::fs::copy(onnx("mlp"), copy.join("model.onnx")).unwrap();
    let run = place.run(&arguments);
    assert_eq!(results(&run.out)["cache"], "failed");
    // A record that is not there is not made by asking about it.
    place.run(&["doctor", "--registry-uri", "sqlite:///new.db"]).failed(1, "new.db");
    assert!(!place.path("new.db").exists());
}
