//! What is written into a run at once, and the history of its metrics.

use super::{State, Tx, pages, runs};
use crate::{
    Error, Result, RunId, Timestamp,
    page::Page,
    tracker::{Batch, DatasetInput, Metric, MetricPoint, MetricQuery},
};

/// How many points a page has if nobody says, and at most.
const POINTS: usize = 25_000;

/// All of it, or an error and nothing: a copy of the run takes it and replaces the run at the end.
pub(super) fn log(tx: &mut Tx<'_>, id: RunId, batch: Batch) -> Result<()> {
    let mut held = runs::live(tx.state, id)?.clone();
    for (key, value) in batch.params {
        named("parameter", &key)?;
        match held.run.params.get(&key) {
            Some(first) if *first != value => {
                return Err(Error::conflict(format!(
                    "parameter {key:?} is {first:?} already and keeps its first value"
                )));
            }
            _ => held.run.params.insert(key, value),
        };
    }
    for (key, value) in batch.tags {
        named("tag", &key)?;
        held.run.tags.insert(key, value);
    }
    for input in batch.inputs {
        let same = |other: &DatasetInput| {
            (&other.name, &other.digest, &other.context)
                == (&input.name, &input.digest, &input.context)
        };
        if !held.run.inputs.iter().any(same) {
            held.run.inputs.push(input);
        }
    }
    for metric in batch.metrics {
        add(&mut held, metric)?;
    }
    tx.state.runs.insert(id, held);
    Ok(())
}

fn add(held: &mut runs::Held, Metric { name, point }: Metric) -> Result<()> {
    named("metric", &name)?;
    let points = held.points.entry(name.clone()).or_default();
    if let Err(place) = points.binary_search_by(|other| other.order(&point)) {
        points.insert(place, point);
    }
    let latest = points.last().copied().unwrap_or(point);
    held.run.metrics.insert(name.as_ref().to_owned(), latest);
    Ok(())
}

fn named(kind: &str, name: &str) -> Result<()> {
    if name.is_empty() { Err(Error::invalid(format!("a {kind} needs a name"))) } else { Ok(()) }
}

/// A page begins after the last point of the one before.
pub(super) fn history(state: &State, query: &MetricQuery) -> Result<Page<MetricPoint>> {
    let limit = pages::checked(query.max_results, POINTS, POINTS)?;
    let last = query.page.as_deref().map(read).transpose()?;
    let points = runs::get(state, query.run)?.points.get(&query.metric);
    let after = |point: &&MetricPoint| last.is_none_or(|last| last.order(point).is_lt());
    let mut items: Vec<MetricPoint> =
        points.into_iter().flatten().filter(after).take(limit + 1).copied().collect();
    let more = items.len() > limit;
    items.truncate(limit);
    let next = items.last().filter(|_| more).map(token);
    Ok(Page { items, next })
}

/// Step, time and the bits of the value, which name a point.
fn token(point: &MetricPoint) -> String {
    format!("{},{},{}", point.step, point.time.unix_micros(), point.value.to_bits())
}

fn read(token: &str) -> Result<MetricPoint> {
    let foreign = || Error::invalid("not a page that this record gave out");
    let mut parts = token.splitn(3, ',');
    let mut part = || parts.next().ok_or_else(foreign);
    let (step, time, bits) = (part()?, part()?, part()?);
    Ok(MetricPoint {
        step: step.parse().map_err(|_| foreign())?,
        time: Timestamp::from_unix_micros(time.parse().map_err(|_| foreign())?),
        value: f64::from_bits(bits.parse().map_err(|_| foreign())?),
    })
}
