//! A copy of a record at one point in time, made while the record is in use.
//!
//! The database is copied from one snapshot; then every artifact that this snapshot refers to, unless the
//! folder has it from an earlier backup. A note that names both is written last: a folder without one is no
//! backup, and a folder whose next backup was interrupted still is the one before.

mod folder;

pub(super) use folder::BESIDE;

use super::{
    SqlStore,
    connection::{Connection, Location, values},
    events,
    session::Tx,
    thread,
    words::int,
};
use crate::{ArtifactStore, artifacts::blocking, disk};
use mlops_core::{
    Digest, Error, Result, ResultExt, Timestamp,
    artifact::{ArtifactRef, Manifest},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs::File,
    path::{Path, PathBuf},
    time::Duration,
};

/// The note, in the backup's folder.
pub(super) const NOTE: &str = "backup.json";
/// The artifacts, in the backup's folder.
pub(super) const ARTIFACTS: &str = "artifacts";
/// The only form of a note there has been.
pub(super) const FORMAT: u32 = 1;
/// How many artifacts are copied in one go.
const CHUNK: usize = 32;
/// How long no garbage is collected after a backup's last sign of life.
const PIN: Duration = Duration::from_hours(1);

/// What a backup is made of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BackupNote {
    /// The note's own version.
    pub format: u32,
    /// The release that made it.
    pub made_by: String,
    /// When it was made.
    pub made: Timestamp,
    /// The database's file in the folder.
    pub database: String,
    /// The digest of that file.
    pub digest: Digest,
    /// The schema's version.
    pub schema: i64,
    /// How many events it has.
    pub events: u64,
    /// The hash of the last event; empty if there is none.
    pub last_event: String,
    /// How many artifacts it refers to.
    pub artifacts: u64,
    /// What these take, in bytes.
    pub bytes: u64,
}

/// How far a long work is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Progress {
    /// How many artifacts are done.
    pub done: u64,
    /// How many there are.
    pub all: u64,
}

/// What a backup did.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct BackedUp {
    /// What it is made of now.
    pub note: BackupNote,
    /// How many artifacts were copied; the others were there already.
    pub copied: u64,
}

impl SqlStore {
    /// Copies the record as it is now into a folder; only what is new if that holds a backup already.
    /// Others go on reading and writing meanwhile.
    ///
    /// # Behavior
    /// - the copy is one point in time: every artifact that its database refers to is there and verified
    /// - everything is on the disk when it returns, the note that makes it a backup last
    /// - interrupted, it leaves the backup that was there before as it was
    /// - a damaged artifact is `Corrupt` and named: a backup never hides it
    /// - a folder that holds the backup of another record, or anything else and no backup, is `Conflict`;
    ///   the record's own is `InvalidInput`. Files that no backup has made stay
    /// - a record in Postgres is `Unsupported`: its database is copied by the server's own tools
    pub async fn backup(
        &self,
        to: impl Into<PathBuf>,
        mut progress: impl FnMut(Progress),
    ) -> Result<BackedUp> {
        let pin = format!("{:032x}", self.pin(None).await?);
        let done = self.copy_all(to.into(), &pin, &mut progress).await;
        let unpin = async move |tx: &mut Tx<'_>| {
            tx.db.execute("delete from artifact_pins where id = $1", &values![pin]).await
        };
        let unpinned = self.shared.thread.write(&self.actor, unpin).await;
        let done = done?;
        unpinned.map(|_| done)
    }

    /// Keeps every artifact for some time; gives what names this wish.
    pub(super) async fn pin(&self, again: Option<&str>) -> Result<u128> {
        let again = again.map(str::to_owned);
        let write = async move |tx: &mut Tx<'_>| {
            let id = tx.id();
            let key = again.unwrap_or_else(|| format!("{id:032x}"));
            let sql = "insert into artifact_pins (id, until) values ($1, $2)
                on conflict (id) do update set until = excluded.until";
            tx.db.execute(sql, &values![key, tx.now.plus(PIN)]).await?;
            Ok(id)
        };
        self.shared.thread.write(&self.actor, write).await
    }

    async fn copy_all(
        &self,
        to: PathBuf,
        pin: &str,
        progress: &mut impl FnMut(Progress),
    ) -> Result<BackedUp> {
        let (shared, own) = (&self.shared, to.clone());
        let (path, wait) = (file(&shared.location)?, shared.busy_timeout);
        // Not on the store's thread, which others wait for.
        let artifacts = shared.artifacts.root().map(Path::to_owned);
        let copy = move || async move { snapshot(&path, artifacts.as_deref(), &own, wait).await };
        let copied = thread::once(copy).await?;
        let Snapshot { database, found } = copied;
        let folder = to.join(ARTIFACTS);
        let target =
            shared.thread.task(async move { ArtifactStore::open_dir(folder).await }).await?;
        let artifacts: Vec<ArtifactRef> = found.artifacts().collect();
        let (mut copied, mut done, all) = (0, 0, artifacts.len() as u64);
        for some in artifacts.chunks(CHUNK) {
            self.pin(Some(pin)).await?;
            let (from, into, some) = (shared.artifacts.clone(), target.clone(), some.to_vec());
            done += some.len() as u64;
            let copy = async move {
                let mut copied = 0;
                for artifact in &some {
                    copied += u64::from(from.copy(artifact, &into).await?);
                }
                Ok(copied)
            };
            copied += shared.thread.task(copy).await?;
            progress(Progress { done, all });
        }
        let now = shared.clock.now();
        let note = blocking::run(move || found.publish(&to, &database, now)).await?;
        Ok(BackedUp { note, copied })
    }
}

/// The file of a record that is one.
fn file(location: &Location) -> Result<PathBuf> {
    location.file().map(Path::to_owned).ok_or_else(|| {
        let text = format!("{location}: copy the database by pg_dump, then the artifacts' folder");
        Error::unsupported(text)
    })
}

/// A copy of the database, and what it says.
struct Snapshot {
    database: PathBuf,
    found: Contents,
}

/// Copies the database from one snapshot of it. On the disk when it returns.
async fn snapshot(
    from: &Path,
    artifacts: Option<&Path>,
    to: &Path,
    wait: Duration,
) -> Result<Snapshot> {
    let mut db = Connection::open_sqlite(from, wait).await?;
    let copied = copy(&mut db, from, artifacts, to).await;
    db.close().await?;
    let database = copied?;
    let found = read(&database, wait).await?;
    File::open(&database)
        .and_then(|file| file.sync_all())
        .map_err(|source| Error::io(database.display(), source))?;
    disk::sync_dir(to)?;
    Ok(Snapshot { database, found })
}

/// Into a folder that may take it; gives the copy.
async fn copy(
    db: &mut Connection,
    from: &Path,
    artifacts: Option<&Path>,
    to: &Path,
) -> Result<PathBuf> {
    folder::claim(to, db, from, artifacts).await?;
    let database = to.join(folder::fresh(to)?);
    db.execute("vacuum into $1", &values![database.to_string_lossy().as_ref()]).await?;
    Ok(database)
}

/// What a database that nobody else has open says about itself, after it was found whole.
pub(super) struct Contents {
    schema: i64,
    pub(super) events: u64,
    last_event: String,
    /// The size of each.
    pub(super) artifacts: BTreeMap<Digest, u64>,
}

/// Reads a database to its end: its own checks, the chain of its events, what it refers to.
pub(super) async fn read(path: &Path, wait: Duration) -> Result<Contents> {
    let mut db = Connection::open_sqlite(path, wait).await?;
    let found = contents(&mut db).await;
    // The last to close it leaves no file beside it.
    db.close().await?;
    found
}

async fn contents(db: &mut Connection) -> Result<Contents> {
    let found = db.rows("pragma integrity_check", &[]).await?;
    let verdict = found.first().map(|row| row.text(0)).transpose()?.unwrap_or_default();
    if verdict != "ok" {
        return Err(Error::corrupt(format!("the database is damaged: {verdict}")));
    }
    let sql = "select version from schema_version order by version desc limit 1";
    let schema = db.row(sql, &[]).await?.ok_or_else(|| Error::corrupt("no record: no schema"))?;
    let events = events::verify(db).await?;
    let last = db.row("select hash from events order by position desc limit 1", &[]).await?;
    let last_event = last.map(|row| row.text(0)).transpose()?.unwrap_or_default();
    Ok(Contents { schema: schema.int(0)?, events, last_event, artifacts: references(db).await? })
}

/// Every artifact that a database refers to.
async fn references(db: &mut Connection) -> Result<BTreeMap<Digest, u64>> {
    const PAGE: u64 = 1000;
    let (mut found, mut last) = (BTreeMap::new(), String::new());
    loop {
        let sql = "select distinct digest, size from artifact_paths
            where digest > $1 order by digest limit $2";
        let rows = db.rows(sql, &values![&last, int(PAGE)?]).await?;
        let Some(end) = rows.last() else { break };
        last = end.text(0)?;
        for row in &rows {
            found.insert(row.parsed(0)?, row.count(1)?);
        }
    }
    let mut last = 0;
    loop {
        let sql = "select id, manifest from versions where id > $1 order by id limit $2";
        let rows = db.rows(sql, &values![last, int(PAGE)?]).await?;
        let Some(end) = rows.last() else { return Ok(found) };
        last = end.int(0)?;
        for row in &rows {
            let manifest: Manifest = row.json(1)?;
            found.extend(manifest.iter().map(|(_, artifact)| (artifact.digest, artifact.size)));
        }
    }
}

impl Contents {
    fn bytes(&self) -> u64 {
        self.artifacts.values().sum()
    }

    /// Every artifact that the database refers to.
    pub(super) fn artifacts(&self) -> impl Iterator<Item = ArtifactRef> {
        self.artifacts.iter().map(|(&digest, &size)| ArtifactRef { digest, size })
    }

    /// Makes the folder a backup of this, and removes the databases of those before.
    fn publish(self, folder: &Path, database: &Path, now: Timestamp) -> Result<BackupNote> {
        let name = database.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let note = BackupNote {
            format: FORMAT,
            made_by: format!("mlops {}", env!("CARGO_PKG_VERSION")),
            made: now,
            database: name,
            digest: Digest::of_file(database)?,
            schema: self.schema,
            events: self.events,
            artifacts: self.artifacts.len() as u64,
            bytes: self.bytes(),
            last_event: self.last_event,
        };
        let mut text = serde_json::to_vec_pretty(&note)
            .map_err(|cause| Error::internal("a note has no JSON").with_source(cause))?;
        text.push(b'\n');
        disk::replace(&folder.join(NOTE), &text)?;
        folder::tidy(folder, database)?;
        Ok(note)
    }

    /// Whether this is what a note says.
    pub(super) fn is(&self, note: &BackupNote) -> bool {
        let (count, bytes) = (self.artifacts.len() as u64, self.bytes());
        self.schema == note.schema
            && (self.events, &self.last_event) == (note.events, &note.last_event)
            && (count, bytes) == (note.artifacts, note.bytes)
    }
}

impl ArtifactStore {
    /// Copies an artifact into another store, unless that has it; whether it was copied. Every byte of it
    /// is verified, whichever of the two has it.
    pub(super) async fn copy(&self, artifact: &ArtifactRef, into: &Self) -> Result<bool> {
        if into.present(artifact).await.is_ok() && into.verify(artifact).await.is_ok() {
            return Ok(false);
        }
        let bytes = self.get(artifact).await.context(|| artifact.digest.to_string())?;
        into.put(bytes).await.context(|| artifact.digest.to_string())?;
        Ok(true)
    }
}
