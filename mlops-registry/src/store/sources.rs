//! Versions from a place that a client names: what lies there becomes the version's own.
//!
//! A version keeps the manifest of what its source held when it was registered, read in the transaction
//! that makes the version: whatever is written to a run or a logged model afterwards, the version does not
//! change. What lies outside of the record cannot be kept; such a version has no files.

use super::{
    SqlStore,
    connection::{Connection, values},
    logged_models, models,
    paths::{self, Owner},
    registered::{self, RegisteredVersion},
    session::Tx,
    tags::TagTable,
    versions::{self, Content},
};
use futures_util::TryStreamExt;
use mlops_core::{
    Digest, Error, ErrorKind, ExperimentId, Result, RunId, VersionId,
    artifact::{ArtifactPath, ArtifactRef, Manifest},
    model::MlModel,
    registry::{CreateVersion, ModelUri},
    signature::ModelSignature,
    tracker::Lifecycle,
};
use serde_json::json;
use std::sync::Arc;

/// The longest `MLmodel` whose signature is read; a real one has a few kilobytes.
const DESCRIPTOR: u64 = 4 << 20;
/// How often a source is looked at again because it changed meanwhile.
const TRIES: usize = 8;
/// Where a logged model says which versions it became.
const VERSIONS_TAG: &str = "mlflow.modelVersions";
const LOGGED_TAGS: TagTable = TagTable { name: "logged_model_tags", owner: "model" };

/// Where the bytes of a new version are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Below a path of a run.
    Run { run: RunId, path: ArtifactPath },
    /// Below a path of a logged model.
    Logged { id: Arc<str>, path: ArtifactPath },
    /// Another version, which is copied.
    Version(ModelUri),
    /// Outside of the record.
    Elsewhere,
}

/// A new version as a client of MLflow asks for it.
#[derive(Clone, Debug)]
pub(crate) struct NewVersion {
    /// Its `package` is nowhere: the source has the bytes.
    pub(crate) version: CreateVersion,
    pub(crate) source: Source,
    /// The source in the client's words.
    pub(crate) text: Arc<str>,
    pub(crate) run: Option<Arc<str>>,
    pub(crate) logged_model: Option<Arc<str>>,
    pub(crate) run_link: Option<Arc<str>>,
    pub(crate) description: Option<Arc<str>>,
    /// What the client says that the files hash to.
    pub(crate) digest: Option<Digest>,
}

/// What a source holds now.
#[derive(Clone, Debug, Default)]
struct Held {
    manifest: Manifest,
    /// Known already of what is a version.
    signature: Option<ModelSignature>,
    run: Option<Arc<str>>,
    logged_model: Option<Arc<str>>,
}

impl SqlStore {
    /// The experiment of a logged model that is not deleted.
    pub(crate) async fn experiment_of_logged_model(&self, id: &str) -> Result<ExperimentId> {
        let id = id.to_owned();
        let read = self.shared.thread.read(async move |db| {
            live(db, &id).await?;
            let sql = "select experiment from logged_models where id = $1";
            let row = db.row(sql, &values![&*id]).await?;
            let row = row.ok_or_else(|| logged_models::unknown(&id))?;
            ExperimentId::new(row.int(0)?.to_string())
        });
        read.await
    }

    /// Registers what lies at a source as the next version of a model that is there.
    pub(crate) async fn register(&self, new: NewVersion) -> Result<RegisteredVersion> {
        for _ in 0..TRIES {
            let wanted = new.clone();
            let read = self.shared.thread.read(async move |db| held(db, &wanted).await);
            let held = read.await?;
            as_said(&new, &held.manifest)?;
            let signature = match held.signature {
                Some(signature) => Some(signature),
                None => self.signature(&held.manifest).await?,
            };
            let (new, seen) = (new.clone(), held.manifest);
            let made = self
                .shared
                .thread
                .write(&self.actor, async move |tx| create(tx, new, &seen, signature).await)
                .await?;
            if let Some(made) = made {
                return Ok(made);
            }
        }
        Err(Error::conflict(format!("{} changed {TRIES} times while it was registered", new.text)))
    }

    /// What the `MLmodel` among some files says that the model takes and gives. Others register models
    /// that our tensors cannot describe: they have no signature here.
    async fn signature(&self, manifest: &Manifest) -> Result<Option<ModelSignature>> {
        let Some(descriptor) = manifest.get(&ArtifactPath::new("MLmodel")?) else {
            return Ok(None);
        };
        if descriptor.size > DESCRIPTOR {
            return Ok(None);
        }
        let (artifacts, wanted): (_, ArtifactRef) = (self.shared.artifacts.clone(), *descriptor);
        let bytes = self
            .shared
            .thread
            .task(async move { artifacts.get(&wanted).await?.try_collect::<Vec<_>>().await })
            .await?;
        let text = String::from_utf8_lossy(&bytes.concat()).into_owned();
        Ok(MlModel::from_yaml(&text).ok().and_then(|model| model.signature().ok()).flatten())
    }
}

/// Refuses bytes that are not what a client says that it put there.
fn as_said(new: &NewVersion, found: &Manifest) -> Result<()> {
    let found = found.digest();
    match new.digest.filter(|said| *said != found) {
        Some(said) => Err(Error::conflict(format!("{} holds {found} and not {said}", new.text))),
        None => Ok(()),
    }
}

/// Makes the version; `None` if the source changed since its signature was read.
async fn create(
    tx: &mut Tx<'_>,
    new: NewVersion,
    seen: &Manifest,
    signature: Option<ModelSignature>,
) -> Result<Option<RegisteredVersion>> {
    if let Some(there) = versions::of_key(tx.db, &new.version).await? {
        return registered::one(tx.db, &there.id).await.map(Some);
    }
    models::id(tx.db, &new.version.model).await?;
    let held = held(tx.db, &new).await?;
    if held.manifest != *seen {
        return Ok(None);
    }
    let run = new.run.filter(|run| !run.is_empty()).or(held.run);
    let own = run.as_deref().and_then(|run| run.parse::<RunId>().ok());
    let logged_model = new.logged_model.or(held.logged_model);
    let mut version = new.version;
    version.run = own;
    let content = Content {
        manifest: held.manifest,
        signature,
        description: new.description,
        source: Some(new.text),
        logged_model: logged_model.clone(),
        run_link: new.run_link,
        foreign_run: run.filter(|_| own.is_none()),
    };
    let made = versions::create(tx, version, content).await?;
    if let Some(logged) = &logged_model {
        note(tx, logged, &made.id).await?;
    }
    registered::one(tx.db, &made.id).await.map(Some)
}

/// Writes down at a logged model which version it became, as MLflow does.
async fn note(tx: &mut Tx<'_>, logged: &str, id: &VersionId) -> Result<()> {
    let sql = "select value from logged_model_tags where model = $1 and key = $2";
    let row = tx.db.row(sql, &values![logged, VERSIONS_TAG]).await?;
    let text = row.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    let mut all: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap_or_default();
    all.push(json!({ "name": id.model, "version": id.version }));
    let shown = all.iter().map(|own| {
        // With the spaces that Python writes.
        format!("{{\"name\": {}, \"version\": {}}}", own["name"], own["version"])
    });
    let text = format!("[{}]", shown.collect::<Vec<_>>().join(", "));
    LOGGED_TAGS.set(tx.db, &logged.into(), VERSIONS_TAG, &text).await
}

/// Looks at what a source holds.
async fn held(db: &mut Connection, new: &NewVersion) -> Result<Held> {
    let mut held = match &new.source {
        Source::Run { run, path } => of_run(db, *run, path).await?,
        Source::Logged { id, path } => of_logged(db, id, path).await?,
        Source::Version(uri) => {
            let found = versions::resolve(db, uri).await?;
            let row = versions::find(db, &found.id).await?;
            let sql = "select run, logged_model from versions where id = $1";
            let facts = db.row(sql, &values![row]).await?;
            let facts = facts.ok_or_else(|| Error::internal("a version just found is there"))?;
            Held {
                manifest: found.manifest,
                signature: found.signature,
                run: facts.optional_text(0)?.map(Arc::from),
                logged_model: facts.optional_text(1)?.map(Arc::from),
            }
        }
        Source::Elsewhere => Held::default(),
    };
    if let Some(logged) = &new.logged_model {
        live(db, logged).await?;
        held.run = held.run.or(source_run(db, logged).await?);
    }
    Ok(held)
}

async fn of_run(db: &mut Connection, run: RunId, path: &ArtifactPath) -> Result<Held> {
    let run_text: Arc<str> = run.to_string().into();
    let manifest = match paths::manifest(db, &Owner::Run(run), path).await {
        // MLflow does not ask whether the run is there.
        Err(error) if error.kind() == ErrorKind::NotFound => Manifest::default(),
        found => found?,
    };
    let held = Held { manifest, run: Some(Arc::clone(&run_text)), ..Held::default() };
    if held.manifest.iter().len() > 0 {
        return Ok(held);
    }
    // What a client calls `runs:/RUN/NAME` may be a logged model, which lies elsewhere.
    let sql =
        "select id from logged_models where source_run = $1 and name = $2 and lifecycle = 'active'
        order by created desc limit 1";
    match db.row(sql, &values![&*run_text, path.as_str()]).await? {
        Some(row) => {
            let logged = of_logged(db, &row.text(0)?, &ArtifactPath::new("")?).await?;
            Ok(Held { run: held.run, ..logged })
        }
        None => Ok(held),
    }
}

async fn of_logged(db: &mut Connection, id: &str, path: &ArtifactPath) -> Result<Held> {
    live(db, id).await?;
    let manifest = paths::manifest(db, &Owner::Model(id.into()), path).await?;
    let run = source_run(db, id).await?;
    Ok(Held { manifest, run, ..Held::default() })
}

async fn live(db: &mut Connection, id: &str) -> Result<()> {
    match logged_models::lifecycle(db, id).await? {
        Lifecycle::Active => Ok(()),
        _ => Err(logged_models::unknown(id)),
    }
}

async fn source_run(db: &mut Connection, id: &str) -> Result<Option<Arc<str>>> {
    let row = db.row("select source_run from logged_models where id = $1", &values![id]).await?;
    Ok(row.map(|row| row.optional_text(0)).transpose()?.flatten().map(Arc::from))
}
