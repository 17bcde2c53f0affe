//! Bytes under the paths of whatever has them: runs, logged models, traces.

use super::{
    SqlStore,
    connection::{Connection, values},
    logged_models,
    relay::relay,
    runs,
    session::Tx,
    traces, versions,
    words::{case, int},
};
use futures_util::{
    StreamExt,
    future::{Either, select},
};
use mlops_core::{
    Digest, Error, Result, ResultExt, RunId,
    artifact::{ArtifactPath, ArtifactRef, ByteStream, Manifest},
    page::Page,
    tracker::{ArtifactEntry, Lifecycle},
};
use std::{collections::BTreeMap, fmt, pin::pin, sync::Arc};

/// Where a version's own bytes lie for MLflow's clients. It goes on to mean them when its model is renamed.
pub(crate) fn version_uri(version: i64) -> String {
    format!("mlflow-artifacts:/versions/{version}")
}

/// The version, and the path in it, that a path of the artifact proxy leads to; `None` for others.
pub(crate) fn in_version(path: &ArtifactPath) -> Option<(Owner, ArtifactPath)> {
    let rest = path.as_str().strip_prefix("versions/")?;
    let (number, path) = rest.split_once('/').unwrap_or((rest, ""));
    let digits = number.bytes().all(|byte| byte.is_ascii_digit());
    let version = number.parse().ok().filter(|_| digits)?;
    Some((Owner::Version(version), ArtifactPath::new(path).ok()?))
}

/// What has bytes under paths.
#[cfg_attr(not(feature = "http"), expect(dead_code, reason = "only the server has the others"))]
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Owner {
    Run(RunId),
    /// A logged model.
    Model(Arc<str>),
    Trace(Arc<str>),
    /// A registered version, by what the database calls it: read through its manifest, never written.
    Version(i64),
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
            Self::Version(id) => format!("version/{id}"),
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

    /// Refuses an owner whose bytes are for ever what they are.
    fn may_change(&self) -> Result<()> {
        match self {
            Self::Version(_) => Err(Error::conflict(format!("{self} never changes"))),
            _ => Ok(()),
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
            Self::Version(id) => versions::manifest(db, *id).await.map(|_| Lifecycle::Active),
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
            Self::Version(_) => f.write_str("a registered version"),
            Self::Folder => f.write_str("the record"),
        }
    }
}

/// Stores bytes under a path. On the disk when it returns.
pub(crate) async fn write(
    store: &SqlStore,
    owner: Owner,
    path: ArtifactPath,
    body: ByteStream,
) -> Result<ArtifactRef> {
    write_expected(store, owner, path, body, None).await
}

/// As [`write`]; bytes that do not have the digest that their sender says are refused.
pub(crate) async fn write_expected(
    store: &SqlStore,
    owner: Owner,
    path: ArtifactPath,
    body: ByteStream,
    expected: Option<Digest>,
) -> Result<ArtifactRef> {
    if path.as_str().is_empty() {
        return Err(Error::invalid("an artifact needs a path"));
    }
    let (shared, place, of) = (&store.shared, path.clone(), owner.clone());
    shared.thread.read(async move |db| may_write(db, &of, &place).await).await?;
    let (sending, received) = relay();
    let (artifacts, transfers) = (shared.artifacts.clone(), shared.transfers.clone());
    let put = shared.thread.task(async move { transfers.put(artifacts, received).await });
    // The body is polled here, where it comes from; the bytes are written on the store's thread. Once
    // that has an answer, nothing more of the body is waited for.
    let artifact = match select(pin!(sending.pump(body)), pin!(put)).await {
        Either::Left(((), put)) => put.await,
        Either::Right((artifact, _)) => artifact,
    };
    let artifact = artifact.context(|| path.to_string())?;
    if let Some(expected) = expected.filter(|expected| *expected != artifact.digest) {
        let found = artifact.digest;
        return Err(Error::invalid(format!("{path}: sent as {expected}, received as {found}")));
    }
    let artifacts = store.shared.artifacts.clone();
    let enter = async move |tx: &mut Tx<'_>| {
        enter(tx, &owner, &path, artifact).await?;
        // Last, when the turn to write is taken: the collector of garbage has been here, or waits.
        artifacts.present(&artifact).await
    };
    shared.thread.write(&store.actor, enter).await?;
    Ok(artifact)
}

/// A file is no folder, and a folder no file.
async fn may_write(db: &mut Connection, owner: &Owner, path: &ArtifactPath) -> Result<()> {
    owner.may_change()?;
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

/// As [`below`]; everything lies below the root.
fn within(folder: &ArtifactPath) -> (String, String) {
    match folder.as_str() {
        "" => (String::new(), "\u{10ffff}".to_owned()),
        folder => below(folder),
    }
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
    store: &SqlStore,
    owner: Owner,
    path: ArtifactPath,
) -> Result<(ArtifactRef, ByteStream)> {
    let thread = &store.shared.thread;
    let (wanted, of) = (path.clone(), owner.clone());
    let found = thread.read(async move |db| {
        of.known(db).await?;
        match &of {
            Owner::Version(id) => Ok(versions::manifest(db, *id).await?.get(&wanted).copied()),
            _ => artifact(db, &of.key(), wanted.as_str()).await,
        }
    });
    let missing = || Error::not_found(format!("{owner} has no artifact {:?}", path.as_str()));
    let wanted = found.await?.ok_or_else(missing)?;
    let bytes = open(store, wanted).await.context(|| path.to_string())?;
    Ok((wanted, bytes))
}

/// The bytes of an artifact; the stream ends with `Corrupt` if they are others.
pub(crate) async fn open(store: &SqlStore, artifact: ArtifactRef) -> Result<ByteStream> {
    let thread = &store.shared.thread;
    let artifacts = store.shared.artifacts.clone();
    let bytes = thread.task(async move { artifacts.get(&artifact).await }).await?;
    let (sending, received) = relay();
    thread.spawn(sending.pump(bytes)).await?;
    // The stream keeps the store open as long as somebody reads.
    let open = store.clone();
    let stream = received.map(move |piece| {
        let _open = &open;
        piece
    });
    Ok(Box::pin(stream))
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
    let (first, after) = within(under);
    if let Owner::Version(id) = owner {
        let manifest = versions::manifest(db, *id).await?;
        let below = manifest.iter().filter(|(path, _)| path.as_str().starts_with(&first));
        let rows = below.map(|(path, artifact)| (path.to_string(), *artifact)).collect();
        return Ok((first.len(), rows));
    }
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
/// the garbage is collected. Also of what is deleted: its clean-up begins like this.
#[cfg(feature = "http")]
pub(crate) async fn remove(tx: &mut Tx<'_>, owner: &Owner, path: &ArtifactPath) -> Result<u64> {
    owner.may_change()?;
    owner.known(tx.db).await?;
    let (first, after) = within(path);
    let sql = "delete from artifact_paths
        where owner = $1 and (path = $2 or (path >= $3 and path < $4))";
    tx.db.execute(sql, &values![owner.key(), path.as_str(), first, after]).await
}
