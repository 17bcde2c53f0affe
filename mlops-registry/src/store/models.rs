//! Registered models.

use super::{
    connection::{Connection, Row, Value, placeholders, values},
    events::{self, About},
    session::Tx,
    tags,
};
use mlops_core::{
    Alias, Error, ModelName, Result,
    event::EventKind,
    registry::{CreateModel, ModelChange, RegisteredModel},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

const COLUMNS: &str = "id, name, description, created, updated";
/// How many models are read at once.
const CHUNK: usize = 500;

pub(super) const RENAMED: EventKind = EventKind::of("model.renamed");
pub(super) const DELETED: EventKind = EventKind::of("model.deleted");

/// The subject of events about a model.
pub(super) fn subject(name: &ModelName) -> String {
    format!("model/{name}")
}

pub(super) async fn create(tx: &mut Tx<'_>, new: CreateModel) -> Result<RegisteredModel> {
    free(tx.db, &new.name).await?;
    let id = add(tx, &new.name, new.description.as_ref()).await?;
    tags::MODEL.set_all(tx.db, &id.into(), &new.tags).await?;
    one(tx.db, id).await
}

/// Adds a model whose name is free.
pub(super) async fn add(
    tx: &mut Tx<'_>,
    name: &ModelName,
    description: Option<&Arc<str>>,
) -> Result<i64> {
    let id = tx.number("model", 1).await?;
    let sql = "insert into models (id, name, description, created, updated)
        values ($1, $2, $3, $4, $4)";
    tx.db.execute(sql, &values![id, name.as_str(), description, tx.now]).await?;
    Ok(id)
}

pub(super) async fn update(
    tx: &mut Tx<'_>,
    name: &ModelName,
    change: ModelChange,
) -> Result<RegisteredModel> {
    let id = id(tx.db, name).await?;
    if let Some(new) = change.name.as_ref().filter(|new| *new != name) {
        rename(tx, id, name, new).await?;
    }
    if let Some(description) = &change.description {
        let sql = "update models set description = $2 where id = $1";
        tx.db.execute(sql, &values![id, description]).await?;
    }
    tags::MODEL.change(tx.db, &id.into(), &change.tags).await?;
    if change.name.is_some() || change.description.is_some() {
        touch(tx, id).await?;
    }
    one(tx.db, id).await
}

async fn rename(tx: &mut Tx<'_>, id: i64, old: &ModelName, new: &ModelName) -> Result<()> {
    free(tx.db, new).await?;
    // The numbers go along, so that none is given twice under either name.
    let sql = "insert into model_numbers (name, last)
        select $2, last from model_numbers where name = $1
        on conflict (name) do update set last = excluded.last
        where excluded.last > model_numbers.last";
    tx.db.execute(sql, &values![old.as_str(), new.as_str()]).await?;
    let sql = "update models set name = $2 where id = $1";
    tx.db.execute(sql, &values![id, new.as_str()]).await?;
    let sql = "update versions set updated = $2 where model = $1";
    tx.db.execute(sql, &values![id, tx.now]).await?;
    let detail = json!({ "from": old, "to": new });
    let event = tx.event(RENAMED, subject(new)).with_detail(detail);
    events::append(tx, &event, &About { model: Some(id), ..About::default() }).await.map(drop)
}

/// Notes that something about a model changed now.
pub(super) async fn touch(tx: &mut Tx<'_>, id: i64) -> Result<()> {
    let sql = "update models set updated = $2 where id = $1";
    tx.db.execute(sql, &values![id, tx.now]).await.map(drop)
}

/// Deletes a model with all that hangs on it. What happened to it stays in the event log.
pub(super) async fn delete(tx: &mut Tx<'_>, name: &ModelName) -> Result<()> {
    let id = id(tx.db, name).await?;
    let event = tx.event(DELETED, subject(name));
    events::append(tx, &event, &About { model: Some(id), ..About::default() }).await?;
    for sql in [
        "delete from aliases where model = $1",
        "delete from version_tags where version in (select id from versions where model = $1)",
        "delete from version_metrics where version in (select id from versions where model = $1)",
        "delete from versions where model = $1",
        "delete from model_tags where model = $1",
        "delete from models where id = $1",
    ] {
        tx.db.execute(sql, &values![id]).await?;
    }
    Ok(())
}

async fn free(db: &mut Connection, name: &ModelName) -> Result<()> {
    match find(db, name).await? {
        Some(_) => Err(Error::already_exists(format!("model {:?} exists already", name.as_str()))),
        None => Ok(()),
    }
}

pub(super) async fn find(db: &mut Connection, name: &ModelName) -> Result<Option<i64>> {
    let row = db.row("select id from models where name = $1", &values![name.as_str()]).await?;
    row.map(|row| row.int(0)).transpose()
}

pub(super) async fn id(db: &mut Connection, name: &ModelName) -> Result<i64> {
    let unknown = || Error::not_found(format!("model {:?} does not exist", name.as_str()));
    find(db, name).await?.ok_or_else(unknown)
}

async fn one(db: &mut Connection, id: i64) -> Result<RegisteredModel> {
    let found = load(db, &[id.into()]).await?.pop();
    found.ok_or_else(|| Error::internal("a model just written is there"))
}

/// Whole models in the order asked for; those that are not there are left out.
pub(super) async fn load(db: &mut Connection, ids: &[Value]) -> Result<Vec<RegisteredModel>> {
    let mut models = Vec::with_capacity(ids.len());
    for some in ids.chunks(CHUNK) {
        let list = placeholders(1, some.len());
        let sql = format!("select {COLUMNS} from models where id in ({list})");
        let mut found = HashMap::with_capacity(some.len());
        for row in db.rows(sql, some).await? {
            found.insert(row.int(0)?, model(&row)?);
        }
        for (id, tags) in tags::MODEL.of(db, some).await? {
            let id = id.parse().unwrap_or_default();
            found.entry(id).and_modify(|model| model.tags = tags);
        }
        for (id, aliases) in aliases(db, some).await? {
            found.entry(id).and_modify(|model| model.aliases = aliases);
        }
        models.extend(some.iter().filter_map(|id| match id {
            Value::Int(id) => found.remove(id),
            _ => None,
        }));
    }
    Ok(models)
}

async fn aliases(db: &mut Connection, ids: &[Value]) -> Result<HashMap<i64, BTreeMap<Alias, u64>>> {
    let list = placeholders(1, ids.len());
    let sql = format!(
        "select alias.model, alias.alias, version.number from aliases alias
         join versions version on version.id = alias.version where alias.model in ({list})"
    );
    let mut found = HashMap::<i64, BTreeMap<Alias, u64>>::new();
    for row in db.rows(sql, ids).await? {
        found.entry(row.int(0)?).or_default().insert(row.parsed(1)?, row.count(2)?);
    }
    Ok(found)
}

fn model(row: &Row) -> Result<RegisteredModel> {
    let mut model = RegisteredModel::new(row.parsed(1)?, row.time(3)?);
    model.description = row.optional_text(2)?.map(Arc::from);
    model.updated = row.time(4)?;
    Ok(model)
}
