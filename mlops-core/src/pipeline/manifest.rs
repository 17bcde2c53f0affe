//! What an execution was made of: enough to do it again, or to say why that gives something else.

use super::{Graph, StepSpec, StoredValue};
use crate::{Digest, Timestamp};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

/// Everything that decided an execution's results, as JSON an artifact of its run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecutionManifest {
    /// Version of this form.
    pub version: u32,
    /// The pipeline.
    pub pipeline: Arc<str>,
    /// Digest of steps, versions, settings and wiring.
    pub graph: Digest,
    /// The root of all randomness.
    pub seed: u64,
    /// The code that it was built from.
    pub source: SourceState,
    /// When it began.
    pub started: Timestamp,
    /// When it ended.
    pub ended: Option<Timestamp>,
    /// The steps that are done, in order.
    pub steps: Vec<ExecutedStep>,
}

/// One step that is done.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ExecutedStep {
    /// What it is.
    pub spec: StepSpec,
    /// The seed that it was given.
    pub seed: u64,
    /// Whether its outputs were there already.
    pub cached: bool,
    /// What it made: the digests that the steps behind it read.
    pub outputs: Vec<StoredValue>,
}

/// The code that a program was built from, as far as it can be found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SourceState {
    /// What git says; `None` without a repository or without git.
    pub git: Option<GitState>,
    /// The digest of `Cargo.lock`, if there is one.
    pub cargo_lock: Option<Digest>,
}

/// A commit and what differs from it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct GitState {
    /// The commit, in hexadecimal digits.
    pub commit: Arc<str>,
    /// The branch; `None` if none is checked out.
    pub branch: Option<Arc<str>>,
    /// The digest of all changes to files that git tracks; `None` if there are none.
    pub changes: Option<Digest>,
    /// How many files there are that git neither tracks nor ignores.
    pub untracked: usize,
}

impl ExecutionManifest {
    pub(super) fn new(graph: &Graph, seed: u64, source: SourceState, started: Timestamp) -> Self {
        let (pipeline, graph) = (Arc::clone(graph.name()), graph.digest());
        let (ended, steps) = (None, Vec::new());
        Self { version: 1, pipeline, graph, seed, source, started, ended, steps }
    }

    /// Pretty JSON.
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("text, numbers and digests are valid JSON")
    }

    /// Every value by `step.output`, counted from 0.
    pub fn values<'a>(&'a self) -> BTreeMap<String, &'a StoredValue> {
        let named = |step: &'a ExecutedStep| {
            let name = &step.spec.name;
            step.outputs.iter().enumerate().map(move |(at, value)| (format!("{name}.{at}"), value))
        };
        self.steps.iter().flat_map(named).collect()
    }
}

impl SourceState {
    /// Looks at the folder and those above it. Asks the program `git`, which changes nothing.
    pub fn of(folder: &Path) -> Self {
        let lock = folder.ancestors().map(|above| above.join("Cargo.lock")).find(|p| p.is_file());
        let cargo_lock = lock.and_then(|path: PathBuf| Digest::of_file(&path).ok());
        Self { git: GitState::of(folder), cargo_lock }
    }
}

impl GitState {
    fn of(folder: &Path) -> Option<Self> {
        let text = |arguments: &[&str]| {
            let bytes = git(folder, arguments)?;
            Some(String::from_utf8_lossy(&bytes).trim().to_owned())
        };
        let commit = text(&["rev-parse", "HEAD"])?.into();
        let branch = text(&["symbolic-ref", "--quiet", "--short", "HEAD"]).map(Arc::from);
        let changes = git(folder, &["diff", "--binary", "--no-ext-diff", "HEAD"])?;
        let changes = (!changes.is_empty()).then(|| Digest::of(changes));
        let untracked = text(&["ls-files", "--others", "--exclude-standard", "--full-name", ":/"])?;
        Some(Self { commit, branch, changes, untracked: untracked.lines().count() })
    }
}

/// What git prints; `None` if it fails or is not there.
fn git(folder: &Path, arguments: &[&str]) -> Option<Vec<u8>> {
    let output = Command::new("git")
        .arg("-C")
        .arg(folder)
        .args(["--no-optional-locks", "--no-pager"])
        .args(arguments)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    output.status.success().then_some(output.stdout)
}
