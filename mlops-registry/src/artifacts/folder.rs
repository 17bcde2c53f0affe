//! Whole folders in and out.

use super::{ArtifactStore, blocking};
use crate::disk;
use futures_util::TryStreamExt;
use mlops_core::{
    Error, Result, ResultExt,
    artifact::{ArtifactPath, ArtifactRef, Manifest},
};
use std::{
    ffi::OsStr,
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

impl ArtifactStore {
    /// Stores every file below a folder. On the disk when it returns.
    ///
    /// Symbolic links are `InvalidInput`; a file that changes meanwhile is `Conflict` and is named.
    pub async fn put_dir(&self, folder: &Path) -> Result<Manifest> {
        let own = folder.to_owned();
        let manifest = blocking::run(move || Manifest::of_dir(&own)).await?;
        self.put_files(folder, &manifest).await?;
        Ok(manifest)
    }

    /// Stores the files of a folder whose manifest is known.
    pub(crate) async fn put_files(&self, folder: &Path, manifest: &Manifest) -> Result<()> {
        for (path, artifact) in manifest.iter() {
            self.put_file(path.under(folder), artifact).await.context(|| path.to_string())?;
        }
        Ok(())
    }

    /// Copies a folder to a place where nothing is yet. On the disk when it returns.
    ///
    /// # Behavior
    /// - the folder appears as a whole, after every byte of it has been verified
    /// - bytes that differ are `Corrupt` with path and digest, and no folder appears
    /// - a place that is taken is `AlreadyExists`
    pub async fn fetch_dir(&self, manifest: &Manifest, into: &Path) -> Result<()> {
        let target = into.to_owned();
        let making = Arc::new(blocking::run(move || Making::beside(target)).await?);
        for (path, artifact) in manifest.iter() {
            self.fetch_file(&making, path, artifact).await.context(|| path.to_string())?;
        }
        blocking::run(move || making.publish()).await
    }

    async fn fetch_file(
        &self,
        making: &Arc<Making>,
        path: &ArtifactPath,
        artifact: &ArtifactRef,
    ) -> Result<()> {
        let (own, path) = (Arc::clone(making), path.clone());
        let mut file = blocking::run(move || own.create(&path)).await?;
        let mut bytes = self.get(artifact).await?;
        while let Some(piece) = bytes.try_next().await? {
            file = blocking::run(move || {
                file.write_all(&piece).map_err(write_failed)?;
                Ok(file)
            })
            .await?;
        }
        blocking::run(move || file.sync_all().map_err(write_failed)).await
    }
}

fn write_failed(source: io::Error) -> Error {
    Error::io("writing", source)
}

/// A folder in the making, under another name beside its place; gone if it is dropped unpublished.
pub(crate) struct Making {
    temporary: PathBuf,
    target: PathBuf,
    /// Says to others that somebody is at work here, until the process ends. None where folders cannot be
    /// locked.
    _lock: Option<File>,
}

const ENDING: &str = ".fetching";

/// So old is what a killed process has left. What is at work has a lock, unless its system has none for
/// folders; a fetch may take long there, but not that long without another file.
const LEFT: Duration = Duration::from_hours(24);

impl Making {
    pub(crate) fn beside(target: PathBuf) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(Error::invalid(format!("{}: not a folder's path", target.display())));
        };
        taken(&target)?;
        let name = name.to_string_lossy().into_owned();
        remove_left(&target);
        for number in 1_u64.. {
            let temporary = target.with_file_name(format!(".{name}.{number}{ENDING}"));
            match fs::create_dir(&temporary) {
                Ok(()) => {
                    let lock = File::open(&temporary).ok();
                    let lock = lock.filter(|folder| folder.try_lock().is_ok());
                    return Ok(Self { temporary, target, _lock: lock });
                }
                // Another fetch is at work there, or was killed.
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::io(target.display(), source)),
            }
        }
        Err(Error::internal("no number is left for a temporary folder"))
    }

    pub(crate) fn create(&self, path: &ArtifactPath) -> Result<File> {
        let file = path.under(&self.temporary);
        let folder = file.parent().unwrap_or(&self.temporary);
        fs::create_dir_all(folder)
            .and_then(|()| File::create_new(&file))
            .map_err(|source| Error::io("creating", source))
    }

    /// Removes a file that did not come to its end.
    #[cfg(feature = "mlflow")]
    pub(crate) fn remove(&self, path: &ArtifactPath) -> Result<()> {
        let file = path.under(&self.temporary);
        fs::remove_file(file).map_err(|source| Error::io("removing", source))
    }

    pub(crate) fn publish(&self) -> Result<()> {
        sync_tree(&self.temporary)?;
        // A rename replaces an empty folder without a word.
        taken(&self.target)?;
        fs::rename(&self.temporary, &self.target).map_err(|source| match source.kind() {
            io::ErrorKind::DirectoryNotEmpty => already_exists(&self.target),
            _ => Error::io(self.target.display(), source),
        })?;
        let parent = self.target.parent().filter(|parent| !parent.as_os_str().is_empty());
        disk::sync_dir(parent.unwrap_or(Path::new(".")))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // After publishing nothing is there; before, what cannot be removed costs only space.
        let _ = fs::remove_dir_all(&self.temporary);
    }
}

/// Removes what fetches to places beside this one left when their process was killed.
fn remove_left(target: &Path) {
    let parent = target.parent().filter(|parent| !parent.as_os_str().is_empty());
    let Ok(entries) = fs::read_dir(parent.unwrap_or(Path::new("."))) else { return };
    for entry in entries.flatten() {
        if is_ours(&entry.file_name()) && is_left(&entry.path()) {
            // What cannot be removed costs only space.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

/// `.NAME.NUMBER.fetching`
fn is_ours(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let inner = name.strip_prefix('.').and_then(|name| name.strip_suffix(ENDING));
    inner.and_then(|inner| inner.rsplit_once('.')).is_some_and(|(_, number)| {
        !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// Whether nobody is at work in a folder, nor has been for long.
fn is_left(folder: &Path) -> bool {
    let about = folder.symlink_metadata().ok().filter(fs::Metadata::is_dir);
    let age = about.and_then(|about| about.modified().ok()?.elapsed().ok());
    let is_free = || File::open(folder).is_ok_and(|folder| folder.try_lock().is_ok());
    age.is_some_and(|age| age >= LEFT) && is_free()
}

fn taken(target: &Path) -> Result<()> {
    if target.symlink_metadata().is_ok() { Err(already_exists(target)) } else { Ok(()) }
}

fn already_exists(target: &Path) -> Error {
    Error::already_exists(format!("{} exists already", target.display()))
}

fn sync_tree(folder: &Path) -> Result<()> {
    let failed = |source| Error::io(folder.display(), source);
    for entry in fs::read_dir(folder).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if entry.file_type().map_err(failed)?.is_dir() {
            sync_tree(&entry.path())?;
        }
    }
    disk::sync_dir(folder)
}

#[cfg(all(test, unix))]
#[expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]
mod tests {
    use super::*;

    /// A folder of a fetch, so old.
    fn fetching(place: &Path, name: &str, age: Duration) -> PathBuf {
        let folder = place.join(name);
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("model.onnx"), "half of it").unwrap();
        let opened = File::open(&folder).unwrap();
        let made = opened.metadata().unwrap().modified().unwrap();
        opened.set_modified(made - age).unwrap();
        folder
    }

    #[test]
    fn what_a_killed_process_left_goes_with_the_next_fetch() {
        let place = tempfile::tempdir().unwrap();
        let old = LEFT + Duration::from_mins(1);
        let left = fetching(place.path(), ".1.3.fetching", old);
        let young = fetching(place.path(), ".1.4.fetching", Duration::ZERO);
        let at_work = fetching(place.path(), ".2.1.fetching", old);
        let lock = File::open(&at_work).unwrap();
        lock.try_lock().unwrap();
        let others = [".x.fetching", "x.1.fetching", ".x.1.fetched"];
        let others = others.map(|name| fetching(place.path(), name, old));

        let making = Making::beside(place.path().join("5")).unwrap();
        assert!(!left.exists() && young.exists() && at_work.exists());
        assert!(others.iter().all(|other| other.exists()));
        // It holds its own.
        assert!(File::open(&making.temporary).unwrap().try_lock().is_err());
        making.publish().unwrap();
        drop((making, lock));
        assert!(place.path().join("5").is_dir());
        drop(Making::beside(place.path().join("6")).unwrap());
        assert!(!at_work.exists(), "its process is gone");
    }
}
