//! Attributes that contradict each other, and graphs inside of graphs: each is refused with the node's name, and
//! no row makes what loads panic.

use super::{
    proto::{
        declared_output, floats, graph, initializer, input, int, ints, model, model_of_versions,
        node, node_of, output, tensor, texts,
    },
    run, why,
};
use mlops_core::{
    ErrorKind,
    tensor::{Tensor, Tensors},
};
use mlops_serve::engines::tabular::TabularSession;

const ML: &str = "ai.onnx.ml";

/// What is said of a file that does not load.
fn refusal(file: &[u8]) -> (ErrorKind, String) {
    let error = TabularSession::from_onnx(file).unwrap_err();
    (error.kind(), error.to_string())
}

fn assert_refused(file: &[u8], kind: ErrorKind, operator: &str, said: &str) {
    let (given, message) = refusal(file);
    assert_eq!(given, kind, "{message}");
    assert!(message.contains(operator) && message.contains(said), "{message}");
}

/// A graph over two features of each row.
fn over_rows(operator: &str, outputs: &[&str], attributes: &[Vec<u8>]) -> Vec<u8> {
    let ends = outputs.iter().flat_map(|name| output(name)).collect();
    let node = node_of(ML, operator, &["x"], outputs, attributes);
    model_of_versions(&[input("x", 1, &[-1, 2]), node, ends], &[("", 18), (ML, 5)])
}

/// The attributes of a right machine of two classes, one of which is put in another's place.
fn machine(instead: Vec<u8>, of: &str) -> Vec<u8> {
    let right = [
        ("classlabels_ints", ints("classlabels_ints", &[0, 1])),
        ("vectors_per_class", ints("vectors_per_class", &[1, 2])),
        ("support_vectors", floats("support_vectors", &[1.0; 6])),
        ("coefficients", floats("coefficients", &[1.0, -1.0, 0.5])),
        ("rho", floats("rho", &[0.5])),
        ("kernel_params", floats("kernel_params", &[0.5, 0.0, 3.0])),
    ];
    let attributes: Vec<Vec<u8>> = right
        .into_iter()
        .filter(|(name, _)| *name != of)
        .map(|(_, attribute)| attribute)
        .chain([instead])
        .collect();
    over_rows("SVMClassifier", &["label", "scores"], &attributes)
}

#[test]
fn a_machine_whose_attributes_lie_is_refused() {
    assert!(TabularSession::from_onnx(&machine(floats("rho", &[0.5]), "rho")).is_ok());
    let lies = [
        ("rho", floats("rho", &[]), "rho has 0 entries, where 1 belong"),
        ("rho", floats("rho", &[0.5; 9]), "rho has 9 entries, where 1 belong"),
        ("coefficients", floats("coefficients", &[1.0]), "coefficients has 1 entries"),
        ("support_vectors", floats("support_vectors", &[1.0; 5]), "5 support_vectors for 3"),
        ("support_vectors", floats("support_vectors", &[]), "0 support_vectors for 3"),
        ("vectors_per_class", ints("vectors_per_class", &[1, -2]), "vectors_per_class holds -2"),
        (
            "vectors_per_class",
            ints("vectors_per_class", &[i64::MAX, i64::MAX]),
            "coefficients has 3 entries",
        ),
        (
            "vectors_per_class",
            ints("vectors_per_class", &[1 << 40, 2]),
            "coefficients has 3 entries",
        ),
        ("vectors_per_class", ints("vectors_per_class", &[3]), "vectors_per_class has 1 entries"),
        ("kernel_params", floats("kernel_params", &[0.5]), "1 kernel_params, not 3"),
        ("", floats("prob_a", &[1.0]), "prob_b has 0 entries, where 1 belong"),
        ("", floats("prob_b", &[1.0]), "prob_b has 1 entries, where 0 belong"),
    ];
    for (of, instead, said) in lies {
        let file = machine(instead, of);
        assert_refused(&file, ErrorKind::InvalidInput, "SVMClassifier", said);
    }
    let one = machine(ints("classlabels_ints", &[7]), "classlabels_ints");
    assert_refused(&one, ErrorKind::Unsupported, "SVMClassifier", "a classifier of 1 classes");
    let regressor = |supports: i64| {
        let attributes = [
            int("n_supports", supports),
            floats("coefficients", &[1.0; 2]),
            floats("support_vectors", &[1.0; 4]),
            floats("rho", &[0.0]),
        ];
        over_rows("SVMRegressor", &["y"], &attributes)
    };
    assert!(TabularSession::from_onnx(&regressor(2)).is_ok());
    for supports in [-1, 3, 1 << 40, i64::MAX] {
        assert_refused(&regressor(supports), ErrorKind::InvalidInput, "SVMRegressor", "");
    }
}

#[test]
fn rows_that_are_no_numbers_get_an_answer() {
    let session = TabularSession::from_onnx(&machine(floats("rho", &[0.5]), "rho")).unwrap();
    let strange = vec![f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN];
    let rows = Tensor::from_vec([3, 2], strange).unwrap();
    let given = run(&session, &Tensors::one("x", rows)).unwrap();
    assert_eq!(given.require("scores").unwrap().shape(), [3, 2]);
    let narrow = Tensor::from_vec([1, 3], vec![0.0_f32; 3]).unwrap();
    assert!(why(run(&session, &Tensors::one("x", narrow))).contains('3'));
}

/// A stump of the operator that replaces the others, with one attribute in another's place.
fn stump(instead: Vec<u8>, of: &str) -> Vec<u8> {
    let right = [
        ("tree_roots", ints("tree_roots", &[0])),
        ("nodes_featureids", ints("nodes_featureids", &[0])),
        ("nodes_modes", tensor("nodes_modes", 2, &[1], &[0])),
        ("nodes_splits", tensor("nodes_splits", 1, &[1], &0.5_f32.to_le_bytes())),
        ("nodes_truenodeids", ints("nodes_truenodeids", &[0])),
        ("nodes_trueleafs", ints("nodes_trueleafs", &[1])),
        ("nodes_falsenodeids", ints("nodes_falsenodeids", &[1])),
        ("nodes_falseleafs", ints("nodes_falseleafs", &[1])),
        ("leaf_targetids", ints("leaf_targetids", &[0, 0])),
        ("leaf_weights", tensor("leaf_weights", 1, &[2], &[0; 8])),
        ("n_targets", int("n_targets", 1)),
    ];
    let kept = right.into_iter().filter(|(name, _)| *name != of).map(|(_, attribute)| attribute);
    over_rows("TreeEnsemble", &["y"], &kept.chain([instead]).collect::<Vec<_>>())
}

#[test]
fn an_ensemble_whose_attributes_lie_is_refused() {
    assert!(TabularSession::from_onnx(&stump(int("n_targets", 1), "n_targets")).is_ok());
    let lies = [
        ("tree_roots", ints("tree_roots", &[]), "there are no trees"),
        ("tree_roots", ints("tree_roots", &[5]), "tree_roots holds 5"),
        ("tree_roots", ints("tree_roots", &[0, 0]), "node 0 belongs to two trees"),
        ("nodes_featureids", ints("nodes_featureids", &[-1]), "asks for feature -1"),
        ("nodes_modes", tensor("nodes_modes", 2, &[1], &[9]), "node mode 9"),
        ("nodes_modes", tensor("nodes_modes", 2, &[1], &[6]), "too few sets"),
        ("nodes_splits", tensor("nodes_splits", 1, &[0], &[]), "nodes_splits has 0 entries"),
        ("nodes_truenodeids", ints("nodes_truenodeids", &[7]), "leaf 7 is missing"),
        ("nodes_truenodeids", ints("nodes_truenodeids", &[-1]), "nodes_truenodeids holds -1"),
        ("nodes_trueleafs", ints("nodes_trueleafs", &[0]), "leads back"),
        ("leaf_targetids", ints("leaf_targetids", &[0, 1]), "leaf_targetids holds 1 of 1"),
        ("n_targets", int("n_targets", 0), "n_targets is not 1 to 65535"),
    ];
    for (of, instead, said) in lies {
        let file = stump(instead, of);
        assert_refused(&file, ErrorKind::InvalidInput, "TreeEnsemble", said);
    }
    let post = stump(int("post_transform", 1), "");
    assert_refused(&post, ErrorKind::Unsupported, "TreeEnsemble", "post_transform 1");
}

#[test]
fn categories_that_do_not_pair_up_are_refused() {
    let lists = [texts("cats_strings", &["a", "b"]), ints("cats_int64s", &[1])];
    let mapper = node_of(ML, "CategoryMapper", &["x"], &["y"], &lists);
    let file = model(&[input("x", 8, &[-1, 2]), mapper, output("y")]);
    let said = "2 cats_strings, 1 cats_int64s";
    assert_refused(&file, ErrorKind::InvalidInput, "CategoryMapper", said);
}

/// A scan of `c` with this body, whose states are those inputs that are not scanned.
fn scan(body: &[Vec<u8>], attributes: &[Vec<u8>]) -> Vec<u8> {
    let attributes = [&[graph("body", body)], attributes].concat();
    let ends = [input("x", 1, &[-1, 2]), declared_output("y", 1, &[-1, -1])].concat();
    let node = node("Scan", &["x", "c"], &["z", "y"], &attributes);
    model(&[ends, initializer("c", 1, &[2, 1], &[0; 8]), node])
}

#[test]
fn a_scan_that_cannot_run_is_refused() {
    let (given, made) = (
        [input("s", 1, &[-1, 2]), input("i", 1, &[-1])].concat(),
        [output("t"), output("o")].concat(),
    );
    let nodes = [node("Neg", &["s"], &["t"], &[]), node("Neg", &["i"], &["o"], &[])].concat();
    let body = [given.clone(), nodes, made.clone()];
    let one = || int("num_scan_inputs", 1);
    assert!(TabularSession::from_onnx(&scan(&body, &[one()])).is_ok());
    for (attributes, said) in [
        (vec![], "num_scan_inputs"),
        (vec![int("num_scan_inputs", 9)], "num_scan_inputs"),
        (vec![int("num_scan_inputs", -1)], "num_scan_inputs"),
    ] {
        assert_refused(&scan(&body, &attributes), ErrorKind::InvalidInput, "Scan", said);
    }
    let backwards = [one(), ints("scan_input_directions", &[1])];
    assert_refused(&scan(&body, &backwards), ErrorKind::Unsupported, "Scan", "directions");
    let inner = [graph("body", &body), one()];
    let inner = node("Scan", &["s", "i"], &["t", "o"], &inner);
    let nested = [given.clone(), inner, made.clone()];
    assert_refused(&scan(&nested, &[one()]), ErrorKind::Unsupported, "Scan", "inside of a scan");
    // What lies around the body is not seen in it.
    let outer = node("Neg", &["x"], &["t"], &[]);
    let outer = [given, outer, node("Neg", &["i"], &["o"], &[]), made];
    assert_refused(&scan(&outer, &[one()]), ErrorKind::InvalidInput, "Scan", "\"x\" is used");
}
