//! Which segments moved, and what each adds to the change of the whole.

use super::cells::CellPair;
use crate::{
    detector::{Examined, ProfileDetectorConfig, examine},
    profile::{Profile, Segments},
    tests::real,
};
use mlops_core::{
    Error, Result,
    drift::{Drift, Effect, Evidence, Verdict},
    stats::benjamini_hochberg,
};
use std::sync::Arc;

/// What a window shows in each segment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SegmentsDrift {
    /// The column whose values tell segments apart.
    pub by: Arc<str>,
    /// Every segment, in ascending order of its value, the rest last.
    pub segments: Vec<SegmentDrift>,
    /// What each segment adds to the change of each column; empty unless all segments
    /// [share one profile's cells](Segments::in_cells_of).
    pub columns: Vec<ColumnBySegment>,
}

/// What a window shows in one segment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct SegmentDrift {
    /// Its value; none for all other rows.
    pub value: Option<Arc<str>>,
    /// Its share of the reference's rows.
    pub reference: f64,
    /// Its share of the window's rows.
    pub window: f64,
    /// The finding about it, its columns as parts: verdicts hold for all segments and columns
    /// together.
    pub drift: Drift,
}

/// A column's change by segment.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ColumnBySegment {
    /// The column.
    pub column: Arc<str>,
    /// Its total variation distance as observed, noise included: the sum of all parts.
    pub change: f64,
    /// What each segment adds, in the order of [`SegmentsDrift::segments`].
    pub parts: Vec<SegmentPart>,
}

/// What one segment adds to the change of a column.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SegmentPart {
    /// By its own rows being different. Negative: its rows hide a part of the change.
    pub within: f64,
    /// By there being more or fewer of them.
    pub mix: f64,
}

impl SegmentPart {
    /// Both together.
    pub fn total(self) -> f64 {
        self.within + self.mix
    }
}

impl SegmentsDrift {
    /// The segments that moved, perhaps or surely, the most moved first.
    pub fn moved(&self) -> Vec<&SegmentDrift> {
        let moved = |segment: &&SegmentDrift| segment.drift.verdict >= Verdict::Warning;
        let mut moved: Vec<&SegmentDrift> = self.segments.iter().filter(moved).collect();
        moved.sort_by(|a, b| {
            let by_effect = || b.drift.effect.value.total_cmp(&a.drift.effect.value);
            b.drift.verdict.cmp(&a.drift.verdict).then_with(by_effect)
        });
        moved
    }
}

/// Compares a window with its reference segment by segment.
///
/// Every column of every segment with [`min_rows`](ProfileDetectorConfig::min_rows) on both sides is
/// tested as a [`ProfileDetector`](crate::ProfileDetector) tests it, and all of them are adjusted
/// together (Benjamini and Hochberg): of the columns of segments said to have moved, a share of
/// `alpha` at most is wrong on average, however many segments there are.
///
/// **What each adds.** With p and q the shares of all rows that lie in a cell, the distance is
/// ½ Σ sign(q − p)·(q − p), and q − p is a sum over segments: so is the distance. Each segment's
/// summand falls into a part due to its rows and one due to their number (as Kitagawa, "Components
/// of a difference between two rates", Journal of the American Statistical Association 50, 1955).
///
/// Segments of other values or cells are `InvalidInput`.
pub fn segments(
    reference: &Segments,
    window: &Segments,
    config: &ProfileDetectorConfig,
) -> Result<SegmentsDrift> {
    config.check()?;
    let pairs = pairs(reference, window)?;
    let rows = |side: fn(&Pair<'_>) -> u64| real(pairs.iter().map(side).sum::<u64>().max(1));
    let (n, m) = (rows(|pair| pair.before.rows()), rows(|pair| pair.now.rows()));
    let drifts = judged(&pairs, config)?;
    let segment = |(pair, drift): (&Pair<'_>, Drift)| SegmentDrift {
        value: pair.value.map(Into::into),
        reference: real(pair.before.rows()) / n,
        window: real(pair.now.rows()) / m,
        drift,
    };
    let segments = pairs.iter().zip(drifts).map(segment).collect();
    let columns = by_column(&pairs);
    Ok(SegmentsDrift { by: Arc::clone(reference.by()), segments, columns })
}

/// One segment of both sides.
struct Pair<'a> {
    /// None for the rest.
    value: Option<&'a str>,
    before: &'a Profile,
    now: &'a Profile,
}

fn pairs<'a>(reference: &'a Segments, window: &'a Segments) -> Result<Vec<Pair<'a>>> {
    let values = |of: &Segments| of.iter().map(|(value, _)| value.to_owned()).collect::<Vec<_>>();
    if reference.by() != window.by() || values(reference) != values(window) {
        return Err(Error::invalid("the segments are of other values"));
    }
    let listed = reference.iter().zip(window.iter());
    let listed = listed.map(|((value, before), (_, now))| Pair { value: Some(value), before, now });
    let rest = Pair { value: None, before: reference.rest(), now: window.rest() };
    let pairs: Vec<Pair<'_>> = listed.chain([rest]).collect();
    for Pair { before, now, .. } in &pairs {
        before.same_cells(now)?;
    }
    Ok(pairs)
}

/// The findings about all segments, adjusted together.
fn judged(pairs: &[Pair<'_>], config: &ProfileDetectorConfig) -> Result<Vec<Drift>> {
    let mut examined: Vec<Option<Vec<Examined>>> = Vec::with_capacity(pairs.len());
    for Pair { before, now, .. } in pairs {
        let least = config.min_rows.max(1);
        let enough = before.rows() >= least && now.rows() >= least;
        let columns = before.columns().zip(now.columns());
        let columns = columns.map(|(before, now)| examine(&before, &now, config));
        examined.push(if enough { columns.collect::<Result<_>>()? } else { None });
    }
    let all: Vec<f64> = examined.iter().flatten().flatten().map(Examined::p).collect();
    let mut adjusted = benjamini_hochberg(&all)?.into_iter();
    let mut drifts = Vec::with_capacity(pairs.len());
    for (pair, columns) in pairs.iter().zip(examined) {
        let (name, rows) = (pair.value.unwrap_or(REST), pair.now.rows());
        let Some(columns) = columns else {
            drifts.push(Drift::too_few(name, rows));
            continue;
        };
        let names = pair.before.spec().names();
        let parts = names.zip(columns).zip(adjusted.by_ref());
        let parts = parts.map(|((name, column), p)| column.judged(name, rows, p, config));
        drifts.push(whole(name, rows, parts.collect()));
    }
    Ok(drifts)
}

/// What the rows of no listed value are called.
const REST: &str = "all others";

/// The worst verdict of a segment's columns, with the effect of the column that has it.
fn whole(name: &str, rows: u64, columns: Vec<Drift>) -> Drift {
    let key = |a: &&Drift, b: &&Drift| {
        a.verdict.cmp(&b.verdict).then_with(|| a.effect.value.total_cmp(&b.effect.value))
    };
    let Some(worst) = columns.iter().max_by(key) else { return Drift::too_few(name, rows) };
    let p = |column: &Drift| match column.evidence {
        Evidence::P { adjusted, .. } => adjusted,
        _ => 1.0,
    };
    let least = columns.iter().map(p).fold(1.0, f64::min);
    let exact = columns.iter().all(|c| matches!(c.evidence, Evidence::P { exact: true, .. }));
    let drifted = columns.iter().filter(|column| column.verdict == Verdict::Drifted).count();
    let (effect, verdict): (Effect, _) = (worst.effect.clone(), worst.verdict);
    let evidence = Evidence::P { p: least, adjusted: least, exact };
    Drift::new(name, rows, real(drifted as u64), effect, evidence, verdict).with_parts(columns)
}

/// What each segment adds to each column, if all have the same cells and there are rows.
fn by_column(pairs: &[Pair<'_>]) -> Vec<ColumnBySegment> {
    let Some(first) = pairs.first() else { return Vec::new() };
    if pairs.iter().any(|pair| pair.before.same_cells(first.before).is_err()) {
        return Vec::new();
    }
    first.before.spec().names().filter_map(|name| column(name, pairs)).collect()
}

fn column(name: &Arc<str>, pairs: &[Pair<'_>]) -> Option<ColumnBySegment> {
    let cells = pairs.iter().map(|pair| {
        pair.before.column(name).zip(pair.now.column(name)).map(|(b, n)| CellPair::of(&b, &n))
    });
    let cells: Vec<CellPair> = cells.collect::<Option<_>>()?;
    let all = |side: fn(&CellPair) -> &Vec<u64>| {
        let rows: u64 = cells.iter().flat_map(side).sum();
        (rows > 0).then(|| real(rows))
    };
    let (n, m) = (all(|pair| &pair.reference)?, all(|pair| &pair.window)?);
    let width = cells.first()?.cells.len();
    let sign: Vec<f64> = (0..width)
        .map(|at| {
            let sum = |side: fn(&CellPair) -> &Vec<u64>| {
                real(cells.iter().map(|pair| side(pair)[at]).sum::<u64>())
            };
            let change = sum(|pair| &pair.window) / m - sum(|pair| &pair.reference) / n;
            if change == 0.0 { 0.0 } else { change.signum() }
        })
        .collect();
    let parts: Vec<SegmentPart> = cells.iter().map(|pair| part(pair, &sign, n, m)).collect();
    let change = parts.iter().map(|part| part.total()).sum();
    Some(ColumnBySegment { column: Arc::clone(name), change, parts })
}

/// ½ Σ sign·(q − p) over a segment's cells, of which Σ sign·(weights' mean)·(difference of the
/// shares within the segment) is due to its rows.
fn part(pair: &CellPair, sign: &[f64], n: f64, m: f64) -> SegmentPart {
    let rows = |counts: &[u64]| real(counts.iter().sum());
    let (before, now) = (rows(&pair.reference), rows(&pair.window));
    let weight = f64::midpoint(before / n, now / m);
    let (mut total, mut within) = (0.0, 0.0);
    for ((sign, a), b) in sign.iter().zip(&pair.reference).zip(&pair.window) {
        let (a, b) = (real(*a), real(*b));
        total += sign * (b / m - a / n) / 2.0;
        if before > 0.0 && now > 0.0 {
            within += sign * weight * (b / now - a / before) / 2.0;
        }
    }
    SegmentPart { within, mix: total - within }
}
