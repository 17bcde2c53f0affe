//! `mlops models inspect`.

use super::{Place, data, onnx};
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

/// Models of boosters by their endings: what is printed next is run as it stands.
#[test]
fn what_is_to_be_done_with_a_booster_can_be_done() {
    let place = Place::new();
    let corpus = data("../boosters");
    for (model, file, format, takes) in [
        ("lightgbm_wide_categories.txt", "m.txt", "LightGBM, text", "float64[-1, 5]"),
        ("lightgbm_wide_categories.txt", "m.lgb", "LightGBM, text", "float64[-1, 5]"),
        ("catboost_missing_low.json", "cat.json", "XGBoost or CatBoost, JSON", "float32[-1, "),
        ("xgboost_logistic.json", "xgb.json", "XGBoost or CatBoost, JSON", "float32[-1, "),
        ("xgboost_poisson.ubj", "a model.ubj", "XGBoost, UBJSON", "float32[-1, "),
    ] {
        std::fs::copy(corpus.join(model), place.path(file)).unwrap();
        let out = place.run(&["models", "inspect", file]).ok();
        for says in [
            format!("format  {format}\n"),
            "loads   yes, with the engine tabular\n".to_owned(),
            format!("takes   features: {takes}"),
        ] {
            assert!(out.contains(&says), "{file}: {out}");
        }
        let next = out.lines().find_map(|line| line.strip_prefix("next    ")).unwrap();
        let source = next.strip_prefix("mlops serve --model ").unwrap();
        let server = place.serve(&["--model", source.trim_matches('\'')]);
        assert_eq!(server.get("/v2/health/ready").0, 200, "{next}");
        assert_eq!(server.end().code(), Some(0));
    }
    // By its ending alone, and by its first bytes under another.
    for (file, bytes) in [("m.cbm", "anything"), ("cat.bin", "CBM1....")] {
        place.write(file, bytes);
        let out = place.run(&["models", "inspect", file, "--json"]).ok();
        let said: Value = serde_json::from_str(&out).unwrap();
        assert_eq!((&said["format"], &said["loads"]), (&"CatBoost, binary".into(), &false.into()));
        let next = said["next"].as_str().unwrap();
        let into = place.path(file).with_extension("json");
        let into = into.file_name().unwrap().to_str().unwrap();
        assert!(next.contains("CatBoost().load_model") && next.ends_with(into), "{next}");
    }
    // An ending that promises what the bytes are not.
    for file in ["m.txt", "m.json", "m.ubj"] {
        place.write(file, "no model");
        let out = place.run(&["models", "inspect", file]).ok();
        assert!(out.contains("loads   no: "), "{out}");
        assert!(out.contains(&format!("`mlops models inspect {file}` again")), "{out}");
    }
}

/// What Python is to do is done by Python, where it has the packages; what it writes is loaded.
#[test]
fn what_python_is_to_do_with_a_file_can_be_done() {
    let fit = "from sklearn.linear_model import LogisticRegression as L; m = L().fit([[0.0], [1.0]], [0, 1])";
    let cat = "from catboost import CatBoost; m = CatBoost({'iterations': 2, 'allow_writing_files': False, 'verbose': False}).fit([[0.0], [1.0]], [0, 1])";
    for (needs, make, file, made) in [
        (
            "sklearn, skl2onnx",
            format!("import pickle; {fit}; pickle.dump(m, open('m.pkl', 'wb'))"),
            "m.pkl",
            "m.onnx",
        ),
        (
            "sklearn, skl2onnx",
            format!("import joblib; {fit}; joblib.dump(m, 'm.joblib')"),
            "m.joblib",
            "m.onnx",
        ),
        ("catboost", format!("{cat}; m.save_model('m.cbm')"), "m.cbm", "m.json"),
    ] {
        let place = Place::new();
        let shell = |line: &str| {
            let mut command = std::process::Command::new("sh");
            command.args(["-c", line]).current_dir(place.path(".")).output().unwrap()
        };
        if !shell(&format!("python -c 'import {needs}'")).status.success() {
            println!("skipped: inspect {file}: no python with {needs}");
            continue;
        }
        place.write("make.py", &make);
        let done = shell("python make.py");
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        let out = place.run(&["models", "inspect", file]).ok();
        let next = out.lines().find_map(|line| line.strip_prefix("next    ")).unwrap();
        let done = shell(next);
        assert!(done.status.success(), "{next}: {}", String::from_utf8_lossy(&done.stderr));
        let out = place.run(&["models", "inspect", made]).ok();
        assert!(out.contains("loads   yes, with the engine tabular\n"), "{out}");
    }
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
