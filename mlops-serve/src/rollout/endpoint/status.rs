//! What answers now, and whether it is what should.

use super::load::Loaded;
use crate::rollout::MemoryReservation;
use mlops_core::{
    Digest, Error, Predictor, Timestamp,
    registry::{ModelUri, ModelVersion},
};
use std::sync::{
    Arc, Weak,
    atomic::{AtomicU64, Ordering},
};

/// What an endpoint says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndpointStatus {
    /// The name that clients call.
    pub name: Arc<str>,
    /// What it follows; `None` if its predictor is fixed.
    pub uri: Option<ModelUri>,
    /// The model that answers.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// Names the bytes of its package; `None` if its predictor is fixed.
    pub digest: Option<Digest>,
    /// When it began to answer.
    pub since: Timestamp,
    /// Memory of its budget that it takes, in bytes; `None` without a budget.
    pub memory_bytes: Option<u64>,
    /// Whether what answers may be another version than the registry names: because it is away, or
    /// because the version that it names did not come up.
    pub stale: bool,
    /// Why it is stale, for those who operate it: names files and hosts, so not for callers.
    pub problem: Option<Arc<str>>,
    /// When the registry last said that this is the version it names; `None` if it never did.
    pub confirmed: Option<Timestamp>,
}

impl EndpointStatus {
    pub(super) fn new(name: &Arc<str>, live: &Live, standing: &Standing) -> Self {
        let info = live.predictor.info();
        Self {
            name: Arc::clone(name),
            uri: standing.uri.clone(),
            model: Arc::clone(&info.name),
            version: Arc::clone(&info.version),
            digest: live.version.as_ref().map(ModelVersion::digest),
            since: live.since,
            memory_bytes: live.memory_bytes(),
            stale: standing.problem.is_some(),
            problem: standing.problem.clone(),
            confirmed: standing.confirmed,
        }
    }
}

/// What answers now.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) predictor: Arc<dyn Predictor>,
    /// The version that it was loaded from; `None` if it is fixed.
    pub(super) version: Option<ModelVersion>,
    pub(super) since: Timestamp,
    /// Gone once it is out of memory.
    loaded: Weak<Loaded>,
    /// Apart from the model, so that who reads it late keeps no model.
    pub(super) counts: Arc<Answered>,
}

/// What one version has answered.
#[derive(Debug, Default)]
pub(crate) struct Answered {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Answered {
    /// Answers, and failures.
    pub(crate) fn read(&self) -> (u64, u64) {
        (self.answered.load(Ordering::Relaxed), self.failed.load(Ordering::Relaxed))
    }
}

impl Live {
    pub(super) fn new(
        predictor: Arc<dyn Predictor>,
        version: Option<ModelVersion>,
        since: Timestamp,
    ) -> Self {
        Self { predictor, version, since, loaded: Weak::new(), counts: Arc::default() }
    }

    /// Knows whether its model is in memory.
    pub(super) fn with_loaded(mut self, loaded: Weak<Loaded>) -> Self {
        self.loaded = loaded;
        self
    }

    /// There as long as its model is in memory, even when it is dropped.
    pub(super) fn loaded(&self) -> Weak<Loaded> {
        self.loaded.clone()
    }

    fn memory_bytes(&self) -> Option<u64> {
        self.loaded.upgrade()?.memory.as_ref().map(MemoryReservation::bytes)
    }

    /// Counts an answer, or a failure, of this version.
    pub(super) fn count(&self, is_answer: bool) {
        let Answered { answered, failed } = &*self.counts;
        let counter = if is_answer { answered } else { failed };
        counter.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether it is this version: the same number and the same bytes. A registry that was restored
    /// from a backup may give a number again.
    pub(super) fn is(&self, version: &ModelVersion) -> bool {
        self.version
            .as_ref()
            .is_some_and(|own| own.id == version.id && own.manifest == version.manifest)
    }
}

/// How it stands with what it follows.
#[derive(Clone, Debug)]
pub(super) struct Standing {
    uri: Option<ModelUri>,
    problem: Option<Arc<str>>,
    confirmed: Option<Timestamp>,
}

impl Standing {
    /// Follows nothing.
    pub(super) fn fixed() -> Self {
        Self { uri: None, problem: None, confirmed: None }
    }

    pub(super) fn following(uri: ModelUri) -> Self {
        Self { uri: Some(uri), ..Self::fixed() }
    }

    pub(super) fn confirm(&mut self, now: Timestamp) {
        (self.problem, self.confirmed) = (None, Some(now));
    }

    pub(super) fn trouble(&mut self, error: &Error) {
        self.problem = Some(error.to_string().into());
    }
}
