//! Every byte of a version, in and out.

use super::{
    http::Session,
    models,
    proxy::Folder,
    request::Request,
    transfer::{self, Incoming},
    versions,
};
use crate::{
    artifacts::{Making, blocking},
    mlflow::wire::{
        described::Described,
        models::{
            CreateLoggedModel, DownloadUri, FinalizeLoggedModel, LoggedModelInfo, ModelVersion,
            OneLoggedModel,
        },
    },
};
use mlops_core::{
    Error, ErrorKind, ModelName, Result, ResultExt, RunId, VersionId,
    artifact::{ArtifactPath, ArtifactRef, Manifest},
    digest::Hasher,
    model::ModelPackage,
};
use reqwest::Method;
use std::{collections::VecDeque, io::Write, path::PathBuf, sync::Arc};

/// How many manifests of others' versions are remembered.
const REMEMBERED: usize = 64;
/// How often one file is fetched, at most.
const TRIES: usize = 3;

/// What identifies a version of another program: a name may come again.
type Origin = (String, String, i64, String);

/// Manifests of versions that others registered, the latest at the end.
#[derive(Debug, Default)]
pub(super) struct Measured(VecDeque<(Origin, Manifest)>);

/// Stores the files of a package as a logged model; gives its id.
pub(super) async fn store(
    session: &Session,
    model: &ModelName,
    run: Option<RunId>,
    package: &ModelPackage,
) -> Result<String> {
    let experiment_id = match run {
        Some(run) => match super::runs::wired(session, run).await {
            Ok(run) => run.info.experiment_id,
            Err(error) if error.kind() == ErrorKind::NotFound => "0".to_owned(),
            Err(error) => return Err(error),
        },
        None => "0".to_owned(),
    };
    // A logged model's name bears less than a registered one's.
    let odd = |c: char| matches!(c, '/' | ':' | '.' | '%' | '"' | '\'');
    let body = CreateLoggedModel {
        experiment_id,
        name: model.as_str().replace(odd, "_"),
        source_run_id: run.map(|run| run.to_string()),
    };
    let made = session.ask::<OneLoggedModel>(&Request::post("logged-models", &body)?).await;
    let place =
        made.context(|| "a place for the bytes of a version (MLflow 3 or later)")?.model.info;
    let outcome = upload(session, &place, package).await;
    let status = if outcome.is_ok() { "LOGGED_MODEL_READY" } else { "LOGGED_MODEL_UPLOAD_FAILED" };
    let body = FinalizeLoggedModel { model_id: place.model_id.clone(), status: status.to_owned() };
    let name = format!("logged-models/{}", place.model_id);
    let ended = session.tell(&Request::send(Method::PATCH, &name, &body)?.repeatable()).await;
    outcome?;
    ended.map(|()| place.model_id)
}

async fn upload(session: &Session, place: &LoggedModelInfo, package: &ModelPackage) -> Result<()> {
    let folder = Folder::of(session, &place.artifact_uri)?;
    for (path, artifact) in package.manifest().iter() {
        let (url, file) = (folder.file(session, path), path.under(package.folder()));
        transfer::put_file(session, url, file, artifact).await.context(|| path.to_string())?;
    }
    Ok(())
}

/// Copies a version into a folder that is not there yet: it appears as a whole, verified to the byte.
pub(super) async fn fetch(
    session: Arc<Session>,
    id: VersionId,
    into: PathBuf,
) -> Result<ModelPackage> {
    let version = versions::wired(&session, &id).await?;
    let manifest = match Described::from_tags(&version.tags).context(|| format!("version {id}"))? {
        Some(described) => described.manifest,
        None => measured(&session, &version).await?,
    };
    let folder = folder(&session, &version).await?;
    let target = into.clone();
    let making = Arc::new(blocking::run(move || Making::beside(target)).await?);
    for (path, artifact) in manifest.iter() {
        fetch_file(&session, &folder, &making, path, artifact)
            .await
            .context(|| path.to_string())?;
    }
    blocking::run(move || {
        making.publish()?;
        ModelPackage::open(into)
    })
    .await
}

/// Fetches one file, again if the way breaks.
async fn fetch_file(
    session: &Session,
    folder: &Folder,
    making: &Arc<Making>,
    path: &ArtifactPath,
    artifact: &ArtifactRef,
) -> Result<()> {
    let mut tries = 1;
    loop {
        let (own, place) = (Arc::clone(making), path.clone());
        let file = blocking::run(move || own.create(&place)).await?;
        match fetch_into(session, folder, file, path, artifact).await {
            Err(error) if error.kind().row().may_retry && tries < TRIES => {
                let (own, place) = (Arc::clone(making), path.clone());
                blocking::run(move || own.remove(&place)).await?;
                tries += 1;
            }
            outcome => return outcome,
        }
    }
}

async fn fetch_into(
    session: &Session,
    folder: &Folder,
    mut file: std::fs::File,
    path: &ArtifactPath,
    artifact: &ArtifactRef,
) -> Result<()> {
    let mut incoming = Incoming::open(session, folder.file(session, path)).await?;
    let (mut hasher, mut size) = (Hasher::default(), 0);
    while let Some(piece) = incoming.next(session).await? {
        hasher.update(&piece);
        size += piece.len() as u64;
        if size > artifact.size {
            return Err(Error::corrupt(format!("more than {} bytes came", artifact.size)));
        }
        file = blocking::run(move || {
            file.write_all(&piece).map_err(|source| Error::io("writing", source))?;
            Ok(file)
        })
        .await?;
    }
    let found = ArtifactRef { digest: hasher.finish(), size };
    if found != *artifact {
        let ArtifactRef { digest, size } = *artifact;
        return Err(Error::corrupt(format!(
            "expected {digest} ({size} bytes), found {} ({} bytes)",
            found.digest, found.size
        )));
    }
    blocking::run(move || file.sync_all().map_err(|source| Error::io("writing", source))).await
}

/// The manifest of a version that nobody has described: its bytes are read once, and known from then on.
pub(super) async fn measured(session: &Session, version: &ModelVersion) -> Result<Manifest> {
    let origin: Origin = (
        version.name.clone(),
        version.version.clone(),
        version.creation_timestamp.unwrap_or_default().0,
        version.source.clone().unwrap_or_default(),
    );
    let known = &session.measured;
    if let Some((_, manifest)) = known.lock().await.0.iter().find(|(own, _)| *own == origin) {
        return Ok(manifest.clone());
    }
    let folder = folder(session, version).await?;
    let mut manifest = Manifest::default();
    for path in folder.walk(session).await? {
        let mut incoming = Incoming::open(session, folder.file(session, &path)).await?;
        let (mut hasher, mut size) = (Hasher::default(), 0);
        while let Some(piece) = incoming.next(session).await.context(|| path.to_string())? {
            hasher.update(&piece);
            size += piece.len() as u64;
        }
        manifest.insert(path, ArtifactRef { digest: hasher.finish(), size });
    }
    let mut known = known.lock().await;
    if known.0.len() >= REMEMBERED {
        known.0.pop_front();
    }
    known.0.push_back((origin, manifest.clone()));
    Ok(manifest)
}

/// Where the bytes of a version lie.
async fn folder(session: &Session, version: &ModelVersion) -> Result<Folder> {
    let request =
        models::of_version("model-versions/get-download-uri", &version.name, &version.version);
    let found: DownloadUri = session.ask(&request).await?;
    Folder::of(session, &found.artifact_uri)
}
