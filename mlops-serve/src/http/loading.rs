//! Models that come and go while the server runs, by its callers' wish.

use super::{refusal::Refusal, service::Service, statistics::Tally};
use async_trait::async_trait;
use axum::http::{HeaderMap, StatusCode};
use mlops_core::{Error, ErrorKind, Predictor, Result};
use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, PoisonError, RwLock, RwLockWriteGuard},
};

/// Where models come from that callers ask for by name: the host's own.
///
/// What a name, and a URL beside it, may reach is its decision: it should give nothing from outside of
/// the place that it is meant for.
#[async_trait]
pub trait ModelLoader: Send + Sync {
    /// The names that could be loaded.
    async fn names(&self) -> Result<Vec<Arc<str>>>;

    /// About how many bytes this model will take, before anything of it is loaded; a model that is not
    /// there is `NotFound`.
    async fn size_bytes(&self, name: &str, url: Option<&str>) -> Result<u64>;

    /// Loads and warms it. A future that is dropped is a load that nobody waits for any more.
    async fn load(&self, name: &str, url: Option<&str>) -> Result<Arc<dyn Predictor>>;
}

/// The role without which a caller that is asked who it is loads no models, if no other is said.
pub const ADMIN: &str = "admin";

/// Bounds of what callers may load.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct LoadingConfig {
    /// Models that are loaded, or being loaded, at a time; one more is 507.
    pub max_models: usize,
    /// Bytes that they take together, as [`ModelLoader::size_bytes`] says; more is 507.
    pub max_bytes: u64,
    /// The role that a caller must have, by the service's authenticator. If `None`: [`ADMIN`] where there
    /// is an authenticator, so that who may ask models may not change them; anybody where there is none.
    pub role: Option<Arc<str>>,
}

impl Default for LoadingConfig {
    /// 100 models, 2 GiB, for administrators where callers are asked who they are.
    fn default() -> Self {
        Self { max_models: 100, max_bytes: 2 << 30, role: None }
    }
}

impl LoadingConfig {
    /// Models at a time.
    #[must_use]
    pub fn with_max_models(mut self, models: usize) -> Self {
        self.max_models = models;
        self
    }

    /// Bytes of all of them.
    #[must_use]
    pub fn with_max_bytes(mut self, bytes: u64) -> Self {
        self.max_bytes = bytes;
        self
    }

    /// Who may load and unload. Without an authenticator nobody has a role.
    #[must_use]
    pub fn with_role(mut self, role: impl Into<Arc<str>>) -> Self {
        self.role = Some(role.into());
        self
    }
}

/// The models that were loaded so.
pub(crate) struct Loading {
    pub(super) loader: Arc<dyn ModelLoader>,
    pub(super) config: LoadingConfig,
    entries: RwLock<BTreeMap<Arc<str>, Entry>>,
}

/// A name: what answers for it, and what is to take its place.
#[derive(Default)]
struct Entry {
    held: Option<Held>,
    /// Bytes of what is being loaded.
    coming: Option<u64>,
}

#[derive(Clone)]
struct Held {
    predictor: Arc<dyn Predictor>,
    tally: Arc<Tally>,
    url: Option<Arc<str>>,
    bytes: u64,
}

/// How a name that is loaded already is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// 409: `SageMaker`'s.
    Refuse,
    /// Loads it anew, and goes over to that if it comes up: Triton's.
    Replace,
}

/// Why a model was not loaded.
#[derive(Debug)]
pub(crate) enum NotLoaded {
    /// It does not fit beside the others, which is 507: what `SageMaker` unloads another for.
    NoRoom(String),
    Failed(Error),
}

impl From<Error> for NotLoaded {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl NotLoaded {
    /// As the family's table has it, where there is no status of its own for a lack of room.
    #[cfg(feature = "grpc")]
    pub(crate) fn into_error(self) -> Error {
        match self {
            Self::NoRoom(message) => Error::new(ErrorKind::Overloaded, message),
            Self::Failed(error) => error,
        }
    }
}

impl From<NotLoaded> for Refusal {
    fn from(not_loaded: NotLoaded) -> Self {
        match not_loaded {
            NotLoaded::NoRoom(message) => Self::new(StatusCode::INSUFFICIENT_STORAGE, message),
            NotLoaded::Failed(error) => error.into(),
        }
    }
}

impl Service {
    /// What loads models for whoever has these headers; `Unsupported` if nothing does,
    /// `PermissionDenied` if it may not.
    pub(crate) fn loading_for(&self, headers: &HeaderMap) -> Result<&Loading> {
        self.not_yet()?;
        let loading = self.loading.as_deref();
        let loading = loading.ok_or_else(|| Error::unsupported("this server loads no models"))?;
        let without = self.authenticator.is_some().then_some(ADMIN);
        if let Some(role) = loading.config.role.as_deref().or(without) {
            self.require_role(headers, role)?;
        }
        Ok(loading)
    }
}

impl Loading {
    pub(super) fn new(loader: Arc<dyn ModelLoader>, config: LoadingConfig) -> Self {
        Self { loader, config, entries: RwLock::default() }
    }

    /// What answers for this name.
    pub(super) fn model(&self, name: &str) -> Option<Arc<dyn Predictor>> {
        self.read(name, |held| Arc::clone(&held.predictor))
    }

    pub(super) fn tally(&self, name: &str) -> Option<Arc<Tally>> {
        self.read(name, |held| Arc::clone(&held.tally))
    }

    /// Where the model of this name was loaded from; the outer `None` is no such model.
    pub(super) fn url(&self, name: &str) -> Option<String> {
        self.read(name, |held| held.url.as_deref().unwrap_or_default().to_owned())
    }

    pub(super) fn all(&self) -> Vec<(Arc<str>, Arc<dyn Predictor>)> {
        // Nothing panics while it is held, here and below.
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        let held = |(name, entry): (&Arc<str>, &Entry)| {
            entry.held.as_ref().map(|held| (Arc::clone(name), Arc::clone(&held.predictor)))
        };
        entries.iter().filter_map(held).collect()
    }

    /// Loads a model within the bounds. What is dropped meanwhile leaves nothing behind.
    pub(crate) async fn load(
        &self,
        name: &str,
        url: Option<&str>,
        again: Again,
    ) -> Result<(), NotLoaded> {
        let name = checked(name)?;
        let bytes = self.loader.size_bytes(&name, url).await?;
        let coming = self.reserve(&name, bytes, again)?;
        let loaded = self.loader.load(&name, url).await;
        let predictor = loaded.map_err(|error| match error.kind() {
            // It knows better how much it takes.
            ErrorKind::TooLarge | ErrorKind::Overloaded => {
                NotLoaded::NoRoom(error.message().to_owned())
            }
            _ => error.into(),
        })?;
        coming.arrived(Held { predictor, tally: Arc::default(), url: url.map(Into::into), bytes });
        Ok(())
    }

    /// Takes a model out. Requests that it has begun are answered.
    pub(crate) fn unload(&self, name: &str) -> Result<()> {
        let gone = {
            let mut entries = self.write();
            let entry = entries.get_mut(name);
            let entry = entry.ok_or_else(|| {
                Error::not_found("no model of this name was loaded: there is nothing to unload")
            })?;
            if entry.coming.is_some() {
                return Err(Error::conflict(format!("model {name:?} is being loaded")));
            }
            entries.remove(name)
        };
        // Not under the lock: the last one to hold a model takes it down.
        drop(gone);
        Ok(())
    }

    fn reserve(&self, name: &Arc<str>, bytes: u64, again: Again) -> Result<Coming<'_>, NotLoaded> {
        let mut entries = self.write();
        let known = entries.get(name);
        if known.is_some_and(|entry| entry.coming.is_some()) {
            return Err(Error::conflict(format!("model {name:?} is being loaded already")).into());
        }
        if known.is_some() && again == Again::Refuse {
            return Err(Error::already_exists(format!("model {name:?} is loaded already")).into());
        }
        let LoadingConfig { max_models, max_bytes, .. } = self.config;
        if known.is_none() && entries.len() >= max_models {
            return Err(NotLoaded::NoRoom(format!(
                "{max_models} models are loaded, which is the most"
            )));
        }
        let taken = entries.values().map(Entry::bytes).fold(0, u64::saturating_add);
        if taken.saturating_add(bytes) > max_bytes {
            return Err(NotLoaded::NoRoom(format!(
                "model {name:?} takes {bytes} bytes; loaded models take {taken} of {max_bytes}"
            )));
        }
        entries.entry(Arc::clone(name)).or_default().coming = Some(bytes);
        Ok(Coming { loading: self, name: Arc::clone(name) })
    }

    fn read<T>(&self, name: &str, read: impl FnOnce(&Held) -> T) -> Option<T> {
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        entries.get(name)?.held.as_ref().map(read)
    }

    fn write(&self) -> RwLockWriteGuard<'_, BTreeMap<Arc<str>, Entry>> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entry {
    fn bytes(&self) -> u64 {
        let held = self.held.as_ref().map_or(0, |held| held.bytes);
        held.saturating_add(self.coming.unwrap_or(0))
    }
}

/// A model on its way. Dropped before it arrives it gives its place back.
struct Coming<'a> {
    loading: &'a Loading,
    name: Arc<str>,
}

impl Coming<'_> {
    fn arrived(self, held: Held) {
        let mut entries = self.loading.write();
        let before = entries.get_mut(&self.name).and_then(|entry| entry.held.replace(held));
        drop(entries);
        drop(before);
    }
}

impl Drop for Coming<'_> {
    fn drop(&mut self) {
        let mut entries = self.loading.write();
        let Some(entry) = entries.get_mut(&self.name) else { return };
        entry.coming = None;
        if entry.held.is_none() {
            entries.remove(&self.name);
        }
    }
}

/// A name that can stand in a path of one part.
fn checked(name: &str) -> Result<Arc<str>> {
    let wrong = |c: char| c == '/' || c == '\\' || c.is_control();
    if name.is_empty() || name.len() > 256 || name.contains(wrong) || name.starts_with('.') {
        return Err(Error::invalid(
            "a model's name has 1 to 256 bytes, no slash, and begins with no dot",
        ));
    }
    Ok(name.into())
}

impl fmt::Debug for Loading {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Loading").field("config", &self.config).finish_non_exhaustive()
    }
}
