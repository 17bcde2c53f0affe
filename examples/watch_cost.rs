//! What it costs a call to be watched, and how soon a small shift is told at that.
//!
//! `cargo run --release --example watch_cost`; `scripts/bench drift` ends with it.

use mlops::arrow::array::RecordBatch;
use mlops::predictor::PredictRequest;
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{LocalConfig, LocalPredictor};
use mlops::signature::{ModelSignature, TensorSpec};
use mlops::tensor::{DType, Tensor, Tensors};
use mlops::watch::{Monitor, MonitorConfig, Profile, ProfileOptions};
use mlops::{Predictor, Result};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::time::{Duration, Instant};
use std::{error::Error, fs::File, sync::Arc};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");
const PEOPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_ma.parquet");
const FEATURES: [&str; 16] = [
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR",
    "DEYE", "DREM", "SEX", "RAC1P",
];
/// People of 2015, from whom the model was made.
const ROWS: usize = 68_785;
const REQUESTS: usize = 10_000;
const ROUND: Duration = Duration::from_millis(100);

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "it is what this program is for")]
async fn main() -> std::result::Result<(), Box<dyn Error>> {
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(PEOPLE)?)?;
    let mut years = file.with_batch_size(ROWS).build()?;
    let (then, now) = (years.next().ok_or("no rows")??, years.next().ok_or("one year")??);
    let reference = Profile::fit(&[then], &ProfileOptions::default().with_columns(FEATURES))?;
    let session = TabularEngine::new().load_file(MODEL, &LoadOptions::default())?;
    let model = LocalPredictor::open("employment", "1", session, &LocalConfig::default())?;
    let mut signature = model.info().signature.clone();
    signature.inputs = vec![TensorSpec::column("features", DType::F32).with_columns(FEATURES)];
    let model: Arc<dyn Predictor> = Arc::new(model);

    let config = MonitorConfig::default();
    let monitor = Monitor::new(reference.clone(), config.clone())?;
    let watched = monitor.wrap_as(Arc::clone(&model), &signature)?;
    let requests = requests(&now, &signature, 0.0)?;
    let (mut alone, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..15 {
        alone.push(microseconds(&*model, &requests).await?);
        beside.push(microseconds(&*watched, &requests).await?);
    }
    let (alone, beside) = (median(alone), median(beside));
    let (more, features) = (beside - alone, f64::from(u8::try_from(FEATURES.len())?));
    let (share, each, rate) = (more / beside * 100.0, more * 1e3 / features, config.sampling);
    println!("a call of a row of {features} features: {alone:.2} µs, watched {beside:.2} µs");
    println!("to watch it is {share:.0}% of it, {each:.0} ns a feature; sampling rate {rate}");
    told(reference, &model, &signature, &now).await
}

/// Requests of one person each, of whom every seventh is asked about, so many deviations older.
fn requests(
    people: &RecordBatch,
    signature: &ModelSignature,
    older: f32,
) -> Result<Vec<PredictRequest>> {
    let features = Tensors::from_batch(people, &signature.inputs)?.require("features")?.clone();
    let ages = features.as_slice::<f32>()?.iter().step_by(FEATURES.len());
    let (count, sum) = ages.clone().fold((0.0, 0.0), |(n, sum), age| (n + 1.0, sum + age));
    let squares: f32 = ages.map(|age| (age - sum / count).powi(2)).sum();
    let years = (older * (squares / count).sqrt()).round();
    (0..REQUESTS)
        .map(|at| {
            let row = features.take_rows(&[7 * at % people.num_rows()])?;
            let mut values = row.as_slice::<f32>()?.to_vec();
            values[0] += years;
            let row = Tensor::from_vec([1, FEATURES.len()], values)?;
            Ok(PredictRequest::new(Tensors::one("features", row)))
        })
        .collect()
}

/// How long a call takes, over some time.
async fn microseconds(model: &dyn Predictor, requests: &[PredictRequest]) -> Result<f64> {
    let (began, mut calls) = (Instant::now(), 0.0);
    while began.elapsed() < ROUND {
        for request in &requests[..100] {
            model.predict(request.clone()).await?;
            calls += 1.0;
        }
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / calls)
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values[values.len() / 2]
}

/// After how many requests of people a fifth of a deviation older it is said that age moved.
#[expect(clippy::print_stdout, reason = "it is what this program is for")]
async fn told(
    reference: Profile,
    model: &Arc<dyn Predictor>,
    signature: &ModelSignature,
    people: &RecordBatch,
) -> std::result::Result<(), Box<dyn Error>> {
    let monitor = Monitor::new(reference, MonitorConfig::default())?;
    let watched = monitor.wrap_as(Arc::clone(model), signature)?;
    let mut alarms = monitor.alarms();
    for (at, request) in requests(people, signature, 0.2)?.into_iter().enumerate() {
        watched.predict(request).await?;
        if at % 100 == 99 {
            monitor.look()?;
        }
        if let Some(alarm) = alarms.try_next() {
            println!("people a fifth of a deviation older: after {} requests: {alarm}", at + 1);
            return Ok(());
        }
    }
    Err(format!("{REQUESTS} requests of people a fifth of a deviation older, and no alarm").into())
}
