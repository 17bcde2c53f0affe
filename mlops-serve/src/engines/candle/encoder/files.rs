//! The files of an encoder: below a folder, or below one of a package.

use crate::engines::LoadOptions;
use mlops_core::{Error, ErrorKind, Result, artifact::ArtifactPath, model::ModelPackage};
use std::{
    fs::File,
    io::Read,
    path::{Path, PathBuf},
};

/// The longest of the small JSON files, in bytes.
const LONGEST_CONFIG: u64 = 1 << 20;
/// The longest vocabulary, in bytes; those of a hundred languages have 20 MB.
const LONGEST_VOCABULARY: u64 = 128 << 20;

pub(super) const MODULES: &str = "modules.json";
pub(super) const CONFIG: &str = "config.json";
pub(super) const WEIGHTS: &str = "model.safetensors";
pub(super) const TOKENIZER: &str = "tokenizer.json";
pub(super) const TEXT: &str = "sentence_bert_config.json";
pub(super) const PROMPTS: &str = "config_sentence_transformers.json";

/// Where the files are.
#[derive(Clone, Copy, Debug)]
pub(super) enum Files<'a> {
    Folder(&'a Path),
    /// Below this path of it.
    Package(&'a ModelPackage, &'a str),
}

impl Files<'_> {
    /// Its bytes; one that is too long is `TooLarge` and not read.
    pub(super) fn read(self, path: &str, options: &LoadOptions) -> Result<Vec<u8>> {
        let most = match path.rsplit('/').next() {
            Some(WEIGHTS) => options.max_model_bytes,
            Some(TOKENIZER) => LONGEST_VOCABULARY.min(options.max_model_bytes),
            _ => LONGEST_CONFIG.min(options.max_model_bytes),
        };
        let file = self.path(path)?;
        let failed = |source| Error::io(path, source);
        let facts = std::fs::metadata(&file).map_err(failed)?;
        if !facts.is_file() {
            return Err(Error::invalid(format!("{path:?} is no file")));
        }
        let mut bytes = Vec::new();
        let opened = File::open(&file).map_err(failed)?;
        if facts.len() <= most {
            opened.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
        }
        if facts.len().max(bytes.len() as u64) > most {
            return Err(Error::too_large(format!("{path:?} has more than {most} bytes")));
        }
        Ok(bytes)
    }

    /// As [`read`](Self::read); `None` if it is not there.
    pub(super) fn read_if_there(
        self,
        path: &str,
        options: &LoadOptions,
    ) -> Result<Option<Vec<u8>>> {
        match self.read(path, options) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            other => other.map(Some),
        }
    }

    /// A path that a file names cannot lead out of the folder.
    fn path(self, path: &str) -> Result<PathBuf> {
        let missing = || Error::not_found(format!("there is no file {path:?}"));
        match self {
            Self::Folder(folder) => {
                let path = ArtifactPath::new(path)?.under(folder);
                if path.exists() { Ok(path) } else { Err(missing()) }
            }
            Self::Package(package, below) => package.file(&joined(below, path)).ok_or_else(missing),
        }
    }
}

/// One path below another, either of which may be empty.
pub(super) fn joined(folder: &str, path: &str) -> String {
    let folder = folder.trim_end_matches('/');
    if folder.is_empty() { path.to_owned() } else { format!("{folder}/{path}") }
}
