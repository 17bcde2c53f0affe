//! Versions of models.

use super::{
    connection::{Connection, Row, Value, placeholders, values},
    events::{self, About},
    models, runs,
    session::Tx,
    tags,
    words::{from_ordered_bits, int, json, ordered_bits},
};
use mlops_core::{
    Alias, Error, ModelName, Result, VersionId,
    artifact::Manifest,
    event::EventKind,
    model::ModelPackage,
    registry::{CreateVersion, ModelUri, ModelVersion, VersionChange, Which},
    signature::ModelSignature,
};
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

const COLUMNS: &str = "item.id, model.name, item.number, item.manifest, item.digest,
    item.signature, item.run, item.dataset, item.created, item.description, item.source, item.updated";
const FROM: &str = "versions item join models model on model.id = item.model";
/// How many versions are read at once.
const CHUNK: usize = 500;

const DELETED: EventKind = EventKind::of("version.deleted");

/// The version that an idempotency key has made already.
pub(super) async fn of_key(
    db: &mut Connection,
    new: &CreateVersion,
) -> Result<Option<ModelVersion>> {
    let Some(key) = &new.idempotency_key else { return Ok(None) };
    let sql =
        format!("select item.id from {FROM} where model.name = $1 and item.idempotency_key = $2");
    match db.row(sql, &values![new.model.as_str(), key]).await? {
        Some(row) => get(db, row.int(0)?).await.map(Some),
        None => Ok(None),
    }
}

/// What a version is made of, and what its registrar says about it.
#[derive(Debug, Default)]
pub(super) struct Content {
    pub(super) manifest: Manifest,
    pub(super) signature: Option<ModelSignature>,
    pub(super) description: Option<Arc<str>>,
    pub(super) source: Option<Arc<str>>,
    pub(super) logged_model: Option<Arc<str>>,
    pub(super) run_link: Option<Arc<str>>,
    /// The run in a client's words, where it is none that we could know.
    pub(super) foreign_run: Option<Arc<str>>,
}

impl From<&ModelPackage> for Content {
    fn from(package: &ModelPackage) -> Self {
        let (manifest, signature) = (package.manifest().clone(), package.signature().cloned());
        Self { manifest, signature, ..Self::default() }
    }
}

/// Adds a version whose bytes are stored.
pub(super) async fn create(
    tx: &mut Tx<'_>,
    new: CreateVersion,
    content: Content,
) -> Result<ModelVersion> {
    if let Some(there) = of_key(tx.db, &new).await? {
        return Ok(there);
    }
    let model = match models::find(tx.db, &new.model).await? {
        Some(model) => model,
        None => models::add(tx, &new.model, None).await?,
    };
    let number = next_number(tx.db, &new.model).await?;
    let id = tx.number("version", 1).await?;
    let manifest = &content.manifest;
    let sql = "insert into versions (id, model, number, manifest, digest, signature, run, dataset,
        created, updated, actor, description, source, logged_model, stage, run_link, idempotency_key)
        values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10, $11, $12, $13, 'None', $14, $15)";
    let row = values![
        id,
        model,
        number,
        manifest.to_canonical_json(),
        manifest.digest().to_string(),
        content.signature.as_ref().map(json).transpose()?,
        new.run.map(|run| run.to_string()).or(content.foreign_run.as_deref().map(str::to_owned)),
        new.dataset.map(|dataset| dataset.to_string()),
        tx.now,
        &tx.actor.name,
        content.description.as_ref(),
        content.source.as_ref(),
        content.logged_model.as_ref(),
        content.run_link.as_ref(),
        new.idempotency_key.as_ref(),
    ];
    tx.db.execute(sql, &row).await?;
    tags::VERSION.set_all(tx.db, &id.into(), &new.tags).await?;
    let measured = measured(tx.db, &new).await?;
    measure(tx.db, id, &measured).await?;
    models::touch(tx, model).await?;
    let detail = serde_json::json!({
        "version": number, "digest": manifest.digest(), "run": new.run, "dataset": new.dataset,
    });
    let subject = models::subject(&new.model);
    let event = tx.event(EventKind::VERSION_CREATED, subject).with_detail(detail);
    let about = About { model: Some(model), alias: None, versions: vec![id] };
    events::append(tx, &event, &about).await?;
    get(tx.db, id).await
}

/// What the registrar says that it measured, and beside it the latest that its run measured by now. Kept
/// with the version, so that nobody can make a gate see otherwise by logging more.
async fn measured(db: &mut Connection, new: &CreateVersion) -> Result<BTreeMap<String, f64>> {
    let run = runs::load(db, new.run.as_slice()).await?.pop();
    let latest = run.into_iter().flat_map(|run| run.metrics);
    let mut measured: BTreeMap<String, f64> =
        latest.map(|(metric, point)| (metric, point.value)).collect();
    measured.extend(new.metrics.iter().map(|(metric, value)| (metric.clone(), *value)));
    Ok(measured)
}

/// Keeps what a version measured, and nothing else that was kept before.
pub(super) async fn measure(
    db: &mut Connection,
    version: i64,
    metrics: &BTreeMap<String, f64>,
) -> Result<()> {
    let sql = "delete from version_metrics where version = $1";
    db.execute(sql, &values![version]).await?;
    for (metric, value) in metrics {
        let sql = "insert into version_metrics (version, metric, value) values ($1, $2, $3)";
        db.execute(sql, &values![version, metric, ordered_bits(*value)]).await?;
    }
    Ok(())
}

/// A number that the name has never had.
async fn next_number(db: &mut Connection, model: &ModelName) -> Result<i64> {
    let sql = "insert into model_numbers (name, last) values ($1, 1)
        on conflict (name) do update set last = model_numbers.last + 1 returning last";
    let row = db.row(sql, &values![model.as_str()]).await?;
    row.ok_or_else(|| Error::internal("a number just written is there"))?.int(0)
}

pub(super) async fn update(
    tx: &mut Tx<'_>,
    id: &VersionId,
    change: VersionChange,
) -> Result<ModelVersion> {
    let own = find(tx.db, id).await?;
    tags::VERSION.change(tx.db, &own.into(), &change.tags).await?;
    if change.description.is_some() {
        describe(tx, own, change.description.as_deref()).await?;
    }
    get(tx.db, own).await
}

/// Describes a version, or takes its description away.
pub(super) async fn describe(tx: &mut Tx<'_>, own: i64, description: Option<&str>) -> Result<()> {
    let sql = "update versions set updated = $2, description = $3 where id = $1";
    tx.db.execute(sql, &values![own, tx.now, description]).await.map(drop)
}

pub(super) async fn delete(tx: &mut Tx<'_>, id: &VersionId) -> Result<()> {
    let own = find(tx.db, id).await?;
    let version = get(tx.db, own).await?;
    if let Some(alias) = version.aliases.first() {
        let text = format!("version {id} is what alias {:?} points at", alias.as_str());
        return Err(Error::conflict(text));
    }
    let model = models::id(tx.db, &id.model).await?;
    let detail = serde_json::json!({ "version": id.version, "digest": version.digest() });
    let event = tx.event(DELETED, models::subject(&id.model)).with_detail(detail);
    let about = About { model: Some(model), alias: None, versions: vec![own] };
    events::append(tx, &event, &about).await?;
    for sql in [
        "delete from version_tags where version = $1",
        "delete from version_metrics where version = $1",
        "delete from versions where id = $1",
    ] {
        tx.db.execute(sql, &values![own]).await?;
    }
    models::touch(tx, model).await
}

/// The row of a version; an unknown model or number is `NotFound` and is named.
pub(super) async fn find(db: &mut Connection, id: &VersionId) -> Result<i64> {
    let model = models::id(db, &id.model).await?;
    let sql = "select id from versions where model = $1 and number = $2";
    // A number that the database cannot hold is one that was never given.
    let number = int(id.version).unwrap_or(-1);
    let row = db.row(sql, &values![model, number]).await?;
    row.ok_or_else(|| Error::not_found(format!("version {id} does not exist")))?.int(0)
}

pub(super) async fn resolve(db: &mut Connection, uri: &ModelUri) -> Result<ModelVersion> {
    let found = match &uri.which {
        Which::Version(number) => {
            let id = VersionId::new(uri.model.clone(), *number);
            find(db, &id).await?
        }
        Which::Alias(alias) => pointed(db, &uri.model, alias).await?,
        Which::Latest => latest(db, &uri.model).await?,
        _ => return Err(Error::unsupported(format!("this record cannot resolve {uri}"))),
    };
    get(db, found).await
}

async fn pointed(db: &mut Connection, model: &ModelName, alias: &Alias) -> Result<i64> {
    let own = models::id(db, model).await?;
    let sql = "select version from aliases where model = $1 and alias = $2";
    let row = db.row(sql, &values![own, alias.as_str()]).await?;
    let (model, alias) = (model.as_str(), alias.as_str());
    row.ok_or_else(|| Error::not_found(format!("model {model:?} has no alias {alias:?}")))?.int(0)
}

async fn latest(db: &mut Connection, model: &ModelName) -> Result<i64> {
    let own = models::id(db, model).await?;
    let sql = "select id from versions where model = $1 order by number desc limit 1";
    let row = db.row(sql, &values![own]).await?;
    let model = model.as_str();
    row.ok_or_else(|| Error::not_found(format!("model {model:?} has no versions")))?.int(0)
}

/// What a version is made of, by its row; one that is not there is `NotFound`.
pub(super) async fn manifest(db: &mut Connection, id: i64) -> Result<Manifest> {
    let found = load(db, &[id.into()]).await?.pop();
    let unknown = || Error::not_found("the registered version does not exist");
    found.map(|version| version.manifest).ok_or_else(unknown)
}

pub(super) async fn get(db: &mut Connection, id: i64) -> Result<ModelVersion> {
    let found = load(db, &[id.into()]).await?.pop();
    found.ok_or_else(|| Error::internal("a version just found is there"))
}

/// Whole versions in the order asked for; those that are not there are left out.
pub(super) async fn load(db: &mut Connection, ids: &[Value]) -> Result<Vec<ModelVersion>> {
    let mut versions = Vec::with_capacity(ids.len());
    for some in ids.chunks(CHUNK) {
        let list = placeholders(1, some.len());
        let sql = format!("select {COLUMNS} from {FROM} where item.id in ({list})");
        let mut found = HashMap::with_capacity(some.len());
        for row in db.rows(sql, some).await? {
            found.insert(row.int(0)?, version(&row)?);
        }
        for (id, tags) in tags::VERSION.of(db, some).await? {
            let id = id.parse().unwrap_or_default();
            found.entry(id).and_modify(|version| version.tags = tags);
        }
        let sql =
            format!("select version, metric, value from version_metrics where version in ({list})");
        for row in db.rows(sql, some).await? {
            let (metric, value) = (row.text(1)?, from_ordered_bits(row.int(2)?));
            found.entry(row.int(0)?).and_modify(|own| own.metrics.extend([(metric, value)]));
        }
        let sql =
            format!("select version, alias from aliases where version in ({list}) order by alias");
        for row in db.rows(sql, some).await? {
            let alias = row.parsed(1)?;
            found.entry(row.int(0)?).and_modify(|version| version.aliases.push(alias));
        }
        versions.extend(some.iter().filter_map(|id| match id {
            Value::Int(id) => found.remove(id),
            _ => None,
        }));
    }
    Ok(versions)
}

fn version(row: &Row) -> Result<ModelVersion> {
    let id = VersionId::new(row.parsed(1)?, row.count(2)?);
    let manifest: Manifest = row.json(3)?;
    if manifest.digest() != row.parsed(4)? {
        return Err(Error::corrupt(format!("the record: the manifest of version {id}")));
    }
    let mut version = ModelVersion::new(id, manifest, row.time(8)?);
    version.signature = match row.optional_text(5)? {
        Some(_) => Some(row.json(5)?),
        None => None,
    };
    // MLflow's clients may name a run of a record that we do not know, in its own way.
    version.run = row.optional_text(6)?.and_then(|run| run.parse().ok());
    version.dataset = row.optional_parsed(7)?;
    version.metrics = BTreeMap::new();
    version.description = row.optional_text(9)?.filter(|text| !text.is_empty()).map(Arc::from);
    version.source = row.optional_text(10)?.map(Arc::from);
    version.updated = row.time(11)?;
    Ok(version)
}
