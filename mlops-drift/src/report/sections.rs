//! The sections of the page that say why.

use super::{
    Report,
    html::{effect, evidence, verdict},
    text::{Text, count, number, percent, short},
};
use crate::why::{ColumnBySegment, Explanation, Measure, SegmentsDrift};
use mlops_core::drift::{Drift, Verdict};
use std::{collections::HashMap, fmt::Write};

/// Characters of a name in a sentence.
const NAME: usize = 60;
/// Sentences before the reader is sent to the table.
const MOST_SENTENCES: usize = 40;
/// Segments that are listed.
const MOST_SEGMENTS: usize = 50;
/// Segments that are named beside a column.
const MOST_ADDING: usize = 4;

/// What happened to a column, its names in bold.
pub(super) fn sentence(why: &Explanation) -> String {
    why.sentence_with(&|name| format!("<b>{}</b>", Text(&short(name, NAME))))
}

/// A sentence for each column that moved.
pub(super) fn happened(report: &Report) -> String {
    let moved = report.moved();
    let why: Vec<&Explanation> =
        moved.iter().filter_map(|column| report.explanation(column)).collect();
    if why.is_empty() {
        return String::new();
    }
    let mut html = "<section>\n<h2>What happened</h2>\n<ul class=\"why\">\n".to_owned();
    for explanation in why.iter().take(MOST_SENTENCES) {
        let _ = writeln!(html, "<li>{}</li>", sentence(explanation));
    }
    html += "</ul>\n";
    if why.len() > MOST_SENTENCES {
        let left = why.len() - MOST_SENTENCES;
        let _ = writeln!(html, "<p>{left} more columns moved; the table below has them.</p>");
    }
    html + "</section>\n"
}

/// What each cell adds to each measure.
pub(super) fn measures(why: &Explanation) -> String {
    let Some(first) = why.attributions.first() else { return String::new() };
    let mut html = "<details><summary>numbers</summary><div class=\"wide\"><table>\n<thead><tr>\
        <th scope=\"col\">cell</th><th scope=\"col\" class=\"n\">reference</th>\
        <th scope=\"col\" class=\"n\">window</th>"
        .to_owned();
    for attribution in &why.attributions {
        let name = short_name(attribution.measure);
        let _ = write!(html, "<th scope=\"col\" class=\"n\">{name}</th>");
    }
    html += "</tr></thead>\n<tbody>\n";
    // Measures leave out cells that hold no rows, and not the same ones; labels may be alike.
    let parts: Vec<HashMap<usize, f64>> = why
        .attributions
        .iter()
        .map(|of| of.cells.iter().map(|cell| (cell.at, cell.value)).collect())
        .collect();
    for cell in &first.cells {
        let (before, now) = (percent(cell.reference), percent(cell.window));
        let _ = write!(
            html,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{before}</td><td class=\"n\">{now}</td>",
            Text(&cell.label)
        );
        for part in &parts {
            let part = part.get(&cell.at).map_or("–".to_owned(), |part| signed(*part));
            let _ = write!(html, "<td class=\"n\">{part}</td>");
        }
        html += "</tr>\n";
    }
    html += "</tbody>\n<tfoot>\n<tr><th scope=\"row\">without signs</th><td></td><td></td>";
    for of in &why.attributions {
        let about = if of.exact { "" } else { "≈ " };
        let _ = write!(html, "<td class=\"n\">{about}{}</td>", number(of.value));
    }
    html += "</tr>\n<tr><th scope=\"row\">noise alone</th><td></td><td></td>";
    for of in &why.attributions {
        let floor = of.noise_floor.map_or("–".to_owned(), number);
        let _ = write!(html, "<td class=\"n\">{floor}</td>");
    }
    html + "</tr>\n</tfoot>\n</table></div></details>\n"
}

fn short_name(measure: Measure) -> &'static str {
    match measure {
        Measure::TotalVariation => "elsewhere",
        Measure::Psi => "PSI",
        Measure::JensenShannon => "Jensen–Shannon",
        Measure::Wasserstein => "Wasserstein",
    }
}

fn signed(value: f64) -> String {
    if value > 0.0 { format!("+{}", number(value)) } else { number(value).replace('-', "−") }
}

pub(super) fn segments(report: &Report) -> String {
    let Some(segments) = &report.segments else { return String::new() };
    let moved = segments.moved().len();
    let mut html = format!(
        "<section>\n<h2>By {}</h2>\n<p>{moved} of {} segments moved, perhaps or surely; all columns \
         of all segments are corrected for together.</p>\n",
        Text(&segments.by),
        segments.segments.len(),
    );
    html += &segment_table(segments);
    html += &adding_table(report, segments);
    html + "</section>\n"
}

fn segment_table(segments: &SegmentsDrift) -> String {
    let mut html = "<div class=\"wide\"><table>\n<thead><tr><th scope=\"col\">segment</th>\
        <th scope=\"col\">verdict</th><th scope=\"col\" class=\"n\">share of rows</th>\
        <th scope=\"col\" class=\"n\">largest effect</th><th scope=\"col\" class=\"n\">p, adjusted\
        </th><th scope=\"col\">columns that moved</th></tr></thead>\n<tbody>\n"
        .to_owned();
    let mut all: Vec<_> = segments.segments.iter().collect();
    // What moved comes first, else their own order.
    all.sort_by_key(|segment| std::cmp::Reverse(segment.drift.verdict));
    for segment in all.iter().take(MOST_SEGMENTS) {
        let drift = &segment.drift;
        let name = segment.value.as_ref().map_or("<em>all others</em>".to_owned(), |value| {
            Text(&short(value, NAME)).to_string()
        });
        let (verdict, proof) = (verdict(drift.verdict), evidence(drift.evidence));
        let (before, now) = (percent(segment.reference), percent(segment.window));
        let few = drift.verdict == Verdict::TooFewRows;
        let (size, proof) =
            if few { ("–".into(), "–".into()) } else { (effect(&drift.effect), proof) };
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{name}</th><td>{verdict}</td><td class=\"n\">{before} → {now}</td>\
             <td class=\"n\">{size}</td><td class=\"n\">{proof}</td><td>{}</td></tr>",
            moved_columns(drift)
        );
    }
    html += "</tbody>\n</table></div>\n";
    if all.len() > MOST_SEGMENTS {
        let left = all.len() - MOST_SEGMENTS;
        let _ = writeln!(html, "<p>{left} more segments.</p>");
    }
    html
}

fn moved_columns(drift: &Drift) -> String {
    let moved = drift.parts.iter().filter(|part| part.verdict >= Verdict::Warning);
    let mut names: Vec<String> =
        moved.map(|part| Text(&short(&part.name, NAME)).to_string()).collect();
    let left = names.len().saturating_sub(6);
    names.truncate(6);
    let more = if left > 0 { format!(" and {left} more") } else { String::new() };
    names.join(", ") + &more
}

/// What segments add to the columns that moved as a whole.
fn adding_table(report: &Report, segments: &SegmentsDrift) -> String {
    let moved = report.moved();
    let columns: Vec<&ColumnBySegment> = moved
        .iter()
        .filter_map(|column| segments.columns.iter().find(|own| own.column == column.name))
        .take(MOST_SENTENCES)
        .collect();
    if columns.is_empty() {
        return String::new();
    }
    let mut html =
        "<div class=\"wide\"><table>\n<caption>Where the change of a column comes from: by \
        the segment's rows being different, and by there being more or fewer of them</caption>\n\
        <thead><tr><th scope=\"col\">column</th><th scope=\"col\" class=\"n\">change</th>\
        <th scope=\"col\">segments that add most</th></tr></thead>\n<tbody>\n"
            .to_owned();
    for column in columns {
        let mut parts: Vec<_> = segments.segments.iter().zip(&column.parts).collect();
        parts.sort_by(|a, b| b.1.total().abs().total_cmp(&a.1.total().abs()));
        let part = |(segment, part): &(&crate::why::SegmentDrift, &crate::why::SegmentPart)| {
            let name = segment.value.as_deref().unwrap_or("all others");
            let of = |part: f64| percent(part / column.change).replace('-', "−");
            let (total, within, mix) = (of(part.total()), of(part.within), of(part.mix));
            let name = short(name, NAME);
            format!("<b>{}</b> {total} ({within} by its rows, {mix} by their number)", Text(&name))
        };
        let parts: Vec<String> = parts.iter().take(MOST_ADDING).map(part).collect();
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td class=\"n\">{}</td><td>{}</td></tr>",
            Text(&column.column),
            number(column.change),
            parts.join("; ")
        );
    }
    html + "</tbody>\n</table></div>\n"
}

pub(super) fn rows(report: &Report) -> String {
    if report.rows.is_empty() {
        return String::new();
    }
    let mut html =
        "<section>\n<h2>Rows that show it</h2>\n<p class=\"soft\">The rows of the window \
        that are most typical of it and least of the reference, counted from 0, and the cells that \
        make them so; the report holds no values.</p>\n<div class=\"wide\"><table>\n<thead><tr>\
        <th scope=\"col\" class=\"n\">row</th><th scope=\"col\" class=\"n\">likelier by</th>\
        <th scope=\"col\">because of</th></tr></thead>\n<tbody>\n"
            .to_owned();
    for row in &report.rows {
        let cells = row.cells.iter().filter(|cell| cell.weight > 0.0).take(5);
        let cells = cells.map(|cell| {
            let (column, label) = (short(&cell.column, NAME), short(&cell.label, NAME));
            format!("<b>{}</b> {}", Text(&column), Text(&label))
        });
        let (number_of, factor) = (count(row.row), times(row.weight));
        let _ = writeln!(
            html,
            "<tr><td class=\"n\">{number_of}</td><td class=\"n\">{factor}</td><td>{}</td></tr>",
            cells.collect::<Vec<_>>().join("; ")
        );
    }
    html + "</tbody>\n</table></div>\n</section>\n"
}

/// A logarithm as a factor that people can read.
fn times(weight: f64) -> String {
    let factor = weight.exp();
    let digits = weight * std::f64::consts::LOG10_E;
    if factor < 1e4 { format!("× {factor:.1}") } else { format!("× 10^{digits:.0}") }
}
