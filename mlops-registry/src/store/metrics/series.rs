//! What is known of a run and its series before something is written into it.

use super::segment;
use crate::store::{
    connection::{Connection, Row, Value, placeholders},
    many,
    runs::point,
    words::case,
};
use mlops_core::{
    Error, Result, ResultExt, Timestamp,
    tracker::{Lifecycle, MetricPoint},
};
use std::{collections::HashMap, sync::Arc};

/// The number of a series times this, and the number of a segment, are the segment's identity.
const SEGMENTS: i64 = 1 << 24;

/// One metric of one run.
#[derive(Clone, Debug)]
pub(super) struct Series {
    pub(super) id: i64,
    /// The largest point by (step, time, value).
    pub(super) latest: MetricPoint,
    /// The number of the next segment.
    pub(super) segments: i64,
    /// The first segment that may still be put together with its neighbours.
    pub(super) loose: i64,
    /// Points that are in no segment yet, in order.
    pub(super) tail: Vec<MetricPoint>,
}

impl Series {
    /// The identity of one of its segments.
    pub(super) fn segment(&self, number: i64) -> Result<i64> {
        let first = self.id.checked_mul(SEGMENTS).filter(|_| number <= SEGMENTS);
        let id = first.and_then(|first| first.checked_add(number));
        id.ok_or_else(|| Error::too_large("a metric has too many segments"))
    }

    /// A series whose columns begin with the one given.
    pub(super) fn read(row: &Row, first: usize, thing: impl FnOnce() -> String) -> Result<Self> {
        Ok(Self {
            id: row.int(first)?,
            latest: point(row, first + 1)?,
            segments: row.int(first + 4)?,
            loose: row.int(first + 5)?,
            tail: segment::decode(&row.bytes(first + 6)?).context(thing)?,
        })
    }
}

/// The columns that [`Series::read`] reads.
pub(super) const COLUMNS: &str = "series.id, series.step, series.time, series.value, \
    series.segments, series.loose, series.tail";

/// What a write into a run has to know.
#[derive(Debug)]
pub(in crate::store) struct Found {
    pub(in crate::store) lifecycle: Lifecycle,
    /// Whether the lease of some run has run out.
    pub(in crate::store) due: bool,
    pub(super) series: HashMap<Arc<str>, Series>,
}

/// All that a write of these metrics into a run has to know, mostly by one statement; `None` if there is
/// no such run.
pub(in crate::store) async fn find(
    db: &mut Connection,
    run: &Value,
    now: Timestamp,
    metrics: &[&Arc<str>],
) -> Result<Option<Found>> {
    let mut lists: Vec<_> = many::lists(metrics).collect();
    if lists.is_empty() {
        lists.push(Vec::new());
    }
    let mut found = None;
    for list in lists {
        let mut values = vec![run.clone(), now.into()];
        values.extend(list.iter().map(|name| Value::from(*name)));
        for row in db.rows(statement(list.len()), &values).await? {
            let found = if let Some(found) = &mut found {
                found
            } else {
                let lifecycle = case(&row.text(0)?)?;
                let series = HashMap::with_capacity(metrics.len());
                found.insert(Found { lifecycle, due: row.int(1)? > 0, series })
            };
            if let Some(name) = row.optional_text(2)? {
                let thing = || thing(run, &name);
                let series = Series::read(&row, 3, thing)?;
                found.series.insert(name.into(), series);
            }
        }
    }
    Ok(found)
}

fn statement(names: usize) -> String {
    let list = if names == 0 { "null".to_owned() } else { placeholders(3, names) };
    format!(
        "select run.lifecycle,
         (select count(*) from (select 1 from runs where lease_until <= $2 limit 1) due),
         series.metric, {COLUMNS}
         from runs run left join metric_series series
         on series.run = run.id and series.metric in ({list})
         where run.id = $1"
    )
}

/// What an error about stored points names.
pub(super) fn thing(run: &Value, metric: &str) -> String {
    match run {
        Value::Text(run) => format!("run {run}, metric {metric:?}"),
        _ => format!("metric {metric:?}"),
    }
}
