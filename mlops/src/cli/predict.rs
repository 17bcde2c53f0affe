//! `mlops predict`: a file of rows in, the model's outputs out, in the same order.

use super::{
    Answer, Console,
    engines::Engines,
    rows,
    source::{DEFAULT_REGISTRY, Source},
    table::{self, Format},
};
use crate::{
    Error, Predictor, Result, ResultExt,
    arrow::array::RecordBatch,
    predictor::PredictRequest,
    signature::{ModelSignature, TensorSpec},
    tensor::Tensors,
};
use clap::Args;
use mlops_serve::{LocalConfig, LocalPredictor};
use std::path::PathBuf;

/// Score the rows of a file
#[expect(clippy::doc_markdown, reason = "help is printed as it stands")]
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mlops predict --model risk.onnx --input loans.csv --output scores.parquet"
)]
pub(super) struct Predict {
    /// A file of ONNX, LightGBM, XGBoost or CatBoost, a folder of MLmodel or Sentence Transformers, or models:/NAME@ALIAS
    #[arg(long, value_name = "SOURCE")]
    model: Source,
    /// Rows to score: .parquet, .csv or .json, with a column for each feature
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// Where the outputs go, as .parquet, .csv or .json; stdout if absent
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// How outputs are written; the output's ending says it, and CSV is for stdout
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Columns of a packed input that has no named ones, in its order
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Rows computed at a time
    #[arg(long, value_name = "N", default_value_t = 4096)]
    batch_rows: usize,
    /// The record that models:/ names are looked up in
    #[arg(long, value_name = "URI", default_value = DEFAULT_REGISTRY)]
    registry_uri: String,
    #[command(flatten)]
    engines: Engines,
    /// Write an object a line, unless a format is named
    #[arg(long)]
    pub(super) json: bool,
}

impl Predict {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let format = self.format(console)?;
        let scratch = super::scratch()?;
        let opened = self.model.open(Some(&self.registry_uri), scratch.path());
        let opened = super::block_on(opened)?;
        let config =
            LocalConfig::default().with_max_rows(None).with_threads(1).with_warm_up_rows(0);
        let model = opened.predictor(&self.model.own_name(), &self.engines, &config)?;
        let signature = &model.info().signature.clone();
        let specs = rows::specs(signature, &self.columns)?;
        let batches = rows::read(&self.input, &specs).map_err(|error| self.hint(error, &specs))?;
        let scored = self.score(&model, &batches, &specs, signature, console)?;
        let bytes = format.encode(&scored)?;
        match &self.output {
            None => console.write(&bytes)?,
            Some(path) => table::write(path, &bytes)?,
        }
        Ok(Answer::Yes)
    }

    fn format(&self, console: &Console) -> Result<Format> {
        match (self.format, &self.output) {
            (Some(Format::Parquet), None) => {
                Err(Error::invalid("Parquet is not written to stdout: give --output"))
            }
            (Some(format), _) => Ok(format),
            (None, Some(path)) => Format::of(path),
            (None, None) if console.json() => Ok(Format::Json),
            (None, None) => Ok(Format::Csv),
        }
    }

    fn score(
        &self,
        model: &LocalPredictor,
        batches: &[RecordBatch],
        specs: &[TensorSpec],
        signature: &ModelSignature,
        console: &Console,
    ) -> Result<Vec<RecordBatch>> {
        let total: usize = batches.iter().map(RecordBatch::num_rows).sum();
        let (mut scored, mut done) = (Vec::new(), 0);
        for batch in batches {
            let mut at = 0;
            // A file without rows is asked about too: its outputs have names.
            while at < batch.num_rows() || scored.is_empty() {
                let rows = self.batch_rows.clamp(1, (batch.num_rows() - at).max(1));
                let piece = batch.slice(at, rows.min(batch.num_rows() - at));
                let within = || format!("rows {done} to {}", done + piece.num_rows());
                let inputs = Tensors::from_batch(&piece, specs).context(within)?;
                let answer = model.predict_now(&PredictRequest::new(inputs)).context(within)?;
                scored.push(answer.outputs.to_batch(&signature.outputs)?);
                (at, done) = (at + rows, done + piece.num_rows());
                console.progress(format_args!("{done} of {total} rows"));
            }
        }
        Ok(scored)
    }

    /// A packed input's own name is no column of anybody's file.
    fn hint(&self, error: Error, specs: &[TensorSpec]) -> Error {
        let packed = specs.iter().find(|spec| spec.columns.is_empty() && spec.shape.len() == 2);
        match packed {
            Some(spec) if self.columns.is_empty() && error.to_string().contains(&*spec.name) => {
                error.context(format!(
                    "input {:?} packs columns that have no names: name them with --columns",
                    spec.name
                ))
            }
            _ => error,
        }
    }
}
