//! One function for each parser of foreign bytes. Whatever the bytes are, it returns: it does not
//! panic, and it does not take for ever. Where something was read, what holds of it is asserted.

mod inference_log;
mod package;
mod requests;
mod seeds;

pub use inference_log::inference_log;
pub use package::{boosted, mlmodel, onnx, safetensors, tokenizer};
pub use requests::{
    grpc_answer, grpc_infer, oip_answer, oip_binary, oip_json, scoring_csv, scoring_json,
};
pub use seeds::seeds;

use mlops_core::drift::DetectorState;
use mlops_core::{
    Digest,
    data::{CsvOptions, Dataset, ParquetOptions},
    search::{Filter, List, Order},
};
use mlops_drift::{Profile, profile::Segments, sequential::ConformalTest};
use mlops_registry::store::segment;

/// A parser of foreign bytes.
pub type Target = fn(&[u8]);

/// All targets, by the names of their programs in `fuzz_targets`.
pub const TARGETS: &[(&str, Target)] = &[
    ("onnx", onnx),
    ("boosted", boosted),
    ("mlmodel", mlmodel),
    ("oip_json", oip_json),
    ("oip_binary", oip_binary),
    ("grpc_infer", grpc_infer),
    ("oip_answer", oip_answer),
    ("grpc_answer", grpc_answer),
    ("scoring_csv", scoring_csv),
    ("scoring_json", scoring_json),
    ("inference_log", inference_log),
    ("artifact_path", artifact_path),
    ("filter", filter),
    ("csv", csv),
    ("parquet", parquet),
    ("profile", profile),
    ("drift_segments", drift_segments),
    ("conformal_state", conformal_state),
    ("safetensors", safetensors),
    ("tokenizer", tokenizer),
    ("metric_segment", metric_segment),
];

/// A path in a URL of MLflow's artifact proxy: what is taken stays below its root, also below a folder
/// of this machine and also if somebody decodes it again.
pub fn artifact_path(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let Ok(path) = mlops_registry::mlflow::server::artifact_path(text) else { return };
    let root = std::path::Path::new("/root/artifacts");
    assert!(path.under(root).starts_with(root), "{path}");
    let mut seen = path.as_str().to_owned();
    for _ in 0..10 {
        assert!(!seen.starts_with('/') && !seen.contains(['\\', '\0']), "{seen:?}");
        assert!(seen.split('/').all(|part| part != ".."), "{seen:?}");
        for (code, sign) in
            [("%2e", "."), ("%2E", "."), ("%2f", "/"), ("%2F", "/"), ("%5c", "\\"), ("%25", "%")]
        {
            seen = seen.replace(code, sign);
        }
    }
}

/// MLflow's filter and order grammar: what is read is printed so that it is read as the same.
pub fn filter(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    for list in [
        List::Runs,
        List::Experiments,
        List::Models,
        List::Versions,
        List::LoggedModels,
        List::Traces,
    ] {
        if let Ok(filter) = Filter::parse(list, text) {
            let printed = filter.to_string();
            assert_eq!(Filter::parse(list, &printed).expect(&printed), filter, "{printed}");
        }
        if let Ok(order) = Order::parse(list, &[text]) {
            let keys: Vec<String> = order.keys().iter().map(ToString::to_string).collect();
            assert_eq!(Order::parse(list, &keys).expect("it printed itself"), order, "{keys:?}");
        }
    }
}

/// CSV: what is read has a digest that survives a way through Parquet.
pub fn csv(bytes: &[u8]) {
    if let Ok(dataset) = Dataset::from_csv("fuzz", bytes, &CsvOptions::new()) {
        round_trip(&dataset);
    }
}

/// Parquet: as [`csv`]; and as a stranger's, of which no more is decoded than is allowed.
pub fn parquet(bytes: &[u8]) {
    let bounded = ParquetOptions::new().with_max_bytes(1 << 20).with_max_columns(100);
    if let Ok(dataset) = Dataset::decode_parquet("fuzz", bytes.to_vec(), &bounded) {
        assert!(dataset.columns().len() <= 100);
        round_trip(&dataset);
    }
    if let Ok(dataset) = Dataset::from_parquet("fuzz", bytes.to_vec()) {
        round_trip(&dataset);
    }
}

fn round_trip(dataset: &Dataset) {
    let written = dataset.to_parquet().expect("a dataset can be written");
    let again = Dataset::from_parquet("fuzz", written).expect("what was written can be read");
    assert_eq!(again.digest(), dataset.digest());
}

/// A drift profile: as bytes, and as a body that has been given its digest.
pub fn profile(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        if let Ok(profile) = Profile::from_bytes(bytes) {
            let written = profile.to_bytes().expect("a profile can be written");
            let again = Profile::from_bytes(&written).expect("what was written can be read");
            assert_eq!(again.to_bytes().ok(), Some(written));
        }
    };
    read(bytes);
    let version = 2_u32.to_le_bytes();
    let digest = Digest::of([version.as_slice(), Digest::of(bytes).as_bytes()].concat());
    let head = [b"mlops-profile\n".as_slice(), &version, digest.as_bytes()];
    read(&[head.concat().as_slice(), bytes].concat());
    let Ok(body) = std::str::from_utf8(bytes) else { return };
    let digest = Digest::of(format!("mlops-profile 1\n{body}"));
    let head = format!(r#"{{"format":"mlops-profile","version":1,"digest":"{digest}""#);
    read(format!(r#"{head},"profile":{body}}}"#).as_bytes());
}

/// Profiles of segments: as bytes, and as a body that has been given its digest.
pub fn drift_segments(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        if let Ok(segments) = Segments::from_bytes(bytes) {
            let written = segments.to_bytes().expect("segments can be written");
            let again = Segments::from_bytes(&written).expect("what was written can be read");
            assert_eq!(again.to_bytes().ok(), Some(written));
            assert_eq!(again.iter().len(), segments.iter().len());
        }
    };
    read(bytes);
    let version = 1_u32.to_le_bytes();
    let digest = Digest::of([version.as_slice(), Digest::of(bytes).as_bytes()].concat());
    let head = [b"mlops-segments\n".as_slice(), &version, digest.as_bytes()];
    read(&[head.concat().as_slice(), bytes].concat());
}

/// The state of a conformal test: one that is read goes on, and its evidence is a number.
pub fn conformal_state(bytes: &[u8]) {
    let state = DetectorState::new("conformal", 1, bytes.to_vec());
    let Ok(mut test) = ConformalTest::restore(&state) else { return };
    let saved = test.state().expect("a state can be written");
    let again = ConformalTest::restore(&saved).expect("what was written can be read");
    assert_eq!(again.state().ok(), Some(saved));
    for row in 0..20 {
        // A cell that is not there is an error, and no more.
        let _ = test.update(row % 5);
    }
    assert!(!test.evidence().value().is_nan());
}

/// Points of a metric: as a segment, and as what stands before its checksum. What is read is in order.
pub fn metric_segment(bytes: &[u8]) {
    let read = |bytes: &[u8]| {
        if let Ok(points) = segment::decode(bytes) {
            assert!(points.is_sorted_by(|left, right| left.order(right).is_lt()));
            let again = segment::decode(&segment::encode(&points)).expect("it was written here");
            assert_eq!(again.len(), points.len());
            assert!(again.iter().zip(&points).all(|(again, point)| again.same(point)));
        }
    };
    read(bytes);
    read(&[bytes, &crc32fast::hash(bytes).to_le_bytes()].concat());
}
