//! `mlops why`: the receipt of one prediction, and the prediction computed again.

mod receipt;

use super::{
    Answer, Console, home,
    source::{DEFAULT_REGISTRY, Source},
};
use crate::{
    Error, PredictionId, Registry, Result, VersionId, inference_log::Outcome, model::ModelPackage,
    replay::Replay,
};
use clap::Args;
use mlops_core::inference_log::{LogReader, Record};
use receipt::Receipt;
use std::path::{Path, PathBuf};

/// Where, beside the log, the models lie that answered: each in a folder named after its digest.
pub(super) const PACKAGES: &str = "packages";
/// The most rows of one prediction that are computed at once.
const MOST_ROWS: u32 = 100;

/// Show why a prediction is what it is, and compute it again
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 if the answer is the same to the bit, 1 if it is not or cannot be computed.\n\n\
    Example:\n  mlops why 0190163d8694739b8f3cd1a1a1a1a1a1 --inference-log log"
)]
pub(super) struct Why {
    /// The prediction's id, as the answer carried it
    id: PredictionId,
    /// The folder that `mlops serve` logged into
    #[arg(long, value_name = "DIR")]
    inference_log: PathBuf,
    /// The row of the request, from 0; every row if absent
    #[arg(long)]
    row: Option<u32>,
    /// The model to compute with, if it is neither beside the log nor in the record
    #[arg(long, value_name = "SOURCE")]
    model: Option<Source>,
    /// The record that the model is looked up in if there is no copy beside the log
    #[arg(long, value_name = "URI", default_value = DEFAULT_REGISTRY)]
    registry_uri: String,
    /// Leave out the values that went in
    #[arg(long)]
    hide_inputs: bool,
    /// Write a JSON object a row
    #[arg(long)]
    pub(super) json: bool,
}

impl Why {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let (folder, records) = self.find()?;
        let scratch = super::scratch()?;
        let outcomes = self.outcomes(&folder, &records)?;
        let model = self.model(&folder, &records, scratch.path());
        let mut answer = Answer::Yes;
        for record in &records {
            let replay = match &model {
                Ok(package) => Replay::of(record, package),
                Err(error) => Replay::impossible(error),
            };
            if !replay.is_same() {
                answer = Answer::No;
            }
            let receipt = Receipt::new(record, &outcomes, replay, self.hide_inputs);
            receipt.show(console)?;
        }
        Ok(answer)
    }

    /// The prediction's records, and the log that holds them: the folder's own, or that of one of
    /// several models below it.
    fn find(&self) -> Result<(PathBuf, Vec<Record>)> {
        let logs = logs(&self.inference_log)?;
        for (folder, reader) in &logs {
            let records = self.rows(reader)?;
            if !records.is_empty() {
                return Ok((folder.clone(), records));
            }
        }
        let row = self.row.map(|row| format!(", row {row},")).unwrap_or_default();
        let log = self.inference_log.display();
        Err(Error::not_found(format!("prediction {}{row} is not in the log {log}", self.id)))
    }

    fn rows(&self, reader: &LogReader) -> Result<Vec<Record>> {
        if let Some(row) = self.row {
            return Ok(reader.find(self.id, row)?.into_iter().collect());
        }
        let mut records = Vec::new();
        for row in 0..=MOST_ROWS {
            match reader.find(self.id, row)? {
                Some(record) => records.push(record),
                None => return Ok(records),
            }
        }
        // A verdict on some of the rows would pass for one on all.
        let id = self.id;
        Err(Error::too_large(format!("prediction {id} has over {MOST_ROWS} rows: choose by --row")))
    }

    /// What came of it: by its id, or by the business key that it was asked with.
    fn outcomes(&self, folder: &Path, records: &[Record]) -> Result<Vec<Outcome>> {
        let (mut outcomes, _) = LogReader::open(folder)?.outcomes()?;
        let key = records.first().and_then(|record| record.key.clone());
        outcomes.retain(|outcome| match outcome.prediction {
            Some(prediction) => prediction == self.id,
            None => outcome.key.is_some() && outcome.key == key,
        });
        Ok(outcomes)
    }

    /// The model that answered: the one named, the copy beside the log, or the version of the record.
    fn model(&self, folder: &Path, records: &[Record], scratch: &Path) -> Result<ModelPackage> {
        if let Some(source) = &self.model {
            let opened = super::block_on(source.open(Some(&self.registry_uri), scratch))?;
            return Ok(opened.package);
        }
        let record =
            records.first().ok_or_else(|| Error::internal("no record, and none missed"))?;
        if let Some(digest) = record.digest {
            let copy = folder.join(PACKAGES).join(digest.to_hex());
            if copy.exists() {
                return ModelPackage::open(copy);
            }
        }
        super::block_on(self.fetch(record, scratch)).map_err(|error| {
            let (model, version) = (&record.model, &record.version);
            error.context(format!(
                "model {model:?} version {version} has no copy beside the log, and the record gives none"
            ))
        })
    }

    async fn fetch(&self, record: &Record, scratch: &Path) -> Result<ModelPackage> {
        let number = record.version.parse().map_err(|_| {
            Error::not_found(format!("version {:?} is no number of a record", record.version))
        })?;
        let id = VersionId::new(crate::ModelName::new(record.model.as_ref())?, number);
        let home = home::open(&self.registry_uri).await?;
        home.registry().fetch(&id, &scratch.join("package")).await
    }
}

fn logs(folder: &Path) -> Result<Vec<(PathBuf, LogReader)>> {
    // A folder that held one model's log may hold those of several since.
    let mut logs = Vec::new();
    let absent = match LogReader::open(folder) {
        Ok(reader) => {
            logs.push((folder.to_owned(), reader));
            None
        }
        Err(error) if super::is_absent(&error) => Some(error),
        Err(error) => return Err(error),
    };
    let entries = std::fs::read_dir(folder);
    let entries = entries.map_err(|source| Error::io(folder.display(), source))?;
    for entry in entries {
        let path = entry.map_err(|source| Error::io(folder.display(), source))?.path();
        if let Ok(reader) = LogReader::open(&path) {
            logs.push((path, reader));
        }
    }
    match absent {
        Some(error) if logs.is_empty() => Err(error),
        _ => Ok(logs),
    }
}
