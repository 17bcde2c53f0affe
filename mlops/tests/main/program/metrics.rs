//! What `mlops serve` shows of itself: `/metrics`, the dashboard that reads them, traces in the log.

use super::{Place, onnx, rows};
use serde_json::{Value, json};
use std::{collections::BTreeSet, io::Read, path::Path};

/// Names of families that a page in Prometheus' text format declares, a histogram's by its three.
fn declared(page: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, kind) = line.split_once(' ').unwrap();
        let suffixes: &[&str] =
            if kind == "histogram" { &["_bucket", "_sum", "_count"] } else { &[""] };
        names.extend(suffixes.iter().map(|suffix| format!("{name}{suffix}")));
    }
    names
}

/// Names in the queries of a dashboard.
fn asked(dashboard: &Value, names: &mut BTreeSet<String>) {
    match dashboard {
        Value::Object(members) => members.values().for_each(|member| asked(member, names)),
        Value::Array(items) => items.iter().for_each(|item| asked(item, names)),
        Value::String(text) => {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            names.extend(words.filter(|word| word.starts_with("mlops_")).map(str::to_owned));
        }
        _ => {}
    }
}

#[test]
fn every_metric_of_the_dashboard_is_there() {
    let place = Place::new();
    place.package("mlp", "model");
    let flags = ["--model", "risk=model", "--max-batch-rows", "64", "--inference-log", "log"];
    let server = place.serve(&flags);
    let row = rows("mlp", 1).remove(0).1;
    server.infer("risk", &[row.clone(), row]);
    server.post("/v2/models/risk/infer", &json!({ "inputs": [] }));
    let (status, page) = server.get("/metrics");
    assert_eq!(status, 200);
    let (declared, mut asked_for) = (declared(&page), BTreeSet::new());
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlops-serve/grafana/serving.json");
    let dashboard: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    asked(&dashboard, &mut asked_for);
    assert!(asked_for.len() > 15, "{asked_for:?}");
    let missing: Vec<_> = asked_for.difference(&declared).collect();
    assert!(
        missing.is_empty(),
        "the dashboard asks for {missing:?}, and the page has {declared:?}"
    );

    for line in [
        "mlops_endpoint_info{endpoint=\"risk\",model=\"risk\",version=\"1\"} 1\n",
        "mlops_endpoint_version_answered_total{endpoint=\"risk\",version=\"1\"} 1\n",
        "mlops_endpoint_request_seconds_bucket{endpoint=\"risk\",le=\"+Inf\"} 1\n",
        "mlops_endpoint_request_seconds_count{endpoint=\"risk\"} 1\n",
        "mlops_batcher_wait_seconds_count{endpoint=\"risk\"} 0\n",
    ] {
        assert!(page.contains(line), "{line} is not in {page}");
    }
    well_formed(&page);
}

/// Each sample belongs to the family declared last, buckets grow, and none stands there twice.
fn well_formed(page: &str) {
    let (mut family, mut seen, mut bucket) = (String::new(), BTreeSet::new(), 0.0);
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# TYPE ") {
            rest.split_once(' ').unwrap().0.clone_into(&mut family);
            continue;
        }
        let Some((series, value)) = line.rsplit_once(' ').filter(|_| !line.starts_with('#')) else {
            continue;
        };
        let value: f64 = value.parse().unwrap_or_else(|_| panic!("{line}"));
        assert!(series.starts_with(&family), "{series} is below {family}");
        assert!(seen.insert(series.to_owned()), "{series} stands there twice");
        if series.contains("_bucket{") {
            assert!(value >= bucket, "{line}");
            bucket = value;
        } else {
            bucket = 0.0;
        }
    }
}

/// Whoever traces a request finds what was logged of it.
#[test]
fn a_failed_request_is_logged_with_its_trace() {
    let place = Place::new();
    let model = format!("risk={}", onnx("logistic").display());
    let mut server = place.serve(&["--model", &model]);
    let trace = "4bf92f3577b34da6a3ce929d0e0e4736";
    let url = format!("{}/v2/models/risk/outcomes", server.url);
    let request = server.client.post(url);
    let request = request.header("traceparent", format!("00-{trace}-00f067aa0ba902b7-01"));
    assert_eq!(request.send("{}").unwrap().status(), 501);
    server.child.kill().unwrap();
    let mut log = String::new();
    server.child.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(log.contains("a request failed") && log.contains(trace), "{log}");
}
