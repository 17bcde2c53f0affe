//! Experiments.

use super::{
    connection::{Connection, Row, Value, placeholders, values},
    session::Tx,
    tags,
    words::{case, word},
};
use mlops_core::{
    Error, ExperimentId, Result,
    tracker::{CreateExperiment, Experiment, ExperimentChange, Lifecycle},
};
use std::collections::HashMap;

/// How many experiments are read at once.
const CHUNK: usize = 500;
const COLUMNS: &str = "id, name, lifecycle, created, updated, artifact_location";

/// The number of an experiment as the database holds it.
pub(super) fn number(id: &ExperimentId) -> Result<i64> {
    // Checked when the identity was made.
    id.as_str().parse().map_err(|_| Error::internal(format!("experiment {id} is no number")))
}

pub(super) async fn create(tx: &mut Tx<'_>, new: CreateExperiment) -> Result<Experiment> {
    named(&new.name)?;
    free(tx.db, &new.name, None).await?;
    let id = tx.number("experiment", 1).await?;
    let sql = "insert into experiments (id, name, lifecycle, created, updated, artifact_location)
        values ($1, $2, $3, $4, $4, $5)";
    let place = new.artifact_location.as_ref();
    tx.db.execute(sql, &values![id, &new.name, word(&Lifecycle::Active)?, tx.now, place]).await?;
    tags::EXPERIMENT.set_all(tx.db, &id.into(), &new.tags).await?;
    get(tx.db, id).await
}

pub(super) async fn update(
    tx: &mut Tx<'_>,
    id: i64,
    change: ExperimentChange,
) -> Result<Experiment> {
    get(tx.db, id).await?;
    if let Some(name) = &change.name {
        named(name)?;
        free(tx.db, name, Some(id)).await?;
        let sql = "update experiments set name = $2 where id = $1";
        tx.db.execute(sql, &values![id, name]).await?;
    }
    if let Some(lifecycle) = &change.lifecycle {
        let sql = "update experiments set lifecycle = $2 where id = $1";
        tx.db.execute(sql, &values![id, word(lifecycle)?]).await?;
    }
    if change.name.is_some() || change.lifecycle.is_some() {
        let sql = "update experiments set updated = $2 where id = $1";
        tx.db.execute(sql, &values![id, tx.now]).await?;
    }
    tags::EXPERIMENT.change(tx.db, &id.into(), &change.tags).await?;
    get(tx.db, id).await
}

fn named(name: &str) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid("an experiment needs a name"));
    }
    Ok(())
}

/// A name is taken also by a deleted experiment, which could be restored.
async fn free(db: &mut Connection, name: &str, own: Option<i64>) -> Result<()> {
    let row =
        db.row("select id, lifecycle from experiments where name = $1", &values![name]).await?;
    let Some(row) = row.filter(|row| row.int(0).ok() != own) else { return Ok(()) };
    let deleted = case::<Lifecycle>(&row.text(1)?)? == Lifecycle::Deleted;
    let state = if deleted { " (deleted)" } else { "" };
    Err(Error::already_exists(format!("experiment {name:?} exists already{state}")))
}

pub(super) async fn get(db: &mut Connection, id: i64) -> Result<Experiment> {
    let found = load(db, &[id.into()]).await?.pop();
    found.ok_or_else(|| Error::not_found(format!("experiment {id} does not exist")))
}

/// Experiments in the order asked for; those that are not there are left out.
pub(super) async fn load(db: &mut Connection, ids: &[Value]) -> Result<Vec<Experiment>> {
    let mut experiments = Vec::with_capacity(ids.len());
    for some in ids.chunks(CHUNK) {
        let list = placeholders(1, some.len());
        let sql = format!("select {COLUMNS} from experiments where id in ({list})");
        let mut found = HashMap::with_capacity(some.len());
        for row in db.rows(sql, some).await? {
            found.insert(row.int(0)?, experiment(&row)?);
        }
        for (id, tags) in tags::EXPERIMENT.of(db, some).await? {
            let id = id.parse().unwrap_or_default();
            found.entry(id).and_modify(|experiment| experiment.tags = tags);
        }
        experiments.extend(some.iter().filter_map(|id| match id {
            Value::Int(id) => found.remove(id),
            _ => None,
        }));
    }
    Ok(experiments)
}

fn experiment(row: &Row) -> Result<Experiment> {
    let id = ExperimentId::new(row.int(0)?.to_string())?;
    let mut experiment = Experiment::new(id, row.text(1)?, row.time(3)?);
    experiment.lifecycle = case(&row.text(2)?)?;
    experiment.updated = row.time(4)?;
    experiment.artifact_location = row.optional_text(5)?.map(Into::into);
    Ok(experiment)
}
