//! Bytes under the paths of whatever has them: runs, logged models, traces.

use super::{
    SqliteStore,
    connection::{Connection, values},
    logged_models,
    relay::relay,
    runs,
    session::Tx,
    traces,
    words::{case, int},
};
use futures_util::{StreamExt, future::join};
use mlops_core::{
    Error, Result, ResultExt, RunId,
    artifact::{ArtifactPath, ArtifactRef, ByteStream, Manifest},
    page::Page,
    tracker::{ArtifactEntry, Lifecycle},
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// What has bytes under paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Run(RunId),
    /// A logged model.
    Model(Arc<str>),
    Trace(Arc<str>),
    /// Nothing that the record knows: a client's own folder.
    Folder,
}

impl Owner {
    /// How the database names it.
    fn key(&self) -> String {
        match self {
            Self::Run(id) => format!("run/{id}"),
            Self::Model(id) => format!("model/{id}"),
            Self::Trace(id) => format!("trace/{id}"),
            Self::Folder => "folder".to_owned(),
        }
    }

    /// Refuses an owner that is not there.
    async fn known(&self, db: &mut Connection) -> Result<()> {
        self.lifecycle(db).await.map(drop)
    }

    /// Refuses an owner that is not there or deleted.
    async fn live(&self, db: &mut Connection) -> Result<()> {
        match self.lifecycle(db).await? {
            Lifecycle::Active => Ok(()),
            _ => Err(Error::conflict(format!("{self} is deleted"))),
        }
    }

    async fn lifecycle(&self, db: &mut Connection) -> Result<Lifecycle> {
        match self {
            Self::Run(id) => {
                let sql = "select lifecycle from runs where id = $1";
                let row = db.row(sql, &values![id.to_string()]).await?;
                case(&row.ok_or_else(|| runs::unknown(*id))?.text(0)?)
            }
            Self::Model(id) => logged_models::lifecycle(db, id).await,
            Self::Trace(id) => traces::known(db, id).await.map(|()| Lifecycle::Active),
            Self::Folder => Ok(Lifecycle::Active),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Run(id) => write!(f, "run {id}"),
            Self::Model(id) => write!(f, "logged model {id}"),
            Self::Trace(id) => write!(f, "trace {id}"),
            Self::Folder => f.write_str("the record"),
        }
    }
}

/// Stores bytes under a path. On the disk when it returns.
pub(crate) async fn write(
    store: &SqliteStore,
    owner: Owner,
    path: ArtifactPath,
    body: ByteStream,
) -> Result<ArtifactRef> {
    if path.as_str().is_empty() {
        return Err(Error::invalid("an artifact needs a path"));
    }
    let (shared, place, of) = (&store.shared, path.clone(), owner.clone());
    shared.thread.read(async move |db| may_write(db, &of, &place).await).await?;
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
    let enter = async move |tx: &mut Tx<'_>| enter(tx, &owner, &path, artifact).await;
    shared.thread.write(&store.actor, enter).await?;
    Ok(artifact)
}

/// A file is no folder, and a folder no file.
async fn may_write(db: &mut Connection, owner: &Owner, path: &ArtifactPath) -> Result<()> {
    owner.live(db).await?;
    let (key, path) = (owner.key(), path.as_str());
    for (end, _) in path.match_indices('/') {
        if artifact(db, &key, &path[..end]).await?.is_some() {
            return Err(Error::conflict(format!("{:?} is a file of {owner}", &path[..end])));
        }
    }
    let sql = "select 1 from artifact_paths where owner = $1 and path >= $2 and path < $3 limit 1";
    let (first, after) = below(path);
    if db.row(sql, &values![key, first, after]).await?.is_some() {
        return Err(Error::conflict(format!("{path:?} is a folder of {owner}")));
    }
    Ok(())
}

/// What lies below a folder begins with the first and comes before the second: `0` follows `/`.
fn below(folder: &str) -> (String, String) {
    (format!("{folder}/"), format!("{folder}0"))
}

async fn enter(
    tx: &mut Tx<'_>,
    owner: &Owner,
    path: &ArtifactPath,
    artifact: ArtifactRef,
) -> Result<()> {
    may_write(tx.db, owner, path).await?;
    let sql = "insert into artifact_paths (owner, path, digest, size, written)
        values ($1, $2, $3, $4, $5) on conflict (owner, path) do update
        set digest = excluded.digest, size = excluded.size, written = excluded.written";
    let (digest, size) = (artifact.digest.to_string(), int(artifact.size)?);
    let row = values![owner.key(), path.as_str(), digest, size, tx.now];
    tx.db.execute(sql, &row).await.map(drop)
}

async fn artifact(db: &mut Connection, key: &str, path: &str) -> Result<Option<ArtifactRef>> {
    let sql = "select digest, size from artifact_paths where owner = $1 and path = $2";
    let row = db.row(sql, &values![key, path]).await?;
    row.map(|row| Ok(ArtifactRef { digest: row.parsed(0)?, size: row.count(1)? })).transpose()
}

/// The bytes under a path, and what they must hash to; the stream ends with `Corrupt` if they do not.
pub(crate) async fn read(
    store: &SqliteStore,
    owner: Owner,
    path: ArtifactPath,
) -> Result<(ArtifactRef, ByteStream)> {
    let thread = &store.shared.thread;
    let (wanted, of) = (path.clone(), owner.clone());
    let found = thread.read(async move |db| {
        of.known(db).await?;
        artifact(db, &of.key(), wanted.as_str()).await
    });
    let missing = || Error::not_found(format!("{owner} has no artifact {:?}", path.as_str()));
    let wanted = found.await?.ok_or_else(missing)?;
    let artifacts = store.shared.artifacts.clone();
    let bytes = thread.task(async move { artifacts.get(&wanted).await }).await;
    let bytes = bytes.context(|| path.to_string())?;
    let (sending, received) = relay();
    thread.spawn(sending.pump(bytes)).await?;
    // The stream keeps the store open as long as somebody reads.
    let open = store.clone();
    let stream = received.map(move |piece| {
        let _open = &open;
        piece
    });
    Ok((wanted, Box::pin(stream)))
}

/// Files and folders directly under a path.
pub(crate) async fn list(
    db: &mut Connection,
    owner: &Owner,
    under: &ArtifactPath,
) -> Result<Page<ArtifactEntry>> {
    owner.known(db).await?;
    let (skip, rows) = tree(db, owner, under).await?;
    let mut entries = BTreeMap::<String, Option<u64>>::new();
    for (path, artifact) in rows {
        let rest = path.get(skip..).unwrap_or_default();
        match rest.find('/') {
            Some(end) => entries.insert(path[..skip + end].to_owned(), None),
            None => entries.insert(path, Some(artifact.size)),
        };
    }
    let entry = |(path, size)| Ok(ArtifactEntry::new(ArtifactPath::new(path)?, size));
    Ok(Page::all(entries.into_iter().map(entry).collect::<Result<_>>()?))
}

/// Every file below a path, each by its path from there: what a version is made of.
pub(crate) async fn manifest(
    db: &mut Connection,
    owner: &Owner,
    under: &ArtifactPath,
) -> Result<Manifest> {
    owner.known(db).await?;
    let (skip, rows) = tree(db, owner, under).await?;
    let mut manifest = Manifest::default();
    for (path, artifact) in rows {
        manifest.insert(ArtifactPath::new(path.get(skip..).unwrap_or_default())?, artifact);
    }
    Ok(manifest)
}

/// Every file below a path, and how many bytes of its path that folder takes.
async fn tree(
    db: &mut Connection,
    owner: &Owner,
    under: &ArtifactPath,
) -> Result<(usize, Vec<(String, ArtifactRef)>)> {
    let (first, after) = match under.as_str() {
        "" => (String::new(), "\u{10ffff}".to_owned()),
        folder => below(folder),
    };
    let sql = "select path, digest, size from artifact_paths
        where owner = $1 and path >= $2 and path < $3 order by path";
    let mut rows = Vec::new();
    for row in db.rows(sql, &values![owner.key(), first.clone(), after]).await? {
        let artifact = ArtifactRef { digest: row.parsed(1)?, size: row.count(2)? };
        rows.push((row.text(0)?, artifact));
    }
    Ok((first.len(), rows))
}

/// Forgets a file, or everything below a folder; gives how many files that were. The bytes stay until
/// the garbage is collected.
pub(crate) async fn remove(tx: &mut Tx<'_>, owner: &Owner, path: &ArtifactPath) -> Result<u64> {
    owner.live(tx.db).await?;
    let (first, after) = below(path.as_str());
    let sql = "delete from artifact_paths
        where owner = $1 and (path = $2 or (path >= $3 and path < $4))";
    tx.db.execute(sql, &values![owner.key(), path.as_str(), first, after]).await
}
