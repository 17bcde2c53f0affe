//! What each file's lines say, and how they are read: a page at a time, each after the last key of the one
//! before.

use super::super::{
    connection::{Connection, Row, Value, placeholders, values},
    experiments, metrics, models, runs,
    tags::TagTable,
    versions,
    words::from_ordered_bits,
};
use mlops_core::{Result, RunId, Timestamp, artifact::ArtifactRef, tracker::MetricQuery};
use serde_json::{Map, Value as Json, json};
use std::collections::HashMap;

/// How many lines are read at once, where a line is short.
const MANY: i64 = 1000;
/// And where it may be long.
const SOME: i64 = 100;

const MODEL_TAGS: TagTable = TagTable { name: "logged_model_tags", owner: "model" };
const MODEL_PARAMS: TagTable = TagTable { name: "logged_model_params", owner: "model" };

/// A file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Events,
    Aliases,
    Versions,
    Models,
    Files,
    Metrics,
    Runs,
    LoggedModels,
    Experiments,
}

/// The key of the last line; nothing before the first.
pub(super) type Place = Vec<Value>;

/// Some lines.
pub(super) struct Part {
    pub(super) text: Vec<u8>,
    pub(super) count: u64,
    /// What they refer to.
    pub(super) artifacts: Vec<ArtifactRef>,
    /// Where the next begin; `None` after the last.
    pub(super) next: Option<Place>,
}

impl Kind {
    /// What refers to something comes before it.
    pub(super) const ALL: [Self; 9] = [
        Self::Events,
        Self::Aliases,
        Self::Versions,
        Self::Models,
        Self::Files,
        Self::Metrics,
        Self::Runs,
        Self::LoggedModels,
        Self::Experiments,
    ];

    pub(super) fn file(self) -> &'static str {
        match self {
            Self::Events => "events.jsonl",
            Self::Aliases => "aliases.jsonl",
            Self::Versions => "versions.jsonl",
            Self::Models => "models.jsonl",
            Self::Files => "files.jsonl",
            Self::Metrics => "metrics.jsonl",
            Self::Runs => "runs.jsonl",
            Self::LoggedModels => "logged_models.jsonl",
            Self::Experiments => "experiments.jsonl",
        }
    }
}

/// The lines after a place.
pub(super) async fn read(db: &mut Connection, kind: Kind, place: Place) -> Result<Part> {
    match kind {
        Kind::Events => events(db, &place).await,
        Kind::Aliases => aliases(db, &place).await,
        Kind::Versions => versions(db, &place).await,
        Kind::Models => models(db, &place).await,
        Kind::Files => files(db, &place).await,
        Kind::Metrics => points(db, &place).await,
        Kind::Runs => runs(db, &place).await,
        Kind::LoggedModels => logged_models(db, &place).await,
        Kind::Experiments => experiments(db, &place).await,
    }
}

impl Part {
    fn new(lines: &[Json], next: Option<Place>) -> Self {
        let mut text = Vec::new();
        for line in lines {
            text.extend_from_slice(line.to_string().as_bytes());
            text.push(b'\n');
        }
        Self { text, count: lines.len() as u64, artifacts: Vec::new(), next }
    }
}

/// The number that a place holds; what comes first is after 0.
fn number(place: &[Value]) -> Value {
    place.first().cloned().unwrap_or(Value::Int(0))
}

/// The text that a place holds at a position.
fn text(place: &[Value], at: usize) -> Value {
    place.get(at).cloned().unwrap_or_else(|| "".into())
}

/// The keys of the last row, if there may be more.
fn after(rows: &[Row], limit: i64, keys: impl Fn(&Row) -> Result<Place>) -> Result<Option<Place>> {
    let full = i64::try_from(rows.len()).unwrap_or(i64::MAX) >= limit;
    rows.last().filter(|_| full).map(keys).transpose()
}

fn ids(rows: &[Row]) -> Result<Vec<Value>> {
    rows.iter().map(|row| row.any(0)).collect()
}

/// A number as JSON; one that is not finite is its name, for JSON has no other word for it.
fn real(value: f64) -> Json {
    match value {
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        _ if value.is_nan() => json!("NaN"),
        _ => json!(value),
    }
}

fn time(row: &Row, column: usize) -> Result<String> {
    row.time(column).map(|time| time.to_string())
}

fn optional_time(time: Option<Timestamp>) -> Option<String> {
    time.map(|time| time.to_string())
}

async fn events(db: &mut Connection, place: &[Value]) -> Result<Part> {
    let sql = "select position, id, time, kind, subject, actor, reason, detail, previous, hash
        from events where position > $1 order by position limit $2";
    let rows = db.rows(sql, &values![number(place), MANY]).await?;
    let line = |row: &Row| {
        let detail: Json = row.json(7)?;
        Ok(json!({
            "position": row.int(0)?, "id": row.text(1)?, "time": time(row, 2)?, "kind": row.text(3)?,
            "subject": row.text(4)?, "actor": row.text(5)?, "reason": row.optional_text(6)?,
            "detail": detail, "previous": row.text(8)?, "hash": row.text(9)?,
        }))
    };
    let lines: Vec<Json> = rows.iter().map(line).collect::<Result<_>>()?;
    Ok(Part::new(&lines, after(&rows, MANY, |row| Ok(vec![row.any(0)?]))?))
}

async fn aliases(db: &mut Connection, place: &[Value]) -> Result<Part> {
    let sql = "select model.name, own.alias, version.number, own.moved from aliases own
        join models model on model.id = own.model join versions version on version.id = own.version
        where (model.name, own.alias) > ($1, $2) order by model.name, own.alias limit $3";
    let rows = db.rows(sql, &values![text(place, 0), text(place, 1), MANY]).await?;
    let line = |row: &Row| {
        Ok(json!({
            "model": row.text(0)?, "alias": row.text(1)?, "version": row.int(2)?,
            "moved": time(row, 3)?,
        }))
    };
    let lines: Vec<Json> = rows.iter().map(line).collect::<Result<_>>()?;
    let next = after(&rows, MANY, |row| Ok(vec![row.any(0)?, row.any(1)?]))?;
    Ok(Part::new(&lines, next))
}

async fn versions(db: &mut Connection, place: &[Value]) -> Result<Part> {
    let sql = "select id, stage, run_link, logged_model, actor, run from versions
        where id > $1 order by id limit $2";
    let rows = db.rows(sql, &values![number(place), SOME]).await?;
    let found = versions::load(db, &ids(&rows)?).await?;
    let (mut lines, mut artifacts) = (Vec::new(), Vec::new());
    for (version, row) in found.iter().zip(&rows) {
        let metrics = version.metrics.iter().map(|(name, value)| (name.clone(), real(*value)));
        lines.push(json!({
            "model": version.id.model, "version": version.id.version, "digest": version.digest(),
            "manifest": version.manifest, "signature": version.signature,
            "run": row.optional_text(5)?, "dataset": version.dataset,
            "metrics": metrics.collect::<Map<_, _>>(), "tags": version.tags,
            "aliases": version.aliases, "created": version.created.to_string(),
            "updated": version.updated.to_string(), "actor": row.text(4)?,
            "description": version.description, "source": version.source, "stage": row.text(1)?,
            "run_link": row.optional_text(2)?, "logged_model": row.optional_text(3)?,
        }));
        artifacts.extend(version.manifest.iter().map(|(_, artifact)| *artifact));
    }
    let next = after(&rows, SOME, |row| Ok(vec![row.any(0)?]))?;
    Ok(Part { artifacts, ..Part::new(&lines, next) })
}

async fn models(db: &mut Connection, place: &[Value]) -> Result<Part> {
    let sql = "select own.id, coalesce(given.last, 0) from models own
        left join model_numbers given on given.name = own.name
        where own.id > $1 order by own.id limit $2";
    let rows = db.rows(sql, &values![number(place), MANY]).await?;
    let found = models::load(db, &ids(&rows)?).await?;
    let mut lines = Vec::with_capacity(found.len());
    for (model, row) in found.iter().zip(&rows) {
        lines.push(json!({
            "name": model.name, "description": model.description, "tags": model.tags,
            "last_version": row.int(1)?, "created": model.created.to_string(),
            "updated": model.updated.to_string(),
        }));
    }
    Ok(Part::new(&lines, after(&rows, MANY, |row| Ok(vec![row.any(0)?]))?))
}

async fn files(db: &mut Connection, place: &[Value]) -> Result<Part> {
    let sql = "select owner, path, digest, size, written from artifact_paths
        where (owner, path) > ($1, $2) order by owner, path limit $3";
    let rows = db.rows(sql, &values![text(place, 0), text(place, 1), MANY]).await?;
    let (mut lines, mut artifacts) = (Vec::new(), Vec::new());
    for row in &rows {
        artifacts.push(ArtifactRef { digest: row.parsed(2)?, size: row.count(3)? });
        lines.push(json!({
            "owner": row.text(0)?, "path": row.text(1)?, "digest": row.text(2)?,
            "size": row.int(3)?, "written": time(row, 4)?,
        }));
    }
    let next = after(&rows, MANY, |row| Ok(vec![row.any(0)?, row.any(1)?]))?;
    Ok(Part { artifacts, ..Part::new(&lines, next) })
}

/// A page of one series. A place is a series and a page of it; without a page the series is done.
async fn points(db: &mut Connection, place: &[Value]) -> Result<Part> {
    let within = place.len() > 1;
    let sql = if within {
        "select id, run, metric from metric_series where id = $1"
    } else {
        "select id, run, metric from metric_series where id > $1 order by id limit 1"
    };
    let Some(row) = db.row(sql, &values![number(place)]).await? else {
        // Purged since its last page: the next one comes.
        return Ok(Part::new(&[], within.then(|| vec![number(place)])));
    };
    let (run, metric): (RunId, String) = (row.parsed(1)?, row.text(2)?);
    let page = match place.get(1) {
        Some(Value::Text(page)) => Some(page.clone()),
        _ => None,
    };
    let found =
        metrics::history(db, MetricQuery::new(run, metric.as_str()).with_page(page)).await?;
    let lines = found.items.iter().map(|point| {
        json!({
            "run": run, "metric": metric, "step": point.step, "time": point.time.to_string(),
            "value": real(point.value),
        })
    });
    let lines: Vec<Json> = lines.collect();
    let series = row.any(0)?;
    let next = match found.next {
        Some(page) => vec![series, page.into()],
        None => vec![series],
    };
    Ok(Part::new(&lines, Some(next)))
}

async fn runs(db: &mut Connection, place: &[Value]) -> Result<Part> {
    let sql = "select id, deleted from runs where id > $1 order by id limit $2";
    let rows = db.rows(sql, &values![text(place, 0), SOME]).await?;
    let keys = ids(&rows)?;
    let known = rows.iter().map(|row| row.parsed(0)).collect::<Result<Vec<RunId>>>()?;
    let (found, mut models) = (runs::load(db, &known).await?, run_models(db, &keys).await?);
    let mut lines = Vec::with_capacity(found.len());
    for (run, row) in found.into_iter().zip(&rows) {
        lines.push(json!({
            "id": run.id, "experiment": run.experiment, "name": run.name, "status": run.status,
            "lifecycle": run.lifecycle, "actor": run.actor, "started": run.started.to_string(),
            "ended": optional_time(run.ended), "deleted": optional_time(row.optional_time(1)?),
            "params": run.params, "tags": run.tags, "inputs": run.inputs,
            "models": models.remove(&row.text(0)?).unwrap_or_default(),
        }));
    }
    Ok(Part::new(&lines, after(&rows, SOME, |row| Ok(vec![row.any(0)?]))?))
}

/// The logged models of runs, by the run's text.
async fn run_models(db: &mut Connection, runs: &[Value]) -> Result<HashMap<String, Vec<Json>>> {
    let mut found = HashMap::<String, Vec<Json>>::new();
    if runs.is_empty() {
        return Ok(found);
    }
    let list = placeholders(1, runs.len());
    let sql = format!(
        "select run, role, model, step from run_models where run in ({list}) order by run, position"
    );
    for row in db.rows(sql, runs).await? {
        let model = json!({ "role": row.text(1)?, "model": row.text(2)?, "step": row.int(3)? });
        found.entry(row.text(0)?).or_default().push(model);
    }
    Ok(found)
}

async fn logged_models(db: &mut Connection, place: &[Value]) -> Result<Part> {
    let sql =
        "select id, experiment, name, model_type, status, status_message, source_run, lifecycle,
        created, updated from logged_models where id > $1 order by id limit $2";
    let rows = db.rows(sql, &values![text(place, 0), SOME]).await?;
    let keys = ids(&rows)?;
    let (mut tags, mut params) = (HashMap::new(), HashMap::new());
    if !keys.is_empty() {
        tags.extend(MODEL_TAGS.of(db, &keys).await?);
        params.extend(MODEL_PARAMS.of(db, &keys).await?);
    }
    let mut lines = Vec::with_capacity(rows.len());
    for row in &rows {
        let id = row.text(0)?;
        let metrics = measured(db, &id).await?;
        let (tags, params) = (tags.remove(&id), params.remove(&id));
        lines.push(json!({
            "id": id, "experiment": row.int(1)?.to_string(), "name": row.text(2)?,
            "model_type": row.optional_text(3)?, "status": row.text(4)?,
            "status_message": row.optional_text(5)?, "source_run": row.optional_text(6)?,
            "lifecycle": row.text(7)?, "params": params.unwrap_or_default(), "tags": tags.unwrap_or_default(),
            "metrics": metrics,
            "created": time(row, 8)?, "updated": time(row, 9)?,
        }));
    }
    Ok(Part::new(&lines, after(&rows, SOME, |row| Ok(vec![row.any(0)?]))?))
}

/// What runs measured of a logged model.
async fn measured(db: &mut Connection, model: &str) -> Result<Vec<Json>> {
    let sql = "select metric, run, dataset_name, dataset_digest, step, time, value
        from logged_model_metrics where model = $1
        order by metric, run, dataset_name, dataset_digest, step, time, value";
    let line = |row: &Row| {
        Ok(json!({
            "metric": row.text(0)?, "run": row.text(1)?, "dataset_name": row.text(2)?,
            "dataset_digest": row.text(3)?, "step": row.int(4)?, "time": time(row, 5)?,
            "value": real(from_ordered_bits(row.int(6)?)),
        }))
    };
    db.rows(sql, &values![model]).await?.iter().map(line).collect()
}

async fn experiments(db: &mut Connection, place: &[Value]) -> Result<Part> {
    // Before the first: its number is 0.
    let from = place.first().cloned().unwrap_or(Value::Int(-1));
    let sql = "select id from experiments where id > $1 order by id limit $2";
    let rows = db.rows(sql, &values![from, MANY]).await?;
    let found = experiments::load(db, &ids(&rows)?).await?;
    let lines = found.iter().map(|own| {
        json!({
            "id": own.id, "name": own.name, "lifecycle": own.lifecycle,
            "created": own.created.to_string(), "updated": own.updated.to_string(),
            "artifact_location": own.artifact_location, "tags": own.tags,
        })
    });
    let lines: Vec<Json> = lines.collect();
    Ok(Part::new(&lines, after(&rows, MANY, |row| Ok(vec![row.any(0)?]))?))
}
