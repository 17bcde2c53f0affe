//! Where objects lie: `sha256/ab/abcd…`, and how a folder is made ready for them.

use super::ArtifactStore;
use crate::disk;
use mlops_core::{Clock, Digest, Error, IdSource, RandomIds, Result, SystemClock};
use object_store::path::Path as ObjectPath;
use std::{
    fs, io,
    path::{Path, PathBuf},
};

const OBJECTS: &str = "sha256";
const INCOMING: &str = "incoming";
const FORMAT: &str = "format";
const VERSION: u32 = 1;

/// Where the bytes of this digest lie.
pub(super) fn object(digest: &Digest) -> ObjectPath {
    let name = digest.to_hex();
    let shard = name[..2].to_owned();
    ObjectPath::from_iter([OBJECTS.to_owned(), shard, name])
}

/// Where all objects lie.
pub(super) fn objects() -> ObjectPath {
    ObjectPath::from(OBJECTS)
}

/// Where everything waits that has no digest yet.
pub(super) fn waiting() -> ObjectPath {
    ObjectPath::from(INCOMING)
}

/// The file of a path in a store that lies in this folder.
pub(super) fn below(root: &Path, path: &ObjectPath) -> PathBuf {
    path.parts().fold(root.to_owned(), |folder, part| folder.join(part.as_ref()))
}

/// The file in which the store gathers the bytes of an upload under this path, which nobody else has.
pub(super) fn staged(root: &Path, path: &ObjectPath) -> PathBuf {
    let mut file = below(root, path).into_os_string();
    file.push("#1");
    PathBuf::from(file)
}

/// The file of an object in a store that lies in this folder.
pub(super) fn file(root: &Path, digest: &Digest) -> PathBuf {
    below(root, &object(digest))
}

/// Where bytes wait whose digest is not known yet. Nothing refers to this name and no answer shows it,
/// so it is random even where a host passes in its identities: two processes must never share one.
pub(super) fn incoming() -> ObjectPath {
    let name = format!("{:032x}", RandomIds.next(SystemClock.now()));
    ObjectPath::from_iter([INCOMING.to_owned(), name])
}

/// Makes a folder ready and gives its absolute path.
///
/// Every folder that will ever hold an object is made here and synced, also when it was there before:
/// an entry that another process made, and was killed before it synced, must not lose an object that this
/// one acknowledges.
pub(super) fn prepare(root: &Path) -> Result<PathBuf> {
    disk::create_dirs(root)?;
    let root = root.canonicalize().map_err(|source| Error::io(root.display(), source))?;
    check_format(&root)?;
    let objects = root.join(OBJECTS);
    for folder in [&objects, &root.join(INCOMING)] {
        create_dir(folder)?;
    }
    for shard in 0..=u8::MAX {
        create_dir(&objects.join(format!("{shard:02x}")))?;
    }
    disk::sync_dir(&objects)?;
    disk::sync_dir(&root)?;
    Ok(root)
}

fn create_dir(folder: &Path) -> Result<()> {
    match fs::create_dir(folder) {
        Err(source) if source.kind() != io::ErrorKind::AlreadyExists => {
            Err(Error::io(folder.display(), source))
        }
        _ => Ok(()),
    }
}

fn check_format(root: &Path) -> Result<()> {
    let path = root.join(FORMAT);
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) if source.kind() == io::ErrorKind::NotFound => {
            return disk::replace(&path, format!("mlops artifacts {VERSION}\n").as_bytes());
        }
        Err(source) => return Err(Error::io(path.display(), source)),
    };
    let version = text.trim().strip_prefix("mlops artifacts ").and_then(|text| text.parse().ok());
    match version {
        Some(VERSION) => Ok(()),
        Some(version) => Err(Error::unsupported(format!(
            "{}: artifacts of format {version}; this build knows format {VERSION}",
            root.display()
        ))),
        None => Err(Error::corrupt(format!("{}: not an artifact store's format", path.display()))),
    }
}

impl ArtifactStore {
    /// Waits until the entry of an object that is already there is on the disk: whoever wrote it may have
    /// been killed between its rename and its sync.
    pub(super) fn sync_entry(&self, digest: &Digest) -> Result<()> {
        match self.root() {
            Some(root) => disk::sync_dir(&root.join(OBJECTS).join(&digest.to_hex()[..2])),
            None => Ok(()),
        }
    }
}
