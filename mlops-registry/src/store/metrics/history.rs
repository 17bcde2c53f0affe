//! Pages of a metric's history.

use super::walk::{Bounds, Walk};
use crate::store::{
    connection::{Connection, Value},
    runs, tokens,
    words::{from_ordered_bits, ordered_bits},
};
use mlops_core::{
    Result, Timestamp,
    page::Page,
    tracker::{MetricPoint, MetricQuery},
};

/// How many points a page has if nobody says, and at most.
const POINTS: usize = 25_000;

/// A metric's points in the order of (step, time, value). A page begins after the last point of the one
/// before, so that each is visited once also while others are written.
pub(in crate::store) async fn history(
    db: &mut Connection,
    query: MetricQuery,
) -> Result<Page<MetricPoint>> {
    let run = Value::from(query.run.to_string());
    let there = db.row("select 1 from runs where id = $1", std::slice::from_ref(&run)).await?;
    there.ok_or_else(|| runs::unknown(query.run))?;
    let limit = tokens::limit(query.max_results, POINTS, POINTS)?;
    let after = query.page.as_deref().map(tokens::read::<(i64, i64, i64)>).transpose()?;
    let after = after.map(|(step, time, value)| MetricPoint {
        value: from_ordered_bits(value),
        step,
        time: Timestamp::from_unix_micros(time),
    });
    let mut walk = Walk::begin(db, &run, &query.metric, Bounds { after, ..Bounds::all() }).await?;
    let mut items = Vec::new();
    while items.len() <= limit {
        let mut points = walk.next(db).await?;
        if points.is_empty() {
            return Ok(Page { items, next: None });
        }
        items.append(&mut points);
    }
    items.truncate(limit);
    let last = items
        .last()
        .map(|last| tokens::write(&(last.step, last.time.unix_micros(), ordered_bits(last.value))));
    Ok(Page { items, next: last.transpose()? })
}
