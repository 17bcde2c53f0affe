//! What a window shows, written for people and for programs: one HTML page, one JSON object.

mod chart;
mod html;
mod json;
mod text;

pub(crate) use json::finding;

use crate::{
    detector::EFFECT_CELLS,
    profile::{ColumnType, Profile},
};
use mlops_core::{
    Result, Timestamp,
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
    /// A report of this finding, with charts for up to 40 columns that moved.
    pub fn new(drift: Drift) -> Self {
        let (title, lines) = ("Drift report".into(), HashMap::new());
        Self { drift, title, time: None, performance: Vec::new(), max_charts: 40, lines }
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

    /// Sets how many charts are drawn at most; columns that moved most come first.
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

    /// One HTML page that needs no other file, no script and no network: every text is escaped,
    /// charts are inline SVG with the same numbers in words, colours follow the reader's light or
    /// dark scheme, and it prints.
    pub fn to_html(&self) -> String {
        html::page(self)
    }

    /// One JSON object: `verdict`, `rows`, `effect`, `p` … of the whole; `columns`, each with
    /// `name`, `verdict`, `p` (null where the evidence is of another kind), `p_adjusted`, `effect`,
    /// `effect_name`, `interval`, its `tests` and `contributions`; `performance`. Verdicts are
    /// `stable`, `warning`, `drifted` and `too_few_rows`.
    pub fn to_json(&self) -> Result<String> {
        json::object(self)
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
        let moved = |column: &&Drift| column.verdict >= Verdict::Warning;
        let mut columns: Vec<&Drift> = self.columns().iter().filter(moved).collect();
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
