//! A folder into which files of rows come.

use crate::{Error, Result, Timestamp};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Which files of a folder were taken, and which may still be growing.
#[derive(Default)]
pub(super) struct Folder {
    taken: BTreeMap<PathBuf, State>,
    growing: BTreeMap<PathBuf, State>,
}

/// By which a file is seen to have changed: its time and its length.
pub(super) type State = (SystemTime, u64);

impl Folder {
    /// Files that have not been taken, in the order of their times and names. One that may still be
    /// written, as it changed since the last look, waits for the next, unless there is none.
    pub(super) fn new_files(
        &mut self,
        folder: &Path,
        last: bool,
    ) -> Result<Vec<(PathBuf, Timestamp)>> {
        let found = Self::found(folder)?;
        let is_new = |path: &PathBuf, state: &State| {
            self.taken.get(path) != Some(state) && (last || self.growing.get(path) == Some(state))
        };
        let mut new: Vec<(PathBuf, State)> = found
            .iter()
            .filter(|(path, state)| is_new(path, state))
            .map(|(path, state)| (path.clone(), *state))
            .collect();
        new.sort_by(|a, b| a.1.0.cmp(&b.1.0).then_with(|| a.0.cmp(&b.0)));
        // What is gone from the folder is forgotten, so that memory does not grow with time.
        self.taken.retain(|path, _| found.contains_key(path));
        self.taken.extend(new.iter().cloned());
        self.growing = found;
        Ok(new.into_iter().map(|(path, (time, _))| (path, timestamp(time))).collect())
    }

    /// Whether all files that were there have been taken as they were.
    pub(super) fn is_taken(&self) -> bool {
        self.growing == self.taken
    }

    /// What is there now; links are followed.
    pub(super) fn found(folder: &Path) -> Result<BTreeMap<PathBuf, State>> {
        let mut found = BTreeMap::new();
        let failed = |source| Error::io(folder.display(), source);
        for entry in fs::read_dir(folder).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let ending = path.extension().and_then(|ending| ending.to_str());
            // A file may have gone since it was listed.
            let Ok(about) = fs::metadata(&path) else { continue };
            if about.is_file() && matches!(ending, Some("parquet" | "csv")) {
                found.insert(path, (about.modified().map_err(failed)?, about.len()));
            }
        }
        Ok(found)
    }
}

pub(super) fn timestamp(time: SystemTime) -> Timestamp {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp::from_unix_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
