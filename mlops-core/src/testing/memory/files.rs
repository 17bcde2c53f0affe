//! Bytes under the paths of a run.

use super::{State, Tx, runs};
use crate::{
    Error, Result, RunId,
    artifact::{ArtifactPath, ArtifactRef},
    page::Page,
    tracker::ArtifactEntry,
};
use std::collections::BTreeMap;

/// Refuses what cannot be written: a file is no folder, and a folder no file.
pub(super) fn may_write(state: &State, id: RunId, path: &ArtifactPath) -> Result<()> {
    if path.as_str().is_empty() {
        return Err(Error::invalid("an artifact of a run needs a path"));
    }
    let below = |folder: &str, path: &str| {
        path.strip_prefix(folder).is_some_and(|rest| rest.starts_with('/'))
    };
    for other in runs::live(state, id)?.artifacts.keys() {
        if below(other.as_str(), path.as_str()) {
            return Err(Error::conflict(format!("{:?} is a file of the run", other.as_str())));
        }
        if below(path.as_str(), other.as_str()) {
            return Err(Error::conflict(format!("{:?} is a folder of the run", path.as_str())));
        }
    }
    Ok(())
}

pub(super) fn enter(
    tx: &mut Tx<'_>,
    id: RunId,
    path: ArtifactPath,
    artifact: ArtifactRef,
) -> Result<()> {
    may_write(tx.state, id, &path)?;
    runs::get_mut(tx.state, id)?.artifacts.insert(path, artifact);
    Ok(())
}

pub(super) fn find(state: &State, id: RunId, path: &ArtifactPath) -> Result<ArtifactRef> {
    let missing = || Error::not_found(format!("run {id} has no artifact {:?}", path.as_str()));
    runs::get(state, id)?.artifacts.get(path).copied().ok_or_else(missing)
}

/// Files and folders directly under a path.
pub(super) fn list(state: &State, id: RunId, under: &ArtifactPath) -> Result<Page<ArtifactEntry>> {
    let prefix = match under.as_str() {
        "" => String::new(),
        folder => format!("{folder}/"),
    };
    let mut entries = BTreeMap::new();
    for (path, artifact) in &runs::get(state, id)?.artifacts {
        let Some(rest) = path.as_str().strip_prefix(&prefix) else { continue };
        match rest.split_once('/') {
            Some((folder, _)) => {
                entries.insert(ArtifactPath::new(format!("{prefix}{folder}"))?, None)
            }
            None => entries.insert(path.clone(), Some(artifact.size)),
        };
    }
    let entries = entries.into_iter().map(|(path, size)| ArtifactEntry::new(path, size));
    Ok(Page::all(entries.collect()))
}
