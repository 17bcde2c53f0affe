//! A file of any length scored in bounded memory: rows come from Parquet a batch at a time, and the
//! answers of each are written before the next is read.
//!
//! `cargo run --example batch_score [OUTPUT.parquet]`

use mlops::arrow::array::RecordBatch;
use mlops::predictor::PredictRequest;
use mlops::serve::engines::{LoadOptions, tabular::TabularEngine};
use mlops::serve::{LocalConfig, LocalPredictor};
use mlops::signature::TensorSpec;
use mlops::tensor::{DType, Tensors};
use mlops::{Error, Predictor};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::arrow::{ArrowWriter, ProjectionMask};
use std::{env, fs::File, path::PathBuf, time::Instant};

const MODEL: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_lightgbm.onnx");
const PEOPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/data/employment_ma.parquet");
/// Columns of the file, in the order in which the model packs them.
const FEATURES: [&str; 16] = [
    "AGEP", "SCHL", "MAR", "RELP", "DIS", "ESP", "CIT", "MIG", "MIL", "ANC", "NATIVITY", "DEAR",
    "DEYE", "DREM", "SEX", "RAC1P",
];
const LABEL: &str = "employed";
/// All that is in memory of either file.
const ROWS: usize = 8192;

#[expect(clippy::print_stdout, reason = "an example shows what it does")]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let session = TabularEngine::new().load_file(MODEL, &LoadOptions::default())?;
    let model = LocalPredictor::open("employment", "1", session, &LocalConfig::default())?;

    // Columns that nobody asks for are not even read.
    let file = ParquetRecordBatchReaderBuilder::try_new(File::open(PEOPLE)?)?;
    let wanted = FEATURES.into_iter().chain([LABEL]);
    let wanted = ProjectionMask::columns(file.parquet_schema(), wanted);
    let batches = file.with_projection(wanted).with_batch_size(ROWS).build()?;

    let began = Instant::now();
    let (mut writer, mut rows, mut right) = (None, 0, 0);
    let output = env::args_os().nth(1).map(PathBuf::from);
    let output = output.unwrap_or_else(|| env::temp_dir().join("mlops-batch-score.parquet"));
    for people in batches {
        let (answers, agree) = score(&model, &people?)?;
        (rows, right) = (rows + answers.num_rows(), right + agree);
        let mut open = match writer.take() {
            Some(open) => open,
            None => ArrowWriter::try_new(File::create(&output)?, answers.schema(), None)?,
        };
        open.write(&answers)?;
        open.flush()?;
        writer = Some(open);
    }
    writer.map(ArrowWriter::close).transpose()?;
    println!("{rows} rows in {:.1?}, {ROWS} at a time: {}", began.elapsed(), output.display());
    println!("right about {right} of them");
    Ok(())
}

/// What the model says of these people, and about how many it is right. Computed on this thread.
fn score(model: &LocalPredictor, people: &RecordBatch) -> Result<(RecordBatch, usize), Error> {
    let info = model.info();
    let packed = info.signature.inputs.iter().map(|spec| spec.clone().with_columns(FEATURES));
    let inputs = Tensors::from_batch(people, &packed.collect::<Vec<_>>())?;
    let outputs = model.predict_now(&PredictRequest::new(inputs))?.outputs;

    let truth = Tensors::from_batch(people, &[TensorSpec::column(LABEL, DType::Bool)])?;
    let truth = truth.require(LABEL)?.as_bytes().unwrap_or_default();
    let said = outputs.require("label")?.as_slice::<i64>()?;
    let agree = said.iter().zip(truth).filter(|(said, is)| **said == i64::from(**is)).count();
    Ok((outputs.to_batch(&info.signature.outputs)?, agree))
}
