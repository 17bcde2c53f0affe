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
    ImportOptions, Imported, Source,
    found::{FoundRegistered, FoundVersion},
};
use mlops_core::{
    Alias, ModelName, Result, ResultExt, RunId,
    artifact::{ArtifactPath, Manifest},
    event::EventKind,
    registry::CreateVersion,
};
use serde_json::json;
use std::path::PathBuf;

impl SqlStore {
    /// A model with those of its versions that are not there and whose bytes are.
    pub(super) async fn import_registered(
        &self,
        source: &Source,
        found: &FoundRegistered,
        options: &ImportOptions,
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
        let new = thread.write(&self.actor, async move |tx| begin(tx, &of, &own).await).await?;
        for version in &found.versions {
            self.import_version(source, &name, version, options, done).await?;
        }
        if new {
            let own = found.clone();
            thread.write(&self.actor, async move |tx| end(tx, &name, &own).await).await?;
        }
        Ok(())
    }

    async fn import_version(
        &self,
        source: &Source,
        model: &ModelName,
        found: &FoundVersion,
        options: &ImportOptions,
        done: &mut Imported,
    ) -> Result<()> {
        let what = format!("version {} of {model}", found.number);
        let (own, number, thread) = (model.clone(), found.number, &self.shared.thread);
        let last = thread.read(async move |db| last_number(db, &own).await).await?;
        if last >= number {
            // There, or was there once: a number is never given twice.
            done.known += 1;
            return Ok(());
        }
        let manifest = match self.bytes(source, found, options).await {
            Ok(manifest) => manifest,
            Err(error) if error.kind().row().may_retry => return Err(error).context(|| what),
            Err(error) => {
                done.left(what, error.to_string());
                return Ok(());
            }
        };
        let artifacts = self.shared.artifacts.clone();
        if manifest.iter().len() == 0 {
            done.left(what, format!("its bytes are not at {:?}", found.source));
            return Ok(());
        }
        if let Some(said) = found.said.as_ref().filter(|said| said.digest != manifest.digest()) {
            let (is, was) = (manifest.digest(), said.digest);
            done.left(what, format!("its bytes have the digest {is} and not {was}"));
            return Ok(());
        }
        let (model, found) = (model.clone(), found.clone());
        let write = async move |tx: &mut Tx<'_>| {
            let made_of = manifest.clone();
            add(tx, model, found, manifest).await?;
            artifacts.all_present(&made_of).await
        };
        thread.write(&self.actor, write).await?;
        done.versions += 1;
        Ok(())
    }

    /// What a version is made of: from a logged model or a run that was taken, or from a folder.
    async fn bytes(
        &self,
        source: &Source,
        found: &FoundVersion,
        options: &ImportOptions,
    ) -> Result<Manifest> {
        let thread = &self.shared.thread;
        if let Some((owner, under)) = taken(&found.source) {
            let read = thread.read(async move |db| paths::manifest(db, &owner, &under).await);
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
            let folder = options.folder(place).filter(|folder: &PathBuf| folder.is_dir());
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

async fn last_number(db: &mut Connection, model: &ModelName) -> Result<i64> {
    let sql = "select last from model_numbers where name = $1";
    let row = db.row(sql, &values![model.as_str()]).await?;
    row.map_or(Ok(0), |row| row.int(0))
}

/// Adds a model, if it is not there; whether it is new.
async fn begin(tx: &mut Tx<'_>, name: &ModelName, found: &FoundRegistered) -> Result<bool> {
    if models::find(tx.db, name).await?.is_some() {
        return Ok(false);
    }
    let description = found.description.as_deref().map(Into::into);
    let id = models::add(tx, name, description.as_ref()).await?;
    tags::MODEL.set_all(tx.db, &id.into(), &found.tags).await?;
    Ok(true)
}

/// Its aliases, where what they point at was taken, and its times.
async fn end(tx: &mut Tx<'_>, name: &ModelName, found: &FoundRegistered) -> Result<()> {
    let model = models::id(tx.db, name).await?;
    for (alias, number) in &found.aliases {
        let sql = "select id from versions where model = $1 and number = $2";
        let row = tx.db.row(sql, &values![model, *number]).await?;
        let (Some(row), Ok(alias)) = (row, Alias::new(alias.as_str())) else { continue };
        let version = row.int(0)?;
        let sql = "insert into aliases (model, alias, version, moved) values ($1, $2, $3, $4)
            on conflict (model, alias) do nothing";
        tx.db.execute(sql, &values![model, alias.as_str(), version, tx.now]).await?;
        let detail = json!({ "alias": alias, "from": null, "to": number });
        let event = tx.event(EventKind::ALIAS_MOVED, models::subject(name)).with_detail(detail);
        let event = event.with_reason("it was there where the model was imported from");
        let about = About {
            model: Some(model),
            alias: Some(alias.as_str().to_owned()),
            versions: vec![version],
        };
        events::append(tx, &event, &about).await?;
    }
    let sql = "update models set created = $2, updated = $3 where id = $1";
    tx.db.execute(sql, &values![model, found.created, found.updated]).await.map(drop)
}

/// Adds a version under its own number.
async fn add(
    tx: &mut Tx<'_>,
    model: ModelName,
    found: FoundVersion,
    manifest: Manifest,
) -> Result<()> {
    let sql = "insert into model_numbers (name, last) values ($1, $2)
        on conflict (name) do update set last = excluded.last";
    tx.db.execute(sql, &values![model.as_str(), found.number - 1]).await?;
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
    let own = versions::find(tx.db, &version.id).await?;
    if let Some(said) = found.said {
        versions::measure(tx.db, own, &said.metrics).await?;
    }
    let sql = "update versions set created = $2, updated = $3, stage = $4,
        actor = coalesce($5, actor) where id = $1";
    let row = values![own, found.created, found.updated, found.stage, found.actor];
    tx.db.execute(sql, &row).await.map(drop)
}

async fn known_run(db: &mut Connection, run: Option<&str>) -> Result<Option<RunId>> {
    let Some(id) = run.and_then(|run| run.parse::<RunId>().ok()) else { return Ok(None) };
    let sql = "select 1 from runs where id = $1";
    let there = db.row(sql, &[Value::from(id.to_string())]).await?.is_some();
    Ok(there.then_some(id))
}
