//! The report as JSON.

use super::{Performance, Report};
use mlops_core::{
    Error, Result, Timestamp,
    drift::{Contribution, Drift, Evidence},
    stats::Interval,
};
use serde::Serialize;

/// The version of the object that this build writes. Fields may be added within a version.
const VERSION: u32 = 1;

#[derive(Serialize)]
struct ReportForm<'a> {
    format: &'static str,
    version: u32,
    title: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<Timestamp>,
    #[serde(flatten)]
    whole: Finding<'a>,
    columns: Vec<ColumnForm<'a>>,
    performance: &'a [Performance],
}

#[derive(Serialize)]
struct ColumnForm<'a> {
    #[serde(flatten)]
    finding: Finding<'a>,
    contributions: &'a [Contribution],
    tests: Vec<Finding<'a>>,
}

/// A finding without its parts, flat.
#[derive(Serialize)]
struct Finding<'a> {
    name: &'a str,
    verdict: &'static str,
    rows: u64,
    statistic: f64,
    effect: f64,
    effect_name: &'a str,
    interval: Option<Interval>,
    /// `p`, `e`, `interval` or `rule`.
    evidence: &'static str,
    p: Option<f64>,
    p_adjusted: Option<f64>,
    p_exact: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    e: Option<f64>,
}

pub(super) fn object(report: &Report) -> Result<String> {
    let form = ReportForm {
        format: "mlops-drift-report",
        version: VERSION,
        title: &report.title,
        time: report.time,
        whole: Finding::of(&report.drift),
        columns: report.columns().iter().map(ColumnForm::of).collect(),
        performance: &report.performance,
    };
    serde_json::to_string_pretty(&form)
        .map_err(|cause| Error::internal("a report could not be written").with_source(cause))
}

/// A finding without its parts, as the report writes it.
pub(crate) fn finding(drift: &Drift) -> serde_json::Value {
    serde_json::to_value(Finding::of(drift)).expect("names and numbers are valid JSON")
}

impl<'a> ColumnForm<'a> {
    fn of(column: &'a Drift) -> Self {
        let tests = column.parts.iter().map(Finding::of).collect();
        Self { finding: Finding::of(column), contributions: &column.contributions, tests }
    }
}

impl<'a> Finding<'a> {
    fn of(drift: &'a Drift) -> Self {
        let (evidence, e, p) = match drift.evidence {
            Evidence::P { p, adjusted, exact } => ("p", None, Some((p, adjusted, exact))),
            Evidence::E { e } => ("e", Some(e), None),
            Evidence::Interval => ("interval", None, None),
            _ => ("rule", None, None),
        };
        Self {
            name: &drift.name,
            verdict: drift.verdict.as_str(),
            rows: drift.rows,
            statistic: drift.statistic,
            effect: drift.effect.value,
            effect_name: &drift.effect.name,
            interval: drift.effect.interval,
            evidence,
            p: p.map(|(p, ..)| p),
            p_adjusted: p.map(|(_, adjusted, _)| adjusted),
            p_exact: p.map(|(.., exact)| exact),
            e,
        }
    }
}
