//! The report as Markdown, as short as a comment on a pull request should be.

use super::{
    Report,
    text::{code, count, number, probability, short},
};
use mlops_core::drift::{Drift, Evidence, Verdict};
use std::fmt::Write;

/// Columns that are listed; the others are counted.
const MOST_COLUMNS: usize = 20;
/// Characters of a name.
const NAME: usize = 60;

pub(super) fn page(report: &Report) -> String {
    let (columns, moved) = (report.columns(), report.moved());
    let of = |verdict| columns.iter().filter(|column| column.verdict == verdict).count();
    let time = report.time.map(|time| format!(", {time}")).unwrap_or_default();
    let mut page = format!(
        "### {} {}\n\n**{}**: of {} columns {} drifted, {} may have, {} did not ({} rows{time}).\n",
        sign(report.drift.verdict),
        name(&report.title),
        words(report.drift.verdict),
        columns.len(),
        of(Verdict::Drifted),
        of(Verdict::Warning),
        of(Verdict::Stable),
        count(report.drift.rows),
    );
    if !moved.is_empty() {
        page +=
            "\n| column | verdict | effect | p, adjusted | moved most |\n|---|---|--:|--:|---|\n";
    }
    for column in moved.iter().take(MOST_COLUMNS) {
        page += &row(column);
    }
    if moved.len() > MOST_COLUMNS {
        let _ = writeln!(page, "\n{} more columns moved.", moved.len() - MOST_COLUMNS);
    }
    page += &sentences(report, &moved);
    page += &segments(report);
    page += &performance(report);
    page
}

/// A mark that is seen before the words are read.
fn sign(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Drifted => "🔴",
        Verdict::Warning => "🟡",
        Verdict::Stable => "🟢",
        _ => "⚪",
    }
}

fn words(verdict: Verdict) -> &'static str {
    if verdict == Verdict::TooFewRows { "too few rows" } else { verdict.as_str() }
}

fn name(text: &str) -> String {
    code(&short(text, NAME))
}

fn row(column: &Drift) -> String {
    let (verdict, effect) = (words(column.verdict), &column.effect);
    let interval = effect.interval.map(|i| format!(" [{}, {}]", number(i.low), number(i.high)));
    let proof = match column.evidence {
        Evidence::P { adjusted, exact, .. } => {
            format!("{}{}", probability(adjusted), if exact { "" } else { " ≈" })
        }
        Evidence::E { e } => format!("e = {}", number(e)),
        _ => "–".to_owned(),
    };
    let most = column.contributions.first();
    let most = most.map(|cell| {
        let (before, now) = (super::percent(cell.reference), super::percent(cell.window));
        format!("{}: {before} → {now}", name(&cell.name))
    });
    format!(
        "| {} | {verdict} | {}{} | {proof} | {} |\n",
        name(&column.name),
        number(effect.value),
        interval.unwrap_or_default(),
        most.unwrap_or_default()
    )
}

fn sentences(report: &Report, moved: &[&Drift]) -> String {
    let mut list = String::new();
    let why = moved.iter().take(MOST_COLUMNS).filter_map(|column| report.explanation(column));
    for explanation in why {
        let _ = write!(list, "\n- {}", explanation.sentence_with(&name));
    }
    if list.is_empty() { list } else { list + "\n" }
}

fn segments(report: &Report) -> String {
    let Some(segments) = &report.segments else { return String::new() };
    let moved = segments.moved();
    let (by, all) = (name(&segments.by), segments.segments.len());
    let mut text = format!("\nBy {by}: {} of {all} segments moved.\n", moved.len());
    for segment in moved.iter().take(MOST_COLUMNS) {
        let value = segment.value.as_ref().map_or("all others".to_owned(), |value| name(value));
        let columns = segment.drift.parts.iter();
        let columns = columns.filter(|part| part.verdict >= Verdict::Warning);
        let columns: Vec<String> = columns.take(5).map(|part| name(&part.name)).collect();
        let _ = write!(text, "\n- {value}: {}", columns.join(", "));
    }
    text + "\n"
}

fn performance(report: &Report) -> String {
    if report.performance.is_empty() {
        return String::new();
    }
    let mut table = "\n| version | metric | value | rows |\n|---|---|--:|--:|\n".to_owned();
    for row in &report.performance {
        let interval = row.interval.map(|i| format!(" [{}, {}]", number(i.low), number(i.high)));
        let (version, metric, rows) = (name(&row.version), name(&row.metric), count(row.rows));
        let (value, interval) = (number(row.value), interval.unwrap_or_default());
        let _ = writeln!(table, "| {version} | {metric} | {value}{interval} | {rows} |");
    }
    table
}
