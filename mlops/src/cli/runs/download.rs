//! `mlops runs download`.

use super::super::{
    Console,
    console::visible,
    parent_of,
    record::{Asked, bytes},
};
use crate::{Error, Result, ResultExt, RunId, Tracker, artifact::ArtifactPath};
use clap::Args;
use futures_util::TryStreamExt;
use serde_json::json;
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
};

/// Copy the artifacts of a run, or what lies under a path of it, into a new folder
#[derive(Debug, Args)]
#[command(
    after_help = "The folder appears when it is whole; bytes that are not what was written are \
    refused where the record knows their digests.\n\n\
    Example:\n  mlops runs download 0192f0c1a2b34c5d8e9fa0b1c2d3e4f5 model --to model"
)]
pub(in super::super) struct Download {
    /// The run's identity
    run: RunId,
    /// A file or folder of the run; everything if absent
    #[arg(default_value = "")]
    path: ArtifactPath,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    pub(super) asked: Asked,
}

/// A file to copy: where it is in the run, and where it goes.
type Copy = (ArtifactPath, ArtifactPath);

impl Download {
    pub(super) async fn run(&self, tracker: &dyn Tracker, console: &Console) -> Result<()> {
        let to = &self.to;
        if to.exists() {
            return Err(Error::already_exists(format!("{} exists already", to.display())));
        }
        let copies = self.copies(tracker).await?;
        let failed = |source| Error::io(to.display(), source);
        let parent = parent_of(to)?;
        // What is not whole goes away with this.
        let making =
            tempfile::Builder::new().prefix(".mlops-").tempdir_in(parent).map_err(failed)?;
        let whole = making.path().join("whole");
        fs::create_dir(&whole).map_err(failed)?;
        let mut size = 0;
        for (at, (from, into)) in copies.iter().enumerate() {
            console.progress(format_args!("{at} of {} files", copies.len()));
            let file = into.under(&whole);
            size += self.copy(tracker, from, &file).await.context(|| from.to_string())?;
        }
        fs::rename(&whole, to).map_err(failed)?;
        let count = copies.len();
        if console.json() {
            return console.say_json(&json!({ "files": count, "bytes": size, "to": to }));
        }
        let shown = visible(&to.display().to_string());
        console.say(format_args!("{count} files of {} in {shown}", bytes(size)))
    }

    /// Every file at or under the path, and where it goes below the new folder.
    async fn copies(&self, tracker: &dyn Tracker) -> Result<Vec<Copy>> {
        if let Some(copy) = self.file(tracker).await? {
            return Ok(vec![copy]);
        }
        let root = self.path.as_str();
        let (mut copies, mut folders) = (Vec::new(), vec![self.path.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in tracker.artifacts(&self.run, &folder).await?.items {
                if entry.size.is_none() {
                    folders.push(entry.path);
                    continue;
                }
                let below = entry.path.as_str().strip_prefix(root).unwrap_or_default();
                let below = ArtifactPath::new(below.trim_start_matches('/'))?;
                copies.push((entry.path, below));
            }
        }
        if copies.is_empty() && !root.is_empty() {
            return Err(Error::not_found(format!("run {} has no artifact {root:?}", self.run)));
        }
        copies.sort();
        Ok(copies)
    }

    /// The file at the path, if it is one.
    async fn file(&self, tracker: &dyn Tracker) -> Result<Option<Copy>> {
        let path = self.path.as_str();
        if path.is_empty() {
            return Ok(None);
        }
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let beside = tracker.artifacts(&self.run, &ArtifactPath::new(parent)?).await?.items;
        let found = beside.into_iter().find(|entry| entry.path == self.path);
        let is_file = found.is_some_and(|entry| entry.size.is_some());
        Ok(if is_file { Some((self.path.clone(), ArtifactPath::new(name)?)) } else { None })
    }

    async fn copy(&self, tracker: &dyn Tracker, from: &ArtifactPath, to: &Path) -> Result<u64> {
        let failed = |source| Error::io(to.display(), source);
        if let Some(folder) = to.parent() {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let mut body = tracker.read_artifact(&self.run, from).await?;
        let (mut file, mut size) = (File::create_new(to).map_err(failed)?, 0);
        while let Some(piece) = body.try_next().await? {
            file.write_all(&piece).map_err(failed)?;
            size += piece.len() as u64;
        }
        file.sync_all().map_err(failed)?;
        Ok(size)
    }
}
