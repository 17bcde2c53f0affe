//! A file of lines that says what it is when it is done.

use super::ExportedFile;
use mlops_core::{Error, Result, digest::Hasher};
use std::{fs::File, io::Write, path::PathBuf};

/// A file in the making.
pub(super) struct Lines {
    path: PathBuf,
    file: File,
    hasher: Hasher,
    count: u64,
    bytes: u64,
}

impl Lines {
    /// A file that is not there yet.
    pub(super) fn create(path: PathBuf) -> Result<Self> {
        let file = File::create_new(&path).map_err(|source| Error::io(path.display(), source))?;
        Ok(Self { path, file, hasher: Hasher::default(), count: 0, bytes: 0 })
    }

    /// Adds so many lines, each with its end.
    pub(super) fn add(mut self, text: &[u8], lines: u64) -> Result<Self> {
        self.file.write_all(text).map_err(|source| Error::io(self.path.display(), source))?;
        self.hasher.update(text);
        self.count += lines;
        self.bytes += text.len() as u64;
        Ok(self)
    }

    /// Waits until all of it is on the disk.
    pub(super) fn finish(self) -> Result<ExportedFile> {
        self.file.sync_all().map_err(|source| Error::io(self.path.display(), source))?;
        let Self { hasher, count, bytes, .. } = self;
        Ok(ExportedFile { lines: count, bytes, digest: hasher.finish() })
    }
}
