//! The record in an open form: JSON Lines and files, which any program reads.
//!
//! | file | a line is |
//! |---|---|
//! | `events.jsonl` | `position`, `id`, `time`, `kind`, `subject`, `actor`, `reason`, `detail`, `previous`, `hash` |
//! | `aliases.jsonl` | `model`, `alias`, `version`, `moved` |
//! | `versions.jsonl` | `model`, `version`, `digest`, `manifest` (path to `digest` and `size`), `signature`, `run`, `dataset`, `metrics`, `tags`, `aliases`, `created`, `updated`, `actor`, `description`, `source`, `stage`, `run_link`, `logged_model` |
//! | `models.jsonl` | `name`, `description`, `tags`, `last_version`, `created`, `updated` |
//! | `files.jsonl` | `owner` (`run/ID`, `model/ID` of a logged model, `trace/ID`, `folder`), `path`, `digest`, `size`, `written` |
//! | `metrics.jsonl` | one point: `run`, `metric`, `step`, `time`, `value` |
//! | `runs.jsonl` | `id`, `experiment`, `name`, `status`, `lifecycle`, `actor`, `started`, `ended`, `deleted`, `params`, `tags`, `inputs`, `models` (`role`, `model`, `step`) |
//! | `logged_models.jsonl` | `id`, `experiment`, `name`, `model_type`, `status`, `status_message`, `source_run`, `lifecycle`, `params`, `tags`, `metrics`, `created`, `updated` |
//! | `experiments.jsonl` | `id`, `name`, `lifecycle`, `created`, `updated`, `artifact_location`, `tags` |
//! | `artifacts/sha256/AB/ABCD…` | the bytes whose SHA-256 is the name |
//! | `export.json` | the [note](ExportNote): each file with its lines, bytes and SHA-256 |
//!
//! Times are RFC 3339 in UTC, to the microsecond. A number that is not finite is `"NaN"`, `"Infinity"` or
//! `"-Infinity"`. A digest is `sha256:` and 64 digits. Lines of one file are in a fixed order, so that the
//! same record gives the same files. A field may be added; none changes its meaning while
//! [`format`](ExportNote::format) stays. Users and their tokens, traces, and what is under way (leases, garbage)
//! are not exported.

mod kinds;
mod lines;

use super::{Progress, SqlStore, connection::values, session::Tx};
use crate::{ArtifactStore, artifacts::blocking, disk};
use kinds::{Kind, Part, Place};
use lines::Lines;
use mlops_core::{Digest, Error, Result, ResultExt, artifact::ArtifactRef};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

/// The note, in the export's folder.
const NOTE: &str = "export.json";
const ARTIFACTS: &str = "artifacts";
const FORMAT: u32 = 1;

/// What an export is made of. It is written last: a folder without one is no export.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportNote {
    /// The form of the files; 1.
    pub format: u32,
    /// The release that made it.
    pub made_by: String,
    /// When it was made; RFC 3339.
    pub made: String,
    /// Each file of lines, by its name.
    pub files: BTreeMap<String, ExportedFile>,
    /// How many artifacts there are.
    pub artifacts: u64,
    /// What these take, in bytes.
    pub artifact_bytes: u64,
}

/// A file of lines.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExportedFile {
    /// How many lines it has.
    pub lines: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Their digest.
    pub digest: Digest,
}

impl SqlStore {
    /// Writes the record into a new or empty folder, in a form that any program reads.
    ///
    /// Others go on reading and writing meanwhile; what they write may be in it or not. What refers to
    /// something is written before it, so that nothing refers to what is missing, unless somebody deletes
    /// or purges it meanwhile: an alias may then name a version that has no line. For one point in time
    /// make a backup first and export its restored copy.
    ///
    /// # Behavior
    /// - whatever the record holds, memory stays bounded: some hundred lines at a time
    /// - everything is on the disk when it returns, the note that makes it an export last
    /// - interrupted, it leaves a folder without a note
    /// - a folder that holds something is `AlreadyExists`
    /// - a damaged artifact is `Corrupt` and named
    pub async fn export(
        &self,
        to: impl Into<PathBuf>,
        mut progress: impl FnMut(Progress),
    ) -> Result<ExportNote> {
        let pin = format!("{:032x}", self.pin(None).await?);
        let done = self.export_all(to.into(), &pin, &mut progress).await;
        let unpin = async move |tx: &mut Tx<'_>| {
            tx.db.execute("delete from artifact_pins where id = $1", &values![pin]).await
        };
        let unpinned = self.shared.thread.write(&self.actor, unpin).await;
        let done = done?;
        unpinned.map(|_| done)
    }

    async fn export_all(
        &self,
        to: PathBuf,
        pin: &str,
        progress: &mut impl FnMut(Progress),
    ) -> Result<ExportNote> {
        let own = to.clone();
        blocking::run(move || empty(&own)).await?;
        let (thread, folder) = (&self.shared.thread, to.join(ARTIFACTS));
        let target = thread.task(async move { ArtifactStore::open_dir(folder).await }).await?;
        let mut note = ExportNote {
            format: FORMAT,
            made_by: format!("mlops {}", env!("CARGO_PKG_VERSION")),
            made: self.shared.clock.now().to_string(),
            files: BTreeMap::new(),
            artifacts: 0,
            artifact_bytes: 0,
        };
        let all = Kind::ALL.len() as u64;
        for (done, kind) in (1..).zip(Kind::ALL) {
            let file = self.export_kind(kind, &to, &target, pin, &mut note).await?;
            note.files.insert(kind.file().to_owned(), file);
            progress(Progress { done, all });
        }
        blocking::run(move || publish(&to, note)).await
    }

    /// One file, page by page.
    async fn export_kind(
        &self,
        kind: Kind,
        to: &Path,
        target: &ArtifactStore,
        pin: &str,
        note: &mut ExportNote,
    ) -> Result<ExportedFile> {
        let (thread, path) = (&self.shared.thread, to.join(kind.file()));
        let mut lines = blocking::run(move || Lines::create(path)).await?;
        let mut place = Some(Place::default());
        while let Some(from) = place {
            let part = thread.read(async move |db| kinds::read(db, kind, from).await).await?;
            let Part { text, count, artifacts, next } = part;
            lines = blocking::run(move || lines.add(&text, count)).await?;
            if !artifacts.is_empty() {
                self.pin(Some(pin)).await?;
            }
            for artifact in artifacts {
                if self.export_artifact(artifact, target).await? {
                    note.artifacts += 1;
                    note.artifact_bytes += artifact.size;
                }
            }
            place = next;
        }
        blocking::run(move || lines.finish()).await
    }

    /// Copies an artifact, unless the folder has it; whether it was copied. Every byte of it is verified.
    async fn export_artifact(&self, artifact: ArtifactRef, target: &ArtifactStore) -> Result<bool> {
        let (from, into) = (self.shared.artifacts.clone(), target.clone());
        let copy = async move {
            if into.present(&artifact).await.is_ok() {
                return Ok(false);
            }
            let bytes = from.get(&artifact).await?;
            into.put(bytes).await.map(|_| true)
        };
        self.shared.thread.task(copy).await.context(|| artifact.digest.to_string())
    }
}

/// A folder with nothing in it, made if it is not there.
fn empty(folder: &Path) -> Result<()> {
    disk::create_dirs(folder)?;
    let mut entries = fs::read_dir(folder).map_err(|source| Error::io(folder.display(), source))?;
    if entries.next().is_some() {
        return Err(Error::already_exists(format!("{} is not empty", folder.display())));
    }
    Ok(())
}

/// Makes the folder an export.
fn publish(folder: &Path, note: ExportNote) -> Result<ExportNote> {
    let mut text = serde_json::to_vec_pretty(&note)
        .map_err(|cause| Error::internal("a note has no JSON").with_source(cause))?;
    text.push(b'\n');
    // The files' entries first.
    disk::sync_dir(folder)?;
    disk::replace(&folder.join(NOTE), &text)?;
    Ok(note)
}
