//! `mlops server`.

use super::Place;
use serde_json::{Value, json};

const RECORD: [&str; 2] = ["--backend-store-uri", "sqlite:///record/mlops.db"];

#[test]
fn what_was_written_is_there_after_the_server_ended() {
    let place = Place::new();
    let server = place.start("server", &RECORD);
    assert_eq!(server.get("/health"), (200, "OK".to_owned()));
    let (status, made) =
        server.post("/api/2.0/mlflow/experiments/create", &json!({ "name": "risk" }));
    assert_eq!(status, 200, "{made}");
    let (status, refused) =
        server.post("/api/2.0/mlflow/experiments/create", &json!({ "name": "risk" }));
    assert_eq!((status, &refused["error_code"]), (400, &json!("RESOURCE_ALREADY_EXISTS")));
    let (status, text) = server.get("/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("mlops_http_requests_total 3\n"), "{text}");
    assert!(text.contains("mlops_http_refused_total 1\n"), "{text}");
    assert!(text.contains("mlops_http_panics_total 0\n"), "{text}");
    assert_eq!(server.end().code(), Some(0));

    let server = place.start("server", &RECORD);
    let path = "/api/2.0/mlflow/experiments/get-by-name?experiment_name=risk";
    let (status, text) = server.get(path);
    let found: Value = serde_json::from_str(&text).unwrap();
    assert_eq!((status, &found["experiment"]["experiment_id"]), (200, &made["experiment_id"]));
    assert_eq!(server.end().code(), Some(0));
    assert!(place.path("record/artifacts").is_dir());
}

#[test]
fn artifacts_lie_where_they_are_sent() {
    let place = Place::new();
    let arguments = [&RECORD[..], &["--artifacts-destination", "elsewhere"]].concat();
    let server = place.start("server", &arguments);
    assert_eq!(server.end().code(), Some(0));
    assert!(place.path("elsewhere").is_dir() && !place.path("record/artifacts").exists());
}

#[test]
fn a_record_that_cannot_be_served_is_named() {
    let place = Place::new();
    place.write("broken.db", "this is no database, but longer than nothing");
    let serve = |uri: &str| place.run(&["server", "--port", "0", "--backend-store-uri", uri]);
    serve("sqlite:///broken.db").failed(74, "broken.db");
    serve("mysql://host/db").failed(69, "mysql");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    place.run(&["server", "--port", &port]).failed(69, &port);
    assert!(!place.path("mlops.db").exists());
}
