//! The record in one SQLite database: tracker, registry and event log behind the family's traits.

mod aliases;
mod batch;
mod config;
mod connection;
mod direct;
mod event_log;
mod events;
mod experiments;
mod follow;
mod logged_models;
mod migrate;
mod models;
mod paths;
mod registry;
mod relay;
mod runs;
mod search;
mod session;
mod tags;
mod thread;
mod tokens;
mod traces;
mod tracker;
mod versions;
mod words;

pub use config::StoreConfig;
pub use migrate::Migrated;

use crate::{ArtifactStore, disk};
use connection::Connection;
use mlops_core::{Clock, Principal, Result};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use thread::StoreThread;
use tokio::sync::Semaphore;

/// A record in one SQLite file and a folder of artifacts.
///
/// Implements [`Tracker`](mlops_core::Tracker), [`Registry`](mlops_core::Registry) and
/// [`EventLog`](mlops_core::EventLog). A handle: clones share the store, and each says
/// [who acts](Self::acting_as). The store owns one thread with a current-thread runtime and one
/// connection, so that it may be called from any runtime, or from none. Several processes may open the
/// same file. What is acknowledged has been written through to the disk.
///
/// The file is closed when the last handle and the last of its streams are dropped.
#[derive(Clone, Debug)]
pub struct SqliteStore {
    shared: Arc<Shared>,
    actor: Principal,
}

#[derive(Debug)]
struct Shared {
    thread: StoreThread,
    artifacts: ArtifactStore,
    /// How many artifacts may be written at the same time.
    transfers: Arc<Semaphore>,
    clock: Arc<dyn Clock>,
}

impl SqliteStore {
    /// Opens a database file; creates it, its folder and its schema if it is not there.
    ///
    /// A file with an older schema is `Unsupported` and the error names the command that
    /// [migrates](Self::migrate) it; one that only a newer release can read is `Unsupported` too. A file
    /// that is no database is `Corrupt`.
    pub async fn open(path: impl Into<PathBuf>, config: StoreConfig) -> Result<Self> {
        let path = path.into();
        let folder = folder(&path);
        let artifacts = config.artifacts.clone().unwrap_or_else(|| folder.join("artifacts"));
        let thread = StoreThread::start(path, &config).await?;
        let artifacts = thread.task(async { ArtifactStore::open_dir(artifacts).await }).await?;
        let transfers = Arc::new(Semaphore::new(config.transfers.max(1)));
        let shared = Arc::new(Shared { thread, artifacts, transfers, clock: config.clock });
        Ok(Self { shared, actor: Principal::host() })
    }

    /// Brings a database file up to the schema of this build, in one transaction.
    ///
    /// An explicit act: make a copy first. A schema that the previous release cannot work with any more
    /// is said so in the change log of the release that brings it.
    pub async fn migrate(path: impl Into<PathBuf>, config: StoreConfig) -> Result<Migrated> {
        let path = path.into();
        thread::once(move || async move {
            disk::create_dirs(&folder(&path))?;
            let mut db = Connection::open_sqlite(&path, config.busy_timeout).await?;
            let (now, thing) = (config.clock.now(), path.display().to_string());
            let done = migrate::migrate(&mut db, migrate::MIGRATIONS, now, &thing).await;
            db.close().await?;
            disk::sync_dir(&folder(&path))?;
            done
        })
        .await
    }

    /// The same store with another who acts: every event says who did it.
    #[must_use]
    pub fn acting_as(&self, principal: Principal) -> Self {
        Self { shared: Arc::clone(&self.shared), actor: principal }
    }

    /// Who acts through this handle; the [host](Principal::host) if nobody has said.
    pub fn actor(&self) -> &Principal {
        &self.actor
    }

    /// Where the bytes of runs and versions lie.
    pub fn artifacts(&self) -> &ArtifactStore {
        &self.shared.artifacts
    }

    /// Checks that no event was changed, removed or put in between since it was appended; gives how many
    /// there are. `Corrupt` names the first that is not what was written.
    ///
    /// Each event is bound to the one before it by a hash, so a history that was rewritten as a whole
    /// shows only against a hash that was kept elsewhere.
    pub async fn verify_events(&self) -> Result<u64> {
        self.shared.thread.read(async |db| events::verify(db).await).await
    }
}

/// The folder that a database file lies in.
fn folder(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}
