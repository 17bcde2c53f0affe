//! Small files that ask for a lot.

use super::proto::{
    declared_output, field, graph, initializer, input, int, ints, model, node, node_of, output,
};

/// Each with what it is.
pub(crate) fn bombs() -> Vec<(&'static str, Vec<u8>)> {
    [of_length(), of_number(), of_scans(), of_categories()].concat()
}

fn x() -> Vec<u8> {
    input("x", 1, &[-1, 4])
}

fn y() -> Vec<u8> {
    output("y")
}

/// Whole numbers as a stored vector.
fn numbers(name: &str, values: &[i64]) -> Vec<u8> {
    let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    initializer(name, 7, &[i64::try_from(values.len()).unwrap()], &bytes)
}

const LONG: i64 = 1 << 62;

/// Axes so long that nobody can walk or fill them.
fn of_length() -> Vec<(&'static str, Vec<u8>)> {
    // Long, and of no memory: the other axis has no length.
    let nothing = || initializer("c", 1, &[LONG, 0], &[]);
    let shaped = |operator: &str, inputs: &[&str], shape: &[i64]| {
        model(&[x(), numbers("s", shape), node(operator, inputs, &["y"], &[]), y()])
    };
    let cut = node("Slice", &["c", "i", "j"], &["y"], &[]);
    let split = node("Split", &["c"], &["y", "z"], &[]);
    let sum = node("ReduceSum", &["c", "i"], &["y"], &[]);
    let same = |name: &str| node("Identity", &[name], &["y"], &[]);
    let wide = [ints("inputdimensions", &[i64::MAX])];
    let vectorizer = node_of("ai.onnx.ml", "FeatureVectorizer", &["x"], &["y"], &wide);
    let from = || numbers("i", &[0]);
    vec![
        ("a cut", model(&[x(), nothing(), from(), numbers("j", &[i64::MAX]), cut, y()])),
        ("a split", model(&[x(), nothing(), split, y()])),
        ("a reduction", model(&[x(), nothing(), numbers("i", &[1]), sum, y()])),
        ("overflow", model(&[x(), initializer("c", 1, &[LONG, LONG], &[]), same("c"), y()])),
        ("a fill", shaped("ConstantOfShape", &["s"], &[1 << 40])),
        ("a fill of nothing", shaped("ConstantOfShape", &["s"], &[LONG, 0, LONG])),
        ("an expansion", shaped("Reshape", &["x", "s"], &[1, -1, 1 << 40])),
        ("a wide vectorizer", model(&[x(), vectorizer, y()])),
        ("a wide input", model(&[input("x", 1, &[-1, LONG]), same("x"), y()])),
    ]
}

/// So many of something that work quadratic in it would not end, or its memory be too much.
fn of_number() -> Vec<(&'static str, Vec<u8>)> {
    const MANY: usize = 60_000;
    let relu = |name: &str| node("Relu", &[name], &["y"], &[]);
    let ones = vec![1_i64; 200_000];
    let reshape = node("Reshape", &["x", "s"], &["y"], &[]);
    let sum = node("ReduceSum", &["x"], &["y"], &[]);
    let cut = node("Slice", &["x", "i", "j", "a"], &["y"], &[]);
    let cuts =
        [("i", 0), ("j", 4), ("a", 1)].map(|(name, value)| numbers(name, &vec![value; MANY]));
    let inputs = (0..MANY).map(|at| input(&format!("x{at}"), 1, &[-1, 1]));
    let outputs = (0..MANY).map(|_| y());
    let nested = (0..MANY).fold(Vec::new(), |inner: Vec<u8>, _| {
        if inner.len() > MANY { inner } else { field(4, field(1, inner)) }
    });
    vec![
        ("doubling", doubling()),
        ("copies", copies()),
        ("axes", model(&[x(), numbers("s", &ones), reshape, y()])),
        ("axes of an input", model(&[input("x", 1, &ones), sum, y()])),
        ("cuts", model(&[x(), cuts.concat(), cut, y()])),
        ("inputs", model(&inputs.chain([relu("x0"), y()]).collect::<Vec<_>>())),
        ("outputs", model(&[x(), relu("x")].into_iter().chain(outputs).collect::<Vec<_>>())),
        ("empty nodes", model(&vec![field(1, []); MANY])),
        ("empty attributes", model(&[field(1, vec![field(5, []); MANY].concat())])),
        ("empty tensors", model(&vec![field(5, []); MANY])),
        ("types", model(&[field(11, [field(1, "x"), field(2, nested)].concat()), y()])),
    ]
}

/// A tensor beside itself, two thousand times.
fn doubling() -> Vec<u8> {
    let name = |at: usize| format!("v{at}");
    let doubled =
        |at: usize| node("Concat", &[&name(at), &name(at)], &[&name(at + 1)], &[int("axis", 1)]);
    let first = node("Identity", &["x"], &["v0"], &[]);
    let nodes: Vec<Vec<u8>> =
        [x(), first].into_iter().chain((0..2_000).map(doubled)).chain([output("v2000")]).collect();
    model(&nodes)
}

/// A wide tensor, copied twenty thousand times.
fn copies() -> Vec<u8> {
    let name = |at: usize| format!("v{at}");
    let copied = |at: usize| node("Neg", &[&name(at)], &[&name(at + 1)], &[]);
    let wide = input("v0", 1, &[-1, 300_000]);
    let nodes = (0..20_000).map(copied);
    model(&[wide].into_iter().chain(nodes).chain([output("v20000")]).collect::<Vec<_>>())
}

/// Bodies that run more often, or do more, than anybody waits for; with outputs declared, so that a trial that
/// goes too far refuses nothing.
fn of_scans() -> Vec<(&'static str, Vec<u8>)> {
    let body = |nodes: &[Vec<u8>]| {
        let ends = [input("s", 1, &[-1, 4]), input("i", 1, &[-1]), output("t"), output("o")];
        graph("body", &[&ends[..2], nodes, &ends[2..]].concat())
    };
    let copy = |from: &str, to: &str| node("Neg", &[from], &[to], &[]);
    let of = |length: i64, start: Vec<u8>, nodes: &[Vec<u8>]| {
        let attributes = [int("num_scan_inputs", 1), body(nodes)];
        let scan = node("Scan", &["a", "c"], &["z", "y"], &attributes);
        let scanned = initializer("c", 1, &[length, 0], &[]);
        model(&[x(), start, scanned, scan, declared_output("y", 1, &[-1, -1])])
    };
    let same = || node("Identity", &["x"], &["a"], &[]);
    let small = [copy("s", "t"), copy("i", "o")];
    let wide = node("Concat", &vec!["x"; 50_000], &["a"], &[int("axis", 1)]);
    let mut long: Vec<Vec<u8>> =
        (0..5_000).map(|at| copy(&format!("v{at}"), &format!("v{}", at + 1))).collect();
    long.extend([copy("s", "v0"), copy("v5000", "t"), copy("i", "o")]);
    let grown = node("Concat", &["s", "s"], &["t"], &[int("axis", 1)]);
    vec![
        ("a scan without end", of(LONG, same(), &small)),
        ("a long scan", of(1 << 17, same(), &small)),
        ("a long scan of a wide state", of(1 << 17, wide, &small)),
        ("a long scan of a long body", of(1 << 17, same(), &long)),
        ("a growing scan", of(1 << 17, same(), &[grown, copy("i", "o")])),
    ]
}

/// CatBoost models whose statistics would be computed or kept once for each that asks for them.
fn of_categories() -> Vec<(&'static str, Vec<u8>)> {
    const MANY: usize = 4_000;
    let model = |kind: &str, classes: usize, targets: usize, keys: usize| {
        let asked = (0..MANY).map(|at| {
            serde_json::json!({
                "identifier": "t", "ctr_type": kind, "borders": [0.5], "prior_numerator": 1,
                "elements": [{ "cat_feature_index": 0, "combination_element": "cat_feature_value" }],
                "prior_denomerator": at, "shift": 0, "scale": 1, "target_border_idx": at % targets,
            })
        });
        let cells = (0..keys).flat_map(|key| {
            let counts = std::iter::repeat_n(serde_json::json!(1), classes);
            std::iter::once(serde_json::json!(key.to_string())).chain(counts)
        });
        let tree = |at: usize| {
            let split =
                serde_json::json!({ "split_type": "OnlineCtr", "split_index": at, "border": 0.5 });
            serde_json::json!({ "leaf_values": [0.0, 1.0], "splits": [split] })
        };
        let model = serde_json::json!({
            "features_info": {
                "categorical_features": [{ "feature_index": 0 }],
                "ctrs": asked.collect::<Vec<_>>(),
            },
            "ctr_data": { "t": { "hash_stride": classes + 1, "hash_map": cells.collect::<Vec<_>>() } },
            "oblivious_trees": (0..MANY).map(tree).collect::<Vec<_>>(),
            "scale_and_bias": [1, [0]],
            "model_info": { "params": { "loss_function": { "type": "RMSE" } } },
        });
        model.to_string().into_bytes()
    };
    vec![
        ("many classes", model("Borders", 4_000, 3_999, 1)),
        ("many buckets", model("Buckets", 4_000, 4_000, 1)),
        ("many keys", model("Counter", 1, 1, 4_000)),
    ]
}
