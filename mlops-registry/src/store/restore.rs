//! A record from a backup: all of it, verified, or nothing.

use super::{
    SqlStore, StoreConfig,
    backup::{self, ARTIFACTS, BESIDE, BackupNote, Contents, FORMAT, NOTE, Progress},
    connection::folder_of,
    thread,
};
use crate::{ArtifactStore, disk};
use mlops_core::{Digest, Error, ErrorKind, Result, ResultExt};
use object_store::local::LocalFileSystem;
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

impl SqlStore {
    /// Makes a record from a backup. Its artifacts go where the configuration says.
    ///
    /// # Behavior
    /// - the database gets its name after every byte of it, every event and every artifact has been
    ///   verified, and is on the disk; a backup that is not what was made is `Corrupt` and what differs
    ///   is named
    /// - a record that is there is `AlreadyExists`, and so is what one left beside its file: SQLite would
    ///   write the log of another database (`-wal`, `-journal`) into the restored one
    /// - a folder without a finished backup is `NotFound`
    /// - interrupted, it leaves no record, and may be done again
    pub async fn restore(
        from: impl Into<PathBuf>,
        to: impl Into<PathBuf>,
        config: StoreConfig,
        mut progress: impl FnMut(Progress) + Send + 'static,
    ) -> Result<BackupNote> {
        let (from, to) = (from.into(), to.into());
        thread::once(move || async move {
            taken(&to)?;
            let note = note(&from)?;
            let home = folder_of(&to);
            disk::create_dirs(&home)?;
            let making = Making::copy(&from.join(&note.database), &note, &to)?;
            let found = backup::read(&making.temporary, config.busy_timeout).await;
            let found = found.context(|| from.display().to_string())?;
            if !found.is(&note) {
                let text = format!("{}: its note and its database differ", from.display());
                return Err(Error::corrupt(text));
            }
            let artifacts = config.open_artifacts(home.join(ARTIFACTS)).await?;
            copy_artifacts(&from, &artifacts, &found, &mut progress).await?;
            making.publish(&to)?;
            Ok(note)
        })
        .await
    }
}

/// Refuses a place where a database is, or where one that is gone has left a part of itself.
fn taken(to: &Path) -> Result<()> {
    if to.symlink_metadata().is_ok() {
        return Err(Error::already_exists(format!("{} exists already", to.display())));
    }
    for end in BESIDE {
        let path = beside(to, end);
        if path.symlink_metadata().is_ok() {
            let path = path.display();
            let text = format!("{path} exists already: a part of the record that was there");
            return Err(Error::already_exists(format!("{text}, which has to go with it")));
        }
    }
    Ok(())
}

/// A file that SQLite keeps beside a database.
fn beside(database: &Path, end: &str) -> PathBuf {
    let mut name = database.to_owned().into_os_string();
    name.push(end);
    name.into()
}

/// What a folder says that it holds.
pub(super) fn note(folder: &Path) -> Result<BackupNote> {
    let path = folder.join(NOTE);
    let text = fs::read(&path).map_err(|source| match source.kind() {
        io::ErrorKind::NotFound => {
            Error::not_found(format!("{} holds no finished backup", folder.display()))
        }
        _ => Error::io(path.display(), source),
    })?;
    let damaged = |cause| Error::corrupt(format!("{}: no note", path.display())).with_source(cause);
    let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
    if value["format"] != FORMAT {
        let (path, found) = (path.display(), &value["format"]);
        let text = format!("{path}: a backup of format {found}; this build knows format {FORMAT}");
        return Err(Error::unsupported(text));
    }
    let note: BackupNote = serde_json::from_value(value).map_err(damaged)?;
    // It names a file of this folder and nothing else.
    if Path::new(&note.database).file_name() != Some(note.database.as_ref()) {
        return Err(Error::corrupt(format!("{}: names no file", path.display())));
    }
    Ok(note)
}

/// A record in the making, beside its place; gone if it is dropped unpublished.
struct Making {
    temporary: PathBuf,
}

impl Making {
    /// Copies a database and makes sure that it is the one that the note means.
    fn copy(database: &Path, note: &BackupNote, to: &Path) -> Result<Self> {
        let name = to.file_name().unwrap_or_default().to_string_lossy();
        let mut number = 0_u64;
        let (making, mut file) = loop {
            number += 1;
            let temporary = to.with_file_name(format!(".{name}.{number}.restoring"));
            if taken(&temporary).is_err() {
                continue;
            }
            match File::create_new(&temporary) {
                Ok(file) => break (Self { temporary }, file),
                // Another one is at work there, or was killed.
                Err(source) if source.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(Error::io(temporary.display(), source)),
            }
        };
        let failed = |source| Error::io(database.display(), source);
        let mut source = File::open(database).map_err(failed)?;
        io::copy(&mut source, &mut file).map_err(failed)?;
        // What was copied is what counts: the source may still change.
        let found = Digest::of_file(&making.temporary)?;
        if found != note.digest {
            let text = format!("{}: expected {}, found {found}", database.display(), note.digest);
            return Err(Error::corrupt(text));
        }
        Ok(making)
    }

    /// Gives it its name. On the disk when it returns.
    fn publish(self, to: &Path) -> Result<()> {
        let synced = File::open(&self.temporary).and_then(|file| file.sync_all());
        synced.map_err(|source| Error::io(self.temporary.display(), source))?;
        // Whoever opened the place meanwhile has left a log there.
        taken(to)?;
        // A link fails where a rename would replace a record that has come meanwhile.
        match fs::hard_link(&self.temporary, to) {
            Ok(()) => {}
            Err(source) if source.kind() == io::ErrorKind::AlreadyExists => taken(to)?,
            Err(_) => {
                taken(to)?;
                let renamed = fs::rename(&self.temporary, to);
                renamed.map_err(|source| Error::io(to.display(), source))?;
            }
        }
        disk::sync_dir(&folder_of(to))
    }
}

impl Drop for Making {
    fn drop(&mut self) {
        // It has its other name now, or is of no use.
        let _ = fs::remove_file(&self.temporary);
        for end in BESIDE {
            let _ = fs::remove_file(beside(&self.temporary, end));
        }
    }
}

async fn copy_artifacts(
    from: &Path,
    target: &ArtifactStore,
    found: &Contents,
    progress: &mut (impl FnMut(Progress) + Send),
) -> Result<()> {
    let folder = from.join(ARTIFACTS);
    // Only read: a backup may lie where nothing can be written.
    let source = LocalFileSystem::new_with_prefix(&folder).map_err(|cause| {
        let text = format!("{}: not there", folder.display());
        Error::new(ErrorKind::Corrupt, text).with_source(cause)
    })?;
    let source = ArtifactStore::new(Arc::new(source));
    let (mut done, all) = (0, found.artifacts.len() as u64);
    for artifact in found.artifacts() {
        let copied = source.copy(&artifact, target).await;
        copied.map_err(|error| match error.kind() {
            ErrorKind::NotFound => {
                let text = format!("{}: {} is missing", folder.display(), artifact.digest);
                Error::corrupt(text).with_source(error)
            }
            _ => error.context(from.display().to_string()),
        })?;
        done += 1;
        progress(Progress { done, all });
    }
    Ok(())
}
