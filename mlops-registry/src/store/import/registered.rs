//! Registered models, whose versions keep their numbers and are made of bytes that were taken before.

use super::{
    super::{
        SqlStore,
        connection::{Connection, Value, values},
        events::{self, About},
        models,
        paths::{self, Owner},
        session::Tx,
        tags,
        versions::{self, Content},
    },
    Imported, Source,
    found::{FoundRegistered, FoundVersion},
    places::Places,
    write::is_whole,
};
use mlops_core::{
    Alias, Digest, ModelName, Result, ResultExt, RunId,
    artifact::{ArtifactPath, Manifest},
    event::EventKind,
    registry::CreateVersion,
};
use serde_json::json;
use std::{collections::BTreeSet, path::PathBuf};

impl SqlStore {
    /// A model with those of its versions that are not there and whose bytes are.
    pub(super) async fn import_registered(
        &self,
        source: &Source,
        found: &FoundRegistered,
        places: &Places,
        done: &mut Imported,
    ) -> Result<()> {
        let name = match ModelName::new(found.name.as_str()) {
            Ok(name) => name,
            Err(error) => {
                done.left(format!("registered model {:?}", found.name), error.to_string());
                return Ok(());
            }
        };
        let (own, of) = (found.clone(), name.clone());
        let thread = &self.shared.thread;
        thread.write(&self.actor, async move |tx| begin(tx, &of, &own).await).await?;
        let (before, mut here) = (done.versions, BTreeSet::new());
        for version in &found.versions {
            if self.import_version(source, &name, version, places, done).await? {
                here.insert(version.number);
            }
        }
        let (own, of, took) = (found.clone(), name.clone(), done.versions > before);
        let end = async move |tx: &mut Tx<'_>| end(tx, &of, &own, &here, took).await;
        for (alias, why) in thread.write(&self.actor, end).await? {
            done.left(format!("alias {alias:?} of {name}"), why);
        }
        Ok(())
    }

    /// One version; whether the record has it now.
    async fn import_version(
        &self,
        source: &Source,
        model: &ModelName,
        found: &FoundVersion,
        places: &Places,
        done: &mut Imported,
    ) -> Result<bool> {
        let what = format!("version {} of {model}", found.number);
        let (own, wanted, thread) = (model.clone(), found.clone(), &self.shared.thread);
        let standing = thread.read(async move |db| stands(db, &own, &wanted, None).await).await?;
        if matches!(standing, Standing::Same | Standing::Gone) {
            return Ok(done.counted(what, standing));
        }
        let manifest = match self.bytes(source, found, places).await {
            Ok(manifest) => manifest,
            Err(error) if error.kind().row().may_retry => return Err(error).context(|| what),
            Err(error) => {
                done.left(what, error.to_string());
                return Ok(false);
            }
        };
        let artifacts = self.shared.artifacts.clone();
        if manifest.iter().len() == 0 {
            done.left(what, format!("its bytes are not at {:?}", found.source));
            return Ok(false);
        }
        if let Some(said) = found.said.as_ref().filter(|said| said.digest != manifest.digest()) {
            let (is, was) = (manifest.digest(), said.digest);
            done.left(what, format!("its bytes have the digest {is} and not {was}"));
            return Ok(false);
        }
        let (model, found) = (model.clone(), found.clone());
        let write = async move |tx: &mut Tx<'_>| {
            // Others write too: what counts is what is there now.
            let standing = stands(tx.db, &model, &found, Some(manifest.digest())).await?;
            if standing == Standing::Free {
                let made_of = manifest.clone();
                add(tx, model, found, manifest).await?;
                artifacts.all_present(&made_of).await?;
            }
            Ok(standing)
        };
        let written = thread.write(&self.actor, write).await;
        let standing = done.kept(|| what.clone(), written)?;
        Ok(standing.is_some_and(|standing| done.counted(what, standing)))
    }

    /// What a version is made of: from a logged model or a run that was taken, or from a folder.
    async fn bytes(
        &self,
        source: &Source,
        found: &FoundVersion,
        places: &Places,
    ) -> Result<Manifest> {
        let thread = &self.shared.thread;
        if let Some((owner, under)) = taken(&found.source) {
            let read = thread.read(async move |db| {
                if !is_whole(db, &owner).await? {
                    return Ok(Manifest::default());
                }
                paths::manifest(db, &owner, &under).await
            });
            // What was not taken may still lie in a folder.
            if let Ok(manifest) = read.await
                && manifest.iter().len() > 0
            {
                return Ok(manifest);
            }
        }
        for place in [found.place.as_ref(), Some(&found.source)].into_iter().flatten() {
            let manifest = self.import_package(source, place).await?;
            if manifest.iter().len() > 0 {
                return Ok(manifest);
            }
            let folder = places.folder(place)?.filter(|folder: &PathBuf| folder.is_dir());
            if let Some(folder) = folder {
                let artifacts = self.shared.artifacts.clone();
                return thread.task(async move { artifacts.put_dir(&folder).await }).await;
            }
        }
        Ok(Manifest::default())
    }
}

/// The owner and path that `models:/m-…` or `runs:/ID/path` means.
fn taken(source: &str) -> Option<(Owner, ArtifactPath)> {
    if let Some(model) = source.strip_prefix("models:/") {
        return Some((Owner::Model(model.into()), ArtifactPath::new("").ok()?));
    }
    let (run, path) = source.strip_prefix("runs:/")?.split_once('/')?;
    Some((Owner::Run(run.parse().ok()?), ArtifactPath::new(path).ok()?))
}

impl Imported {
    /// Counts or reports a version; whether the record has it.
    fn counted(&mut self, what: String, standing: Standing) -> bool {
        match standing {
            Standing::Same => self.known += 1,
            Standing::Free => self.versions += 1,
            Standing::Other => self.left(what, "the record has another version of this number"),
            Standing::Gone => self.left(what, "the record's version of this number was deleted"),
        }
        matches!(standing, Standing::Same | Standing::Free)
    }
}

/// What the record has under the number of a version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Nothing, ever.
    Free,
    /// This version: its source or its bytes are the same.
    Same,
    /// Another one, as far as is known.
    Other,
    /// Nothing any more: a number is never given twice.
    Gone,
}

async fn stands(
    db: &mut Connection,
    model: &ModelName,
    found: &FoundVersion,
    digest: Option<Digest>,
) -> Result<Standing> {
    let sql = "select version.digest, version.source from versions version
        join models model on model.id = version.model where model.name = $1 and version.number = $2";
    if let Some(row) = db.row(sql, &values![model.as_str(), found.number]).await? {
        let there: Digest = row.parsed(0)?;
        let source = row.optional_text(1)?.filter(|source| !source.is_empty());
        let digest = digest.or(found.said.as_ref().map(|said| said.digest));
        let same = digest == Some(there) || source.as_ref() == Some(&found.source);
        return Ok(if same { Standing::Same } else { Standing::Other });
    }
    if last_number(db, model).await? < found.number {
        return Ok(Standing::Free);
    }
    // The last number says nothing of one that an import has left out. Every model that had this name counts.
    let sql = "select detail from events where kind = $1
        and model in (select model from events where subject = $2)";
    let row = values![EventKind::VERSION_CREATED.as_str(), models::subject(model)];
    for row in db.rows(sql, &row).await? {
        let detail: serde_json::Value = row.json(0)?;
        if detail["version"].as_i64() == Some(found.number) {
            return Ok(Standing::Gone);
        }
    }
    Ok(Standing::Free)
}

async fn last_number(db: &mut Connection, model: &ModelName) -> Result<i64> {
    let sql = "select last from model_numbers where name = $1";
    let row = db.row(sql, &values![model.as_str()]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Adds a model with its times, if it is not there.
async fn begin(tx: &mut Tx<'_>, name: &ModelName, found: &FoundRegistered) -> Result<()> {
    if models::find(tx.db, name).await?.is_some() {
        return Ok(());
    }
    let description = found.description.as_deref().map(Into::into);
    let id = models::add(tx, name, description.as_ref()).await?;
    tags::MODEL.set_all(tx.db, &id.into(), &found.tags).await?;
    let sql = "update models set created = $2, updated = $3 where id = $1";
    tx.db.execute(sql, &values![id, found.created, found.updated]).await.map(drop)
}

/// Its aliases that the record lacks, where what they point at was taken, and its times; gives the aliases
/// that were left, and why.
async fn end(
    tx: &mut Tx<'_>,
    name: &ModelName,
    found: &FoundRegistered,
    here: &BTreeSet<i64>,
    took: bool,
) -> Result<Vec<(String, String)>> {
    let model = models::id(tx.db, name).await?;
    let mut left = Vec::new();
    for (alias, number) in &found.aliases {
        let set = match Alias::new(alias.as_str()) {
            Ok(alias) => set_alias(tx, (model, name), &alias, *number, here).await?,
            Err(error) => Err(error.to_string()),
        };
        left.extend(set.err().map(|why| (alias.clone(), why)));
    }
    if took {
        // Only of a model that was imported: taking versions is no change of it.
        let sql = "update models set updated = $3 where id = $1 and created = $2";
        tx.db.execute(sql, &values![model, found.created, found.updated]).await?;
    }
    Ok(left)
}

/// Sets an alias that was never there, or says why it is left.
async fn set_alias(
    tx: &mut Tx<'_>,
    (model, name): (i64, &ModelName),
    alias: &Alias,
    number: i64,
    here: &BTreeSet<i64>,
) -> Result<Result<(), String>> {
    let sql = "select version.number from aliases alias
        join versions version on version.id = alias.version
        where alias.model = $1 and alias.alias = $2";
    if let Some(row) = tx.db.row(sql, &values![model, alias.as_str()]).await? {
        let there = row.int(0)?;
        let same = there == number && here.contains(&number);
        return Ok(if same { Ok(()) } else { Err(format!("here it points at version {there}")) });
    }
    if !here.contains(&number) {
        return Ok(Err(format!("version {number} was not taken")));
    }
    let sql = "select 1 from events where model = $1 and alias = $2 and kind = $3 limit 1";
    let row = values![model, alias.as_str(), EventKind::ALIAS_MOVED.as_str()];
    if tx.db.row(sql, &row).await?.is_some() {
        return Ok(Err("it was removed here".to_owned()));
    }
    let sql = "select id from versions where model = $1 and number = $2";
    let row = tx.db.row(sql, &values![model, number]).await?;
    let Some(row) = row else { return Ok(Err(format!("version {number} is gone again"))) };
    let version = row.int(0)?;
    let sql = "insert into aliases (model, alias, version, moved) values ($1, $2, $3, $4)";
    tx.db.execute(sql, &values![model, alias.as_str(), version, tx.now]).await?;
    let detail = json!({ "alias": alias, "from": null, "to": number });
    let event = tx.event(EventKind::ALIAS_MOVED, models::subject(name)).with_detail(detail);
    let event = event.with_reason("it was there where the model was imported from");
    let alias = Some(alias.as_str().to_owned());
    let about = About { model: Some(model), alias, versions: vec![version] };
    events::append(tx, &event, &about).await?;
    Ok(Ok(()))
}

/// Adds a version under its own number, which is free. The last number never becomes lower.
async fn add(
    tx: &mut Tx<'_>,
    model: ModelName,
    found: FoundVersion,
    manifest: Manifest,
) -> Result<()> {
    let last = last_number(tx.db, &model).await?.max(found.number);
    set_last_number(tx.db, &model, found.number - 1).await?;
    let mut new = CreateVersion::new(model, "").with_tags(found.tags);
    new.run = known_run(tx.db, found.run.as_deref()).await?;
    new.dataset = found.said.as_ref().and_then(|said| said.dataset);
    let content = Content {
        manifest,
        signature: found.said.as_ref().and_then(|said| said.signature.clone()),
        description: found.description.map(Into::into),
        logged_model: found.source.strip_prefix("models:/").map(Into::into),
        source: Some(found.source).filter(|source| !source.is_empty()).map(Into::into),
        run_link: found.run_link.map(Into::into),
        ..Content::default()
    };
    let version = versions::create(tx, new, content).await?;
    set_last_number(tx.db, &version.id.model, last).await?;
    let own = versions::find(tx.db, &version.id).await?;
    if let Some(said) = found.said {
        versions::measure(tx.db, own, &said.metrics).await?;
    }
    let sql = "update versions set created = $2, updated = $3, stage = $4,
        actor = coalesce($5, actor) where id = $1";
    let row = values![own, found.created, found.updated, found.stage, found.actor];
    tx.db.execute(sql, &row).await.map(drop)
}

async fn set_last_number(db: &mut Connection, model: &ModelName, last: i64) -> Result<()> {
    let sql = "insert into model_numbers (name, last) values ($1, $2)
        on conflict (name) do update set last = excluded.last";
    db.execute(sql, &values![model.as_str(), last]).await.map(drop)
}

async fn known_run(db: &mut Connection, run: Option<&str>) -> Result<Option<RunId>> {
    let Some(id) = run.and_then(|run| run.parse::<RunId>().ok()) else { return Ok(None) };
    let sql = "select 1 from runs where id = $1";
    let there = db.row(sql, &[Value::from(id.to_string())]).await?.is_some();
    Ok(there.then_some(id))
}
