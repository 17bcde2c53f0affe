//! What a window shows, written for people and for programs: one HTML page, one JSON object,
//! Markdown for a pull request, gauges for Prometheus.
//!
//! `schema/report.json` in this crate describes the JSON; `grafana` has a dashboard of the gauges and
//! rules that alert on them.

mod chart;
mod html;
mod json;
mod markdown;
mod prometheus;
mod sections;
mod text;

pub(crate) use json::finding;
pub(crate) use text::{number, percent, short};

use crate::{
    detector::{EFFECT_CELLS, ProfileDetector, ProfileDetectorConfig},
    monitor::Monitor,
    profile::{ColumnType, Profile},
    why::{Explanation, SegmentsDrift, WeighedRow, explain},
};
use mlops_core::{
    DriftDetector, Result, Timestamp,
    drift::{Contribution, Drift, Verdict},
    stats::Interval,
};
use serde::Serialize;
use std::{collections::HashMap, sync::Arc};

/// A finding about a window, ready to be written.
///
/// The findings about columns are the drift's parts; a drift without parts is about one column:
/// itself.
///
/// ```
/// use mlops_core::drift::{Contribution, Drift, Effect, Evidence, Verdict};
/// use mlops_drift::report::{Performance, Report};
///
/// # fn main() -> mlops_core::Result<()> {
/// let evidence = Evidence::P { p: 1e-9, adjusted: 2e-9, exact: false };
/// let state = Drift::new("state", 900, 80.0, Effect::new("total_variation", 0.2), evidence, Verdict::Drifted)
///     .with_contributions(vec![Contribution::new("MA", 0.5, 0.3, 0.1), Contribution::new("ME", 0.5, 0.7, 0.1)]);
/// let whole = Drift::new("all columns", 900, 1.0, state.effect.clone(), evidence, Verdict::Drifted)
///     .with_parts(vec![state]);
///
/// let report = Report::new(whole)
///     .with_title("employment, March beside training")
///     .with_performance(Performance::new("employment/3", "accuracy", 0.826, 850));
/// assert!(report.to_html().contains("<svg"));
/// let json: serde_json::Value = serde_json::from_str(&report.to_json()?).expect("JSON");
/// assert_eq!(json["columns"][0]["verdict"], "drifted");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Report {
    drift: Drift,
    title: Arc<str>,
    time: Option<Timestamp>,
    performance: Vec<Performance>,
    max_charts: usize,
    thresholds: Option<ProfileDetectorConfig>,
    /// Names of effects, and up to where each is negligible.
    margins: Vec<(&'static str, f64)>,
    why: Vec<Explanation>,
    segments: Option<SegmentsDrift>,
    rows: Vec<WeighedRow>,
    /// Labels of cells along the line, of numeric columns.
    lines: HashMap<Arc<str>, Vec<Arc<str>>>,
}

/// How well one version of a model did on the rows whose outcome is known.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Performance {
    /// The model's version, as people write it.
    pub version: Arc<str>,
    /// What was measured: `accuracy` …
    pub metric: Arc<str>,
    /// The estimate.
    pub value: f64,
    /// Where the true value lies.
    pub interval: Option<Interval>,
    /// Rows with an outcome.
    pub rows: u64,
}

impl Performance {
    /// A measurement without an interval.
    pub fn new(
        version: impl Into<Arc<str>>,
        metric: impl Into<Arc<str>>,
        value: f64,
        rows: u64,
    ) -> Self {
        Self { version: version.into(), metric: metric.into(), value, interval: None, rows }
    }

    /// Adds where the true value lies.
    #[must_use]
    pub fn with_interval(mut self, interval: Interval) -> Self {
        self.interval = Some(interval);
        self
    }
}

impl Report {
    /// A report of this finding, with charts of up to 40 columns.
    pub fn new(drift: Drift) -> Self {
        Self {
            drift,
            title: "Drift report".into(),
            time: None,
            performance: Vec::new(),
            max_charts: 40,
            thresholds: None,
            margins: Vec::new(),
            why: Vec::new(),
            segments: None,
            rows: Vec::new(),
            lines: HashMap::new(),
        }
    }

    /// A report of what a detector finds now, with its thresholds, charts along the line, and an
    /// [explanation](explain) of each column.
    pub fn of(detector: &ProfileDetector) -> Result<Self> {
        let drift = detector.evaluate()?;
        let why = explain(&drift, detector.reference(), detector.window())?;
        let mut report = Self::new(drift).with_reference(detector.reference());
        report.thresholds = Some(detector.config().clone());
        let config = detector.config();
        report.margins = vec![("total_variation", config.margin), ("novel", config.novel_margin)];
        report.why = why;
        Ok(report)
    }

    /// A report of a monitor's last 16 windows, as of its last look, with its margins and charts
    /// along the line.
    pub fn of_monitor(monitor: &Monitor) -> Result<Self> {
        let mut report = Self::new(monitor.drift()?).with_reference(monitor.reference());
        report.margins = monitor.margins();
        Ok(report)
    }

    /// Adds what each segment shows.
    #[must_use]
    pub fn with_segments(mut self, segments: SegmentsDrift) -> Self {
        self.segments = Some(segments);
        self
    }

    /// Adds the rows that weigh most: their numbers and cells, never their values.
    #[must_use]
    pub fn with_rows(mut self, rows: Vec<WeighedRow>) -> Self {
        self.rows = rows;
        self
    }

    /// Sets what the page is called.
    #[must_use]
    pub fn with_title(mut self, title: impl Into<Arc<str>>) -> Self {
        self.title = title.into();
        self
    }

    /// Says when the window ended or was looked at.
    #[must_use]
    pub fn with_time(mut self, time: Timestamp) -> Self {
        self.time = Some(time);
        self
    }

    /// Adds a row about performance; rows are shown in the order in which they are added.
    #[must_use]
    pub fn with_performance(mut self, row: Performance) -> Self {
        self.performance.push(row);
        self
    }

    /// Sets of how many columns large charts are drawn at most; those that moved most come first.
    #[must_use]
    pub fn with_max_charts(mut self, charts: usize) -> Self {
        self.max_charts = charts;
        self
    }

    /// Lets charts of numeric columns run along the line; without the reference's profile, cells
    /// come in the order of what they contribute.
    #[must_use]
    pub fn with_reference(mut self, reference: &Profile) -> Self {
        let numeric = reference.columns().filter(|c| c.column_type() == ColumnType::Numeric);
        let labels = |column: &crate::profile::ColumnProfile<'_>| {
            column.coarse_cells(EFFECT_CELLS).into_iter().map(|cell| cell.label).collect()
        };
        self.lines = numeric.map(|column| (Arc::clone(column.name()), labels(&column))).collect();
        self
    }

    /// The finding.
    pub fn drift(&self) -> &Drift {
        &self.drift
    }

    /// Why each column's finding is what it is; empty unless the report is [of a detector](Self::of).
    pub fn explanations(&self) -> &[Explanation] {
        &self.why
    }

    /// One HTML page that needs no other file, no script and no network: every text is escaped,
    /// charts are inline SVG with the same numbers in words, colours follow the reader's light or
    /// dark scheme, and it prints.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// One JSON object: `verdict`, `rows`, `effect`, `p` … of the whole; `columns`, each with
    /// `name`, `verdict`, `p` (null where the evidence is of another kind), `p_adjusted`, `effect`,
    /// `effect_name`, `interval`, its `tests`, `contributions`, and where it is known its `cause` and
    /// `attributions`; `thresholds`, `segments` and `heaviest_rows` where they are known;
    /// `performance`. Verdicts are `stable`, `warning`, `drifted` and `too_few_rows`. What fields
    /// there are is written down as a JSON schema in `schema/report.json`.
    pub fn to_json(&self) -> Result<String> {
        json::object(self)
    }

    /// GitHub's Markdown, for a pull request: the verdict, the columns that moved with a sentence
    /// each, performance. Foreign names are code, so that nothing in them is markup or a mention.
    pub fn to_markdown(&self) -> String {
        markdown::page(self)
    }

    /// Prometheus' text format: gauges of the whole, of each column and of performance, each with
    /// these labels beside its own. To be written where a node exporter's textfile collector reads,
    /// or served.
    ///
    /// A gauge has one unit, which its name ends with: `mlops_drift_column_effect_ratio` of shares of
    /// rows, `mlops_drift_column_effect_deviations` of `shift_sd`; effects of a host's own have none.
    /// Up to where an effect is negligible is in `mlops_drift_margin_ratio` and
    /// `mlops_drift_margin_deviations`, by the same label `effect`; `novel` is the margin of shares of
    /// rows that have what the reference has not once.
    ///
    /// A label that is no name for one, is one of the report's own (`column`, `effect`, `verdict`,
    /// `version`, `metric`), or stands there twice is `InvalidInput`. Of two columns of one name the
    /// first is written.
    ///
    /// ```
    /// use mlops_core::drift::{Drift, Effect, Evidence, Verdict};
    /// use mlops_drift::Report;
    ///
    /// # fn main() -> mlops_core::Result<()> {
    /// let effect = Effect::new("total_variation", 0.25);
    /// let drift = Drift::new("age", 900, 0.3, effect, Evidence::Rule, Verdict::Drifted);
    /// let page = Report::new(drift).to_prometheus(&[("model", "risk")])?;
    /// assert!(page.contains("mlops_drift_column_verdict{model=\"risk\",column=\"age\"} 2\n"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn to_prometheus(&self, labels: &[(&str, &str)]) -> Result<String> {
        prometheus::page(self, labels)
    }

    /// The explanation of a column.
    fn explanation(&self, column: &Drift) -> Option<&Explanation> {
        self.why.iter().find(|why| why.column == column.name)
    }

    /// The findings about columns, in their order.
    fn columns(&self) -> &[Drift] {
        if self.drift.parts.is_empty() {
            std::slice::from_ref(&self.drift)
        } else {
            &self.drift.parts
        }
    }

    /// Columns that moved, perhaps or surely, the most moved first.
    fn moved(&self) -> Vec<&Drift> {
        let mut columns = self.by_importance();
        columns.retain(|column| column.verdict >= Verdict::Warning);
        columns
    }

    /// All columns, the most moved first.
    fn by_importance(&self) -> Vec<&Drift> {
        let mut columns: Vec<&Drift> = self.columns().iter().collect();
        columns.sort_by(|a, b| {
            let by_effect = || b.effect.value.abs().total_cmp(&a.effect.value.abs());
            b.verdict.cmp(&a.verdict).then_with(by_effect)
        });
        columns
    }

    /// A column's cells in the order in which they are drawn, and how many are left out: along the
    /// line where that is known, else what contributes most first.
    fn cells<'a>(&'a self, column: &'a Drift) -> (Vec<&'a Contribution>, usize) {
        let shown = column.contributions.iter().take(MOST_CELLS);
        let mut cells: Vec<&Contribution> = shown.collect();
        if let Some(line) = self.lines.get(&column.name) {
            let place = |cell: &&Contribution| line.iter().position(|label| *label == cell.name);
            cells.sort_by_key(|cell| place(cell).unwrap_or(usize::MAX));
        }
        let left_out = column.contributions.len() - cells.len();
        (cells, left_out)
    }
}

/// A numeric column's cells with missing, below and above; of categories the most moved ones.
const MOST_CELLS: usize = EFFECT_CELLS + 3;
