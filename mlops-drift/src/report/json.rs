//! The report as JSON.

use super::{Performance, Report};
use crate::{
    detector::ProfileDetectorConfig,
    why::{Attribution, Cause, Explanation, SegmentsDrift, WeighedRow},
};
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
    #[serde(skip_serializing_if = "Option::is_none")]
    thresholds: Option<&'a ProfileDetectorConfig>,
    columns: Vec<ColumnForm<'a>>,
    performance: &'a [Performance],
    #[serde(skip_serializing_if = "Option::is_none")]
    segments: Option<SegmentsForm<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    heaviest_rows: &'a [WeighedRow],
}

#[derive(Serialize)]
struct ColumnForm<'a> {
    #[serde(flatten)]
    finding: Finding<'a>,
    contributions: &'a [Contribution],
    tests: Vec<Finding<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cause: Option<CauseForm<'a>>,
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    attributions: &'a [Attribution],
}

#[derive(Serialize)]
struct CauseForm<'a> {
    #[serde(flatten)]
    cause: &'a Cause,
    sentence: String,
}

#[derive(Serialize)]
struct SegmentsForm<'a> {
    by: &'a str,
    segments: Vec<SegmentForm<'a>>,
    columns: Vec<BySegment<'a>>,
}

#[derive(Serialize)]
struct SegmentForm<'a> {
    /// Null for the rows of no listed value.
    value: Option<&'a str>,
    reference: f64,
    window: f64,
    #[serde(flatten)]
    finding: Finding<'a>,
    columns: Vec<Finding<'a>>,
}

#[derive(Serialize)]
struct BySegment<'a> {
    column: &'a str,
    change: f64,
    parts: Vec<PartForm<'a>>,
}

#[derive(Serialize)]
struct PartForm<'a> {
    segment: Option<&'a str>,
    within: f64,
    mix: f64,
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
        thresholds: report.thresholds.as_ref(),
        columns: report
            .columns()
            .iter()
            .map(|column| ColumnForm::of(column, report.explanation(column)))
            .collect(),
        performance: &report.performance,
        segments: report.segments.as_ref().map(SegmentsForm::of),
        heaviest_rows: &report.rows,
    };
    serde_json::to_string_pretty(&form)
        .map_err(|cause| Error::internal("a report could not be written").with_source(cause))
}

/// A finding without its parts, as the report writes it.
pub(crate) fn finding(drift: &Drift) -> serde_json::Value {
    serde_json::to_value(Finding::of(drift)).expect("names and numbers are valid JSON")
}

impl<'a> ColumnForm<'a> {
    fn of(column: &'a Drift, why: Option<&'a Explanation>) -> Self {
        Self {
            finding: Finding::of(column),
            contributions: &column.contributions,
            tests: column.parts.iter().map(Finding::of).collect(),
            cause: why.map(|why| CauseForm { cause: &why.cause, sentence: why.sentence() }),
            attributions: why.map(|why| why.attributions.as_slice()).unwrap_or_default(),
        }
    }
}

impl<'a> SegmentsForm<'a> {
    fn of(segments: &'a SegmentsDrift) -> Self {
        let values = || segments.segments.iter().map(|segment| segment.value.as_deref());
        let form = segments.segments.iter().map(|segment| SegmentForm {
            value: segment.value.as_deref(),
            reference: segment.reference,
            window: segment.window,
            finding: Finding::of(&segment.drift),
            columns: segment.drift.parts.iter().map(Finding::of).collect(),
        });
        let columns = segments.columns.iter().map(|own| BySegment {
            column: &own.column,
            change: own.change,
            parts: values()
                .zip(&own.parts)
                .map(|(segment, part)| PartForm { segment, within: part.within, mix: part.mix })
                .collect(),
        });
        Self { by: &segments.by, segments: form.collect(), columns: columns.collect() }
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
