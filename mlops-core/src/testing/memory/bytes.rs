//! Bytes named by their digest.

use crate::{
    Digest, Error, Result, ResultExt,
    artifact::{ArtifactPath, ArtifactRef, ByteStream, Manifest},
    testing::stream::{Pieces, collected},
};
use bytes::Bytes;
use std::{
    collections::HashMap,
    fmt, fs, io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard},
};

/// Content-addressed bytes in memory: each content once, verified when it is read.
#[derive(Default)]
pub struct MemoryBytes {
    contents: Mutex<HashMap<Digest, Bytes>>,
}

impl MemoryBytes {
    /// Stores the bytes of a stream.
    pub async fn put(&self, body: ByteStream) -> Result<ArtifactRef> {
        Ok(self.keep(collected(body).await?))
    }

    /// Stores every file below a folder; symbolic links are `InvalidInput`, a file that changes
    /// meanwhile is `Conflict` and is named.
    pub fn put_dir(&self, folder: &Path) -> Result<Manifest> {
        let manifest = Manifest::of_dir(folder)?;
        self.put_files(folder, &manifest)?;
        Ok(manifest)
    }

    pub(super) fn put_files(&self, folder: &Path, manifest: &Manifest) -> Result<()> {
        for (path, artifact) in manifest.iter() {
            let file = path.under(folder);
            let bytes = fs::read(&file).map_err(|source| Error::io(file.display(), source))?;
            if ArtifactRef::of(&bytes) != *artifact {
                return Err(Error::conflict(format!("{path}: changed while it was stored")));
            }
            self.keep(bytes);
        }
        Ok(())
    }

    /// The bytes; `NotFound` if they are not here. The stream ends with `Corrupt` if they are not
    /// what was stored.
    pub fn get(&self, artifact: &ArtifactRef) -> Result<ByteStream> {
        let bytes = self.find(artifact)?;
        let checked = verified(artifact, &bytes);
        let pieces = [Ok(bytes)].into_iter().chain(checked.err().map(Err));
        Ok(Box::pin(Pieces(pieces.collect())))
    }

    /// Copies a folder to a place where nothing is yet.
    ///
    /// # Behavior
    /// - the folder appears as a whole, after every byte of it has been verified
    /// - bytes that differ are `Corrupt` with path and digest, and no folder appears
    /// - a place that is taken is `AlreadyExists`
    pub fn fetch_dir(&self, manifest: &Manifest, into: &Path) -> Result<()> {
        let mut files = Vec::new();
        for (path, artifact) in manifest.iter() {
            let bytes = self.find(artifact).and_then(|bytes| {
                verified(artifact, &bytes)?;
                Ok(bytes)
            });
            files.push((path, bytes.context(|| path.to_string())?));
        }
        let free = || match into.symlink_metadata() {
            Ok(_) => Err(Error::already_exists(format!("{} exists already", into.display()))),
            Err(_) => Ok(()),
        };
        free()?;
        let making = Making::beside(into)?;
        making.write(&files)?;
        // A rename replaces an empty folder without a word.
        free()?;
        fs::rename(&making.0, into).map_err(|source| Error::io(into.display(), source))
    }

    /// Changes stored bytes, as a failing disk does: what a test does to see how it is found.
    /// Does nothing to bytes that are not here.
    pub fn damage(&self, artifact: &ArtifactRef) {
        if let Some(bytes) = self.contents().get_mut(&artifact.digest) {
            let mut changed = bytes.to_vec();
            match changed.first_mut() {
                Some(first) => *first = !*first,
                None => changed.push(0),
            }
            *bytes = changed.into();
        }
    }

    fn keep(&self, bytes: Vec<u8>) -> ArtifactRef {
        let artifact = ArtifactRef::of(&bytes);
        self.contents().insert(artifact.digest, bytes.into());
        artifact
    }

    fn find(&self, artifact: &ArtifactRef) -> Result<Bytes> {
        let missing = || Error::not_found(format!("{} is not stored", artifact.digest));
        self.contents().get(&artifact.digest).cloned().ok_or_else(missing)
    }

    fn contents(&self) -> MutexGuard<'_, HashMap<Digest, Bytes>> {
        self.contents.lock().expect("no holder of this lock panics")
    }
}

impl fmt::Debug for MemoryBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryBytes({} contents)", self.contents().len())
    }
}

fn verified(artifact: &ArtifactRef, bytes: &Bytes) -> Result<()> {
    if ArtifactRef::of(bytes) == *artifact {
        return Ok(());
    }
    let (wanted, found) = (artifact.digest, Digest::of(bytes));
    Err(Error::corrupt(format!("expected {wanted}, found {found}")))
}

/// A folder in the making, under another name beside its place; gone if it is dropped before it is
/// renamed.
struct Making(PathBuf);

impl Making {
    fn beside(into: &Path) -> Result<Self> {
        let Some(name) = into.file_name() else {
            return Err(Error::invalid(format!("{}: not a folder's path", into.display())));
        };
        let mut number = 0_u64;
        loop {
            number += 1;
            let folder = into.with_file_name(format!(".{}.{number}", name.to_string_lossy()));
            match fs::create_dir(&folder) {
                Ok(()) => return Ok(Self(folder)),
                // Another fetch is at work there, or was killed.
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::io(into.display(), source)),
            }
        }
    }

    fn write(&self, files: &[(&ArtifactPath, Bytes)]) -> Result<()> {
        for (path, bytes) in files {
            let file = path.under(&self.0);
            let parent = file.parent().unwrap_or(&self.0);
            let written = fs::create_dir_all(parent).and_then(|()| fs::write(&file, bytes));
            written.map_err(|source| Error::io(path, source))?;
        }
        Ok(())
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // Once renamed, nothing is there; before, what cannot be removed costs only space.
        let _ = fs::remove_dir_all(&self.0);
    }
}
