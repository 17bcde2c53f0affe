//! `--onnx-provider` and `--onnx-cpu-fallback`, where this build has no such provider.

use super::{Place, data};
use mlops::serve::engines::onnx::OnnxEngine;

/// Whether there is a library of ONNX Runtime; without one it says that the test is skipped.
fn has_library(test: &str) -> bool {
    let library = OnnxEngine::library();
    if let Err(error) = &library {
        println!("skipped: {test}: {error}");
    }
    library.is_ok()
}

#[test]
fn a_provider_that_nobody_knows_is_a_mistake_of_the_command_line() {
    let place = Place::new();
    let model = data("../onnx/torch_cnn.onnx");
    let serve = ["serve", "--engine", "onnx", "--port", "0", "--model", model.to_str().unwrap()];
    for provider in ["levitation", "cuda:first"] {
        let run = place.run(&[&serve[..], &["--onnx-provider", provider]].concat());
        run.failed(2, "cuda:0");
    }
    let run = place.run(&[&serve[..], &["--onnx-cpu-fallback"]].concat());
    run.failed(2, "--onnx-provider");
}

#[cfg(not(feature = "cuda"))]
#[test]
fn a_provider_that_is_not_in_this_build_is_named_or_replaced_if_that_is_allowed() {
    if !has_library("a_provider_that_is_not_in_this_build") {
        return;
    }
    let place = Place::new();
    let model = data("../onnx/torch_mlp.onnx");
    let model = model.to_str().unwrap();
    let columns: Vec<String> = (0..30).map(|at| format!("c{at}")).collect();
    let row: Vec<String> = (0..30).map(|at| format!("{}", f64::from(at) / 8.0 - 2.0)).collect();
    let columns = columns.join(",");
    place.write("rows.csv", &format!("{columns}\n{}\n", row.join(",")));

    let engine = ["--engine", "onnx", "--model", model];
    let serve = [&["serve", "--port", "0"][..], &engine].concat();
    let rows = ["--input", "rows.csv", "--columns", &columns];
    let predict = [&["predict"][..], &engine, &rows].concat();
    let provider = ["--onnx-provider", "cuda:0"];
    for command in [&serve, &predict] {
        let run = place.run(&[&command[..], &provider].concat());
        run.failed(69, "provider cuda:0 is not in this build, which lacks the feature `cuda`");
    }
    let on_the_processor = place.run(&predict).ok();
    let fallback = [&provider[..], &["--onnx-cpu-fallback"]].concat();
    let run = place.run(&[&predict[..], &fallback].concat());
    assert!(run.err.contains("without a provider") && run.err.contains("cuda:0"), "{}", run.err);
    assert_eq!(run.ok(), on_the_processor);
    let server = place.serve(&[&engine[..], &fallback].concat());
    assert_eq!(server.get("/v2/health/ready").0, 200);
    assert_eq!(server.end().code(), Some(0));
}
