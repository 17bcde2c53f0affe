//! Bytes under the paths of a run.

use super::{
    SqliteStore,
    connection::{Connection, values},
    relay::relay,
    runs,
    session::Tx,
    words::{case, int},
};
use futures_util::{StreamExt, future::join};
use mlops_core::{
    Error, Result, ResultExt, RunId,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    page::Page,
    tracker::{ArtifactEntry, Lifecycle},
};
use std::{collections::BTreeMap, sync::Arc};

pub(super) async fn write(
    store: &SqliteStore,
    id: RunId,
    path: ArtifactPath,
    body: ByteStream,
) -> Result<ArtifactRef> {
    if path.as_str().is_empty() {
        return Err(Error::invalid("an artifact of a run needs a path"));
    }
    let (shared, place) = (&store.shared, path.clone());
    shared.thread.read(async move |db| may_write(db, id, &place).await).await?;
    let (sending, received) = relay();
    let artifacts = shared.artifacts.clone();
    let turns = Arc::clone(&shared.transfers);
    let put = shared.thread.task(async move {
        let _turn = turns.acquire().await.map_err(|_| Error::internal("transfers never end"))?;
        artifacts.put(received).await
    });
    // The body is polled here, where it comes from; the bytes are written on the store's thread.
    let ((), artifact) = join(sending.pump(body), put).await;
    let artifact = artifact.context(|| path.to_string())?;
    shared.thread.write(&store.actor, async move |tx| enter(tx, id, &path, artifact).await).await?;
    Ok(artifact)
}

/// A file is no folder, and a folder no file.
async fn may_write(db: &mut Connection, id: RunId, path: &ArtifactPath) -> Result<()> {
    let row = db.row("select lifecycle from runs where id = $1", &values![id.to_string()]).await?;
    let lifecycle = row.ok_or_else(|| runs::unknown(id))?.text(0)?;
    if case::<Lifecycle>(&lifecycle)? == Lifecycle::Deleted {
        return Err(Error::conflict(format!("run {id} is deleted")));
    }
    let path = path.as_str();
    for (end, _) in path.match_indices('/') {
        if artifact(db, id, &path[..end]).await?.is_some() {
            return Err(Error::conflict(format!("{:?} is a file of the run", &path[..end])));
        }
    }
    let sql = "select 1 from run_artifacts where run = $1 and path >= $2 and path < $3 limit 1";
    let (first, after) = below(path);
    if db.row(sql, &values![id.to_string(), first, after]).await?.is_some() {
        return Err(Error::conflict(format!("{path:?} is a folder of the run")));
    }
    Ok(())
}

/// What lies below a folder begins with the first and comes before the second: `0` follows `/`.
fn below(folder: &str) -> (String, String) {
    (format!("{folder}/"), format!("{folder}0"))
}

async fn enter(
    tx: &mut Tx<'_>,
    id: RunId,
    path: &ArtifactPath,
    artifact: ArtifactRef,
) -> Result<()> {
    may_write(tx.db, id, path).await?;
    let sql = "insert into run_artifacts (run, path, digest, size, written)
        values ($1, $2, $3, $4, $5) on conflict (run, path) do update
        set digest = excluded.digest, size = excluded.size, written = excluded.written";
    let (digest, size) = (artifact.digest.to_string(), int(artifact.size)?);
    let row = values![id.to_string(), path.as_str(), digest, size, tx.now];
    tx.db.execute(sql, &row).await.map(drop)
}

async fn artifact(db: &mut Connection, id: RunId, path: &str) -> Result<Option<ArtifactRef>> {
    let sql = "select digest, size from run_artifacts where run = $1 and path = $2";
    let row = db.row(sql, &values![id.to_string(), path]).await?;
    row.map(|row| Ok(ArtifactRef { digest: row.parsed(0)?, size: row.count(1)? })).transpose()
}

pub(super) async fn read(store: &SqliteStore, id: RunId, path: ArtifactPath) -> Result<ByteStream> {
    let thread = &store.shared.thread;
    let wanted = path.clone();
    let found = thread.read(async move |db| {
        known(db, id).await?;
        artifact(db, id, wanted.as_str()).await
    });
    let missing = || Error::not_found(format!("run {id} has no artifact {:?}", path.as_str()));
    let wanted = found.await?.ok_or_else(missing)?;
    let artifacts = store.shared.artifacts.clone();
    let bytes = thread.task(async move { artifacts.get(&wanted).await }).await;
    let bytes = bytes.context(|| path.to_string())?;
    let (sending, received) = relay();
    thread.spawn(sending.pump(bytes)).await?;
    // The stream keeps the store open as long as somebody reads.
    let open = store.clone();
    Ok(Box::pin(received.map(move |piece| {
        let _open = &open;
        piece
    })))
}

async fn known(db: &mut Connection, id: RunId) -> Result<()> {
    let row = db.row("select 1 from runs where id = $1", &values![id.to_string()]).await?;
    row.map(drop).ok_or_else(|| runs::unknown(id))
}

/// Files and folders directly under a path.
pub(super) async fn list(
    db: &mut Connection,
    id: RunId,
    under: &ArtifactPath,
) -> Result<Page<ArtifactEntry>> {
    known(db, id).await?;
    let root = under.as_str().is_empty();
    let (first, after) = if root {
        (String::new(), None)
    } else {
        let (first, after) = below(under.as_str());
        (first, Some(after))
    };
    let sql = "select path, size from run_artifacts
        where run = $1 and path >= $2 and (cast($3 as text) is null or path < $3)";
    let mut entries = BTreeMap::<String, Option<u64>>::new();
    for row in db.rows(sql, &values![id.to_string(), first.clone(), after]).await? {
        let path = row.text(0)?;
        let rest = path.get(first.len()..).unwrap_or_default();
        match rest.find('/') {
            Some(end) => entries.insert(path[..first.len() + end].to_owned(), None),
            None => entries.insert(path, Some(row.count(1)?)),
        };
    }
    let entry = |(path, size)| Ok(ArtifactEntry::new(ArtifactPath::new(path)?, size));
    Ok(Page::all(entries.into_iter().map(entry).collect::<Result<_>>()?))
}
