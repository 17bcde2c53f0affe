//! What is written into a run at once, and the history of its metrics.

use super::{
    connection::{Connection, Value, values},
    runs::{self, point},
    session::Tx,
    tags, tokens,
    words::{int, json, ordered_bits},
};
use mlops_core::{
    Error, Result, RunId,
    page::Page,
    tracker::{Batch, DatasetInput, Lifecycle, Metric, MetricPoint, MetricQuery},
};
use std::collections::BTreeMap;

/// How many rows one statement adds.
const CHUNK: usize = 100;
/// How many points a page has if nobody says, and at most.
const POINTS: usize = 25_000;

/// All of it, or an error and nothing.
pub(super) async fn log(tx: &mut Tx<'_>, id: RunId, batch: Batch) -> Result<()> {
    runs::expire(tx).await?;
    let run = Value::from(id.to_string());
    let sql = "select lifecycle from runs where id = $1";
    let row = tx.db.row(sql, std::slice::from_ref(&run)).await?;
    let lifecycle = row.ok_or_else(|| runs::unknown(id))?.text(0)?;
    if super::words::case::<Lifecycle>(&lifecycle)? == Lifecycle::Deleted {
        return Err(Error::conflict(format!("run {id} is deleted")));
    }
    for (key, value) in &batch.params {
        set_param(tx.db, &run, key, value).await?;
    }
    for (key, value) in &batch.tags {
        named("tag", key)?;
        tags::RUN.set(tx.db, &run, key, value).await?;
    }
    for input in &batch.inputs {
        add_input(tx.db, &run, input).await?;
    }
    add_metrics(tx, &run, &batch.metrics).await
}

fn named(kind: &str, name: &str) -> Result<()> {
    if name.is_empty() { Err(Error::invalid(format!("a {kind} needs a name"))) } else { Ok(()) }
}

/// A parameter is written once.
async fn set_param(db: &mut Connection, run: &Value, key: &str, value: &str) -> Result<()> {
    named("parameter", key)?;
    match tags::PARAM.get(db, run, key).await? {
        Some(first) if first == value => Ok(()),
        Some(first) => Err(Error::conflict(format!(
            "parameter {key:?} is {first:?} already and keeps its first value"
        ))),
        None => tags::PARAM.set(db, run, key, value).await,
    }
}

async fn add_input(db: &mut Connection, run: &Value, input: &DatasetInput) -> Result<()> {
    let rows = input.rows.map(int).transpose()?;
    let sql = "insert into run_inputs (run, position, name, digest, context, dataset_rows, source,
            source_type, columns, profile, tags)
        select $1, coalesce(max(position), 0) + 1, $2, $3, $4, $5, $6, $7, $8, $9, $10
        from run_inputs where run = $1
        on conflict (run, name, digest, context) do nothing";
    let tags = (!input.tags.is_empty()).then(|| json(&input.tags)).transpose()?;
    let row = values![
        run.clone(),
        &input.name,
        &input.digest,
        &input.context,
        rows,
        input.source.as_ref(),
        input.source_type.as_ref(),
        input.schema.as_ref(),
        input.profile.as_ref(),
        tags,
    ];
    db.execute(sql, &row).await.map(drop)
}

async fn add_metrics(tx: &mut Tx<'_>, run: &Value, metrics: &[Metric]) -> Result<()> {
    let mut latest = BTreeMap::<&str, MetricPoint>::new();
    for Metric { name, point } in metrics {
        named("metric", name)?;
        let newest = latest.entry(name).or_insert(*point);
        if newest.order(point).is_lt() {
            *newest = *point;
        }
    }
    let series = series(tx, run, &latest).await?;
    for some in metrics.chunks(CHUNK) {
        let mut row = Vec::with_capacity(4 * some.len());
        for Metric { name, point } in some {
            let MetricPoint { value, step, time } = *point;
            row.extend(values![series[name.as_ref()], step, time, ordered_bits(value)]);
        }
        let sql = format!(
            "insert into metric_points (series, step, time, value) values {}
             on conflict (series, step, time, value) do nothing",
            rows(some.len(), 4)
        );
        tx.db.execute(sql, &row).await?;
    }
    Ok(())
}

/// The number of each metric's series, whose latest point takes part in what is new.
async fn series<'a>(
    tx: &mut Tx<'_>,
    run: &Value,
    latest: &BTreeMap<&'a str, MetricPoint>,
) -> Result<BTreeMap<&'a str, i64>> {
    let sql = "select metric, id from metric_series where run = $1";
    let mut known = BTreeMap::new();
    if !latest.is_empty() {
        for row in tx.db.rows(sql, std::slice::from_ref(run)).await? {
            known.insert(row.text(0)?, row.int(1)?);
        }
    }
    let fresh = latest.keys().filter(|name| !known.contains_key(**name)).count();
    let mut next = if fresh > 0 { tx.number("series", fresh).await? } else { 0 };
    let mut numbers = BTreeMap::new();
    for (&name, point) in latest {
        let number = known.get(name).copied().unwrap_or_else(|| {
            next += 1;
            next - 1
        });
        numbers.insert(name, number);
        set_latest(tx.db, run, name, number, point).await?;
    }
    Ok(numbers)
}

async fn set_latest(
    db: &mut Connection,
    run: &Value,
    name: &str,
    number: i64,
    point: &MetricPoint,
) -> Result<()> {
    let sql = "insert into metric_series (id, run, metric, step, time, value, number)
        values ($1, $2, $3, $4, $5, $6, $7)
        on conflict (id) do update
        set step = excluded.step, time = excluded.time, value = excluded.value,
            number = excluded.number
        where (excluded.step, excluded.time, excluded.value)
            > (metric_series.step, metric_series.time, metric_series.value)";
    let MetricPoint { value, step, time } = *point;
    let known = Some(value).filter(|value| !value.is_nan());
    let row = values![number, run.clone(), name, step, time, ordered_bits(value), known];
    db.execute(sql, &row).await.map(drop)
}

/// `($1, $2), ($3, $4)`: so many rows of placeholders.
fn rows(count: usize, width: usize) -> String {
    let row = |row: usize| {
        let list = super::connection::placeholders(row * width + 1, width);
        format!("({list})")
    };
    (0..count).map(row).collect::<Vec<_>>().join(", ")
}

/// A metric's points in the order of (step, time).
pub(super) async fn history(db: &mut Connection, query: MetricQuery) -> Result<Page<MetricPoint>> {
    let run = Value::from(query.run.to_string());
    let there = db.row("select 1 from runs where id = $1", std::slice::from_ref(&run)).await?;
    there.ok_or_else(|| runs::unknown(query.run))?;
    let limit = tokens::limit(query.max_results, POINTS, POINTS)?;
    let after = query.page.as_deref().map(tokens::read::<(i64, i64, i64)>).transpose()?;
    let (step, time, value) = after.unwrap_or((i64::MIN, i64::MIN, i64::MIN));
    let from = if after.is_some() { ">" } else { ">=" };
    let sql = format!(
        "select point.step, point.time, point.value from metric_points point
         join metric_series series on series.id = point.series
         where series.run = $1 and series.metric = $2
         and (point.step, point.time, point.value) {from} ($3, $4, $5)
         order by point.step, point.time, point.value limit $6"
    );
    let more = int(limit as u64 + 1)?;
    let found = db.rows(sql, &values![run, &query.metric, step, time, value, more]).await?;
    let mut items: Vec<_> = found.iter().map(|row| point(row, 0)).collect::<Result<_>>()?;
    let next = (items.len() > limit).then(|| {
        items.truncate(limit);
        let last = items[limit - 1];
        tokens::write(&(last.step, last.time.unix_micros(), ordered_bits(last.value)))
    });
    Ok(Page { items, next: next.transpose()? })
}
