//! Runs: created, changed, ended, expired.

use super::{
    connection::{Connection, Row, Value, placeholders, values},
    events::{self, About},
    experiments,
    session::Tx,
    tags,
    words::{case, from_ordered_bits, int, word},
};
#[cfg(feature = "http")]
use mlops_core::tracker::Experiment;
use mlops_core::{
    Error, ErrorKind, ExperimentId, Principal, Result, RunId, Timestamp,
    event::EventKind,
    tracker::{CreateRun, DatasetInput, Lifecycle, MetricPoint, Run, RunChange, RunStatus},
};
use serde_json::json;
use std::{collections::HashMap, sync::Arc, time::Duration};

/// How many runs are read at once.
const CHUNK: usize = 500;
/// How many leases are looked at in one transaction.
const EXPIRED: usize = 1000;
/// The tag of a run that is part of another, as MLflow's clients know it.
const PARENT: &str = "mlflow.parentRunId";
/// The tag that says why a run failed whose process did not.
const FAILURE: &str = "mlops.failure";

pub(super) async fn create(tx: &mut Tx<'_>, new: CreateRun) -> Result<Run> {
    expire(tx).await?;
    if let Some(run) = created(tx, &new).await? {
        return Ok(run);
    }
    let number = experiments::number(&new.experiment)?;
    let experiment = experiments::get(tx.db, number).await?;
    if experiment.lifecycle != Lifecycle::Active {
        return Err(Error::not_found(format!("experiment {number} is deleted")));
    }
    insert(tx, experiment.id, new).await
}

/// The same in an experiment that is there and live.
#[cfg(feature = "http")]
pub(super) async fn create_in(
    tx: &mut Tx<'_>,
    experiment: &Experiment,
    new: CreateRun,
) -> Result<Run> {
    expire(tx).await?;
    match created(tx, &new).await? {
        Some(run) => Ok(run),
        None => insert(tx, experiment.id.clone(), new).await,
    }
}

/// What the same key created before.
async fn created(tx: &mut Tx<'_>, new: &CreateRun) -> Result<Option<Run>> {
    let Some(key) = &new.idempotency_key else { return Ok(None) };
    let sql = "select id from runs where idempotency_key = $1";
    match tx.db.row(sql, &values![key]).await? {
        Some(row) => get(tx.db, row.parsed(0)?).await.map(Some),
        None => Ok(None),
    }
}

async fn insert(tx: &mut Tx<'_>, experiment: ExperimentId, new: CreateRun) -> Result<Run> {
    let CreateRun { name, started, mut tags, parent, idempotency_key, .. } = new;
    if let Some(parent) = parent {
        get(tx.db, parent).await?;
    }
    let id = RunId::from_u128(tx.id());
    let text = id.to_string();
    let name = name.unwrap_or_else(|| Arc::from(format!("run-{}", &text[24..])));
    tags.extend(parent.map(|parent| (PARENT.to_owned(), parent.to_string())));
    let mut run = Run::new(id, experiment, name, started.unwrap_or(tx.now));
    run.actor = Arc::clone(&tx.actor.name);
    run.tags = tags;
    let sql = "insert into runs
        (id, experiment, name, status, lifecycle, actor, started, idempotency_key)
        values ($1, $2, $3, $4, $5, $6, $7, $8)";
    let (number, key) = (experiments::number(&run.experiment)?, idempotency_key.as_ref());
    let (status, lifecycle) = (word(&run.status)?, word(&run.lifecycle)?);
    let row = values![&text, number, &run.name, status, lifecycle, &run.actor, run.started, key];
    tx.db.execute(sql, &row).await?;
    tags::RUN.set_all(tx.db, &Value::from(&text), &run.tags).await?;
    let detail = json!({ "experiment": run.experiment, "name": run.name });
    let event = tx.event(EventKind::RUN_CREATED, format!("run/{id}")).with_detail(detail);
    events::append(tx, &event, &About::default()).await?;
    // As it was written: nothing else can be in it yet.
    Ok(run)
}

pub(super) async fn update(tx: &mut Tx<'_>, id: RunId, change: RunChange) -> Result<Run> {
    expire(tx).await?;
    let run = get(tx.db, id).await?;
    let text = Value::from(id.to_string());
    let corrects = change.reopen && change.ended.is_some() && change.ended != run.ended;
    let other = |status: &RunStatus| *status != run.status || (corrects && status.is_final());
    if let Some(status) = change.status.filter(other) {
        if run.status.is_final() && !change.reopen {
            let ended = format!("run {id} ended as {}", word(&run.status)?);
            return Err(Error::conflict(ended));
        }
        let ended = status.is_final().then(|| change.ended.unwrap_or(tx.now));
        set_status(tx, id, status, ended, None).await?;
    }
    if let Some(name) = &change.name {
        let sql = "update runs set name = $2 where id = $1";
        tx.db.execute(sql, &values![text.clone(), name]).await?;
    }
    if let Some(lifecycle) = &change.lifecycle {
        let deleted = matches!(lifecycle, Lifecycle::Deleted).then_some(tx.now);
        let sql = "update runs set lifecycle = $2, deleted = $3 where id = $1";
        tx.db.execute(sql, &values![text.clone(), word(lifecycle)?, deleted]).await?;
    }
    for key in &change.remove_tags {
        tags::RUN.remove(tx.db, &text, key).await?;
    }
    get(tx.db, id).await
}

async fn set_status(
    tx: &mut Tx<'_>,
    id: RunId,
    status: RunStatus,
    ended: Option<Timestamp>,
    reason: Option<&str>,
) -> Result<()> {
    // A lease is of use only while something may still come.
    let sql = "update runs set status = $2, ended = $3,
        lease_until = case when $3 is null then lease_until else null end where id = $1";
    let row = values![id.to_string(), word(&status)?, ended];
    tx.db.execute(sql, &row).await?;
    if ended.is_none() {
        return Ok(());
    }
    let detail = json!({ "status": status });
    let mut event = tx.event(EventKind::RUN_ENDED, format!("run/{id}")).with_detail(detail);
    event.reason = reason.map(Arc::from);
    events::append(tx, &event, &About::default()).await.map(drop)
}

/// Until when the run's process has promised to live.
pub(super) async fn renew_lease(tx: &mut Tx<'_>, id: RunId, lasts: Duration) -> Result<()> {
    expire(tx).await?;
    let run = get(tx.db, id).await?;
    if run.status.is_final() {
        let ended = format!("run {id} ended as {}", word(&run.status)?);
        return Err(Error::conflict(ended));
    }
    let sql = "update runs set lease_until = $2 where id = $1";
    tx.db.execute(sql, &values![id.to_string(), tx.now.plus(lasts)]).await.map(drop)
}

/// Whether a lease has run out that nobody has noted yet.
pub(super) async fn any_expired(db: &mut Connection, now: Timestamp) -> Result<bool> {
    let sql = "select 1 from runs where lease_until <= $1 limit 1";
    Ok(db.row(sql, &values![now]).await?.is_some())
}

/// Ends every run whose lease has run out: its process is gone.
pub(super) async fn expire(tx: &mut Tx<'_>) -> Result<()> {
    let sql =
        "select id, lease_until from runs where lease_until <= $1 order by lease_until limit $2";
    let rows = tx.db.rows(sql, &values![tx.now, int(EXPIRED as u64)?]).await?;
    for row in rows {
        let (id, until): (RunId, Timestamp) = (row.parsed(0)?, row.time(1)?);
        let reason = format!("its lease ran out at {until}");
        // Not whoever happens to look: the record itself notes it.
        let actor = std::mem::replace(&mut tx.actor, Principal::host());
        let outcome = set_status(tx, id, RunStatus::Failed, Some(until), Some(&reason)).await;
        tx.actor = actor;
        outcome?;
        tags::RUN.set(tx.db, &Value::from(id.to_string()), FAILURE, &reason).await?;
    }
    Ok(())
}

pub(super) async fn get(db: &mut Connection, id: RunId) -> Result<Run> {
    load(db, &[id]).await?.pop().ok_or_else(|| unknown(id))
}

pub(super) fn unknown(id: RunId) -> Error {
    Error::new(ErrorKind::NotFound, format!("run {id} does not exist"))
}

/// Whole runs in the order asked for; those that are not there are left out.
pub(super) async fn load(db: &mut Connection, ids: &[RunId]) -> Result<Vec<Run>> {
    let mut runs = Vec::with_capacity(ids.len());
    for some in ids.chunks(CHUNK) {
        let keys: Vec<Value> = some.iter().map(|id| Value::from(id.to_string())).collect();
        let mut found = with_parts(db, &keys).await?;
        runs.extend(some.iter().filter_map(|id| found.remove(&id.to_string())));
    }
    Ok(runs)
}

async fn with_parts(db: &mut Connection, keys: &[Value]) -> Result<HashMap<String, Run>> {
    let list = placeholders(1, keys.len());
    let sql = format!("select {COLUMNS} from runs where id in ({list})");
    let mut found = HashMap::with_capacity(keys.len());
    for row in db.rows(sql, keys).await? {
        found.insert(row.text(0)?, run(&row)?);
    }
    for (id, params) in tags::PARAM.of(db, keys).await? {
        found.entry(id).and_modify(|run| run.params = params);
    }
    for (id, tags) in tags::RUN.of(db, keys).await? {
        found.entry(id).and_modify(|run| run.tags = tags);
    }
    let sql =
        format!("select run, metric, step, time, value from metric_series where run in ({list})");
    for row in db.rows(sql, keys).await? {
        let (id, metric, point) = (row.text(0)?, row.text(1)?, point(&row, 2)?);
        found.entry(id).and_modify(|run| run.metrics.extend([(metric, point)]));
    }
    let sql = format!(
        "select run, name, digest, context, dataset_rows, source, source_type, columns, profile, tags
         from run_inputs
         where run in ({list}) order by run, position"
    );
    for row in db.rows(sql, keys).await? {
        let (id, input) = (row.text(0)?, input(&row)?);
        found.entry(id).and_modify(|run| run.inputs.push(input));
    }
    Ok(found)
}

/// The columns that [`run`] reads.
pub(super) const COLUMNS: &str = "id, experiment, name, status, lifecycle, actor, started, ended";

/// A run without its parts.
pub(super) fn run(row: &Row) -> Result<Run> {
    let experiment = ExperimentId::new(row.int(1)?.to_string())?;
    let mut run = Run::new(row.parsed(0)?, experiment, row.text(2)?, row.time(6)?);
    run.status = case(&row.text(3)?)?;
    run.lifecycle = case(&row.text(4)?)?;
    run.actor = row.text(5)?.into();
    run.ended = row.optional_time(7)?;
    Ok(run)
}

/// A point whose step, time and value begin at a column.
pub(super) fn point(row: &Row, first: usize) -> Result<MetricPoint> {
    let value = from_ordered_bits(row.int(first + 2)?);
    Ok(MetricPoint { value, step: row.int(first)?, time: row.time(first + 1)? })
}

fn input(row: &Row) -> Result<DatasetInput> {
    let mut input = DatasetInput::new(row.text(1)?, row.text(2)?, row.text(3)?);
    input.rows = row.optional_int(4)?.map(i64::unsigned_abs);
    input.source = row.optional_text(5)?.map(Arc::from);
    input.source_type = row.optional_text(6)?.map(Arc::from);
    input.schema = row.optional_text(7)?.map(Arc::from);
    input.profile = row.optional_text(8)?.map(Arc::from);
    if row.optional_text(9)?.is_some() {
        input.tags = row.json(9)?;
    }
    Ok(input)
}
