//! What came of the answers: outcomes that come late, some twice, joined to the inference log; how well
//! each version does in each segment, with intervals, and whether it keeps what it promised.
//!
//! `cargo run --example outcomes`

use mlops::arrow::array::{RecordBatch, cast::AsArray, types::Float32Type};
use mlops::data::Dataset;
use mlops::inference_log::{InferenceLog, InferenceLogConfig, LogReader};
use mlops::inference_log::{Outcome, OutcomeLog, OutcomeValue, columns};
use mlops::predictor::PredictRequest;
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{Endpoint, LocalConfig, LocalPredictor};
use mlops::tensor::{Tensor, Tensors};
use mlops::testing::FnPredictor;
use mlops::watch::performance::{AccuracyRule, Answer, accuracy_change};
use mlops::watch::{LateAccuracy, LateAccuracyConfig};
use mlops::{Clock, Error, Predictor, Result, SystemClock};
use std::{path::Path, sync::Arc};

const TREES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");
const PEOPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_ma.parquet");
const FEATURES: [&str; 16] = [
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR",
    "DEYE", "DREM", "SEX", "RAC1P",
];
const REQUESTS: usize = 4000;

/// What version 1 says: whoever is between 18 and 65 has work.
fn by_age(inputs: &Tensors) -> Result<Tensors> {
    let people = inputs.require("features")?;
    let works = |person: &[f32]| match person[0] {
        18.0..=65.0 => [0.2_f32, 0.8],
        _ => [0.9, 0.1],
    };
    let rows = people.as_slice::<f32>()?.chunks(people.row_len());
    let probabilities = Tensor::from_vec([people.rows(), 2], rows.flat_map(works).collect())?;
    Ok(Tensors::one("probabilities", probabilities))
}

/// Serves both versions to every other caller; whether each has work becomes known later.
async fn serve(folder: &Path) -> Result<()> {
    let trees = TabularEngine::new().load_file(TREES, &LoadOptions::default())?;
    let trees = LocalPredictor::open("employment", "2", trees, &LocalConfig::default())?;
    let mut signature = trees.info().signature.clone();
    signature.outputs.retain(|output| &*output.name == "probabilities");
    let rule = FnPredictor::new("employment", signature, by_age);
    let log = Arc::new(InferenceLog::open(folder, InferenceLogConfig::default())?);
    log.declare(&rule.info(), None)?;
    log.declare(&trees.info(), None)?;
    let rule = Endpoint::from_predictor("employment", rule).with_observer(log.clone());
    let trees = Endpoint::from_predictor("employment", trees).with_observer(log.clone());
    let people =
        Dataset::open(PEOPLE)?.take(&(0..REQUESTS).map(|at| at * 60).collect::<Vec<_>>())?;
    let features = FEATURES.iter().map(|name| people.f64s(name)).collect::<Result<Vec<_>>>()?;
    let truth = people.f64s("employed")?;
    let mut outcomes = Vec::new();
    for row in 0..people.rows() {
        #[expect(clippy::cast_possible_truncation, reason = "small codes")]
        let person = features.iter().map(|column| column[row] as f32).collect();
        let person = Tensors::one("features", Tensor::from_vec([1, FEATURES.len()], person)?);
        let request = PredictRequest::new(person).with_outputs(["probabilities"]);
        let answer = if row % 2 == 0 { &rule } else { &trees }.predict(request).await?;
        let known = OutcomeValue::Number(truth[row]);
        outcomes.push(Outcome::new(answer.prediction, SystemClock.now(), "employed", known));
    }
    log.flush().await?;
    // Of the last third nobody has heard yet; what is sent twice counts once.
    outcomes.truncate(REQUESTS * 2 / 3);
    log.append(&outcomes).await?;
    log.append(&outcomes[..100]).await
}

/// Of each answered record's person, the group whose performance is looked at: yours are where harm would be.
fn segments(records: &RecordBatch) -> Result<Vec<&'static str>> {
    let inputs = records.column_by_name(columns::INPUTS).and_then(|inputs| inputs.as_struct_opt());
    // The one input is a list of features; the first of them is the age.
    let rows = inputs.and_then(|inputs| inputs.column(0).as_fixed_size_list_opt());
    let age = |at: usize| Some(rows?.value(at).as_primitive_opt::<Float32Type>()?.value(0));
    let errors = records.column_by_name(columns::ERROR);
    let is_answered = |at: &usize| errors.is_none_or(|errors| errors.is_null(*at));
    let group = |age: f32| usize::from(age >= 30.0) + usize::from(age >= 60.0);
    let groups = (0..records.num_rows()).filter(is_answered);
    let groups = groups.map(|at| Some(["under 30", "30 to 59", "60 and over"][group(age(at)?)]));
    groups.collect::<Option<_>>().ok_or_else(|| Error::corrupt("the log has no ages"))
}

#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> Result<()> {
    let folder = std::env::temp_dir().join(format!("mlops-outcomes-{}", std::process::id()));
    serve(&folder).await?;

    // Another process, another day: all it needs is the log's folder.
    let mut late = LateAccuracy::new(LateAccuracyConfig::new("employed"));
    let log = LogReader::open(&folder)?;
    for segment in log.segments()? {
        for records in segment?.batches {
            let answers = Answer::of_records(&records, "probabilities", 0.5)?;
            for (answer, group) in answers.into_iter().zip(segments(&records)?) {
                let mut of_group = answer;
                of_group.version = format!("{}, {group}", of_group.version).into();
                late.answer(&of_group)?;
            }
        }
    }
    for outcome in &log.outcomes()?.0 {
        late.outcome(outcome)?;
    }
    for own in late.versions()? {
        let Some((accuracy, interval)) = own.accuracy else { continue };
        let promised =
            accuracy_change((8270, 10_000), (own.right, own.known), &AccuracyRule::default())?;
        println!(
            "{:27} {:4} of {:4} known, right {accuracy:.3} [{:.3}, {:.3}], beside the promised 0.827: {}",
            own.version, own.known, own.answered, interval.low, interval.high, promised.verdict
        );
    }
    println!("{:?}", late.counts());
    std::fs::remove_dir_all(&folder).map_err(|source| Error::io("the example's folder", source))
}
