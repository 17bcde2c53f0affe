//! A model that is watched where it answers: whoever waits hears what moved, by how much, since when.
//!
//! `cargo run --example drift_in_process`

use mlops::arrow::array::{RecordBatch, cast::AsArray, types::Int8Type};
use mlops::predictor::PredictRequest;
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{LocalConfig, LocalPredictor};
use mlops::tensor::{DType, Tensors};
use mlops::watch::{Monitor, MonitorConfig, Profile, ProfileOptions, Severity};
use mlops::{Predictor, signature::TensorSpec};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::{error::Error, fs::File, sync::Arc};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");
const PEOPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_ma.parquet");
const FEATURES: [&str; 16] = [
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR",
    "DEYE", "DREM", "SEX", "RAC1P",
];
/// People of 2015, from whom the model was made.
const ROWS: usize = 68_785;

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<(), Box<dyn Error>> {
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(PEOPLE)?)?;
    let mut years = file.with_batch_size(ROWS).build()?;
    let (then, now) = (years.next().ok_or("no rows")??, years.next().ok_or("one year")??);

    // Made once, at training, and saved with the model: counts in cells, no raw rows.
    let reference = Profile::fit(&[then], &ProfileOptions::default().with_columns(FEATURES))?;
    let session = TabularEngine::new().load_file(MODEL, &LoadOptions::default())?;
    let model = LocalPredictor::open("employment", "1", session, &LocalConfig::default())?;

    // Right as it is: all columns corrected together, nulls and unknown values among them.
    let monitor = Monitor::new(reference, MonitorConfig::default().with_subject("employment"))?;
    let mut alarms = monitor.alarms();
    let mut signature = model.info().signature.clone();
    signature.inputs = vec![TensorSpec::column("features", DType::F32).with_columns(FEATURES)];
    let watched = monitor.wrap_as(Arc::new(model), &signature)?;

    ask(&*watched, &monitor, &signature.inputs, &now, 30_000, |_| true).await?;
    assert!(alarms.try_next().is_none(), "one year is like the other");
    println!("30,000 people of the next year: no alarm");

    let young = |age| (10..25).contains(&age);
    ask(&*watched, &monitor, &signature.inputs, &now, 3_000, young).await?;
    let mut worst = Severity::Info;
    while let Some(alarm) = alarms.try_next() {
        // A host waits here, with `alarms.next().await`: to tell somebody, or to roll back.
        worst = worst.max(alarm.severity());
        println!("{}: {alarm}", alarm.severity());
    }
    assert_eq!(worst, Severity::Critical);
    println!("{:?}", monitor.status());
    Ok(())
}

/// Asks about so many people whose age is wanted, a hundred at a time.
async fn ask(
    model: &dyn Predictor,
    monitor: &Monitor,
    inputs: &[TensorSpec],
    people: &RecordBatch,
    most: usize,
    wanted: impl Fn(i8) -> bool,
) -> Result<(), Box<dyn Error>> {
    let ages = people.column_by_name("AGEP").and_then(|ages| ages.as_primitive_opt::<Int8Type>());
    let ages = ages.ok_or("no ages")?;
    let rows: Vec<usize> = (0..ages.len()).filter(|row| wanted(ages.value(*row))).collect();
    let tensors = Tensors::from_batch(people, inputs)?;
    let features = tensors.require("features")?;
    for rows in rows[..most.min(rows.len())].chunks(100) {
        let request = Tensors::one("features", features.take_rows(rows)?);
        model.predict(PredictRequest::new(request)).await?;
        monitor.look()?; // or once a second on a thread of its own: `monitor.watch(…)`
    }
    Ok(())
}
