//! Bytes named by their digest, on any object store.

pub(crate) mod blocking;
mod folder;
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "only a record knows what is garbage")
)]
pub(crate) mod garbage;
mod layout;
mod read;
mod write;

#[cfg(feature = "mlflow")]
pub(crate) use folder::Making;

use mlops_core::{Error, ErrorKind, Result};
use object_store::{ObjectStore, local::LocalFileSystem};
use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// How many bytes are held in memory on the way in, and how large the parts of a larger object are.
const PART: usize = 8 << 20;

/// Content-addressed bytes: each object lies under its SHA-256, once, and is verified when it is read.
///
/// A struct and not a trait, since [`ObjectStore`] is the seam. It needs no runtime: without one it
/// works on the caller's thread.
#[derive(Clone)]
pub struct ArtifactStore {
    objects: Arc<dyn ObjectStore>,
    /// Where the objects lie, if that is a folder of this machine.
    root: Option<Arc<PathBuf>>,
}

impl ArtifactStore {
    /// Objects in a folder of this machine, which is created if it is not there.
    ///
    /// What is acknowledged has been written through to the disk: bytes first, then the entry in the folder.
    /// A folder made by a newer release is `Unsupported`.
    pub async fn open_dir(path: impl Into<PathBuf>) -> Result<Self> {
        let path = path.into();
        let root = blocking::run(move || layout::prepare(&path)).await?;
        let objects = LocalFileSystem::new_with_prefix(&root)
            .map_err(|cause| failed(root.display(), cause))?
            .with_fsync(true);
        Ok(Self { objects: Arc::new(objects), root: Some(Arc::new(root)) })
    }

    /// Objects in any store. How durable they are when acknowledged is that store's own promise;
    /// object stores over a network write through, [`LocalFileSystem`] only with its `with_fsync(true)`.
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        Self { objects, root: None }
    }

    /// The folder of this machine in which the objects lie, if they do.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref().map(PathBuf::as_path)
    }
}

impl fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store's own Debug, which may hold credentials.
        match self.root() {
            Some(root) => write!(f, "ArtifactStore({})", root.display()),
            None => f.write_str("ArtifactStore"),
        }
    }
}

/// The one conversion from an object store's errors.
fn failed(thing: impl fmt::Display, cause: object_store::Error) -> Error {
    use object_store::Error as E;
    let kind = match &cause {
        E::NotFound { .. } => ErrorKind::NotFound,
        E::AlreadyExists { .. } => ErrorKind::AlreadyExists,
        E::Precondition { .. } | E::NotModified { .. } => ErrorKind::Conflict,
        E::NotSupported { .. } | E::NotImplemented { .. } => ErrorKind::Unsupported,
        E::PermissionDenied { .. } => ErrorKind::PermissionDenied,
        E::Unauthenticated { .. } => ErrorKind::Unauthenticated,
        E::InvalidPath { .. } => ErrorKind::InvalidInput,
        E::JoinError { .. } => ErrorKind::Cancelled,
        _ => ErrorKind::Unavailable,
    };
    // The store's own text may hold addresses and paths: it stays in the source.
    let words = if disk_is_full(&cause) { "the disk is full" } else { words(kind) };
    Error::new(kind, format!("{thing}: {words}")).with_source(cause)
}

/// Whether the operating system had no room, somewhere down the chain of causes.
fn disk_is_full(cause: &(dyn std::error::Error + 'static)) -> bool {
    let own = cause.downcast_ref::<io::Error>().map(io::Error::kind);
    matches!(own, Some(io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded))
        || cause.source().is_some_and(disk_is_full)
}

fn words(kind: ErrorKind) -> &'static str {
    match kind {
        ErrorKind::NotFound => "not in the artifact store",
        ErrorKind::PermissionDenied | ErrorKind::Unauthenticated => {
            "the artifact store refuses access"
        }
        ErrorKind::Cancelled => "the work was given up",
        _ => "the artifact store failed",
    }
}
