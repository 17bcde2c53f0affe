//! What the operating system must have written before anything is acknowledged.

use crate::{Error, Result};
#[cfg(feature = "pipeline")]
use std::io::Write;
use std::{
    fs::{self, File},
    path::Path,
};

/// Waits until a folder's entries are on the disk.
pub(crate) fn sync_dir(folder: &Path) -> Result<()> {
    #[cfg(unix)]
    File::open(folder)
        .and_then(|folder| folder.sync_all())
        .map_err(|source| Error::io(folder.display(), source))?;
    // Elsewhere a folder cannot be opened as a file; its entries follow the file's own sync.
    #[cfg(not(unix))]
    let _ = folder;
    Ok(())
}

/// Waits until a file, or a folder with all that is in it, is on the disk.
#[cfg(feature = "pipeline")]
pub(crate) fn sync_tree(path: &Path) -> Result<()> {
    let failed = |source| Error::io(path.display(), source);
    if !path.is_dir() {
        return File::open(path).and_then(|file| file.sync_all()).map_err(failed);
    }
    for entry in fs::read_dir(path).map_err(failed)? {
        sync_tree(&entry.map_err(failed)?.path())?;
    }
    sync_dir(path)
}

/// Writes a file that appears under its name when it is whole and on the disk.
#[cfg(feature = "pipeline")]
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(".temporary");
    let temporary = Path::new(&temporary);
    let write = || {
        let mut file = File::create(temporary)?;
        file.write_all(bytes)?;
        file.sync_all()
    };
    write().map_err(|source| Error::io(temporary.display(), source))?;
    publish(temporary, path)
}

/// Creates a folder with its parents, and waits until each new entry is on the disk.
pub(crate) fn create_dirs(folder: &Path) -> Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    let parent = folder.parent().filter(|parent| !parent.as_os_str().is_empty());
    if let Some(parent) = parent {
        create_dirs(parent)?;
    }
    match fs::create_dir(folder) {
        Ok(()) => {}
        // Somebody else was faster; whether their entry is on the disk is not known.
        Err(_) if folder.is_dir() => {}
        Err(source) => return Err(Error::io(folder.display(), source)),
    }
    sync_dir(folder)?;
    sync_dir(parent.unwrap_or(Path::new(".")))
}

/// Gives a file or folder, whose bytes are on the disk, its final name in the same folder.
pub(crate) fn publish(temporary: &Path, path: &Path) -> Result<()> {
    fs::rename(temporary, path).map_err(|source| Error::io(path.display(), source))?;
    sync_dir(
        path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new(".")),
    )
}

/// A file's lock, held until this is dropped.
#[derive(Debug)]
pub(crate) struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it to a process that was just forked and still has the file.
        let _ = self.0.unlock();
    }
}

/// Takes a file's lock; `Conflict` names the thing if somebody has it already.
pub(crate) fn lock(path: &Path, thing: &str) -> Result<Lock> {
    let open = File::options().create(true).truncate(false).write(true).open(path);
    let file = open.map_err(|source| Error::io(path.display(), source))?;
    match file.try_lock() {
        Ok(()) => Ok(Lock(file)),
        Err(fs::TryLockError::WouldBlock) => {
            Err(Error::conflict(format!("{thing} is in use by another writer")))
        }
        Err(fs::TryLockError::Error(source)) => Err(Error::io(path.display(), source)),
    }
}
