//! The inference log: what goes in comes out, what is acknowledged stays, outcomes join.

#[path = "inference_log/crash.rs"]
mod crash;
#[path = "inference_log/outcomes.rs"]
mod outcomes;
#[path = "inference_log/records.rs"]
mod records;

use mlops_core::{
    PredictionId, Timestamp,
    inference_log::{InferenceLog, InferenceLogConfig, LogReader},
    predictor::{Observer, PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use std::{future::Future, path::Path, time::Duration};

fn wait<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap().block_on(future)
}

/// One packed input with named columns, one probability.
fn risk(version: &str) -> PredictorInfo {
    let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["age", "income"]);
    let signature = ModelSignature::new(vec![x], vec![TensorSpec::column("p", DType::F32)]);
    PredictorInfo::new("risk", version, signature.unwrap())
}

fn ask(values: &[[f32; 2]]) -> PredictRequest {
    let x = Tensor::from_vec([values.len(), 2], values.concat()).unwrap();
    PredictRequest::new(Tensors::one("x", x))
}

fn answer(id: u128, info: &PredictorInfo, request: &PredictRequest, p: &[f32]) -> PredictResponse {
    let p = Tensors::one("p", Tensor::from_vec([p.len()], p.to_vec()).unwrap());
    PredictResponse::new(PredictionId::from_u128(id), info, request, p)
}

/// Observes a request of one row.
fn observe(log: &InferenceLog, id: u128, info: &PredictorInfo, p: f32) {
    let request = ask(&[[40.0, p]]);
    log.observe(&request, Ok(&answer(id, info, &request, &[p])), Duration::from_millis(3));
}

fn open(folder: &Path) -> InferenceLog {
    InferenceLog::open(folder, InferenceLogConfig::default()).unwrap()
}

/// All records: prediction, row, version.
fn all(folder: &Path) -> Vec<(u128, u32, String)> {
    use arrow_array::{cast::AsArray, types::UInt32Type};
    let mut found = Vec::new();
    for segment in LogReader::open(folder).unwrap().segments().unwrap() {
        for batch in segment.unwrap().batches {
            let column = |name: &str| batch.column_by_name(name).unwrap();
            for at in 0..batch.num_rows() {
                let id = column("prediction").as_fixed_size_binary().value(at);
                let row = column("row").as_primitive::<UInt32Type>().value(at);
                let version = column("version").as_string::<i32>().value(at).to_owned();
                found.push((u128::from_be_bytes(id.try_into().unwrap()), row, version));
            }
        }
    }
    found
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let mut names: Vec<_> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

const DAY: Duration = Duration::from_hours(24);

fn start() -> Timestamp {
    "2018-01-01T00:00:00Z".parse().unwrap()
}
