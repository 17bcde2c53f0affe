//! Good bytes for each target: what a fuzzer starts from.

use crate::inference_log::JOURNAL_HEAD;
use mlops_core::{
    PredictionId,
    arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray},
    data::Dataset,
    inference_log::{InferenceLog, InferenceLogConfig, Outcome, OutcomeLog, OutcomeValue},
    predictor::{Observer, PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    time::Timestamp,
};
use mlops_drift::{
    Profile, ProfileOptions,
    profile::Segments,
    sequential::{ConformalConfig, ConformalTest},
};
use mlops_serve::{
    Stop,
    engines::candle::{MlpConfig, TrainOptions, train},
};
use std::{fs, path::Path, sync::Arc, time::Duration};

/// The seeds of a target of this name; none for another name.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "onnx" => files("mlops-serve/tests/data/tabular", "onnx"),
        "boosted" => ["txt", "json", "ubj"]
            .map(|ending| {
                ["boosted", "boosters"]
                    .map(|folder| files(&format!("mlops-serve/tests/data/{folder}"), ending))
                    .concat()
            })
            .concat(),
        "mlmodel" => vec![MLMODEL.into()],
        "grpc_infer" => requests("grpc_requests").into_iter().map(|r| r.0).collect(),
        "oip_answer" => oip_answers(),
        "grpc_answer" => grpc_answers(),
        "oip_json" => {
            requests("requests").into_iter().filter(|r| r.1.is_none()).map(|r| r.0).collect()
        }
        "oip_binary" => requests("requests").into_iter().filter_map(binary).collect(),
        "scoring_json" => scoring(),
        "scoring_csv" => vec![
            b"a,b,c\n1,2.5,-3e2\n,\"4\",inf\n".to_vec(),
            b"\xef\xbb\xbfx,more\r\n\"a, \"\"b\",true\r\n".to_vec(),
        ],
        "inference_log" => log(),
        "artifact_path" => paths(),
        "filter" => filters(),
        "csv" => vec![b"age,name,at\n1,\"a, b\",2018-01-01\n,x,\n-3.5,\"\"\"\",1e9\n".to_vec()],
        "parquet" => parquet(),
        "profile" => profile(),
        "drift_segments" => drift_segments(),
        "conformal_state" => conformal_states(),
        "safetensors" => weights(),
        "tokenizer" => files("mlops-serve/tests/data/encoder/small", "json")
            .into_iter()
            .filter(|json| json.windows(9).any(|part| part == b"WordPiece"))
            .collect(),
        "metric_segment" => segments(),
        _ => Vec::new(),
    }
}

/// Answers of every kind of element, as our own server writes them.
fn answers() -> Vec<PredictResponse> {
    let shape = [2, 2];
    let tensors = [
        Tensor::from_vec(shape, vec![1_f32, f32::NAN, -0.0, f32::INFINITY]),
        Tensor::from_vec(shape, vec![1_f64, 2.5, -3e300, 4.0]),
        Tensor::from_vec(shape, vec![1_i64, -2, i64::MAX, 0]),
        Tensor::from_vec(shape, vec![1_u8, 2, 3, 255]),
        Tensor::from_bools(shape, &[true, false, false, true]),
        Tensor::from_strs(shape, &["", "a", "\u{e9}", "\"\\"]),
        Tensor::from_byte_strings(shape, &[b"\xff".as_slice(), b"", b"a", b"bc"]),
    ];
    let info = PredictorInfo::new("seed", "1", ModelSignature::default());
    let request = PredictRequest::default().with_id("7");
    let answer = |tensor: mlops_core::Result<Tensor>| {
        let outputs = Tensors::one("x", tensor.expect("four elements"));
        PredictResponse::new(PredictionId::from_u128(7), &info, &request, outputs)
    };
    tensors.into_iter().map(answer).collect()
}

fn oip_answers() -> Vec<Vec<u8>> {
    use mlops_serve::http::oip::{OutputForms, encode_response, model_metadata};
    let mut found = Vec::new();
    for answer in answers() {
        for binary in [false, true] {
            let Ok(encoded) = encode_response(&answer, &OutputForms::new(binary)) else { continue };
            let length = encoded.json_bytes.map_or(u16::MAX, |length| length as u16);
            found.push([length.to_le_bytes().as_slice(), &encoded.body].concat());
        }
    }
    found.push(model_metadata("m", &described()));
    found
}

fn grpc_answers() -> Vec<Vec<u8>> {
    let written =
        answers().into_iter().filter_map(|answer| mlops_serve::grpc::encode_response(&answer).ok());
    written.collect()
}

fn described() -> PredictorInfo {
    let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["a", "b"]);
    let text = TensorSpec::column("text", DType::Utf8);
    let signature = ModelSignature::new(vec![x.clone(), text], vec![x]).expect("three names");
    PredictorInfo::new("m", "1", signature)
}

fn scoring() -> Vec<Vec<u8>> {
    let all = [
        r#"{"dataframe_split": {"columns": ["a", "b", 3], "index": [0, 1], "data": [[1, 2, 3], [4, null, 6.5]]}}"#,
        r#"{"dataframe_records": [{"a": 1, "b": 2}, {"b": 3, "c": true}], "params": {"n": 1}}"#,
        r#"{"instances": [[1, 2, 3], [4, 5, 6]]}"#,
        r#"{"instances": [{"x": [1, 2, 3]}, {"x": [4, 5, 6]}]}"#,
        r#"{"inputs": {"x": [["a", "b"], ["c", "\u00e9"]]}}"#,
        r#"{"inputs": [[true, false], [false, null]]}"#,
    ];
    all.iter().map(|text| text.as_bytes().to_vec()).collect()
}

fn paths() -> Vec<Vec<u8>> {
    let all = [
        "1/0123456789abcdef0123456789abcdef/artifacts/model/MLmodel",
        "1/models/m-0123456789abcdef0123456789abcdef/artifacts/data/a b é%.csv",
        "../../etc/passwd",
        "a/%2e%2e/%252e%252e%252fb",
        "a%5c..%5cb%00",
        "./a//b/",
    ];
    all.iter().map(|path| path.as_bytes().to_vec()).collect()
}

const MLMODEL: &str = "artifact_path: model\nflavors:\n  onnx:\n    data: model.onnx\n    \
    onnx_version: 1.20.0\n  python_function:\n    loader_module: mlflow.onnx\nmodel_uuid: \
    0123456789abcdef0123456789abcdef\nsignature:\n  inputs: '[{\"type\": \"tensor\", \
    \"tensor-spec\": {\"dtype\": \"float32\", \"shape\": [-1, 3]}, \"name\": \"x\"}]'\n  \
    outputs: '[{\"type\": \"long\", \"name\": \"label\"}]'\nutc_time_created: '2026-11-21 \
    08:00:00.000000'\n";

/// A folder of the repository.
fn folder(below: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(below)
}

fn files(below: &str, extension: &str) -> Vec<Vec<u8>> {
    let entries = fs::read_dir(folder(below)).expect("a folder of test data");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|own| own == extension));
    paths.sort();
    paths.iter().map(|path| fs::read(path).expect("a file of test data")).collect()
}

fn json(below: &str) -> serde_json::Value {
    let bytes = fs::read(folder(below)).expect("a file of test data");
    serde_json::from_slice(&bytes).expect("test data is JSON")
}

/// What `tritonclient` sends: bodies, each with the length of its JSON if more follows.
fn requests(file: &str) -> Vec<(Vec<u8>, Option<u16>)> {
    let stored = json(&format!("mlops-serve/tests/data/oip/{file}.json"));
    let cases = stored["cases"].as_array().into_iter().flatten();
    let read = |case: &serde_json::Value| {
        let hex = case["body"].as_str()?;
        let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        let body = (0..hex.len()).step_by(2).map(byte).collect::<Option<_>>()?;
        Some((body, case["json_bytes"].as_u64().and_then(|length| length.try_into().ok())))
    };
    cases.filter_map(read).collect()
}

fn binary((body, length): (Vec<u8>, Option<u16>)) -> Option<Vec<u8>> {
    Some([length?.to_le_bytes().as_slice(), &body].concat())
}

fn filters() -> Vec<Vec<u8>> {
    let stored = json("mlops-core/tests/data/search/mlflow.json");
    let texts = stored["filters"].as_array().into_iter().flatten();
    texts.filter_map(|filter| Some(filter["text"].as_str()?.into())).collect()
}

/// Segments, and what stands before their checksums.
fn segments() -> Vec<Vec<u8>> {
    let stored = json("mlops-registry/tests/data/segments_v1.json");
    let hex =
        stored["cases"].as_array().into_iter().flatten().filter_map(|case| case["hex"].as_str());
    let whole = hex.filter_map(|hex| {
        let byte = |at| u8::from_str_radix(hex.get(at..at + 2)?, 16).ok();
        (0..hex.len()).step_by(2).map(byte).collect::<Option<Vec<u8>>>()
    });
    let both = |whole: Vec<u8>| [whole[..whole.len().saturating_sub(4)].to_vec(), whole];
    whole.flat_map(both).collect()
}

fn columns() -> [(&'static str, ArrayRef); 2] {
    let number = |row: u32| (!row.is_multiple_of(7)).then(|| f64::from(row % 13) / 4.0);
    let numbers: ArrayRef = Arc::new((0..64).map(number).collect::<Float64Array>());
    let words = (0..64).map(|row| Some(["a", "é", ""][row % 3]));
    [("number", numbers), ("word", Arc::new(words.collect::<StringArray>()))]
}

fn parquet() -> Vec<Vec<u8>> {
    let own = Dataset::from_columns("seed", columns()).and_then(|rows| rows.to_parquet());
    let foreign = files("mlops-core/tests/data/dataset", "parquet");
    foreign.into_iter().chain(own).collect()
}

/// A profile of each version, and their bodies alone.
fn profile() -> Vec<Vec<u8>> {
    let rows = RecordBatch::try_from_iter(columns()).expect("two columns of one length");
    let profile = Profile::fit(&[rows], &ProfileOptions::default()).expect("a profile");
    let whole = profile.to_bytes().expect("a profile can be written");
    let body = whole["mlops-profile\n".len() + 36..].to_vec();
    let old = files("mlops-drift/tests/data", "json").into_iter();
    let old = old.filter(|bytes| bytes.starts_with(br#"{"format":"mlops-profile""#));
    let mut seeds: Vec<Vec<u8>> = old.collect();
    let bodies = seeds.iter().filter_map(|bytes| {
        let text = std::str::from_utf8(bytes).expect("it is JSON");
        let (_, rest) = text.split_once(r#""profile":"#)?;
        rest.strip_suffix('}').map(|body| body.as_bytes().to_vec())
    });
    let bodies: Vec<_> = bodies.collect();
    seeds.extend(bodies);
    seeds.extend([body, whole]);
    seeds
}

/// Segments with and without rows, and the bodies that their digests are of.
fn drift_segments() -> Vec<Vec<u8>> {
    let place: ArrayRef = Arc::new(StringArray::from(vec!["a", "b", "a", "b", "a"]));
    let x: ArrayRef =
        Arc::new(Float64Array::from(vec![Some(1.0), None, Some(-2.5), Some(7.0), Some(1.0)]));
    let rows = RecordBatch::try_from_iter_with_nullable([("place", place, true), ("x", x, true)]);
    let rows = [rows.expect("two columns")];
    let options = ProfileOptions::default().with_min_value_rows(1).with_max_cells(4);
    let full = Segments::fit(&rows, "place", 1, &options).expect("a place for each row");
    let whole = Profile::fit(&rows, &options).expect("rows");
    let empty = Segments::in_cells_of(&whole, "place", ["a", "b"]);
    let mut seeds = Vec::new();
    for segments in [full, empty] {
        let bytes = segments.to_bytes().expect("segments can be written");
        // The start, a version and a digest come first.
        seeds.push(bytes["mlops-segments\n".len() + 36..].to_vec());
        seeds.push(bytes);
    }
    seeds
}

/// Tests before the first row and after some, with and without strata.
fn conformal_states() -> Vec<Vec<u8>> {
    let config = ConformalConfig::default();
    let test = ConformalTest::open(config.clone(), &[5, 5, 5]).expect("three cells");
    let mut later = test.clone();
    for row in 0..40 {
        later.update(row % 3).expect("a cell that is there");
    }
    let strata = [(1_u32, [3_u64, 4].as_slice()), (7, [9, 1].as_slice())];
    let apart = ConformalTest::open_stratified(config, strata).expect("two strata");
    let state = |test: ConformalTest| test.state().expect("a state can be written").bytes;
    [test, later, apart].map(state).to_vec()
}

/// Weights of the shape that the target reads, and that shape.
fn weights() -> Vec<Vec<u8>> {
    let config = MlpConfig::from_json(crate::package::SHAPE.as_bytes()).expect("a shape");
    let x = Tensor::from_vec([2, 2], vec![0_f32, 1.0, 1.0, 0.0]).expect("two rows");
    let y = Tensor::from_vec([2], vec![0_f32, 1.0]).expect("two rows");
    let options = TrainOptions::new().with_epochs(1).with_threads(1);
    let model = train(&config, &x, &y, &options, &Stop::new()).expect("a trained model");
    vec![model.weights().to_vec(), crate::package::SHAPE.into()]
}

/// Journals and closed segments of records and outcomes, and what a frame of a journal holds.
fn log() -> Vec<Vec<u8>> {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let config = || InferenceLogConfig::default().with_flush_interval(Duration::from_millis(1));
    for _ in 0..2 {
        // Opening it again closes what the first one left open.
        let log = InferenceLog::open(folder.path(), config()).expect("a log");
        observe(&log);
    }
    let mut found = Vec::new();
    for kind in ["records", "outcomes"] {
        for entry in fs::read_dir(folder.path().join(kind)).expect("a folder of the log") {
            let path = entry.expect("an entry").path();
            let bytes = fs::read(&path).expect("a segment");
            if path.extension().is_some_and(|extension| extension == "arrow") {
                found.push([[2].as_slice(), &bytes].concat());
            } else {
                found.push([[1].as_slice(), bytes.get(JOURNAL_HEAD..).unwrap_or(&[])].concat());
                found.push([[0].as_slice(), &bytes].concat());
            }
        }
    }
    found
}

fn observe(log: &InferenceLog) {
    let spec = |name, dtype| TensorSpec::column(name, dtype);
    let inputs = vec![spec("x", DType::F32), spec("word", DType::Utf8)];
    let signature = ModelSignature::new(inputs, vec![spec("y", DType::F64)]).expect("three names");
    let info = PredictorInfo::new("seed", "1", signature);
    let x = Tensor::from_vec([2], vec![1_f32, f32::NAN]).expect("two rows");
    let words = Tensor::from_strs([2], &["a", "é"]).expect("two rows");
    let y = Tensor::from_vec([2], vec![0.5_f64, 2.0]).expect("two rows");
    let inputs = Tensors::one("x", x).with("word", words).expect("two names");
    let request = PredictRequest::new(inputs).with_key("customer 4711");
    let (id, y) = (PredictionId::from_u128(7), Tensors::one("y", y));
    let response = PredictResponse::new(id, &info, &request, y);
    log.declare(&info, None).expect("every input has a column");
    log.observe(&request, Ok(&response), Duration::from_millis(1));
    let time = Timestamp::from_unix_millis(1_514_764_800_000);
    let outcome = Outcome::new(id, time, "paid", OutcomeValue::Number(1.0));
    let wait = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    wait.block_on(async {
        log.append(&[outcome]).await.expect("an outcome is kept");
        log.flush().await.expect("records are kept");
    });
}
