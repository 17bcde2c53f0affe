//! The batch that clients send most, points of metrics and nothing else, read straight into what is written:
//! 1.4 to 1.7 times the points a second of the way through JSON values (`scripts/bench record beside`). What is
//! not just that is read as arguments, which also name what is wrong.

use super::{limits, runs::run_id};
use crate::store::Entry;
use mlops_core::{
    RunId, Timestamp,
    tracker::{Batch, Metric},
};
use serde::Deserialize;
use std::borrow::Cow;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Points<'a> {
    #[serde(borrow)]
    run_id: Cow<'a, str>,
    metrics: Vec<Point<'a>>,
    #[serde(default)]
    params: [(); 0],
    #[serde(default)]
    tags: [(); 0],
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Point<'a> {
    #[serde(borrow)]
    key: Cow<'a, str>,
    value: f64,
    timestamp: i64,
    step: Option<i64>,
}

/// The run and its new points, if that is what a body holds.
pub(super) fn read(body: &[u8]) -> Option<(RunId, Entry)> {
    let Points { run_id: run, metrics: points, params: [], tags: [] } =
        serde_json::from_slice(body).ok()?;
    let run = run_id(&run).ok().filter(|_| points.len() <= limits::BATCH)?;
    let metrics = points.into_iter().map(metric).collect::<Option<_>>()?;
    Some((run, Entry { batch: Batch::new().with_metrics(metrics), ..Entry::default() }))
}

fn metric(point: Point<'_>) -> Option<Metric> {
    let Point { key, value, timestamp, step } = point;
    let fine = !key.is_empty() && timestamp >= 0 && limits::key(&key, "key").is_ok();
    let time = Timestamp::from_unix_millis(timestamp);
    fine.then(|| Metric::new(key, value, step.unwrap_or_default(), time))
}
