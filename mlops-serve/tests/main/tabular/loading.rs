//! What loads, what is refused, and how the refusal is worded.

use super::{
    Golden, fixture,
    proto::{
        field, floats, initializer, input, int, ints, model, model_of_versions, node, node_of,
        number, output, texts,
    },
    run, why,
};
use mlops_core::{
    ErrorKind,
    model::PackageBuilder,
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use mlops_serve::{
    Engine, LoadOptions,
    engines::tabular::{TabularEngine, TabularSession},
};
use serde_json::json;

fn refusal(file: &[u8]) -> (ErrorKind, String) {
    let error = TabularSession::from_onnx(file).unwrap_err();
    (error.kind(), error.to_string())
}

fn unsupported(file: &[u8], why: &str) {
    assert_eq!(refusal(file), (ErrorKind::Unsupported, why.to_owned()));
}

fn invalid(file: &[u8], why: &str) {
    assert_eq!(refusal(file), (ErrorKind::InvalidInput, why.to_owned()));
}

fn x() -> Vec<u8> {
    input("x", 1, &[-1, 2])
}

fn y() -> Vec<u8> {
    output("y")
}

#[test]
fn what_is_not_supported_is_named_with_its_node() {
    let of = |node| model(&[x(), node, y()]);
    unsupported(
        &of(node("Gelu", &["x"], &["y"], &[])),
        "operator ai.onnx.Gelu (node \"the Gelu\") is not supported",
    );
    unsupported(
        &of(node("Relu", &["x"], &["y"], &[int("slope", 1)])),
        "attribute \"slope\" of operator ai.onnx.Relu (node \"the Relu\") is not supported",
    );
    unsupported(
        &model(&[input("x", 10, &[-1, 2]), node("Relu", &["x"], &["y"], &[]), y()]),
        "input \"x\" has element type float16, which is not supported",
    );
    unsupported(
        &model(&[input("x", 8, &[-1, 2]), node("Exp", &["x"], &["y"], &[]), y()]),
        "operator ai.onnx.Exp (node \"the Exp\"): input 0 of type str, which is not supported",
    );
    unsupported(
        &of(tree("BRANCH_MEMBER", 0)),
        &in_tree("node mode \"BRANCH_MEMBER\", which is not supported"),
    );
}

#[test]
fn versions_that_are_not_known_are_refused() {
    let file = |versions: &[(&str, i64)]| {
        model_of_versions(&[x(), node("Relu", &["x"], &["y"], &[]), y()], versions)
    };
    assert!(TabularSession::from_onnx(&file(&[("", 7)])).is_ok());
    unsupported(
        &file(&[("", 6)]),
        "version 6 of the operators of ai.onnx is not supported, only 7 to 25",
    );
    unsupported(
        &file(&[("", 26)]),
        "version 26 of the operators of ai.onnx is not supported, only 7 to 25",
    );
    unsupported(
        &file(&[("", 15), ("ai.onnx.ml", 6)]),
        "version 6 of the operators of ai.onnx.ml is not supported, only 1 to 5",
    );
    invalid(&file(&[]), "this is no ONNX model: it imports no operators");
    invalid(
        &file(&[("com.example", 1)]),
        "the model does not import the domain of operator ai.onnx.Relu (node \"the Relu\")",
    );
    let own = model_of_versions(
        &[x(), node_of("com.example", "Relu", &["x"], &["y"], &[]), y()],
        &[("", 15), ("com.example", 1)],
    );
    unsupported(&own, "operator com.example.Relu (node \"the Relu\") is not supported");
}

#[test]
fn a_graph_that_contradicts_itself_is_refused() {
    let relu = |from, to| node("Relu", &[from], &[to], &[]);
    invalid(&model(&[x(), relu("z", "y"), y()]), "value \"z\" is used but never made");
    invalid(&model(&[x(), relu("x", "y"), output("q")]), "value \"q\" is used but never made");
    invalid(&model(&[x(), relu("x", "y"), relu("x", "y"), y()]), "value \"y\" is made twice");
    invalid(&model(&[x(), relu("x", "x"), output("x")]), "value \"x\" is made twice");
    invalid(&model(&[x(), x(), relu("x", "y"), y()]), "value \"x\" is given twice");
    invalid(
        &model(&[x(), relu("y", "z"), relu("z", "y"), y()]),
        "operator ai.onnx.Relu (node \"the Relu\") needs what is made from its output",
    );
    invalid(&model(&[x(), relu("x", "y")]), "the graph has no output");
    let outside = field(5, [number(1, 1), number(2, 1), field(8, "c"), number(14, 1)].concat());
    unsupported(
        &model(&[x(), outside, relu("x", "y"), y()]),
        "initializer \"c\" lies in another file",
    );
    invalid(
        &model(&[x(), initializer("c", 1, &[3], &[0; 8]), relu("x", "y"), y()]),
        "initializer \"c\": shape [3] holds 3 elements of type float32, 12 bytes, not 8 bytes",
    );
}

#[test]
fn the_order_of_nodes_in_the_file_does_not_matter() {
    let nodes = [node("Neg", &["a"], &["y"], &[]), node("Relu", &["x"], &["a"], &[])];
    let session = TabularSession::from_onnx(&model(&[x(), nodes.concat(), y()])).unwrap();
    let rows = mlops_core::tensor::Tensor::from_vec([1, 2], vec![-1.0_f32, 2.0]).unwrap();
    let outputs = run(&session, &mlops_core::tensor::Tensors::one("x", rows)).unwrap();
    assert_eq!(outputs.require("y").unwrap().as_slice::<f32>().unwrap(), [-0.0, -2.0]);
}

/// A stump over the first feature whose true branch leads to this node.
fn tree(mode: &str, yes: i64) -> Vec<u8> {
    let attributes = [
        ints("nodes_treeids", &[0, 0, 0]),
        ints("nodes_nodeids", &[0, 1, 2]),
        ints("nodes_featureids", &[0, 0, 0]),
        floats("nodes_values", &[0.5, 0.0, 0.0]),
        texts("nodes_modes", &[mode, "LEAF", "LEAF"]),
        ints("nodes_truenodeids", &[yes, 0, 0]),
        ints("nodes_falsenodeids", &[2, 0, 0]),
        ints("target_treeids", &[0, 0]),
        ints("target_nodeids", &[1, 2]),
        ints("target_ids", &[0, 0]),
        floats("target_weights", &[1.0, 2.0]),
        int("n_targets", 1),
    ];
    node_of("ai.onnx.ml", "TreeEnsembleRegressor", &["x"], &["y"], &attributes)
}

fn in_tree(why: &str) -> String {
    format!("operator ai.onnx.ml.TreeEnsembleRegressor (node \"the TreeEnsembleRegressor\"): {why}")
}

#[test]
fn a_tree_that_leads_nowhere_is_refused() {
    let of = |yes| model(&[x(), tree("BRANCH_LEQ", yes), y()]);
    assert!(TabularSession::from_onnx(&of(1)).is_ok());
    invalid(&of(0), &in_tree("node 0 of tree 0 leads back"));
    invalid(&of(7), &in_tree("node 0 of tree 0 leads to node 7, which is missing"));
}

#[test]
fn a_package_is_recognised_and_names_the_columns() {
    let golden = Golden::named("forest");
    let folder = tempfile::tempdir().unwrap();
    let columns = (0..30).map(|at| TensorSpec::column(format!("feature {at}"), DType::F32));
    let described = ModelSignature::new(columns.collect(), vec![]).unwrap();
    let package = PackageBuilder::new()
        .with_flavor("onnx", json!({"data": "weights/forest.onnx"}))
        .unwrap()
        .with_signature(&described)
        .with_file("weights/forest.onnx", golden.onnx())
        .unwrap()
        .write(folder.path().join("forest"))
        .unwrap();
    let engine = TabularEngine::new();
    assert_eq!(engine.name(), "tabular");
    assert!(engine.recognises(&package));
    let session = engine.load(&package, &LoadOptions::default()).unwrap();
    let info = session.info();
    assert_eq!(info.engine, "tabular");
    assert!(info.weights_bytes > 10_000, "{}", info.weights_bytes);
    let features: Vec<&str> = info.signature.features().map(AsRef::as_ref).collect();
    assert_eq!((features.len(), features[0], features[29]), (30, "feature 0", "feature 29"));
    super::assert_agree(&run(&*session, &golden.inputs()).unwrap(), &golden.expected(), "forest");
}

#[test]
fn a_package_without_a_tabular_model_is_not_recognised() {
    let folder = tempfile::tempdir().unwrap();
    let other = PackageBuilder::new().with_flavor("sklearn", json!({"pickled_model": "m.pkl"}));
    let other = other.unwrap().write(folder.path().join("other")).unwrap();
    let lost = PackageBuilder::new().with_flavor("onnx", json!({"data": "lost.onnx"}));
    let lost = lost.unwrap().write(folder.path().join("lost")).unwrap();
    let engine = TabularEngine::new();
    for package in [other, lost] {
        assert!(!engine.recognises(&package));
        let error = engine.load(&package, &LoadOptions::default()).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().ends_with("holds no tabular model"), "{error}");
    }
}

#[test]
fn a_file_is_looked_at_before_it_is_read() {
    let engine = TabularEngine::new();
    let options = LoadOptions::default().with_max_model_bytes(1000);
    let error = engine.load_file(fixture("forest.onnx"), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().ends_with("the model has 27512 bytes, over 1000"), "{error}");
    let error = engine.load_file(fixture("no.onnx"), &options).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(engine.load_file(fixture("forest.onnx"), &LoadOptions::default()).is_ok());
}

/// The README shows what the table holds, neither more nor less.
#[test]
fn the_readme_lists_every_operator() {
    let readme = include_str!("../../../README.md");
    let row = |domain: &str| {
        let start = format!("| `{domain}` | ");
        let line = readme.lines().find_map(|line| line.strip_prefix(&start)).unwrap();
        line.trim_end_matches('|').trim().to_owned()
    };
    for domain in ["ai.onnx", "ai.onnx.ml"] {
        let own = TabularEngine::operators().filter(|(of, _)| *of == domain);
        let names: Vec<String> = own.map(|(_, name)| format!("`{name}`")).collect();
        assert_eq!(row(domain), names.join(" "), "the README's row of {domain}");
    }
    assert_eq!(
        why(TabularSession::from_onnx(&[])),
        "this is no ONNX model: it imports no operators"
    );
}
