//! Models that callers load by name, out of one folder.

use super::super::{
    engines::Engines,
    source::{ENDINGS, Source},
};
use crate::{Error, Predictor, Result};
use async_trait::async_trait;
use clap::Args;
use mlops_serve::{
    BatchingConfig, Endpoint, LocalConfig,
    http::{LoadingConfig, ModelLoader, Service},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, Weak},
};

/// The flags.
#[expect(clippy::doc_markdown, reason = "help is printed as it stands")]
#[derive(Clone, Debug, Args)]
pub(super) struct Repository {
    /// Let callers load and unload the models of this folder, by Triton's repository calls and by SageMaker's
    /// (POST /models): NAME.onnx and the like, MLmodel folders, or Triton's NAME/VERSION/model.onnx, of which the
    /// highest version is loaded. With --api-keys, callers whose key has the role admin
    #[arg(id = "model_repository", long = "model-repository", value_name = "DIR")]
    folder: Option<PathBuf>,
    /// Models of the repository that are loaded at a time
    #[arg(long, value_name = "N", default_value_t = 100, requires = "model_repository")]
    max_loaded_models: usize,
    /// Bytes of their files together; one model more is refused with 507
    #[arg(long, value_name = "BYTES", default_value_t = 2 << 30, requires = "model_repository")]
    max_loaded_bytes: u64,
}

impl Repository {
    /// Whether callers may load models.
    pub(super) fn is_offered(&self) -> bool {
        self.folder.is_some()
    }

    /// The service, with what callers may load, if there is a folder for that.
    pub(super) fn offered(
        &self,
        service: Service,
        engines: &Engines,
        local: LocalConfig,
        batching: Option<BatchingConfig>,
    ) -> Result<(Service, Loaded)> {
        let loaded = Loaded::default();
        let Some(folder) = &self.folder else { return Ok((service, loaded)) };
        let root = folder.canonicalize();
        let root = root.map_err(|source| Error::io(folder.display(), source))?;
        let config = LoadingConfig::default()
            .with_max_models(self.max_loaded_models)
            .with_max_bytes(self.max_loaded_bytes);
        let (engines, kept) = (engines.clone(), loaded.clone());
        let repository = FolderLoader { root, engines, local, batching, loaded: kept };
        Ok((service.with_loader(Arc::new(repository), config), loaded))
    }
}

/// The endpoints of what is loaded now. Whoever unloads one drops the last that holds it.
#[derive(Clone, Debug, Default)]
pub(super) struct Loaded(Arc<Mutex<Vec<Weak<Endpoint>>>>);

impl Loaded {
    pub(super) fn endpoints(&self) -> Vec<Endpoint> {
        // Nothing panics while it is held.
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.iter().filter_map(Weak::upgrade).map(|endpoint| (*endpoint).clone()).collect()
    }

    fn add(&self, endpoint: &Arc<Endpoint>) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(endpoint));
    }
}

/// Loads what lies below one folder, and nothing else.
struct FolderLoader {
    root: PathBuf,
    engines: Engines,
    local: LocalConfig,
    batching: Option<BatchingConfig>,
    loaded: Loaded,
}

impl FolderLoader {
    fn find(&self, name: &str, url: Option<&str>) -> Result<Found> {
        let found = match url {
            None => self.named(name),
            Some(url) => self.at(url)?,
        };
        found.ok_or_else(|| {
            Error::not_found(format!("the repository has no model {name:?} that could be loaded"))
        })
    }

    fn named(&self, name: &str) -> Option<Found> {
        let found = self.inside(&self.root.join(name)).and_then(|path| self.model_in(&path));
        let mut files = ENDINGS.iter().map(|ending| self.root.join(format!("{name}.{ending}")));
        let mut file = || files.find(|path| path.is_file());
        found.or_else(|| Some(Found::of(Source::File(self.inside(&file()?)?))))
    }

    /// What a URL names: a path below the folder, as `SageMaker` gives it.
    fn at(&self, url: &str) -> Result<Option<Found>> {
        let path = Path::new(url.strip_prefix("file://").unwrap_or(url));
        let wanted = self.root.join(path);
        if !wanted.exists() {
            return Ok(None);
        }
        let inside = self
            .inside(&wanted)
            .ok_or_else(|| Error::invalid("the model's url is no path inside of the repository"))?;
        let found = self.model_in(&inside).map(|found| Found {
            // The folder of one version.
            version: found.version.or_else(|| version(&wanted)),
            ..found
        });
        Ok(found)
    }

    /// A file of a known kind, a package, a folder whose folders are versions, or one that holds one such file.
    fn model_in(&self, path: &Path) -> Option<Found> {
        // Beside versions lie files that are no models: `config.pbtxt`, `labels.txt`.
        self.newest_in(path).or_else(|| self.one_in(path).map(Found::of))
    }

    /// The highest of the folders `1`, `2` … that holds a model. Of a `config.pbtxt` beside them nothing is read.
    fn newest_in(&self, path: &Path) -> Option<Found> {
        let mut versions: Vec<(u64, PathBuf)> =
            entries_of(path)?.filter_map(|folder| Some((version(&folder)?, folder))).collect();
        versions.sort_by_key(|&(version, _)| std::cmp::Reverse(version));
        versions.into_iter().find_map(|(version, folder)| {
            let source = self.inside(&folder).and_then(|folder| self.one_in(&folder));
            if source.is_none() {
                let folder = folder.display();
                tracing::warn!(%folder, "there is no model, or more than one: a version passed over");
            }
            Some(Found { source: source?, version: Some(version) })
        })
    }

    fn one_in(&self, path: &Path) -> Option<Source> {
        if path.is_file() {
            return is_model(path).then(|| Source::File(path.to_owned()));
        }
        if path.join("MLmodel").is_file() {
            return Some(Source::Folder(path.to_owned()));
        }
        let mut models: Vec<PathBuf> = entries_of(path)?.filter(|path| is_model(path)).collect();
        // Triton's name of a model's file says which it is, whatever words and settings lie beside it.
        if models.len() > 1 {
            models.retain(|path| path.file_stem().is_some_and(|stem| stem == "model"));
        }
        match &models[..] {
            [only] => self.inside(only).map(Source::File),
            _ => None,
        }
    }

    /// Where the path leads, if links and dots do not lead it out of the folder.
    fn inside(&self, path: &Path) -> Option<PathBuf> {
        path.canonicalize().ok().filter(|path| path.starts_with(&self.root))
    }

    async fn open(&self, name: &str, found: Found) -> Result<Endpoint> {
        let scratch = super::super::scratch()?;
        let mut opened = found.source.open(None, scratch.path()).await?;
        if let Some(version) = found.version {
            opened.version = version.to_string().into();
        }
        let name: Arc<str> = name.into();
        let open = || opened.predictor(&name, &self.engines, &self.local);
        let model = tokio::task::block_in_place(open)?;
        Ok(match &self.batching {
            None => Endpoint::from_predictor(name, model),
            Some(batching) => Endpoint::from_batched(name, model, batching.clone()),
        })
    }
}

/// What may be loaded.
struct Found {
    source: Source,
    /// As the folder that it lies in is called.
    version: Option<u64>,
}

impl Found {
    fn of(source: Source) -> Self {
        Self { source, version: None }
    }
}

fn is_model(path: &Path) -> bool {
    let ending = path.extension().unwrap_or_default();
    path.is_file() && ENDINGS.iter().any(|known| ending.eq_ignore_ascii_case(known))
}

/// The version that a folder of Triton's layout is of; it passes over those whose names begin with zero.
fn version(folder: &Path) -> Option<u64> {
    let name = folder.file_name()?.to_str()?;
    let is_number = name.bytes().all(|byte| byte.is_ascii_digit()) && !name.starts_with('0');
    name.parse().ok().filter(|_| is_number && folder.is_dir())
}

fn entries_of(folder: &Path) -> Option<impl Iterator<Item = PathBuf>> {
    Some(fs::read_dir(folder).ok()?.filter_map(Result::ok).map(|entry| entry.path()))
}

/// Bytes of a file, or of all files below a folder.
fn size(path: &Path) -> Result<u64> {
    let failed = |source| Error::io(path.display(), source);
    let about = fs::symlink_metadata(path).map_err(failed)?;
    if !about.is_dir() {
        return Ok(about.len());
    }
    let entries = fs::read_dir(path).map_err(failed)?;
    entries.map(|entry| size(&entry.map_err(failed)?.path())).sum()
}

#[async_trait]
impl ModelLoader for FolderLoader {
    async fn names(&self) -> Result<Vec<Arc<str>>> {
        let entries = fs::read_dir(&self.root);
        let entries = entries.map_err(|source| Error::io(self.root.display(), source))?;
        let paths = entries.filter_map(Result::ok).map(|entry| entry.path());
        let name = |path: PathBuf| {
            self.model_in(&self.inside(&path)?)?;
            let name = if path.is_dir() { path.file_name() } else { path.file_stem() };
            Some(name?.to_str()?.into())
        };
        let mut names: Vec<Arc<str>> = paths.filter_map(name).collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    async fn size_bytes(&self, name: &str, url: Option<&str>) -> Result<u64> {
        match self.find(name, url)?.source {
            Source::File(path) | Source::Folder(path) => size(&path),
            Source::Registry(_) | Source::Remote(_) => Ok(0),
        }
    }

    async fn load(&self, name: &str, url: Option<&str>) -> Result<Arc<dyn Predictor>> {
        let found = self.find(name, url)?;
        let opened = self.open(name, found).await;
        // Paths of this machine are for its log, not for callers.
        let endpoint = opened.map_err(|error| {
            tracing::warn!(model = name, %error, "a model of the repository was not loaded");
            let message = format!("model {name:?} was not loaded: the server's log says why");
            Error::new(error.kind(), message)
        })?;
        let endpoint = Arc::new(endpoint);
        self.loaded.add(&endpoint);
        Ok(endpoint)
    }
}
