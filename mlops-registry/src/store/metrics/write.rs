//! New points into tails and segments.

use super::{
    segment,
    series::{Found, Series, thing},
};
use crate::store::{
    connection::{Connection, Value, values},
    many,
    session::Tx,
    words::{int, ordered_bits},
};
use mlops_core::{
    Error, Result, ResultExt,
    tracker::{Metric, MetricPoint},
};
use std::{collections::HashMap, sync::Arc};

/// How many points wait in a tail at most. Every batch writes the tail anew: more would cost more bytes
/// a point where points come one by one, fewer would make more segments.
const TAIL: usize = 32;
/// How many points a segment has at most.
const SEGMENT: usize = 4096;
/// A segment with fewer is put together with others.
const SMALL: usize = SEGMENT / 2;
/// How many segments wait for that.
const LOOSE: i64 = 8;
/// For how many series that is done by one call at most; the next calls do it for the others.
const MERGES: usize = 16;

/// The points of each metric in order, each once.
pub(in crate::store) type NamedPoints = Vec<(Arc<str>, Vec<MetricPoint>)>;

/// Takes a batch apart.
pub(in crate::store) fn by_name(metrics: Vec<Metric>) -> Result<NamedPoints> {
    let (mut places, mut named) = (HashMap::<Arc<str>, usize>::new(), NamedPoints::new());
    let mut last = None;
    for Metric { name, point } in metrics {
        let place = match last {
            // Mostly neighbours belong together.
            Some(place) if named.get(place).is_some_and(|(own, _)| *own == name) => place,
            _ => match places.get(&name) {
                Some(&place) => place,
                None if name.is_empty() => return Err(Error::invalid("a metric needs a name")),
                None => {
                    places.insert(Arc::clone(&name), named.len());
                    named.push((name, Vec::new()));
                    named.len() - 1
                }
            },
        };
        last = Some(place);
        named[place].1.push(point);
    }
    for (_, points) in &mut named {
        put_in_order(points);
    }
    Ok(named)
}

/// Sorts points and takes each once.
pub(super) fn put_in_order(points: &mut Vec<MetricPoint>) {
    if !points.is_sorted_by(|left, right| left.order(right).is_lt()) {
        points.sort_by(MetricPoint::order);
        points.dedup_by(|left, right| left.same(right));
    }
}

/// Adds points to a run.
pub(in crate::store) async fn add(
    tx: &mut Tx<'_>,
    run: &Value,
    mut found: Found,
    named: NamedPoints,
) -> Result<()> {
    let fresh = named.iter().filter(|(name, _)| !found.series.contains_key(name)).count();
    let mut next = if fresh > 0 { tx.number("series", fresh).await? } else { 0 };
    let (mut all, mut segments) = (Vec::with_capacity(named.len()), Vec::new());
    for (name, points) in named {
        let Some(&latest) = points.last() else { continue };
        let mut series = found.series.remove(&name).unwrap_or_else(|| {
            next += 1;
            Series { id: next - 1, latest, segments: 0, loose: 0, tail: Vec::new() }
        });
        series.take(points, &mut segments)?;
        all.push((name, series));
    }
    insert_segments(tx.db, segments);
    let loose = |series: &Series| series.segments - series.loose >= LOOSE;
    let merged = all.iter_mut().filter(|(_, series)| loose(series)).take(MERGES);
    for (name, series) in merged {
        series.merge(tx.db).await.context(|| thing(run, name))?;
    }
    let rows = all.into_iter().flat_map(|(name, series)| row(run, &name, &series)).collect();
    let (head, rest) = (
        "insert into metric_series
         (id, run, metric, step, time, value, number, segments, loose, tail) values",
        "on conflict (id) do update set step = excluded.step, time = excluded.time,
         value = excluded.value, number = excluded.number, segments = excluded.segments,
         loose = excluded.loose, tail = excluded.tail",
    );
    many::insert(tx.db, (head, rest), 10, rows);
    Ok(())
}

fn row(run: &Value, name: &Arc<str>, series: &Series) -> [Value; 10] {
    let MetricPoint { value, step, time } = series.latest;
    let number = Some(value).filter(|value| !value.is_nan());
    let (bits, tail) = (ordered_bits(value), segment::encode(&series.tail));
    let (segments, loose) = (series.segments, series.loose);
    values![series.id, run.clone(), name, step, time, bits, number, segments, loose, tail]
}

fn insert_segments(db: &mut Connection, rows: Vec<Value>) {
    let head = "insert into metric_segments
        (id, first_step, first_time, last_step, last_time, points, data) values";
    many::insert(db, (head, ""), 7, rows);
}

impl Series {
    /// Takes points; those that no longer fit into the tail become rows of segments.
    fn take(&mut self, mut points: Vec<MetricPoint>, segments: &mut Vec<Value>) -> Result<()> {
        if let Some(last) = points.last().filter(|last| self.latest.order(last).is_lt()) {
            self.latest = *last;
        }
        if !self.tail.is_empty() {
            let mut all = std::mem::take(&mut self.tail);
            all.append(&mut points);
            put_in_order(&mut all);
            points = all;
        }
        if points.len() <= TAIL {
            self.tail = points;
            return Ok(());
        }
        self.write(&points, segments)
    }

    /// Rows for points in order, in segments of much the same size.
    fn write(&mut self, points: &[MetricPoint], rows: &mut Vec<Value>) -> Result<()> {
        let size = points.len().div_ceil(points.len().div_ceil(SEGMENT).max(1));
        for piece in points.chunks(size.max(1)) {
            let (Some(first), Some(last)) = (piece.first(), piece.last()) else { continue };
            let count = int(piece.len() as u64)?;
            let id = self.segment(self.segments)?;
            rows.extend(values![
                id,
                first.step,
                first.time,
                last.step,
                last.time,
                count,
                segment::encode(piece)
            ]);
            self.segments += 1;
        }
        Ok(())
    }

    /// Puts the small ones of its last segments together.
    async fn merge(&mut self, db: &mut Connection) -> Result<()> {
        let bounds =
            values![self.segment(self.loose)?, self.segment(self.segments)?, int(SMALL as u64)?];
        let sql = "select data from metric_segments
            where id >= $1 and id < $2 and points < $3 order by id";
        let mut points = Vec::new();
        for row in db.rows(sql, &bounds).await? {
            points.extend(segment::decode(&row.bytes(0)?)?);
        }
        put_in_order(&mut points);
        let sql = "delete from metric_segments where id >= $1 and id < $2 and points < $3";
        db.later(sql, bounds.to_vec());
        let mut rows = Vec::new();
        self.write(&points, &mut rows)?;
        insert_segments(db, rows);
        // What is still small comes last.
        let small = !points.is_empty() && points.len() < SMALL;
        self.loose = if small { self.segments - 1 } else { self.segments };
        Ok(())
    }
}
