//! Bytes named by their digest, on any object store.

pub(crate) mod blocking;
mod failure;
mod folder;
#[cfg_attr(
    not(any(feature = "sqlite", feature = "postgres")),
    allow(dead_code, reason = "only a record knows what is garbage")
)]
pub(crate) mod garbage;
mod layout;
mod place;
mod read;
#[cfg(feature = "s3")]
mod s3;
mod told;
mod write;

pub use place::{ArtifactPlace, Bucket};
#[cfg(feature = "s3")]
pub use s3::{S3Config, S3Keys};

#[cfg(feature = "mlflow")]
pub(crate) use folder::Making;

use failure::Named;
use mlops_core::Result;
use object_store::{ObjectStore, local::LocalFileSystem};
use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};
use told::Told;

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
    named: Named,
    reached: Reached,
    told: Told,
}

/// What a store over a network asks for; nothing of it concerns another.
#[derive(Clone, Copy)]
struct Reached {
    /// How often in a row a download is taken up again without getting any further, less one.
    attempts: u32,
    /// The longest that the record is kept locked for a look.
    #[cfg_attr(
        not(any(feature = "sqlite", feature = "postgres")),
        allow(dead_code, reason = "only a record is locked")
    )]
    locked_timeout: Option<Duration>,
    /// The largest object that gets another name without going through this process.
    largest_copy: u64,
}

impl Default for Reached {
    fn default() -> Self {
        Self { attempts: 1, locked_timeout: None, largest_copy: u64::MAX }
    }
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
            .map_err(|cause| Named::default().failed(root.display(), cause))?
            .with_fsync(true);
        Ok(Self { root: Some(Arc::new(root)), ..Self::new(Arc::new(objects)) })
    }

    /// Objects in any store. How durable they are when acknowledged is that store's own promise;
    /// object stores over a network write through, [`LocalFileSystem`] only with its `with_fsync(true)`.
    pub fn new(objects: Arc<dyn ObjectStore>) -> Self {
        let (named, reached, told) = Default::default();
        Self { objects, root: None, named, reached, told }
    }

    /// The folder of this machine in which the objects lie, if they do.
    pub fn root(&self) -> Option<&Path> {
        self.root.as_deref().map(PathBuf::as_path)
    }
}

impl fmt::Debug for ArtifactStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Not the store's own Debug, which may hold credentials.
        match (self.root(), self.named.as_bucket()) {
            (Some(root), _) => write!(f, "ArtifactStore({})", root.display()),
            (None, Some(bucket)) => write!(f, "ArtifactStore({bucket})"),
            (None, None) => f.write_str("ArtifactStore"),
        }
    }
}

#[cfg(all(not(feature = "s3"), any(feature = "sqlite", feature = "postgres")))]
impl ArtifactStore {
    /// Refuses a bucket: this build knows none.
    pub(crate) fn no_bucket(bucket: &Bucket) -> mlops_core::Error {
        let text = format!("{bucket}: this build keeps no artifacts in buckets: feature `s3`");
        mlops_core::Error::unsupported(text)
    }
}
