//! `mlops serve`.

use super::{Place, expected, onnx, rows};
use serde_json::{Value, json};
use std::io::{Read, Write};

#[test]
fn a_bare_file_is_served_and_the_server_ends_when_asked() {
    let place = Place::new();
    let model = format!("risk={}", onnx("lightgbm").display());
    let server = place.serve(&["--model", &model, "--max-batch-rows", "64"]);
    assert_eq!(server.get("/v2/health/ready").0, 200);
    let rows = rows("lightgbm", 20);
    let features: Vec<Vec<f32>> = rows.iter().map(|(_, row)| row.clone()).collect();
    let (answer, _) = server.infer("risk", &features);
    for (at, (row, _)) in rows.iter().enumerate() {
        assert_eq!(answer["outputs"][0]["data"][at], expected("lightgbm", *row).0, "row {row}");
    }
    let table = json!({ "dataframe_split": { "data": features } });
    let (status, scored) = server.post("/invocations", &table);
    assert_eq!((status, scored["predictions"].as_array().unwrap().len()), (200, 20));
    for output in answer["outputs"].as_array().unwrap() {
        let column = scored["predictions"].as_array().unwrap().iter();
        let column: Vec<Value> =
            column.map(|row| row[output["name"].as_str().unwrap()].clone()).collect();
        // Rows of several elements stand in arrays here and flat there.
        let flat = column
            .iter()
            .flat_map(|cell| cell.as_array().cloned().unwrap_or_else(|| vec![cell.clone()]));
        assert_eq!(output["data"], Value::Array(flat.collect()));
    }
    let (status, answer) = server.post("/v2/models/risk/outcomes", &json!({}));
    assert_eq!((status, answer), (501, json!({ "error": "this server keeps no outcomes" })));

    let (status, text) = server.get("/metrics");
    assert_eq!(status, 200);
    assert!(text.contains("mlops_endpoint_answered_total{endpoint=\"risk\"} 2\n"), "{text}");
    assert!(text.contains("mlops_endpoint_rows_total{endpoint=\"risk\"} 40\n"), "{text}");
    assert!(text.contains("mlops_http_panics_total 0\n"), "{text}");
    assert!(text.contains("mlops_batcher_at_once_total{endpoint=\"risk\"} 2\n"), "{text}");
    let none = "mlops_batcher_rows_bucket{endpoint=\"risk\",le=\"+Inf\"} 0\n";
    assert!(text.contains(none), "{text}");
    assert_eq!(server.end().code(), Some(0));
}

/// By either protocol the answers of the server behind, to the bit; and the log has them.
#[test]
fn a_model_of_another_server_is_served() {
    let (behind, place) = (Place::new(), Place::new());
    let model = format!("risk={}", onnx("lightgbm").display());
    let first = behind.serve(&["--model", &model, "--grpc-port", "0"]);
    let rows: Vec<Vec<f32>> = rows("lightgbm", 20).into_iter().map(|(_, row)| row).collect();
    let (expected, _) = first.infer("risk", &rows);
    let http = format!("by-http={}/v2/models/risk", first.url);
    let grpc = format!("by-grpc={}/v2/models/risk", first.grpc.as_deref().unwrap());
    let server = place.serve(&["--model", &http, "--model", &grpc, "--inference-log", "log"]);
    for name in ["by-http", "by-grpc"] {
        let (answer, _) = server.infer(name, &rows);
        assert_eq!(answer["outputs"], expected["outputs"], "{name}");
        assert_eq!(answer["model_name"], name, "the name that was asked");
    }
    assert_eq!(first.end().code(), Some(0));
    assert_eq!(server.get("/v2/health/ready").0, 503, "what it asks is gone");
    assert_eq!(server.end().code(), Some(0));
    place.run(&["serve", "--model", "http://127.0.0.1:1/x"]).failed(2, "/v2/models/NAME");
    let gone = ["serve", "--model", &http, "--port", "0"];
    place.run(&gone).failed(69, "model \"by-http\": remote model \"risk\": no connection");
    let bare = http.trim_start_matches("by-http=");
    place
        .run(&["predict", "--model", bare, "--input", "x.csv", "--output", "y.csv"])
        .failed(69, "has no file here");
}

#[test]
fn several_models_each_under_its_name() {
    let place = Place::new();
    place.package("mlp", "second");
    let first = format!("first={}", onnx("logistic").display());
    let server = place.serve(&["--model", &first, "--model", "second", "--inference-log", "log"]);
    let models: Value = serde_json::from_str(&server.get("/v2/models").1).unwrap();
    assert_eq!(models, json!({ "models": ["first", "second"] }));
    let rows: Vec<Vec<f32>> = rows("logistic", 1).into_iter().map(|(_, row)| row).collect();
    let (_, first) = server.infer("first", &rows);
    let (_, second) = server.infer("second", &rows);
    assert_eq!(server.end().code(), Some(0));
    for (id, model) in [(first, "first"), (second, "second")] {
        let out = place.run(&["why", &id, "--inference-log", "log"]).ok();
        assert!(out.contains(&format!("model      {model} version 1")), "{out}");
        assert!(out.contains("the same to the bit"), "{out}");
    }
}

#[test]
fn with_keys_and_a_rate_only_who_may_is_answered() {
    let place = Place::new();
    place.write("keys", "shop shop-secret-000001\n");
    place.write("bad", "shop short\n");
    let model = format!("risk={}", onnx("logistic").display());
    let refused = ["serve", "--model", &model, "--api-keys", "bad"];
    place.run(&refused).failed(65, "bad: line 1: the key of \"shop\" is not 16");
    place
        .run(&["serve", "--model", &model, "--rate-limit", "0"])
        .failed(65, "--rate-limit: a rate of 0");
    let server = place.serve(&["--model", &model, "--api-keys", "keys", "--rate-limit", "0.01"]);
    assert_eq!(server.get("/v2/health/ready").0, 200);
    assert_eq!(server.get("/metrics").0, 200);
    let (status, text) = server.get("/v2/models/risk");
    assert_eq!((status, text.as_str()), (401, "{\"error\":\"an API key is missing\"}"));
    let agent: ureq::Agent =
        ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let mut statuses = (0..2).map(|_| {
        let request = agent.get(format!("{}/v2/models/risk", server.url));
        request.header("x-api-key", "shop-secret-000001").call().unwrap().status().as_u16()
    });
    assert_eq!((statuses.next(), statuses.next()), (Some(200), Some(429)));
    assert_eq!(server.end().code(), Some(0));
}

/// A request that is being sent while the server is asked to end is answered, not cut off.
#[test]
fn a_request_in_flight_is_answered_before_the_server_ends() {
    let place = Place::new();
    let model = format!("risk={}", onnx("logistic").display());
    let server = place.serve(&["--model", &model]);
    let row = rows("logistic", 1).remove(0).1;
    let body = json!({ "inputs": [{ "name": "features", "shape": [1, 30], "datatype": "FP32", "data": row }]});
    let body = body.to_string();
    let mut stream =
        std::net::TcpStream::connect(server.url.trim_start_matches("http://")).unwrap();
    let head = format!(
        "POST /v2/models/risk/infer HTTP/1.1\r\nHost: x\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(&body.as_bytes()[..20]).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    let ending = std::thread::spawn(move || server.end());
    std::thread::sleep(std::time::Duration::from_millis(300));
    stream.write_all(&body.as_bytes()[20..]).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(ending.join().unwrap().code(), Some(0));
}

#[test]
fn what_cannot_be_served_is_named() {
    let place = Place::new();
    place.write("broken.onnx", "no model");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let model = onnx("logistic");
    let model = model.to_str().unwrap();
    place.run(&["serve", "--model", "broken.onnx", "--port", "0"]).failed(65, "broken.onnx");
    place.run(&["serve", "--model", "absent", "--port", "0"]).failed(66, "absent");
    place.run(&["serve", "--model", model, "--port", &port]).failed(69, &port);
    place
        .run(&["serve", "--model", model, "--model", model, "--port", "0"])
        .failed(73, "two models are named \"logistic\"");
    place.run(&["serve"]).failed(2, "--model");
}
