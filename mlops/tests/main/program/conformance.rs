//! `mlops conformance`, on `mlops serve`.

use super::{Place, onnx};
use serde_json::Value;

#[test]
fn our_server_conforms_and_a_report_says_so() {
    let place = Place::new();
    let model = format!("m={}", onnx("forest").display());
    let server = place.serve(&["--model", &model, "--grpc-port", "0"]);
    let grpc = server.grpc.clone().unwrap();
    let asked = ["conformance", &server.url, "--grpc", &grpc, "--mutations", "50"];
    let out = place.run(&[&asked[..], &["--markdown", "report.md"]].concat()).ok();
    assert!(out.contains("ok       required infer.answers"), "{out}");
    assert!(out.contains("\nrequired: ") && out.trim_end().ends_with(" conforms"), "{out}");
    assert!(place.read("report.md").contains("`mlops`"), "{}", place.read("report.md"));

    let out = place.run(&[&asked[..], &["--only", "health.", "--json"]].concat()).ok();
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["conforms"], true);
    let names =
        report["checks"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap());
    assert!(names.clone().count() > 4 && names.into_iter().all(|name| name.starts_with("health.")));
}

/// A record is no server of the protocol.
#[test]
fn another_server_does_not_conform() {
    let place = Place::new();
    let server = place.start("server", &["--backend-store-uri", "sqlite:///mlops.db"]);
    place.run(&["conformance", &server.url]).failed(65, "describes");
    place.run(&["conformance", "https://127.0.0.1:1"]).failed(69, "https");
    place.run(&["conformance", "no url"]).failed(65, "URL");
}
