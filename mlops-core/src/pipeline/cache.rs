//! Values that steps made, kept by what they are and found by what they were made from.
//!
//! `values/` holds each value once, under the digest of its bytes; `results/` says, for the digest
//! of a step's code, settings, seed and inputs, which values it made. Both are written whole, so
//! whatever lies there can be believed as far as its digest agrees.

use super::StepSpec;
use crate::{
    Digest, Error, ErrorKind, Result,
    artifact::{ArtifactRef, Manifest},
    disk,
    stored::DATASET_FILE,
    tracker::DatasetInput,
};
use serde::{Deserialize, Serialize};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

/// Version of keys and results: another one finds nothing of this one.
const FORMAT: u32 = 1;

/// One value that a step made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StoredValue {
    /// The name of its type.
    #[serde(rename = "type")]
    pub kind: Arc<str>,
    /// The digest of the file's bytes, or of the folder's manifest.
    pub digest: Digest,
    /// How many bytes.
    pub size: u64,
    /// Whether it is a folder.
    pub folder: bool,
    /// What data it is, if it is data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dataset: Option<DatasetInput>,
}

#[derive(Serialize, Deserialize)]
struct StepResult {
    outputs: Vec<StoredValue>,
}

/// What decides a step's outputs.
#[derive(Serialize)]
struct Key<'a> {
    format: u32,
    kind: &'a str,
    version: &'a str,
    params: &'a serde_json::Value,
    outputs: &'a [Arc<str>],
    seed: u64,
    inputs: Vec<(&'a str, Digest)>,
}

/// A folder of values and results.
#[derive(Clone, Debug)]
pub(super) struct Cache {
    values: PathBuf,
    results: PathBuf,
    /// Executions that made the same value at once would rename over each other.
    keeping: Arc<Mutex<()>>,
}

impl Cache {
    pub(super) fn open(folder: &Path) -> Result<Self> {
        let (values, results) = (folder.join("values"), folder.join("results"));
        disk::create_dirs(&values)?;
        disk::create_dirs(&results)?;
        Ok(Self { values, results, keeping: Arc::default() })
    }

    /// Names all that decides the outputs of a step.
    pub(super) fn key(spec: &StepSpec, seed: u64, inputs: &[&StoredValue]) -> Result<Digest> {
        let key = Key {
            format: FORMAT,
            kind: &spec.kind,
            version: &spec.version,
            params: &spec.params,
            outputs: &spec.outputs,
            seed,
            inputs: inputs.iter().map(|value| (value.kind.as_ref(), value.digest)).collect(),
        };
        let bytes = serde_json::to_vec(&key)
            .map_err(|cause| Error::internal("a step's key is no JSON").with_source(cause))?;
        Ok(Digest::of(bytes))
    }

    /// Where a value lies.
    pub(super) fn path(&self, value: &StoredValue) -> PathBuf {
        self.values.join(name(value.digest, value.folder))
    }

    /// The values that a step made from the same before. `None` if it did not, or if any of them is
    /// gone or no longer what it was: then it has to be made again.
    pub(super) fn find(&self, key: Digest) -> Result<Option<Vec<StoredValue>>> {
        let path = self.results.join(key.to_hex());
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::io(path.display(), error)),
        };
        let Ok(StepResult { outputs }) = serde_json::from_slice(&bytes) else { return Ok(None) };
        for value in &outputs {
            if !self.is_whole(value)? {
                return Ok(None);
            }
        }
        Ok(Some(outputs))
    }

    /// Whether a value's bytes are what they were. What is damaged is taken away.
    fn is_whole(&self, value: &StoredValue) -> Result<bool> {
        let path = self.path(value);
        match identify(&path) {
            Ok((digest, _)) if digest == value.digest => return Ok(true),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            _ => {}
        }
        let removed = if value.folder { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.map(|()| false).map_err(|source| Error::io(path.display(), source))
    }

    /// Takes a step's outputs out of their paths; on the disk when this returns.
    pub(super) fn keep(
        &self,
        key: Digest,
        spec: &StepSpec,
        outputs: &[PathBuf],
    ) -> Result<Vec<StoredValue>> {
        let _one = self.keeping.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = outputs.iter().zip(&spec.outputs).map(|(path, kind)| self.keep_one(path, kind));
        let outputs = kept.collect::<Result<Vec<_>>>()?;
        let result = StepResult { outputs };
        let bytes = serde_json::to_vec(&result)
            .map_err(|cause| Error::internal("a step's result is no JSON").with_source(cause))?;
        disk::write_whole(&self.results.join(key.to_hex()), &bytes)?;
        Ok(result.outputs)
    }

    fn keep_one(&self, from: &Path, kind: &Arc<str>) -> Result<StoredValue> {
        let (digest, size) = identify(from)?;
        let (kind, folder) = (Arc::clone(kind), from.is_dir());
        let value = StoredValue { kind, digest, size, folder, dataset: dataset(from) };
        // The same bytes may be there already, from another step.
        if !self.is_whole(&value)? {
            disk::sync_tree(from)?;
            disk::publish(from, &self.path(&value))?;
        }
        Ok(value)
    }
}

fn name(digest: Digest, folder: bool) -> String {
    // A file may hold the very text that a folder's digest is made of.
    format!("{}.{}", digest.to_hex(), if folder { "folder" } else { "file" })
}

/// The digest and the size of a file or folder.
fn identify(path: &Path) -> Result<(Digest, u64)> {
    let about = fs::metadata(path).map_err(|source| Error::io(path.display(), source))?;
    if about.is_dir() {
        let manifest = Manifest::of_dir(path)?;
        return Ok((manifest.digest(), manifest.size()));
    }
    let file = ArtifactRef { digest: Digest::of_file(path)?, size: about.len() };
    Ok((file.digest, file.size))
}

/// What a stored value says of itself, if it is data.
fn dataset(path: &Path) -> Option<DatasetInput> {
    let bytes = fs::read(path.join(DATASET_FILE)).ok()?;
    serde_json::from_slice(&bytes).ok()
}
