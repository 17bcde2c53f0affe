//! `mlops drift report`.

use super::{Place, csv, rows};
use serde_json::Value;

#[test]
fn files_beside_files_and_a_log_beside_a_file() {
    let place = Place::new();
    let all = rows("logistic", 1200);
    let (reference, window) = all.split_at(600);
    place.write("reference.csv", &csv(reference));
    let mut moved = window.to_vec();
    for (_, row) in &mut moved {
        row[4] += 1e3;
    }
    place.write("moved.csv", &csv(&moved));
    let out = place
        .run(&["drift", "report", "reference.csv", "moved.csv", "--json", "--html", "page.html"])
        .ok();
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["verdict"], "drifted");
    let column = |name: &str| {
        let mut columns = report["columns"].as_array().unwrap().iter();
        columns.find(|column| column["name"] == name).unwrap().clone()
    };
    assert_eq!(column("c4")["verdict"], "drifted");
    assert!(column("c4")["p"].as_f64().unwrap() < 1e-6);
    assert!(place.read("page.html").contains("<svg"));
    place.run(&["drift", "report", "reference.csv", "moved.csv", "--check"]).failed(1, "drifted");
    place.run(&["drift", "report", "reference.csv", "reference.csv", "--check"]).ok();
    place.run(&["drift", "report", "reference.csv", "absent.csv"]).failed(66, "absent.csv");

    // What was served under the columns' names is compared by them, packed as it came.
    place.package("logistic", "model");
    let server = place.serve(&["--model", "risk=model", "--inference-log", "log"]);
    let asked: Vec<Vec<f32>> = window.iter().map(|(_, row)| row.clone()).collect();
    server.infer("risk", &asked);
    assert_eq!(server.end().code(), Some(0));
    let out = place.run(&["drift", "report", "reference.csv", "log", "--json", "report.json"]).ok();
    assert!(out.starts_with("600 rows"), "{out}");
    let report: Value = serde_json::from_str(&place.read("report.json")).unwrap();
    assert_eq!(report["columns"].as_array().unwrap().len(), super::WIDTH);
}
