//! What the log says of three years: which columns moved, by how much, and how well each version did.

use crate::{
    census::LABEL,
    home::{Home, MODEL},
    table::{Table, count, say},
    windows::{by_year, inputs},
};
use mlops::{
    Clock, DriftDetector, Error, EventLog, Result,
    drift::{Drift, Evidence},
    evaluation::{Evaluation, Finding, Metric},
    inference_log::LogReader,
    stats::Interval,
    watch::{
        AlarmConfig, Alarms, LateAccuracy, LateAccuracyConfig, Profile, ProfileDetector,
        ProfileDetectorConfig, Report,
        performance::{AccuracyRule, Answer, VersionAccuracy, accuracy_change},
        report::Performance,
    },
};
use std::{collections::BTreeMap, path::Path, sync::Arc};

/// What the monitor found.
#[derive(Debug)]
pub(crate) struct Findings {
    /// The window of each year beside the reference.
    pub(crate) drifts: BTreeMap<i32, Drift>,
    /// Each version in each year.
    pub(crate) accuracies: Vec<VersionAccuracy>,
    pub(crate) unknown: u64,
    pub(crate) repeated: u64,
}

/// Reads the log once: rows go into the window of their year, answers and outcomes are joined.
pub(crate) fn read(folder: &Path, reference: &Profile, years: &[i32]) -> Result<Findings> {
    let mut windows = BTreeMap::new();
    for &year in years {
        let config = ProfileDetectorConfig::default();
        windows.insert(year, ProfileDetector::open(config, reference.clone())?);
    }
    let mut late = LateAccuracy::new(LateAccuracyConfig::new(LABEL));
    let log = LogReader::open(folder)?;
    for segment in log.segments()? {
        for batch in segment?.batches {
            for (year, rows) in by_year(&batch)? {
                let Some(window) = windows.get_mut(&year) else { continue };
                window.update(&inputs(&rows)?)?;
                for mut answer in Answer::of_records(&rows, "label", 0.5)? {
                    answer.version = format!("{} in {year}", answer.version).into();
                    late.answer(&answer)?;
                }
            }
        }
    }
    for outcome in &log.outcomes()?.0 {
        late.outcome(outcome)?;
    }
    let drifts = windows.iter().map(|(year, window)| Ok((*year, window.evaluate()?)));
    let (accuracies, counts) = (late.versions()?, late.counts());
    let (unknown, repeated) = (counts.unknown, counts.repeated);
    Ok(Findings { drifts: drifts.collect::<Result<_>>()?, accuracies, unknown, repeated })
}

/// The columns that moved most in a window, and what is to be made of that.
pub(crate) fn show_drift(year: i32, drift: &Drift) {
    let significant = drift.parts.iter().filter(|part| p(part).is_some_and(|p| p < 0.05)).count();
    say(format_args!(
        "{year}: {} rows, {}; {significant} of {} columns differ \"significantly\", by at most {:.3}",
        count(drift.rows),
        drift.verdict,
        drift.parts.len(),
        drift.effect.value,
    ));
    let mut columns: Vec<&Drift> = drift.parts.iter().collect();
    columns.sort_by(|a, b| b.effect.value.total_cmp(&a.effect.value));
    let mut table =
        Table::new(["column", "moved", "95 %", "p, corrected", "verdict", "most of it"]);
    for column in columns.into_iter().take(5) {
        let most = column.contributions.first();
        table.row([
            column.name.to_string(),
            format!("{:.4}", column.effect.value),
            column.effect.interval.as_ref().map_or_else(String::new, bounds),
            p(column).map_or_else(String::new, |p| format!("{p:.1e}")),
            column.verdict.to_string(),
            most.map_or_else(String::new, |most| format!("value {}", most.name)),
        ]);
    }
    table.print();
}

fn p(drift: &Drift) -> Option<f64> {
    match drift.evidence {
        Evidence::P { adjusted, .. } => Some(adjusted),
        _ => None,
    }
}

fn bounds(interval: &Interval) -> String {
    format!("[{:.4}, {:.4}]", interval.low, interval.high)
}

/// How well each version did in each year, beside what was promised and what the rows themselves say.
pub(crate) fn show_accuracy(
    findings: &Findings,
    promised: &Evaluation,
    batch: &BTreeMap<(String, i32), (u64, u64)>,
) -> Result<()> {
    let mut table =
        Table::new(["version", "outcomes", "accuracy", "95 %", "over all rows", "beside 2015"]);
    for own in &findings.accuracies {
        let rows = batch.iter().find(|((version, year), _)| {
            own.version.as_ref() == format!("{MODEL}/{version} in {year}")
        });
        let rows = rows.map(|(_, (right, rows))| (*right, *rows));
        let change =
            accuracy_change(right_of(promised), (own.right, own.known), &AccuracyRule::default())?;
        if rows.is_some_and(|rows| rows != (own.right, own.known)) {
            return Err(Error::internal(format!("{}: outcomes and rows disagree", own.version)));
        }
        let Some((accuracy, interval)) = own.accuracy else { continue };
        table.row([
            own.version.to_string(),
            count(own.known),
            format!("{accuracy:.4}"),
            bounds(&interval),
            rows.map_or_else(String::new, same_as(own)),
            format!("{:+.4}, {}", change.effect.value, change.verdict),
        ]);
    }
    table.print();
    say(format_args!(
        "joined from late outcomes: {} came twice, {} were of nobody's prediction",
        count(findings.repeated),
        count(findings.unknown),
    ));
    Ok(())
}

/// Whether late outcomes gave what a batch computation over the rows gives.
fn same_as(own: &VersionAccuracy) -> impl Fn((u64, u64)) -> String {
    move |batch| {
        if batch == (own.right, own.known) { "the same".to_owned() } else { format!("{batch:?}") }
    }
}

/// Raises an alarm in the record for what asks for attention.
pub(crate) async fn alarm(home: &Home, findings: &Findings) -> Result<()> {
    let events: Arc<dyn EventLog> = Arc::<mlops::store::SqlStore>::clone(&home.store);
    let config = AlarmConfig::new(format!("endpoint/{MODEL}")).with_clock(home.clock());
    let mut alarms = Alarms::new(events, config);
    let mut raised = 0;
    for drift in findings.drifts.values() {
        raised += usize::from(alarms.look(drift).await?);
    }
    say(match raised {
        0 => "no alarm: what moved stays below the margin that was set".to_owned(),
        _ => format!("{raised} alarms in the record's event log"),
    });
    Ok(())
}

/// The page about the last year.
pub(crate) fn report(
    home: &Home,
    findings: &Findings,
    reference: &Profile,
    promised: &Evaluation,
) -> Result<()> {
    let Some((year, drift)) = findings.drifts.last_key_value() else {
        return Err(Error::internal("no year was watched"));
    };
    let mut report = Report::new(drift.clone())
        .with_title(format!("{MODEL}: {year} beside the training rows of 2015"))
        .with_time(home.clock.now())
        .with_reference(reference)
        .with_performance(performance(promised)?);
    for row in findings.accuracies.iter().filter_map(VersionAccuracy::row) {
        report = report.with_performance(row);
    }
    let path = home.folder.join("report.html");
    std::fs::write(&path, report.to_html()).map_err(|e| Error::io(path.display(), e))?;
    let json = home.folder.join("report.json");
    std::fs::write(&json, report.to_json()?).map_err(|e| Error::io(json.display(), e))?;
    say(path.display());
    Ok(())
}

/// Right answers and rows of an evaluation.
fn right_of(evaluation: &Evaluation) -> (u64, u64) {
    let accuracy = evaluation.get(Metric::Accuracy, None).and_then(|own| own.finding.value());
    let rows = evaluation.rows as u64;
    #[expect(
        clippy::cast_precision_loss,
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a few thousand rows"
    )]
    let right = (accuracy.unwrap_or(0.0) * rows as f64).round() as u64;
    (right, rows)
}

/// What was promised, as a row of the report.
fn performance(promised: &Evaluation) -> Result<Performance> {
    let own = promised.get(Metric::Accuracy, None);
    let Some(Finding::Value { value, interval }) = own.map(|own| &own.finding) else {
        return Err(Error::internal("the champion's accuracy was not measured"));
    };
    let row =
        Performance::new("promised, test rows of 2015", "accuracy", *value, promised.rows as u64);
    Ok(row.with_interval(*interval))
}
