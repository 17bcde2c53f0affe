//! `mlops why`: every answer has a receipt.

use super::{Place, onnx, rows};
use serde_json::{Value, json};

/// Serves a model, asks about two rows, says what came of one; the prediction's id.
fn asked(place: &Place) -> String {
    let server = place.serve(&["--model", "risk=model", "--inference-log", "log"]);
    let rows: Vec<Vec<f32>> = rows("lightgbm", 2).into_iter().map(|(_, row)| row).collect();
    let data: Vec<f32> = rows.concat();
    let body = json!({
        "id": "request 7",
        "parameters": { "key": "customer 7" },
        "inputs": [{ "name": "features", "shape": [2, 30], "datatype": "FP32", "data": data }],
    });
    let (status, answer) = server.post("/v2/models/risk/infer", &body);
    assert_eq!(status, 200, "{answer}");
    let id = answer["parameters"]["prediction"].as_str().unwrap().to_owned();
    let outcome = json!({ "prediction": id, "row": 1, "time": "2030-01-01T00:00:00Z",
        "name": "label", "value": 1 });
    let (status, answer) = server.post("/v2/models/risk/outcomes", &outcome);
    assert_eq!((status, answer), (200, json!({ "accepted": 1 })));
    assert_eq!(server.end().code(), Some(0));
    id
}

fn why(place: &Place, id: &str, more: &[&str]) -> super::Run {
    place.run(&[&["why", id, "--inference-log", "log"], more].concat())
}

#[test]
fn a_prediction_is_computed_again_to_the_bit() {
    let place = Place::new();
    place.package("lightgbm", "model");
    let id = asked(&place);
    // The copy beside the log is enough: the model's own folder may go.
    std::fs::remove_dir_all(place.path("model")).unwrap();
    let out = why(&place, &id, &["--json"]).ok();
    let rows: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(rows.len(), 2);
    assert_eq!(rows[1]["prediction"], id.as_str());
    assert_eq!((&rows[1]["request"], &rows[1]["key"]), (&json!("request 7"), &json!("customer 7")));
    let c29: f32 = rows[1]["inputs"]["c29"].to_string().parse().unwrap();
    assert_eq!(c29.to_bits(), super::rows("lightgbm", 2)[1].1[29].to_bits());
    assert_eq!(rows[1]["outcomes"][0]["value"], 1.0);
    assert_eq!(rows[0]["outcomes"], json!([]));
    assert!(rows.iter().all(|row| row["replay"]["result"] == "same"), "{out}");

    let text = why(&place, &id, &["--row", "1", "--hide-inputs"]).ok();
    assert!(text.contains("outcome label = 1.0, known 2030-01-01"), "{text}");
    assert!(text.contains("computed again: the same to the bit"), "{text}");
    assert!(!text.contains("c29"), "{text}");
}

#[test]
fn what_differs_is_named_and_the_exit_code_says_so() {
    let place = Place::new();
    let digest = place.package("lightgbm", "model").digest();
    let id = asked(&place);
    place.package("mlp", "other");
    why(&place, &id, &["--model", "other"]).failed(1, "it differs in the model");
    let copy = place.path("log/packages").join(digest.to_hex());
    // A copy that somebody changed is not the model that answered.
    let file = copy.join("model.onnx");
    let honest = std::fs::read(&file).unwrap();
    std::fs::copy(onnx("mlp"), &file).unwrap();
    why(&place, &id, &[]).failed(1, "it differs in the model");
    std::fs::write(&file, honest).unwrap();
    why(&place, &id, &[]).ok();
    std::fs::remove_dir_all(copy).unwrap();
    why(&place, &id, &[]).failed(1, "it cannot be computed again");
    why(&place, &id, &["--model", "model"]).ok();

    let unknown = "0190163d8694739b8f3cd1a1a1a1a1a1";
    why(&place, unknown, &[]).failed(66, unknown);
    why(&place, &id, &["--row", "2"]).failed(66, "row 2");
    place.run(&["why", &id, "--inference-log", "elsewhere"]).failed(66, "elsewhere");
    why(&place, "seven", &[]).failed(2, "32 hexadecimal digits");
}
