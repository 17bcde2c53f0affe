//! The report as one HTML page.

use super::{
    Performance, Report, chart, sections,
    text::{Text, count, effect_in_words, number, percent, probability, test_in_words},
};
use mlops_core::drift::{Contribution, Drift, Effect, Evidence, Verdict};
use std::fmt::Write;

const STYLE: &str = include_str!("style.css");

pub(super) fn page(report: &Report) -> String {
    let all = report.by_importance();
    let drawn = all.get(..report.max_charts.min(all.len())).unwrap_or_default();
    let mut body = headline(report);
    body += &sections::happened(report);
    body += &performance(&report.performance);
    body += &columns(report, drawn);
    body += &sections::segments(report);
    body += &sections::rows(report);
    body += &charts(report, drawn);
    body += READING;
    format!(
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <meta name=\"color-scheme\" content=\"light dark\">\n\
         <meta http-equiv=\"Content-Security-Policy\" \
         content=\"default-src 'none'; style-src 'unsafe-inline'\">\n\
         <title>{}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n{body}</main>\n\
         </body>\n</html>\n",
        Text(&report.title)
    )
}

const READING: &str = "<section>\n<h2>How to read this</h2>\n\
    <p>A column is <b>drifted</b> if its difference is significant after correction for the number \
    of columns <em>and</em> the whole interval of its effect lies beyond the margin; it is a \
    <b>warning</b> if only the estimate lies beyond it, or if more rows than a much smaller margin \
    are missing or have a value that is not listed where the reference has none such. Significance alone never makes a verdict: \
    with many rows, every negligible difference is significant. <b>Too few rows</b> means that \
    nothing can be said.</p>\n\
    <p>A probability is <em>exact</em> if it is that of the law of these very rows; else it is that \
    of a law for many rows. What a cell adds to a measure has a sign: + where the window has more \
    rows, and along the line (Wasserstein), where values went up; without signs the summands add \
    up to the measure.</p>\n</section>\n";

/// What a verdict is called, coloured.
pub(super) fn verdict(verdict: Verdict) -> String {
    let words = match verdict {
        Verdict::TooFewRows => "too few rows",
        other => other.as_str(),
    };
    format!("<span class=\"v {}\">{words}</span>", verdict.as_str())
}

fn headline(report: &Report) -> String {
    let (drift, columns) = (&report.drift, report.columns());
    let of = |verdict| columns.iter().filter(|column| column.verdict == verdict).count();
    let time = report.time.map(|time| format!(" · {time}")).unwrap_or_default();
    let mut html = format!(
        "<header>\n<h1>{}</h1>\n<p class=\"soft\">{} rows in the window{time}</p>\n\
         <p>Verdict: {}. Of {} columns {} drifted, {} may have, {} did not.</p>\n",
        Text(&report.title),
        count(drift.rows),
        verdict(drift.verdict),
        columns.len(),
        of(Verdict::Drifted),
        of(Verdict::Warning),
        of(Verdict::Stable),
    );
    if let Some(by) = &report.thresholds {
        let (margin, alpha) = (percent(by.margin), percent(by.alpha));
        let _ = writeln!(
            html,
            "<p class=\"soft\">Margin: {margin} of rows elsewhere are negligible. Of the columns \
             said to differ, {alpha} at most are wrong on average.</p>"
        );
    }
    if drift.verdict == Verdict::TooFewRows {
        html += "<p>There are too few rows to say anything yet.</p>\n";
    } else if let Some(column) = largest(columns) {
        let (name, what) = (Text(&column.name), effect_in_words(&column.effect.name));
        let effect = effect(&column.effect);
        let _ = writeln!(
            html,
            "<p>The largest effect is in <b>{name}</b>: {effect} ({}).</p>",
            Text(what)
        );
    }
    html + "</header>\n"
}

fn largest(columns: &[Drift]) -> Option<&Drift> {
    columns.iter().max_by(|a, b| a.effect.value.abs().total_cmp(&b.effect.value.abs()))
}

/// `0.123 [0.101, 0.145]`.
pub(super) fn effect(effect: &Effect) -> String {
    let interval = effect.interval;
    let interval = interval.map(|i| format!(" [{}, {}]", number(i.low), number(i.high)));
    format!("{}{}", number(effect.value), interval.unwrap_or_default())
}

/// The adjusted probability and how good it is, or evidence of another kind.
pub(super) fn evidence(evidence: Evidence) -> String {
    match evidence {
        Evidence::P { adjusted, exact, .. } => {
            let law = if exact { "exact" } else { "many rows" };
            format!("{} <span class=\"soft\">{law}</span>", probability(adjusted))
        }
        Evidence::E { e } => format!("e = {}", number(e)),
        Evidence::Interval => "interval".to_owned(),
        _ => "–".to_owned(),
    }
}

/// Margins after which an effect is drawn at the end of its scale.
const FAR: f64 = 6.0;

fn columns(report: &Report, drawn: &[&Drift]) -> String {
    let margin = report.thresholds.as_ref().map(|thresholds| thresholds.margin);
    let high =
        |column: &Drift| column.effect.interval.map_or(column.effect.value.abs(), |i| i.high);
    let ends = report.columns().iter().map(high).chain(margin);
    let most = ends.filter(|end| end.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    // What is far beyond the margin is drawn at the end: near it, widths can be seen.
    let far = margin.filter(|margin| *margin > 0.0).map_or(most, |margin| margin * FAR);
    let (most, beyond) = if most > far { (far, " or more") } else { (most, "") };
    let line = if margin.is_some() { "; the dashed line is the margin" } else { "" };
    let mut html = format!(
        "<section>\n<h2>Columns</h2>\n<div class=\"wide\"><table>\n\
        <caption>Shapes:<span class=\"key r\"></span>reference<span class=\"key w\"></span>window. \
        Effects with their intervals, from 0 to {}{beyond}{line}.</caption>\n<thead><tr>\
        <th scope=\"col\">column</th><th scope=\"col\">verdict</th><th scope=\"col\">shape</th>\
        <th scope=\"col\" colspan=\"2\">effect and interval</th>\
        <th scope=\"col\" class=\"n\">p, adjusted</th><th scope=\"col\">what moved most</th>\
        </tr></thead>\n<tbody>\n",
        number(most)
    );
    for column in report.columns() {
        let at = drawn.iter().position(|drawn| std::ptr::eq(*drawn, column));
        let name = Text(&column.name);
        let name = at.map_or(name.to_string(), |at| format!("<a href=\"#c{at}\">{name}</a>"));
        let (verdict, proof) = (verdict(column.verdict), evidence(column.evidence));
        let (effect, drawn) =
            (effect(&column.effect), chart::beside_margin(&column.effect, margin, most));
        let (cells, _) = report.cells(column);
        let shape =
            if cells.is_empty() { String::new() } else { chart::outline(&column.name, &cells) };
        let most = column.contributions.first().map(self::most).unwrap_or_default();
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{name}</th><td>{verdict}</td><td>{shape}</td><td>{drawn}</td>\
             <td class=\"n\">{effect}</td><td class=\"n\">{proof}</td><td>{most}</td></tr>"
        );
    }
    html + "</tbody>\n</table></div>\n</section>\n"
}

fn most(cell: &Contribution) -> String {
    format!("{}: {} → {}", Text(&cell.name), percent(cell.reference), percent(cell.window))
}

fn charts(report: &Report, drawn: &[&Drift]) -> String {
    if report.columns().is_empty() || report.drift.verdict == Verdict::TooFewRows {
        return String::new();
    }
    let mut html =
        "<section>\n<h2>Column by column</h2>\n<p class=\"soft\">Share of rows in each cell:\
        <span class=\"key r\"></span>reference<span class=\"key w\"></span>window</p>\n"
            .to_owned();
    for (at, column) in drawn.iter().enumerate() {
        html += &figure(report, at, column);
    }
    let left = report.columns().len() - drawn.len();
    if left > 0 {
        let moved = report.moved().len().saturating_sub(drawn.len());
        let _ = writeln!(
            html,
            "<p>{left} more columns, of which {moved} moved; the table above has them.</p>"
        );
    }
    html + "</section>\n"
}

fn figure(report: &Report, at: usize, column: &Drift) -> String {
    let (cells, left_out) = report.cells(column);
    let mut html = format!(
        "<figure id=\"c{at}\">\n<figcaption><h3>{} · {}</h3>\n<p class=\"soft\">{}: {}</p>",
        Text(&column.name),
        verdict(column.verdict),
        Text(effect_in_words(&column.effect.name)),
        effect(&column.effect),
    );
    if let Some(why) = report.explanation(column) {
        let _ = write!(html, "\n<p>{}</p>", sections::sentence(why));
    }
    html += "</figcaption>\n";
    if !cells.is_empty() {
        html += &chart::shares(&column.name, &cells);
        if left_out > 0 {
            let _ =
                writeln!(html, "<p class=\"soft\">and {left_out} more cells that moved less</p>");
        }
        html += &match report.explanation(column) {
            Some(why) => sections::measures(why),
            None => cell_table(&cells),
        };
    }
    html += &test_table(&column.parts);
    html + "</figure>\n"
}

fn cell_table(cells: &[&Contribution]) -> String {
    let mut html = "<details><summary>numbers</summary><div class=\"wide\"><table>\n<thead><tr>\
        <th scope=\"col\">cell</th><th scope=\"col\" class=\"n\">reference</th>\
        <th scope=\"col\" class=\"n\">window</th><th scope=\"col\" class=\"n\">adds to the effect\
        </th></tr></thead>\n<tbody>\n"
        .to_owned();
    for cell in cells {
        let (before, now) = (percent(cell.reference), percent(cell.window));
        let (name, value) = (Text(&cell.name), number(cell.value));
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{name}</th><td class=\"n\">{before}</td><td class=\"n\">{now}</td>\
             <td class=\"n\">{value}</td></tr>"
        );
    }
    html + "</tbody>\n</table></div></details>\n"
}

/// The parts of a column's finding: its tests, and the same difference in other units.
fn test_table(parts: &[Drift]) -> String {
    if parts.is_empty() {
        return String::new();
    }
    let mut html = "<details><summary>tests</summary><div class=\"wide\"><table>\n<thead><tr>\
        <th scope=\"col\">test or measure</th><th scope=\"col\" class=\"n\">statistic</th>\
        <th scope=\"col\" class=\"n\">effect and interval</th><th scope=\"col\" class=\"n\">p</th>\
        </tr></thead>\n<tbody>\n"
        .to_owned();
    for part in parts {
        let (name, statistic) = (test_in_words(&part.name), number(part.statistic));
        let p = match part.evidence {
            Evidence::P { p, exact, .. } => {
                format!("{}{}", probability(p), if exact { " (exact)" } else { "" })
            }
            other => evidence(other),
        };
        let (name, effect) = (Text(name), effect(&part.effect));
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{name}</th><td class=\"n\">{statistic}</td>\
             <td class=\"n\">{effect}</td><td class=\"n\">{p}</td></tr>"
        );
    }
    html + "</tbody>\n</table></div></details>\n"
}

fn performance(rows: &[Performance]) -> String {
    if rows.is_empty() {
        return String::new();
    }
    let mut html = "<section>\n<h2>Performance</h2>\n<div class=\"wide\"><table>\n\
        <caption>On the rows whose outcome is known</caption>\n<thead><tr>\
        <th scope=\"col\">version</th><th scope=\"col\">metric</th>\
        <th scope=\"col\" class=\"n\">value and interval</th><th scope=\"col\"></th>\
        <th scope=\"col\" class=\"n\">rows</th></tr></thead>\n<tbody>\n"
        .to_owned();
    for row in rows {
        let of_metric: Vec<&Performance> =
            rows.iter().filter(|other| other.metric == row.metric).collect();
        let value = Effect::new("", row.value);
        let value = row.interval.map_or(value.clone(), |interval| value.with_interval(interval));
        let _ = writeln!(
            html,
            "<tr><th scope=\"row\">{}</th><td>{}</td><td class=\"n\">{}</td><td>{}</td>\
             <td class=\"n\">{}</td></tr>",
            Text(&row.version),
            Text(&row.metric),
            effect(&value),
            chart::interval(row, &of_metric),
            count(row.rows),
        );
    }
    html + "</tbody>\n</table></div>\n</section>\n"
}
