//! Artifacts of runs, through the server's proxy.

use super::{
    http::Session,
    proxy::Folder,
    request::Request,
    runs,
    search::next,
    transfer::{self, Incoming, Pieces},
};
use crate::mlflow::wire::artifacts::Files;
use mlops_core::{
    Error, Result, ResultExt, RunId,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    page::Page,
    tracker::ArtifactEntry,
};
use std::sync::Arc;

pub(super) async fn write(
    session: Arc<Session>,
    id: RunId,
    path: ArtifactPath,
    body: ByteStream,
) -> Result<ArtifactRef> {
    let folder = folder(&session, id).await?;
    let url = folder.file(&session, named(&path)?);
    let put = transfer::put(&session, url, body, None).await;
    put.map_err(|failure| failure.error).context(|| path.to_string())
}

pub(super) async fn read(session: Arc<Session>, id: RunId, path: ArtifactPath) -> Result<Pieces> {
    let folder = folder(&session, id).await?;
    let url = folder.file(&session, named(&path)?);
    let incoming = Incoming::open(&session, url).await.context(|| path.to_string())?;
    Ok(incoming.forwarded(session))
}

pub(super) async fn list(
    session: Arc<Session>,
    id: RunId,
    under: ArtifactPath,
) -> Result<Page<ArtifactEntry>> {
    let (mut entries, mut page) = (Vec::new(), None);
    loop {
        let path = Some(under.as_str()).filter(|path| !path.is_empty());
        let request = Request::get("artifacts/list")
            .with("run_id", id)
            .with_some("path", path)
            .with_some("page_token", page);
        let found: Files = session.ask(&request).await?;
        for file in found.files {
            let size = file.file_size.unwrap_or_default().0;
            let size = (!file.is_dir).then(|| u64::try_from(size).unwrap_or_default());
            entries.push(ArtifactEntry::new(ArtifactPath::new(file.path)?, size));
        }
        page = next(found.next_page_token);
        if page.is_none() {
            entries.sort_by(|left, right| left.path.cmp(&right.path));
            return Ok(Page::all(entries));
        }
    }
}

async fn folder(session: &Session, id: RunId) -> Result<Folder> {
    let run = runs::wired(session, id).await?;
    Folder::of(session, run.info.artifact_uri.as_deref().unwrap_or_default())
}

fn named(path: &ArtifactPath) -> Result<&ArtifactPath> {
    if path.as_str().is_empty() {
        Err(Error::invalid("an artifact needs a path"))
    } else {
        Ok(path)
    }
}
