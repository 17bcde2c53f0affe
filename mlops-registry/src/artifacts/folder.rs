//! Whole folders in and out.

use super::{ArtifactStore, blocking};
use crate::disk;
use futures_util::TryStreamExt;
use mlops_core::{
    Error, Result, ResultExt,
    artifact::{ArtifactPath, ArtifactRef, Manifest},
};
use std::{
    fs::{self, File},
    io::{self, Write},
    path::{Path, PathBuf},
    sync::Arc,
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
}

impl Making {
    pub(crate) fn beside(target: PathBuf) -> Result<Self> {
        let Some(name) = target.file_name() else {
            return Err(Error::invalid(format!("{}: not a folder's path", target.display())));
        };
        taken(&target)?;
        let name = name.to_string_lossy().into_owned();
        for number in 1_u64.. {
            let temporary = target.with_file_name(format!(".{name}.{number}.fetching"));
            match fs::create_dir(&temporary) {
                Ok(()) => return Ok(Self { temporary, target }),
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
