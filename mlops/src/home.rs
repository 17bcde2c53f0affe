//! The record that a URI names: in a file, on another machine, in memory.

use crate::{Error, EventLog, Registry, Result, Tracker};
use mlops_registry::ArtifactStore;
#[cfg(feature = "mlflow")]
use mlops_registry::{RestConfig, RestStore};
#[cfg(any(feature = "sqlite", feature = "postgres"))]
use mlops_registry::{SqlStore, StoreConfig};
use std::{fmt, path::PathBuf, sync::Arc};

/// The record that a URI names, with the defaults of its kind.
///
/// | URI | record | feature |
/// |---|---|---|
/// | `sqlite:///mlops.db`, `sqlite:////var/lib/mlops.db`, a path | a file of this machine, made if it is not there; three slashes begin a path relative to the working folder, four an absolute one | `sqlite` |
/// | `postgresql://user@host/database` | a database; [`connect_with`] says where its [artifacts](HomeConfig::store) lie | `postgres` |
/// | `http://host:port`, `https://host/prefix` | an `mlops server`, or an `mlflow server` of 3.0 or later ([`RestStore`] says what that keeps of the promises) | `mlflow` |
/// | `memory://` | this process's memory, gone with the last handle | `testing` |
///
/// ```
/// # #[cfg(feature = "sqlite")] {
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// # let folder = tempfile::tempdir().unwrap();
/// # let uri = format!("sqlite:///{}", folder.path().join("mlops.db").display());
/// use mlops::page::Search;
///
/// let home = mlops::connect(&uri).await?;
/// let experiments = home.tracker().experiments(Search::new()).await?.items;
/// assert_eq!(experiments[0].name.as_ref(), "Default");
/// # Ok::<(), mlops::Error>(()) }).unwrap(); }
/// ```
pub async fn connect(uri: &str) -> Result<Home> {
    connect_with(uri, HomeConfig::default()).await
}

/// [`connect`], where a host says how the record behaves: who signs in, what time it is.
pub async fn connect_with(uri: &str, config: HomeConfig) -> Result<Home> {
    match Place::of(uri)? {
        Place::File(path) => open_file(path, config).await,
        Place::Database(url) => connect_database(&url, config).await,
        Place::Server(url) => connect_server(&url, config).await,
        Place::Memory => open_memory(),
    }
}

/// A record: its tracker, its registry, and what else it has.
#[derive(Clone)]
pub struct Home {
    tracker: Arc<dyn Tracker>,
    registry: Arc<dyn Registry>,
    events: Option<Arc<dyn EventLog>>,
    artifacts: Option<ArtifactStore>,
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    store: Option<SqlStore>,
}

impl Home {
    /// Experiments and runs.
    pub fn tracker(&self) -> &Arc<dyn Tracker> {
        &self.tracker
    }

    /// Models, versions and aliases.
    pub fn registry(&self) -> &Arc<dyn Registry> {
        &self.registry
    }

    /// What happened; `None` where the record keeps it to itself.
    pub fn events(&self) -> Option<&Arc<dyn EventLog>> {
        self.events.as_ref()
    }

    /// Where bytes lie under their digests; `None` where the record keeps them to itself.
    pub fn artifacts(&self) -> Option<&ArtifactStore> {
        self.artifacts.as_ref()
    }

    /// The store, if the record is one that this process opened.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub fn store(&self) -> Option<&SqlStore> {
        self.store.as_ref()
    }

    /// A record that is a tracker and a registry, and nothing more that is seen from here.
    #[cfg(any(feature = "mlflow", feature = "testing"))]
    fn of<S: Tracker + Registry + 'static>(store: Arc<S>) -> Self {
        Self {
            tracker: Arc::<S>::clone(&store),
            registry: store,
            events: None,
            artifacts: None,
            #[cfg(any(feature = "sqlite", feature = "postgres"))]
            store: None,
        }
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Home({:?})", self.tracker)
    }
}

/// How a record behaves, whichever kind it is.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct HomeConfig {
    /// A store that this process opens.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    pub store: StoreConfig,
    /// A client of a server.
    #[cfg(feature = "mlflow")]
    pub rest: RestConfig,
}

impl HomeConfig {
    /// Opens stores like this.
    #[cfg(any(feature = "sqlite", feature = "postgres"))]
    #[must_use]
    pub fn with_store(mut self, store: StoreConfig) -> Self {
        self.store = store;
        self
    }

    /// Connects to servers like this.
    #[cfg(feature = "mlflow")]
    #[must_use]
    pub fn with_rest(mut self, rest: RestConfig) -> Self {
        self.rest = rest;
        self
    }
}

/// What a URI names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A file of this machine.
    File(PathBuf),
    /// A database's address.
    Database(String),
    /// A server's address.
    Server(String),
    /// Memory.
    Memory,
}

impl Place {
    /// A scheme that no record has is `Unsupported`.
    pub(crate) fn of(uri: &str) -> Result<Self> {
        let path = match uri.split_once("://") {
            None => uri,
            Some(("sqlite", rest)) => rest.strip_prefix('/').unwrap_or(rest),
            Some(("postgresql" | "postgres", _)) => return Ok(Self::Database(uri.to_owned())),
            Some(("http" | "https", _)) => return Ok(Self::Server(uri.to_owned())),
            Some(("memory", "")) => return Ok(Self::Memory),
            // The rest may hold a password.
            Some((scheme, _)) => {
                return Err(Error::unsupported(format!(
                    "no record has a {scheme:?} URI; give sqlite:///PATH or http://HOST:PORT"
                )));
            }
        };
        if path.is_empty() {
            return Err(Error::invalid(format!("{uri:?} names no file")));
        }
        Ok(Self::File(PathBuf::from(path)))
    }
}

#[cfg(feature = "sqlite")]
async fn open_file(path: PathBuf, config: HomeConfig) -> Result<Home> {
    SqlStore::open(path, config.store).await.map(of_store)
}

#[cfg(feature = "postgres")]
async fn connect_database(url: &str, config: HomeConfig) -> Result<Home> {
    SqlStore::connect(url, config.store).await.map(of_store)
}

#[cfg(not(feature = "postgres"))]
#[expect(clippy::unused_async, reason = "a build with the feature waits")]
async fn connect_database(_: &str, _: HomeConfig) -> Result<Home> {
    Err(without("postgres", "connects to no databases"))
}

#[cfg(any(feature = "sqlite", feature = "postgres"))]
fn of_store(store: SqlStore) -> Home {
    let shared = Arc::new(store.clone());
    Home {
        tracker: Arc::<SqlStore>::clone(&shared),
        registry: Arc::<SqlStore>::clone(&shared),
        events: Some(shared),
        artifacts: Some(store.artifacts().clone()),
        store: Some(store),
    }
}

#[cfg(not(feature = "sqlite"))]
#[expect(clippy::unused_async, reason = "a build with the feature waits")]
async fn open_file(_: PathBuf, _: HomeConfig) -> Result<Home> {
    Err(without("sqlite", "opens no files"))
}

#[cfg(feature = "mlflow")]
async fn connect_server(url: &str, config: HomeConfig) -> Result<Home> {
    RestStore::connect(url, config.rest).await.map(Arc::new).map(Home::of)
}

#[cfg(not(feature = "mlflow"))]
#[expect(clippy::unused_async, reason = "a build with the feature waits")]
async fn connect_server(_: &str, _: HomeConfig) -> Result<Home> {
    Err(without("mlflow", "connects to no servers"))
}

#[cfg(feature = "testing")]
#[expect(clippy::unnecessary_wraps, reason = "a build without the feature has no memory")]
fn open_memory() -> Result<Home> {
    let store = Arc::new(mlops_core::testing::MemoryStore::new());
    let events = Some(Arc::<mlops_core::testing::MemoryStore>::clone(&store) as Arc<dyn EventLog>);
    Ok(Home { events, ..Home::of(store) })
}

#[cfg(not(feature = "testing"))]
fn open_memory() -> Result<Home> {
    Err(without("testing", "keeps no record in memory"))
}

#[cfg(not(all(
    feature = "sqlite",
    feature = "postgres",
    feature = "mlflow",
    feature = "testing"
)))]
fn without(feature: &str, what: &str) -> Error {
    Error::unsupported(format!("this build {what}: add the feature {feature:?} of mlops"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_slashes_are_relative_and_four_absolute() {
        for (uri, file) in [
            ("sqlite:///mlops.db", "mlops.db"),
            ("sqlite:////var/lib/mlops.db", "/var/lib/mlops.db"),
            ("sqlite://mlops.db", "mlops.db"),
            ("mlops.db", "mlops.db"),
        ] {
            assert_eq!(Place::of(uri).unwrap(), Place::File(file.into()), "{uri}");
        }
        assert_eq!(Place::of("http://h:5000").unwrap(), Place::Server("http://h:5000".to_owned()));
        let url = "postgresql://ada@host/record";
        assert_eq!(Place::of(url).unwrap(), Place::Database(url.to_owned()));
        assert_eq!(Place::of("memory://").unwrap(), Place::Memory);
        assert!(Place::of("sqlite:///").is_err());
        let error = Place::of("ftp://ada:secret@host/db").unwrap_err().to_string();
        assert!(error.contains("ftp") && !error.contains("secret"), "{error}");
    }
}
