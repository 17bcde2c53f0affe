//! A folder of Sentence Transformers, as it is.

use super::Place;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

pub(super) fn small() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../mlops-serve/tests/data/encoder/small")
}

/// The Python library's first 20 texts, of which none is longer than a screen.
pub(super) fn texts() -> Vec<String> {
    let path = small().with_file_name("texts.json");
    let mut texts: Vec<String> = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    texts.truncate(20);
    texts
}

#[test]
fn it_is_inspected_and_what_is_served_is_what_is_predicted_to_the_digit() {
    let (place, folder) = (Place::new(), small());
    let folder = folder.to_str().unwrap();
    let found = place.run(&["models", "inspect", folder, "--json"]).ok();
    let found: Value = serde_json::from_str(&found).unwrap();
    assert_eq!(found["format"], "Sentence Transformers folder");
    assert_eq!((&found["loads"], &found["engine"]), (&json!(true), &json!("candle")));
    assert_eq!(found["outputs"][0]["shape"], json!([-1, 32]));

    let rows: String =
        texts().iter().map(|text| json!({ "text": text }).to_string() + "\n").collect();
    place.write("rows.jsonl", &rows);
    let out = place.run(&["predict", "--model", folder, "--input", "rows.jsonl", "--json"]).ok();
    let predicted: Vec<Value> =
        out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let predicted: Vec<&Value> =
        predicted.iter().flat_map(|row| row["embedding"].as_array().unwrap()).collect();
    assert_eq!(predicted.len(), 20 * 32);

    let serving = place.serve(&["--model", &format!("small={folder}")]);
    let text = json!({ "name": "text", "datatype": "BYTES", "shape": [20], "data": texts() });
    let (status, answer) = serving.post("/v2/models/small/infer", &json!({ "inputs": [text] }));
    assert_eq!(status, 200, "{answer}");
    let served = answer["outputs"][0]["data"].as_array().unwrap();
    assert!(served.iter().eq(predicted));
    let records: Vec<Value> = texts().iter().map(|text| json!({ "text": text })).collect();
    let (status, answer) = serving.post("/invocations", &json!({ "dataframe_records": records }));
    assert_eq!(status, 200, "{answer}");
    let rows = answer["predictions"].as_array().unwrap();
    let rows: Vec<&Value> = rows.iter().flat_map(numbers).collect();
    assert!(served.iter().eq(rows), "{answer}");
}

/// A row's numbers, whichever way they are wrapped.
fn numbers(row: &Value) -> Vec<&Value> {
    match row {
        Value::Array(items) => items.iter().flat_map(numbers).collect(),
        Value::Object(fields) => fields.values().flat_map(numbers).collect(),
        number => vec![number],
    }
}

#[test]
fn a_device_that_is_not_there_is_named_or_done_without() {
    let (place, folder) = (Place::new(), small());
    let folder = folder.to_str().unwrap();
    place.write("rows.jsonl", "{\"text\": \"fox\"}\n");
    let predict = ["predict", "--model", folder, "--input", "rows.jsonl"];
    let run = |flags: &[&str]| place.run(&[&predict[..], flags].concat());
    let plain = run(&[]).ok();
    run(&["--candle-device", "cuda:999"]).failed(69, "device cuda:999 ");
    assert_eq!(run(&["--candle-device", "cuda:999", "--candle-cpu-fallback"]).ok(), plain);
    assert_eq!(run(&["--candle-device", "cpu"]).ok(), plain);
    run(&["--candle-device", "gpu"]).failed(2, "there are cpu, cuda:0 and metal:0");
    run(&["--candle-cpu-fallback"]).failed(2, "--candle-device");

    let config = |device: &str| {
        let text = format!("[models.a]\nsource = \"{folder}\"\ncandle_device = \"{device}\"\n");
        place.write("serve.toml", &text);
        ["serve", "--port", "0", "--config", "serve.toml"]
    };
    place.run(&config("metal:999")).failed(69, "device metal:999 ");
    place.run(&config("gpu")).failed(65, "there are cpu, cuda:0 and metal:0");
}

#[test]
fn one_that_is_not_computed_says_why() {
    let place = Place::new();
    std::fs::create_dir(place.path("dense")).unwrap();
    place.write("dense/modules.json", r#"[{"type": "x.Dense", "path": "a"}]"#);
    let found = place.run(&["models", "inspect", "dense"]).ok();
    assert!(found.contains("loads   no") && found.contains("Dense"), "{found}");
    place.run(&["serve", "--model", "dense"]).failed(69, "Dense");
}
