//! Charts as inline SVG; their colours come from the page's style.

use super::{
    Performance,
    text::{Text, number, percent, short},
};
use mlops_core::drift::{Contribution, Effect};
use std::fmt::Write;

const WIDTH: f64 = 640.0;
/// Where bars start, and how long the longest is.
const LEFT: f64 = 170.0;
const LENGTH: f64 = 330.0;
/// Of one cell: two bars and the space below.
const ROW: f64 = 30.0;
const BAR: f64 = 11.0;
/// Characters of a label that fit to the left of the bars.
const LABEL: usize = 24;

/// A pair of bars a cell: its share of the reference above its share of the window.
pub(super) fn shares(name: &str, cells: &[&Contribution]) -> String {
    let most = cells.iter().flat_map(|cell| [cell.reference, cell.window]);
    let most = most.filter(|share| share.is_finite()).fold(f64::MIN_POSITIVE, f64::max);
    let height = ROW * f64::from(u32::try_from(cells.len()).unwrap_or(u32::MAX)) + 4.0;
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"Shares of the cells of {}, \
         reference beside window; the table below has the same numbers\">",
        Text(name)
    );
    let mut top = 4.0;
    for cell in cells {
        svg.push_str(&pair(cell, top, most));
        top += ROW;
    }
    svg.push_str("</svg>");
    svg
}

/// The two bars of a cell, its label to the left, its shares to the right.
fn pair(cell: &Contribution, top: f64, most: f64) -> String {
    let long = |share: f64| {
        // Whatever is no positive number has no length: NaN, and a zero with a sign.
        if share > 0.0 && share.is_finite() { share / most * LENGTH } else { 0.0 }
    };
    let (reference, window) = (long(cell.reference), long(cell.window));
    let (middle, second) = (top + BAR + 4.0, top + BAR + 1.0);
    let beyond = LEFT + reference.max(window) + 8.0;
    let label = short(&cell.name, LABEL);
    let (name, label) = (Text(&cell.name), Text(&label));
    let (before, now) = (percent(cell.reference), percent(cell.window));
    format!(
        "<g><title>{name}: {before} of the reference, {now} of the window</title>\
         <text x=\"{x}\" y=\"{middle}\" text-anchor=\"end\">{label}</text>\
         <rect class=\"r\" x=\"{LEFT}\" y=\"{top}\" width=\"{reference:.1}\" height=\"{BAR}\"/>\
         <rect class=\"w\" x=\"{LEFT}\" y=\"{second}\" width=\"{window:.1}\" height=\"{BAR}\"/>\
         <text class=\"n\" x=\"{beyond:.1}\" y=\"{middle}\">{before} → {now}</text></g>",
        x = LEFT - 8.0,
    )
}

/// A row's estimate and interval on the scale of all rows of its metric.
pub(super) fn interval(row: &Performance, of_metric: &[&Performance]) -> String {
    let ends = |row: &Performance| row.interval.map_or((row.value, row.value), |i| (i.low, i.high));
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for other in of_metric {
        let (from, to) = ends(other);
        (low, high) = (low.min(from), high.max(to));
    }
    let place = |value: f64| {
        let part = (value - low) / (high - low);
        10.0 + 160.0 * if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.5 }
    };
    let (from, to) = ends(row);
    let mut svg = format!(
        "<svg class=\"i\" viewBox=\"0 0 180 16\" role=\"img\" aria-label=\"{}, from {} to {}\">",
        number(row.value),
        number(from),
        number(to)
    );
    // Writing to a string cannot fail.
    let _ = write!(
        svg,
        "<line x1=\"{:.1}\" x2=\"{:.1}\" y1=\"8\" y2=\"8\"/><circle cx=\"{:.1}\" cy=\"8\" r=\"4\"/></svg>",
        place(from),
        place(to),
        place(row.value)
    );
    svg
}

/// The shape of a column, small: the reference's shares as an area, the window's as a line of steps.
pub(super) fn outline(name: &str, cells: &[&Contribution]) -> String {
    const WIDTH: f64 = 96.0;
    const HEIGHT: f64 = 26.0;
    let sound = |share: f64| if share.is_finite() { share.clamp(0.0, 1.0) } else { 0.0 };
    let shares = cells.iter().flat_map(|cell| [cell.reference, cell.window]).map(sound);
    let most = shares.fold(f64::MIN_POSITIVE, f64::max);
    let width = WIDTH / f64::from(u32::try_from(cells.len().max(1)).unwrap_or(u32::MAX));
    let steps = |share: fn(&Contribution) -> f64| {
        let mut path = String::new();
        for cell in cells {
            let top = HEIGHT - sound(share(cell)) / most * (HEIGHT - 2.0);
            let _ = write!(path, "V{top:.1}h{width:.2}");
        }
        path
    };
    let (reference, window) = (steps(|cell| cell.reference), steps(|cell| cell.window));
    format!(
        "<svg class=\"o\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"Shape of {}\">\
         <path class=\"r\" d=\"M0 {HEIGHT}{reference}V{HEIGHT}z\"/>\
         <path class=\"s\" d=\"M0 {HEIGHT}{window}V{HEIGHT}\"/></svg>",
        Text(name)
    )
}

/// An effect's interval from 0 to `most`, and where the margin is.
pub(super) fn beside_margin(effect: &Effect, margin: Option<f64>, most: f64) -> String {
    const WIDTH: f64 = 100.0;
    let place = |value: f64| {
        let part = value.abs() / most;
        4.0 + (WIDTH - 8.0) * if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 }
    };
    let (low, high) = effect.interval.map_or((effect.value, effect.value), |i| (i.low, i.high));
    let mut svg = format!(
        "<svg class=\"e\" viewBox=\"0 0 {WIDTH} 14\" role=\"img\" aria-label=\"{} from {} to {}\">",
        number(effect.value),
        number(low),
        number(high)
    );
    if let Some(margin) = margin {
        let at = place(margin);
        let _ = write!(svg, "<path class=\"m\" d=\"M{at:.1} 0V14\"/>");
    }
    let _ = write!(
        svg,
        "<path class=\"b\" d=\"M{:.1} 7H{:.1}\"/><circle cx=\"{:.1}\" cy=\"7\" r=\"2.5\"/></svg>",
        place(low),
        place(high),
        place(effect.value)
    );
    svg
}
