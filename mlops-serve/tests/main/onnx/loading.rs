//! What is refused when a file is loaded, and what of a call before ONNX Runtime sees it.

use super::{corpus::named, engine, load};
use crate::tabular::{
    proto::{
        declared_output, field, input, model, model_of_versions, node, node_of, number, output,
    },
    run,
};
use mlops_core::{
    ErrorKind,
    artifact::ArtifactPath,
    model::PackageBuilder,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{
    Engine, LoadOptions, Session,
    engines::onnx::{ExecutionProvider, OnnxConfig, OnnxEngine, Optimisation},
};
use serde_json::json;

fn refusal(engine: &OnnxEngine, file: &[u8]) -> (ErrorKind, String) {
    let error = load(engine, file).unwrap_err();
    (error.kind(), error.to_string())
}

fn numbers(rows: usize, width: usize) -> Tensor {
    Tensor::from_vec([rows, width], vec![0.5_f32; rows * width]).unwrap()
}

#[test]
fn what_is_no_model_is_invalid() {
    let Some(engine) = engine("what_is_no_model_is_invalid") else { return };
    let model = std::fs::read(named("torch_mlp").file).unwrap();
    for file in [&[][..], b"no model", &[0xff; 100], &model[..model.len() / 2]] {
        let (kind, message) = refusal(&engine, file);
        assert_eq!(kind, ErrorKind::InvalidInput, "{message}");
    }
}

#[test]
fn what_is_not_known_is_unsupported_and_named() {
    let Some(engine) = engine("what_is_not_known_is_unsupported_and_named") else { return };
    let x = || input("x", 1, &[-1, 2]);
    let unsupported = |file: &[u8], named: &str| {
        let (kind, message) = refusal(&engine, file);
        assert_eq!(kind, ErrorKind::Unsupported, "{message}");
        assert!(message.contains(named), "{message}");
    };
    let strange = node("Levitate", &["x"], &["y"], &[]);
    unsupported(&model(&[x(), strange, output("y")]), "Levitate");
    let foreign = node_of("com.example", "Lift", &["x"], &["y"], &[]);
    let versions = [("", 15), ("com.example", 1)];
    unsupported(&model_of_versions(&[x(), foreign, output("y")], &versions), "Lift");
    let sequence = node("SequenceConstruct", &["x", "x"], &["y"], &[]);
    unsupported(&model(&[x(), sequence, output("y")]), "output \"y\" is no tensor but Sequence");
    let complex = node("Identity", &["x"], &["y"], &[]);
    let complex = model(&[input("x", 14, &[-1]), complex, declared_output("y", 14, &[-1])]);
    unsupported(&complex, "complex64");
    let sum = node("Add", &["a", "b"], &["y"], &[]);
    let ends = [input("a", 1, &[2, 3]), input("b", 1, &[1, 3]), sum, output("y")];
    unsupported(&model(&ends), "input \"a\" has 2 rows and input \"b\" 1");
}

/// A shape that the file does not tell is seen by running it.
#[test]
fn an_output_without_a_declared_shape_has_one() {
    let Some(engine) = engine("an_output_without_a_declared_shape_has_one") else { return };
    let declares_less = |port: Vec<u8>| {
        let reshape =
            node("ReduceSum", &["x"], &["y"], &[crate::tabular::proto::int("keepdims", 1)]);
        let flat = node("Flatten", &["x"], &["f"], &[]);
        model(&[input("x", 1, &[-1, 2, 3]), flat, reshape, declared_output("f", 1, &[-1, 6]), port])
    };
    let untold = field(12, [field(1, "y"), field(2, field(1, number(1, 1)))].concat());
    let session = load(&engine, &declares_less(untold)).unwrap();
    let shown: Vec<String> =
        session.info().signature.outputs.iter().map(ToString::to_string).collect();
    assert_eq!(shown, ["f: float32[-1, 6]", "y: float32[1, 1, 1]"]);
}

#[test]
fn a_mistake_is_named_before_onnx_runtime_sees_it() {
    let Some(engine) = engine("a_mistake_is_named_before_onnx_runtime_sees_it") else { return };
    let session = engine.load_file(named("torch_mlp").file, &LoadOptions::default()).unwrap();
    let why = |inputs: Tensors| {
        let error = run(&*session, &inputs).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        error.to_string()
    };
    assert_eq!(why(Tensors::new()), "input \"x\" is missing");
    assert_eq!(why(Tensors::one("z", numbers(1, 30))), "the model has no input \"z\"");
    let short = Tensors::one("x", numbers(2, 29));
    assert_eq!(why(short), "tensor \"x\" has shape [2, 29], not [-1, 30]");
    let wrong = Tensor::from_vec([1, 30], vec![0_i64; 30]).unwrap();
    assert_eq!(why(Tensors::one("x", wrong)), "tensor \"x\" has type int64, not float32");
    let nulls = numbers(1, 30).with_nulls(Some(vec![false; 30].into())).unwrap();
    assert_eq!(why(Tensors::one("x", nulls)), "tensor \"x\" holds nulls, which it may not");

    let small = LoadOptions::default().with_max_working_bytes(1000);
    let session = engine.load_file(named("torch_mlp").file, &small).unwrap();
    let error = run(&*session, &Tensors::one("x", numbers(9, 30))).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge, "{error}");
}

#[test]
fn a_file_is_looked_at_before_it_is_read() {
    let Some(engine) = engine("a_file_is_looked_at_before_it_is_read") else { return };
    let options = LoadOptions::default().with_max_model_bytes(1000);
    let error = engine.load_file(named("torch_mlp").file, &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    let error = engine.load_file("no.onnx", &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}

#[test]
fn a_package_names_the_columns() {
    let Some(engine) = engine("a_package_names_the_columns") else { return };
    let folder = tempfile::tempdir().unwrap();
    let columns = (0..30).map(|at| TensorSpec::column(format!("feature {at}"), DType::F32));
    let described = ModelSignature::new(columns.collect(), vec![]).unwrap();
    let package = PackageBuilder::new()
        .with_flavor("onnx", json!({"data": "mlp.onnx"}))
        .unwrap()
        .with_signature(&described)
        .with_file("mlp.onnx", std::fs::read(named("torch_mlp").file).unwrap())
        .unwrap()
        .write(folder.path().join("mlp"))
        .unwrap();
    assert!(engine.recognises(&package));
    let session = engine.load(&package, &LoadOptions::default()).unwrap();
    let info = session.info();
    assert_eq!((info.engine, info.width), ("onnx", Some(1)));
    assert!(info.weights_bytes > 6000, "{}", info.weights_bytes);
    let features: Vec<&str> = info.signature.features().map(AsRef::as_ref).collect();
    assert_eq!((features.len(), features[29]), (30, "feature 29"));
}

#[test]
fn a_provider_that_is_not_there_is_named_or_done_without() {
    let Some(engine) = engine("a_provider_that_is_not_there_is_named_or_done_without") else {
        return;
    };
    let config = OnnxConfig::default()
        .with_providers([ExecutionProvider::Cuda(0)])
        .with_optimisation(Optimisation::Basic);
    let file = std::fs::read(named("torch_mlp").file).unwrap();
    match load(&engine.clone().with_config(config.clone()), &file) {
        Ok(_) => println!("skipped: this machine has CUDA"),
        Err(error) => {
            assert!(error.to_string().contains("provider cuda:0"), "{error}");
            assert!(matches!(error.kind(), ErrorKind::Unsupported | ErrorKind::Unavailable));
        }
    }
    let session = load(&engine.with_config(config.with_cpu_fallback(true)), &file).unwrap();
    assert!(run(&session, &Tensors::one("x", numbers(2, 30))).is_ok());
}

/// `y` is `x` plus what lies in this file.
fn keeps_weights_in(location: &str) -> Vec<u8> {
    let entry = [field(1, "location"), field(2, location)].concat();
    let weights = [number(1, 2), number(2, 1), field(8, "w"), field(13, entry), number(14, 1)];
    let sum = node("Add", &["x", "w"], &["y"], &[]);
    let ends = [input("x", 1, &[-1, 2]), declared_output("y", 1, &[-1, 2])].concat();
    model(&[field(5, weights.concat()), sum, ends])
}

#[test]
fn weights_in_another_file_travel_with_the_model() {
    let Some(engine) = engine("weights_in_another_file_travel_with_the_model") else { return };
    let folder = tempfile::tempdir().unwrap();
    let weights: Vec<u8> = [10.0_f32, 20.0].into_iter().flat_map(f32::to_le_bytes).collect();
    let (file, options) = (folder.path().join("m.onnx"), LoadOptions::default());
    std::fs::write(&file, keeps_weights_in("w.bin")).unwrap();
    let missing = engine.load_file(&file, &options).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound, "{missing}");
    std::fs::write(folder.path().join("w.bin"), &weights).unwrap();

    let beside = OnnxEngine::files_beside(&file).unwrap();
    assert_eq!(beside.iter().map(ArtifactPath::as_str).collect::<Vec<_>>(), ["w.bin"]);
    let package = PackageBuilder::new()
        .with_flavor("onnx", json!({"data": "weights/model.onnx"}))
        .unwrap()
        .with_file("weights/model.onnx", keeps_weights_in("w.bin"))
        .unwrap()
        .with_file("weights/w.bin", weights)
        .unwrap()
        .write(folder.path().join("package"))
        .unwrap();
    let of_file: std::sync::Arc<dyn Session> = engine.load_file(&file, &options).unwrap();
    for session in [of_file, engine.load(&package, &options).unwrap()] {
        let outputs = run(&*session, &Tensors::one("x", numbers(1, 2))).unwrap();
        assert_eq!(outputs.require("y").unwrap().as_slice::<f32>().unwrap(), [10.5, 20.5]);
    }
    let small = LoadOptions::default().with_max_model_bytes(file.metadata().unwrap().len() + 7);
    assert_eq!(engine.load_file(&file, &small).unwrap_err().kind(), ErrorKind::TooLarge);
}

#[test]
fn weights_outside_of_the_folder_are_refused() {
    let Some(engine) = engine("weights_outside_of_the_folder_are_refused") else { return };
    let (kind, message) = refusal(&engine, &keeps_weights_in("w.bin"));
    assert_eq!(kind, ErrorKind::Unsupported, "{message}");
    for outside in ["../w.bin", "/etc/hostname", "a/../../w.bin", "C:w.bin"] {
        let (kind, message) = refusal(&engine, &keeps_weights_in(outside));
        assert_eq!(kind, ErrorKind::InvalidInput, "{message}");
        assert!(message.contains("outside of the model's folder"), "{message}");
    }
}
