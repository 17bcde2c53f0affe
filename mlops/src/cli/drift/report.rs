//! `mlops drift report`: what moved between two sides, by how much, and why.

use super::{
    Thresholds,
    profile::wanted,
    side::{Rows, Side},
};
use crate::{
    Clock, Error, Result, ResultExt, SystemClock,
    cli::{Answer, Console, console::visible, table},
    drift::Verdict,
};
use clap::Args;
use mlops_drift::{
    Profile, ProfileDetector, Report,
    profile::{Segments, frequent_values},
    why::{self, HeaviestRows},
};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

/// Say which columns of a window moved, by how much, how sure that is, and why
#[expect(clippy::option_option, reason = "a flag whose value may be left out")]
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  mlops drift report train.parquet log --html report.html --json report.json"
)]
pub(in crate::cli) struct Comparison {
    /// What is compared against: .parquet, .csv, an MLmodel folder with a profile, or a profile
    reference: PathBuf,
    /// What is compared: .parquet, .csv, the folder of an inference log, or a profile made with --like
    window: PathBuf,
    /// Writes a page that needs no other file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Writes the report as JSON; to stdout if no file is named
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
    /// Writes Markdown, for a comment on a pull request
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Writes gauges in Prometheus' text format
    #[arg(long, value_name = "FILE")]
    prometheus: Option<PathBuf>,
    /// Labels of the gauges, beside their own
    #[arg(long, value_name = "NAME=VALUE", requires = "prometheus", value_parser = label)]
    label: Vec<(String, String)>,
    /// Columns to compare; every column of the reference that can be if absent
    #[arg(long, value_name = "A,B,…", value_delimiter = ',')]
    columns: Vec<String>,
    /// Also compares the segments told apart by this column's most frequent values; needs the rows of
    /// both sides
    #[arg(long, value_name = "COLUMN")]
    segment_by: Option<String>,
    /// Segments at most; all other rows are one more
    #[arg(long, value_name = "COUNT", default_value_t = 20, requires = "segment_by")]
    max_segments: usize,
    /// Also names so many rows of the window that show it best
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    rows: usize,
    #[command(flatten)]
    thresholds: Thresholds,
    /// Exit with 1 if the window drifted, and with 65 if there are too few rows to say
    #[arg(long)]
    check: bool,
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a label is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Comparison {
    pub(super) fn json(&self) -> bool {
        self.json == Some(None)
    }

    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let (before, now) = (Side::open(&self.reference)?, Side::open(&self.window)?);
        let (reference, window) = self.profiles(&before, &now, console)?;
        let detector = ProfileDetector::beside(self.thresholds.config(), reference, &window)
            .context(|| self.window.display().to_string())?;
        let title = format!("{} beside {}", name_of(&self.window), name_of(&self.reference));
        let mut report = Report::of(&detector)?.with_title(title).with_time(SystemClock.now());
        if let Some(by) = &self.segment_by {
            let (Side::Rows(before), Side::Rows(now)) = (&before, &now) else {
                return Err(Error::unsupported("--segment-by needs the rows of both sides"));
            };
            report = report.with_segments(self.segments(by, &detector, before, now)?);
        }
        if self.rows > 0 {
            let Side::Rows(now) = &now else {
                return Err(Error::unsupported("--rows needs the rows of the window"));
            };
            let rows = self.heaviest(&report, &detector, now)?;
            report = report.with_rows(rows);
        }
        self.write(&report, console)?;
        if self.check && report.drift().verdict == Verdict::TooFewRows {
            let (before, now) = (detector.reference().rows(), detector.window().rows());
            let least = self.thresholds.min_rows;
            return Err(Error::invalid(format!(
                "--check has nothing to go by: {before} rows beside {now}, and either side needs {least} \
                 (--min-rows)"
            )));
        }
        let failed = self.check && report.drift().verdict == Verdict::Drifted;
        Ok(if failed { Answer::No } else { Answer::Yes })
    }

    /// Both sides in the same cells: those of the reference, or of the window if that is a profile
    /// and the reference is rows.
    fn profiles(&self, before: &Side, now: &Side, console: &Console) -> Result<(Profile, Profile)> {
        let (reference, window) =
            (|| self.reference.display().to_string(), || self.window.display().to_string());
        let stored = matches!(before, Side::Profile(_)) || matches!(now, Side::Profile(_));
        if stored && !self.columns.is_empty() {
            return Err(Error::unsupported(
                "--columns chooses among rows, and the columns of a stored profile are fixed",
            ));
        }
        match (before, now) {
            (Side::Profile(before), Side::Profile(now)) => {
                Ok((Profile::clone(before), Profile::clone(now)))
            }
            (Side::Profile(before), Side::Rows(now)) => {
                Ok((Profile::clone(before), now.count(before).context(window)?))
            }
            (Side::Rows(before), Side::Profile(now)) => {
                Ok((before.count(now).context(reference)?, Profile::clone(now)))
            }
            (Side::Rows(before), Side::Rows(now)) => {
                let columns = wanted(before, &self.columns, console).context(reference)?;
                let before = before.fit(&columns).context(reference)?;
                let now = now.count(&before).context(window)?;
                Ok((before, now))
            }
        }
    }

    fn segments(
        &self,
        by: &str,
        detector: &ProfileDetector,
        before: &Rows,
        now: &Rows,
    ) -> Result<why::SegmentsDrift> {
        let reference = || self.reference.display().to_string();
        let window = || self.window.display().to_string();
        let by_only = [Arc::from(by)];
        let least = detector.config().min_rows;
        let values = before
            .all(&by_only)
            .and_then(|rows| frequent_values(&rows, by, self.max_segments, least))
            .context(reference)?;
        let mut first = Segments::in_cells_of(detector.reference(), by, values);
        let mut second = Segments::empty_like(&first);
        let mut columns: Vec<Arc<str>> = detector.reference().spec().names().cloned().collect();
        if !columns.contains(&by_only[0]) {
            columns.push(Arc::clone(&by_only[0]));
        }
        let whole = detector.reference();
        before.each(Some(&columns), |batch| first.update_own(batch, whole)).context(reference)?;
        now.each(Some(&columns), |batch| second.update(batch)).context(window)?;
        why::segments(&first, &second, detector.config())
    }

    /// By the columns that moved: weights over others are noise.
    fn heaviest(
        &self,
        report: &Report,
        detector: &ProfileDetector,
        now: &Rows,
    ) -> Result<Vec<why::WeighedRow>> {
        let moved = report.drift().parts.iter().filter(|part| part.verdict >= Verdict::Warning);
        let names: Vec<Arc<str>> = moved.map(|part| Arc::clone(&part.name)).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let (before, window) = (detector.reference(), detector.window());
        let mut heaviest = HeaviestRows::new(before, window, &names, self.rows)?;
        now.each(Some(&names), |batch| heaviest.look(batch))
            .context(|| self.window.display().to_string())?;
        Ok(heaviest.finish())
    }

    fn write(&self, report: &Report, console: &Console) -> Result<()> {
        if let Some(path) = &self.html {
            table::write(path, report.to_html().as_bytes())?;
        }
        if let Some(path) = &self.markdown {
            table::write(path, report.to_markdown().as_bytes())?;
        }
        if let Some(path) = &self.prometheus {
            let labels = self.label.iter().map(|(name, value)| (name.as_str(), value.as_str()));
            let page = report.to_prometheus(&labels.collect::<Vec<_>>()).context(|| "--label")?;
            table::write(path, page.as_bytes())?;
        }
        match &self.json {
            Some(None) => return console.say(report.to_json()?),
            Some(Some(path)) => table::write(path, report.to_json()?.as_bytes())?,
            None => {}
        }
        say(report, console)
    }
}

/// A line for the whole, one for each column, and why under each that moved.
fn say(report: &Report, console: &Console) -> Result<()> {
    let drift = report.drift();
    console.say(format_args!("{} rows: {}", drift.rows, drift.verdict.as_str()))?;
    let width = drift.parts.iter().map(|part| part.name.chars().count()).max().unwrap_or(0);
    for part in &drift.parts {
        let (name, verdict) = (visible(&part.name), part.verdict.as_str());
        let (of, value) = (&part.effect.name, part.effect.value);
        console.say(format_args!("  {name:<width$}  {verdict:<12}  {of} {value:.4}"))?;
        let why = report.explanations().iter().find(|why| why.column == part.name);
        if let Some(why) = why.filter(|_| part.verdict >= Verdict::Warning) {
            console.say(format_args!("    {}", why.sentence()))?;
        }
    }
    Ok(())
}

pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or(path.as_os_str()).to_string_lossy().into_owned()
}
