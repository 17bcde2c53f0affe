//! What the operating system must have written before anything is acknowledged.

use mlops_core::{Error, ErrorKind, Result};
use std::{
    fs::{self, File},
    io::Write,
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

/// Writes a new file and waits until its bytes, not its entry in the folder, are on the disk. Nothing is
/// left of one that cannot be written.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    let failed = |source| Error::io(path.display(), source);
    let mut file = File::create_new(path).map_err(failed)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    written.map_err(|source| {
        let _ = fs::remove_file(path);
        failed(source)
    })
}

/// Replaces a file as a whole: whoever reads it sees the old bytes or the new ones.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(Error::invalid(format!("{}: not a file's path", path.display())));
    };
    let mut number = 0_u64;
    let temporary = loop {
        number += 1;
        let temporary = folder.join(format!("{}#{number}", name.to_string_lossy()));
        match write_new(&temporary, bytes) {
            Ok(()) => break temporary,
            // Another process is at work there, or was killed.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    };
    fs::rename(&temporary, path).map_err(|source| {
        let _ = fs::remove_file(&temporary);
        Error::io(path.display(), source)
    })?;
    sync_dir(folder)
}
