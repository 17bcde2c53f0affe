//! Where a record lies, and the way there.

use super::Connection;
#[cfg(feature = "postgres")]
use super::postgres::Server;
use futures_util::future::BoxFuture;
use mlops_core::{Result, event::Cursor};
#[cfg(feature = "sqlite")]
use std::path::Path;
use std::{fmt, path::PathBuf, time::Duration};
use tokio::sync::watch;

/// Where a record lies. It is shown without the password that may be in it.
#[derive(Clone)]
pub(in crate::store) enum Location {
    #[cfg(feature = "sqlite")]
    File(PathBuf),
    #[cfg(feature = "postgres")]
    Server(Box<Server>),
}

impl Location {
    /// `postgresql://USER:PASSWORD@HOST:PORT/DATABASE`; anything else is `InvalidInput`, and not repeated.
    #[cfg(feature = "postgres")]
    pub(in crate::store) fn url(url: &str) -> Result<Self> {
        Server::parse(url).map(Box::new).map(Self::Server)
    }

    /// Opens a connection; creates a file that is not there.
    pub(in crate::store) async fn open(&self, busy_timeout: Duration) -> Result<Connection> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(path) => Connection::open_sqlite(path, busy_timeout).await,
            #[cfg(feature = "postgres")]
            Self::Server(server) => {
                server.open(busy_timeout).await.map(Box::new).map(Connection::Postgres)
            }
        }
    }

    /// The database's file.
    #[cfg(feature = "sqlite")]
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "a database of a server is no file")
    )]
    pub(in crate::store) fn file(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            #[cfg(feature = "postgres")]
            Self::Server(_) => None,
        }
    }

    /// The folder of a file.
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "a database of a server is in no folder")
    )]
    pub(in crate::store) fn folder(&self) -> Option<PathBuf> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(path) => Some(folder_of(path)),
            #[cfg(feature = "postgres")]
            Self::Server(_) => None,
        }
    }

    /// What hears other processes append events and announces it, for ever; none where they do not tell.
    pub(in crate::store) fn listener(
        &self,
        announce: &watch::Sender<Cursor>,
        pause: Duration,
    ) -> Option<BoxFuture<'static, ()>> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(_) => {
                let _ = (announce, pause);
                None
            }
            #[cfg(feature = "postgres")]
            Self::Server(server) => {
                Some(Box::pin(server.as_ref().clone().listen(announce.clone(), pause)))
            }
        }
    }
}

/// The folder that a file lies in.
#[cfg(feature = "sqlite")]
pub(in crate::store) fn folder_of(path: &Path) -> PathBuf {
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new(".")).to_owned()
}

/// The URI of the record as a command line takes it, without a password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            #[cfg(feature = "sqlite")]
            Self::File(path) => write!(f, "sqlite:///{}", path.display()),
            #[cfg(feature = "postgres")]
            Self::Server(server) => server.fmt(f),
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
