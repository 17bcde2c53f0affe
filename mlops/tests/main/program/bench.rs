//! `mlops bench`: what it prints can be served, and nothing printed is beaten.

use super::{Place, csv, onnx, rows};
use serde_json::Value;
use std::time::Duration;

fn measured(out: &str) -> Vec<Value> {
    let found: Value = serde_json::from_str(out).unwrap();
    found["measured"].as_array().unwrap().clone()
}

fn number(one: &Value, name: &str) -> f64 {
    one[name].as_f64().unwrap()
}

fn flags(one: &Value) -> Vec<&str> {
    one["flags"].as_array().unwrap().iter().map(|flag| flag.as_str().unwrap()).collect()
}

#[test]
fn what_it_recommends_is_served_and_is_beaten_by_nothing() {
    let place = Place::new();
    for model in ["forest", "mlp"] {
        let file = onnx(model);
        let file = file.to_str().unwrap();
        let bench = ["bench", "--json", "--model", file, "--seconds", "0.5", "--callers", "4"];
        let all = measured(&place.run(&[&bench[..], &["--engine", "tabular"]].concat()).ok());
        let best: Vec<&Value> = all.iter().filter(|one| one["pareto"] == true).collect();
        assert!(!best.is_empty() && best.len() <= all.len(), "{all:?}");
        for one in &best {
            let (rows, late) = (number(one, "rows_per_second"), number(one, "latency_ms_p99"));
            assert!(rows > 0.0 && late > 0.0, "{one}");
            assert!(number(one, "latency_ms_p50") <= late, "{one}");
            let beats = |other: &Value| {
                number(other, "rows_per_second") > rows && number(other, "latency_ms_p99") < late
            };
            assert!(!all.iter().any(beats), "{one} of {all:?}");
        }
        // All, not the best alone: which those are is the machine's mood.
        for one in &all {
            let named = format!("m={file}");
            let arguments = [&["--model", &named][..], &flags(one)].concat();
            let serving = place.serve(&arguments);
            assert_eq!(serving.get("/v2/health/ready").0, 200, "{one}");
        }
    }
}

#[test]
fn it_asks_about_the_rows_of_a_file() {
    let place = Place::new();
    place.package("logistic", "model");
    place.write("rows.csv", &csv(&rows("logistic", 30)));
    let arguments = ["bench", "--model", "model", "--input", "rows.csv", "--engine", "tabular"];
    let more = ["--seconds", "0.3", "--request-rows", "7", "--callers", "2"];
    let out = place.run(&[&arguments[..], &more].concat()).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert!(lines[0].contains("rows/s") && lines[0].contains("p99 ms"), "{out}");
    assert!(lines[1].contains("--engine tabular --threads "), "{out}");
}

#[test]
fn mistakes_are_named() {
    let place = Place::new();
    let model = onnx("logistic");
    let bench = ["bench", "--model", model.to_str().unwrap()];
    let with = |more: &[&str]| place.run(&[&bench[..], more].concat());
    with(&["--seconds", "0"]).failed(65, "--seconds");
    with(&["--seconds", "nan"]).failed(65, "--seconds");
    with(&["--engine", "abacus"]).failed(65, "no engine \"abacus\"");
    with(&["--callers", "0"]).failed(2, "--callers");
    place.write("empty.csv", "c0\n");
    with(&["--input", "empty.csv"]).failed(65, "features");
    place.run(&["bench", "--model", "absent.onnx"]).failed(66, "absent.onnx");
}

#[cfg(unix)]
#[test]
fn an_interruption_prints_what_was_measured_until_then() {
    use std::process::{Command, Stdio};
    let place = Place::new();
    let model = onnx("logistic");
    let arguments = ["bench", "--json", "--model", model.to_str().unwrap(), "--seconds", "600"];
    // A turn takes two seconds. Where loading took too long for one, there is twice the time.
    for seconds in [3, 6, 12, 24, 48] {
        let mut command = place.command(&[&arguments[..], &["--engine", "tabular"]].concat());
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        std::thread::sleep(Duration::from_secs(seconds));
        let pid = child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        let output = child.wait_with_output().unwrap();
        let err = String::from_utf8_lossy(&output.stderr);
        assert!(!err.contains("panicked"), "{err}");
        // Before it listens for signals one ends it without a word.
        if err.contains("nothing was measured") || output.status.code().is_none() {
            continue;
        }
        assert!(err.contains("interrupted"), "{err}");
        assert_eq!(output.status.code(), Some(0), "{err}");
        assert!(!measured(&String::from_utf8_lossy(&output.stdout)).is_empty());
        return;
    }
    panic!("no turn was measured in 48 seconds");
}
