//! The record in one SQLite file or one Postgres database: tracker, registry and event log behind the
//! family's traits.

mod aliases;
#[cfg(feature = "sqlite")]
mod backup;
mod batch;
mod config;
mod connection;
mod direct;
mod event_log;
mod events;
mod experiments;
#[cfg(feature = "sqlite")]
mod export;
mod follow;
mod garbage;
#[cfg(feature = "sqlite")]
mod import;
#[cfg(feature = "http")]
mod listed;
mod logged_models;
mod many;
mod metrics;
mod migrate;
mod models;
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only MLflow's clients ask for it"))]
mod paths;
#[cfg(feature = "http")]
#[cfg(feature = "http")]
mod places;
#[cfg(feature = "http")]
pub(crate) mod principals;
mod purge;
#[cfg(feature = "http")]
mod registered;
mod registry;
mod relay;
#[cfg(feature = "sqlite")]
mod restore;
#[cfg(feature = "http")]
mod run_models;
mod runs;
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only MLflow's clients ask for it"))]
mod search;
mod session;
#[cfg(feature = "http")]
mod sources;
#[cfg(feature = "http")]
mod stages;
#[cfg_attr(not(feature = "http"), allow(dead_code, reason = "only MLflow's clients ask for it"))]
mod tags;
mod thread;
mod tokens;
mod traces;
mod tracker;
mod transfers;
mod versions;
#[cfg(feature = "http")]
mod wire;
mod words;

#[cfg(feature = "sqlite")]
pub use backup::{BackedUp, BackupNote, Progress};
pub use config::StoreConfig;
#[cfg(feature = "sqlite")]
pub use export::{ExportNote, ExportedFile};
pub use garbage::{Collected, GcOptions};
#[cfg(feature = "sqlite")]
pub use import::{ImportOptions, ImportSource, Imported, NotTaken};
#[cfg(feature = "http")]
pub(crate) use logged_models::{
    LoggedModel, LoggedModelOrder, LoggedModelSearch, ModelPoint, NewLoggedModel, Status,
};
pub use metrics::segment;
pub use migrate::Migrated;
#[cfg(feature = "http")]
pub(crate) use paths::{Owner, write_expected};
#[cfg(feature = "http")]
pub(crate) use places::Place;
#[cfg(feature = "http")]
pub use principals::{Role, SHORTEST_PASSWORD, Token, User};
#[cfg(feature = "http")]
pub(crate) use run_models::{ModelRole, RunModel};
#[cfg(feature = "http")]
pub(crate) use wire::{DatasetSummary, Entry, RunParts};
#[cfg(feature = "http")]
pub(crate) use {
    paths::version_uri,
    registered::{RegisteredName, RegisteredVersion},
    sources::{NewVersion, Source},
    stages::Stage,
};

#[cfg(feature = "http")]
pub(crate) use traces::{DeleteTraces, Span, Trace, TraceSearch};

use crate::{ArtifactStore, disk};
use connection::Location;
#[cfg(feature = "postgres")]
use mlops_core::Error;
use mlops_core::{Clock, Principal, Result};
use std::{path::PathBuf, sync::Arc, time::Duration};
use thread::StoreThread;
use transfers::Transfers;

/// A record in one SQLite file, or in one Postgres database, and its artifacts in a folder or a bucket.
///
/// Implements [`Tracker`](mlops_core::Tracker), [`Registry`](mlops_core::Registry) and
/// [`EventLog`](mlops_core::EventLog). A handle: clones share the store, and each says
/// [who acts](Self::acting_as). The store owns one thread with a current-thread runtime and one
/// connection, so that it may be called from any runtime, or from none. Several processes may open the
/// same file or database. What is acknowledged has been written through to the disk.
///
/// The file or the connection is closed when the last handle and the last of its streams are dropped.
#[derive(Clone, Debug)]
pub struct SqlStore {
    shared: Arc<Shared>,
    actor: Principal,
}

#[derive(Debug)]
struct Shared {
    thread: StoreThread,
    artifacts: ArtifactStore,
    transfers: Transfers,
    clock: Arc<dyn Clock>,
    /// Where the database is, for those who open it beside the thread.
    location: Location,
    #[cfg_attr(not(feature = "sqlite"), allow(dead_code, reason = "only files are opened so"))]
    busy_timeout: Duration,
}

impl SqlStore {
    /// Opens a database file; creates it, its folder and its schema if it is not there.
    ///
    /// A file with an older schema is `Unsupported` and the error names the command that
    /// [migrates](Self::migrate) it; one that only a newer release can read is `Unsupported` too. A file
    /// that is no database is `Corrupt`.
    #[cfg(feature = "sqlite")]
    pub async fn open(path: impl Into<PathBuf>, config: StoreConfig) -> Result<Self> {
        let location = Location::File(path.into());
        let beside = location.folder().unwrap_or_default().join("artifacts");
        Self::at(location, beside, config).await
    }

    /// Connects to the record in a Postgres database, `postgresql://USER@HOST:PORT/DATABASE`, in the first
    /// schema of the user's `search_path`; creates its tables if they are not there.
    ///
    /// Everybody at the record needs the same [artifacts](StoreConfig::artifacts), which therefore must be
    /// said. With `?sslmode=require`, `verify-ca` or `verify-full` the connection is encrypted; the
    /// certificate is checked against the machine's own or `sslrootcert`. A URL that is none is
    /// `InvalidInput`, a server that cannot be reached `Unavailable`, one that acknowledges what is not on
    /// its disk `Unsupported`, and an older or a newer schema is as for [`open`](Self::open). No error and
    /// no log repeats a password.
    ///
    /// A connection that breaks fails the calls under way as `Unavailable`, and the next call opens it
    /// again. Where the answer to a commit was lost, the error says that it is not known whether it was
    /// written: write again with an idempotency key.
    #[cfg(feature = "postgres")]
    pub async fn connect(url: &str, config: StoreConfig) -> Result<Self> {
        let location = Location::url(url)?;
        if config.artifacts.is_none() {
            return Err(Error::invalid(
                "a record in Postgres needs a place for its artifacts: StoreConfig::artifacts",
            ));
        }
        Self::at(location, PathBuf::new(), config).await
    }

    /// Opens a record; its artifacts lie `beside` if the configuration does not say where.
    async fn at(location: Location, beside: PathBuf, config: StoreConfig) -> Result<Self> {
        let thread = StoreThread::start(location.clone(), &config).await?;
        let own = config.clone();
        let artifacts = thread.task(async move { own.open_artifacts(beside).await }).await?;
        let transfers = Transfers::new(&config);
        let (clock, busy_timeout) = (config.clock, config.busy_timeout);
        let shared = Shared { thread, artifacts, transfers, clock, location, busy_timeout };
        let shared = Arc::new(shared);
        Ok(Self { shared, actor: Principal::host() })
    }

    /// Brings a database file up to the schema of this build, in one transaction.
    ///
    /// An explicit act: make a copy first. A schema that the previous release cannot work with any more
    /// is said so in the change log of the release that brings it.
    #[cfg(feature = "sqlite")]
    pub async fn migrate(path: impl Into<PathBuf>, config: StoreConfig) -> Result<Migrated> {
        migrate_at(Location::File(path.into()), config).await
    }

    /// Brings the tables in a Postgres database up to the schema of this build, as
    /// [`migrate`](Self::migrate) does a file.
    #[cfg(feature = "postgres")]
    pub async fn migrate_url(url: &str, config: StoreConfig) -> Result<Migrated> {
        migrate_at(Location::url(url)?, config).await
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

    /// Where the record is, as a command line takes it; never with a password.
    pub fn uri(&self) -> String {
        self.shared.location.to_string()
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

async fn migrate_at(location: Location, config: StoreConfig) -> Result<Migrated> {
    thread::once(move || async move {
        let folder = location.folder();
        folder.as_deref().map_or(Ok(()), disk::create_dirs)?;
        let mut db = location.open(config.busy_timeout).await?;
        let now = config.clock.now();
        let done = migrate::migrate(&mut db, migrate::MIGRATIONS, now, &location).await;
        db.close().await?;
        folder.as_deref().map_or(Ok(()), disk::sync_dir)?;
        done
    })
    .await
}
