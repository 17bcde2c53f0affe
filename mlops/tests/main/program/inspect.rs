//! `mlops models inspect`.

use super::{Place, onnx};
use serde_json::Value;

#[test]
fn a_model_that_loads_says_what_it_takes_and_gives() {
    let place = Place::new();
    let file = onnx("logistic");
    let out = place.run(&["models", "inspect", file.to_str().unwrap()]).ok();
    let next = format!("next    mlops serve --model {}\n", file.display());
    for says in [
        "format  ONNX\n",
        "loads   yes, with the engine tabular\n",
        "takes   features: float32[-1, 30]\n",
        "gives   probabilities: float32[-1, 2]\n",
        next.as_str(),
    ] {
        assert!(out.contains(says), "{out}");
    }
    place.package("mlp", "folder");
    let out = place.run(&["models", "inspect", "folder", "--json"]).ok();
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&said["format"], &said["loads"]), (&"MLmodel folder".into(), &true.into()));
    assert_eq!(said["inputs"][0]["shape"], serde_json::json!([-1, 30]));
}

#[test]
fn a_model_that_does_not_load_says_why_and_what_to_do() {
    let place = Place::new();
    for (file, bytes, format, next) in [
        ("a b.pkl", "\u{80}\u{4}", "Python pickle", "pickle.load"),
        ("m.joblib", "", "Python pickle of joblib", "joblib.load"),
        ("m.skops", "", "scikit-learn, skops", "skops.io"),
        ("m.pt", "", "PyTorch", "weights_only=True"),
        ("m.keras", "", "Keras 3", "format=\"onnx\""),
        ("m.safetensors", "", "safetensors", "candle"),
        ("pytorch_model.bin", "PK\u{3}\u{4}", "PyTorch", "weights_only=True"),
        ("m", "CBM1....", "CatBoost, binary", "catboost"),
        ("m.model", "binf....", "XGBoost, old binary", "xgboost"),
        ("m.onnx", "no protocol buffer", "ONNX", "mlops models inspect m.onnx"),
    ] {
        place.write(file, bytes);
        let out = place.run(&["models", "inspect", file, "--json"]).ok();
        let said: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((said["format"].as_str(), &said["loads"]), (Some(format), &false.into()));
        let text = said["next"].as_str().unwrap();
        assert!(text.contains(next), "{text}");
        assert!(!said["reason"].as_str().unwrap().is_empty());
    }
    let spaced = place.run(&["models", "inspect", "a b.pkl"]).ok();
    assert!(spaced.contains(" 'a b.pkl' 'a b.onnx'\n"), "{spaced}");
    place.write("notes.md", "# notes");
    place.run(&["models", "inspect", "notes.md"]).failed(69, "no model format");
    place.run(&["models", "inspect", "gone.onnx"]).failed(66, "gone.onnx");
}

/// A convolution, which is not for `tabular`: ONNX Runtime computes it, where it is.
#[cfg(feature = "onnx")]
#[test]
fn the_engine_that_would_load_an_onnx_file_is_named() {
    let place = Place::new();
    let corpus = concat!(env!("CARGO_MANIFEST_DIR"), "/../mlops-serve/tests/data/onnx");
    let file = format!("{corpus}/torch_cnn.onnx");
    let (out, doctor) =
        (place.run(&["models", "inspect", &file]).ok(), place.run(&["doctor"]).ok());
    if doctor.contains("skipped  onnx runtime: the library of ONNX Runtime") {
        println!("skipped: inspect: no library of ONNX Runtime is found");
        for says in
            ["loads   no: engine \"tabular\":", "engine \"onnx\":", "`pip install onnxruntime`"]
        {
            assert!(out.contains(says), "{out}");
        }
        assert!(!out.contains("package/model.onnx"), "{out}");
    } else {
        assert!(out.contains("loads   yes, with the engine onnx\n"), "{out}");
        assert!(out.contains("takes   x: float32[-1, 1, 16, 16]\n"), "{out}");
    }
    let only = |engine: &str| {
        place
            .run(&["doctor", "--model", &file, "--engine", engine])
            .failed(1, "failed   model torch_cnn");
    };
    only("tabular");
    only("levitation");
}
