//! `mlops drift`: does a window of rows still look like the reference?

use super::{Answer, Console, console::visible, table};
use crate::{
    Clock, DriftDetector, Error, Result, ResultExt, SystemClock,
    arrow::array::{Array, RecordBatch, cast::AsArray},
    drift::Verdict,
    inference_log::columns,
    model::{ModelPackage, names},
};
use clap::{Args, Subcommand};
use mlops_core::{data::Dataset, inference_log::LogReader};
use mlops_drift::{Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions, Report};
use std::path::{Path, PathBuf};

/// Compare rows with the reference that a model was trained on
#[derive(Debug, Subcommand)]
pub(super) enum Drift {
    Report(Comparison),
}

/// Say which columns of a window moved, by how much, and how sure that is
#[expect(clippy::doc_markdown, reason = "help is printed as it stands")]
#[expect(clippy::option_option, reason = "a flag whose value may be left out")]
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mlops drift report train.parquet log --html report.html --json report.json"
)]
pub(super) struct Comparison {
    /// What is compared against: .parquet, .csv, an MLmodel folder with a profile, or a profile
    reference: PathBuf,
    /// What is compared: .parquet, .csv, or the folder of an inference log
    window: PathBuf,
    /// Writes a page that needs no other file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes the report as JSON; to stdout if no file is named
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Columns to compare; every column of the reference if absent
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// The share of false findings among the columns found to differ
    #[arg(long, default_value_t = ProfileDetectorConfig::default().alpha)]
    alpha: f64,
    /// The largest total variation distance that is negligible
    #[arg(long, default_value_t = ProfileDetectorConfig::default().margin)]
    margin: f64,
    /// Exit with 1 if the window drifted
    #[arg(long)]
    check: bool,
}

impl Drift {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        match self {
            Self::Report(comparison) => comparison.run(console),
        }
    }

    /// Whether the result goes to stdout as JSON.
    pub(super) fn json(&self) -> bool {
        let Self::Report(comparison) = self;
        comparison.json == Some(None)
    }
}

impl Comparison {
    fn run(&self, console: &Console) -> Result<Answer> {
        let reference = self.reference().context(|| self.reference.display().to_string())?;
        let config =
            ProfileDetectorConfig::default().with_alpha(self.alpha).with_margin(self.margin);
        let mut detector = ProfileDetector::open(config, reference.clone())?;
        let window = || self.window.display().to_string();
        for batch in self.window().context(window)? {
            detector.update(&batch).context(window)?;
        }
        let drift = detector.evaluate()?;
        let verdict = drift.verdict;
        let title = format!("{} beside {}", name_of(&self.window), name_of(&self.reference));
        let report = Report::new(drift)
            .with_title(title)
            .with_time(SystemClock.now())
            .with_reference(&reference);
        self.write(&report, console)?;
        let failed = self.check && verdict == Verdict::Drifted;
        Ok(if failed { Answer::No } else { Answer::Yes })
    }

    fn write(&self, report: &Report, console: &Console) -> Result<()> {
        if let Some(path) = &self.html {
            table::write(path, report.to_html().as_bytes())?;
        }
        match &self.json {
            Some(None) => return console.say(report.to_json()?),
            Some(Some(path)) => table::write(path, report.to_json()?.as_bytes())?,
            None => {}
        }
        let drift = report.drift();
        console.say(format_args!("{} rows: {}", drift.rows, word(drift.verdict)))?;
        let width = drift.parts.iter().map(|part| part.name.chars().count()).max().unwrap_or(0);
        for part in &drift.parts {
            let (name, verdict) = (&part.name, word(part.verdict));
            let effect = &part.effect;
            let (of, value) = (&effect.name, effect.value);
            let name = visible(name);
            console.say(format_args!("  {name:<width$}  {verdict:<12}  {of} {value:.4}"))?;
        }
        Ok(())
    }

    fn reference(&self) -> Result<Profile> {
        let path = &self.reference;
        let stored = path.is_dir() || path.extension().is_some_and(|ending| ending == "bin");
        if stored && !self.columns.is_empty() {
            return Err(Error::unsupported(
                "--columns chooses among rows, and the columns of a stored profile are fixed",
            ));
        }
        if path.is_dir() {
            let bytes = ModelPackage::open(path)?.read(names::PROFILE)?;
            return Profile::from_bytes(&bytes);
        }
        if path.extension().is_some_and(|ending| ending == "bin") {
            let bytes = std::fs::read(path).map_err(|source| Error::io("the profile", source))?;
            return Profile::from_bytes(&bytes);
        }
        let mut options = ProfileOptions::default();
        if !self.columns.is_empty() {
            options = options.with_columns(self.columns.iter().map(String::as_str));
        }
        Profile::fit(Dataset::open(path)?.batches(), &options)
    }

    /// The window's rows, a piece at a time.
    fn window(&self) -> Result<Vec<RecordBatch>> {
        if !self.window.is_dir() {
            return Ok(Dataset::open(&self.window)?.batches().to_vec());
        }
        let mut batches = Vec::new();
        for segment in LogReader::open(&self.window)?.segments()? {
            for batch in segment?.batches {
                batches.push(inputs(&batch)?);
            }
        }
        Ok(batches)
    }
}

/// What the model was given: a column for each feature.
fn inputs(records: &RecordBatch) -> Result<RecordBatch> {
    let column = records.column_by_name(columns::INPUTS);
    let inputs = column.and_then(|column| column.as_struct_opt());
    let inputs = inputs.ok_or_else(|| Error::corrupt("the log's records have no inputs"))?;
    if inputs.null_count() > 0 {
        return Err(Error::corrupt("a record of the log has no inputs"));
    }
    Ok(RecordBatch::from(inputs.clone()))
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}

/// The verdict in the words of the report.
fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::TooFewRows => "too_few_rows",
        Verdict::Stable => "stable",
        Verdict::Warning => "warning",
        Verdict::Drifted => "drifted",
        _ => "unknown",
    }
}
