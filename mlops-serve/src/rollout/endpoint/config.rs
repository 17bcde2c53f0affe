//! Bounds of an endpoint, and what it is built from.

use crate::{
    batching::BatchingConfig,
    engines::{Engine, LoadOptions},
    local::LocalConfig,
    rollout::MemoryBudget,
};
use mlops_core::{Clock, IdSource, PooledIds, SystemClock};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What becomes of the old model when another takes its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Swap {
    /// It answers until the new one is warm: no request waits, and both are in memory for a while.
    #[default]
    Overlap,
    /// It is freed before the new one is loaded: requests wait, and one at a time is in memory.
    DrainFirst,
}

/// How an [`Endpoint`](super::Endpoint) follows a registry.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct EndpointConfig {
    /// Where packages are kept, each endpoint in a folder of its own. Survives the process: a new
    /// one boots from here when the registry is away.
    pub cache_dir: PathBuf,
    /// How many packages are kept there, the one that answers among them; at least 1.
    pub cached_versions: usize,
    /// The name that clients call; the model's if `None`.
    pub name: Option<Arc<str>>,
    /// Engines in the order in which they are asked whether they know a package.
    pub engines: Vec<Arc<dyn Engine>>,
    /// Bounds on a model and its calls.
    pub load: LoadOptions,
    /// Threads, queue and rows.
    pub local: LocalConfig,
    /// How requests that wait are gathered; each runs by itself if `None`.
    pub batching: Option<BatchingConfig>,
    /// Whether a model may take the place of one whose callers it breaks.
    pub allow_breaking_signature: bool,
    /// What becomes of the old model when another takes its place.
    pub swap: Swap,
    /// The most requests that wait while there is no model, with [`Swap::DrainFirst`].
    pub max_waiting_requests: usize,
    /// How long the old model may take to finish what it has begun, with [`Swap::DrainFirst`].
    pub drain_limit: Duration,
    /// What the models of this endpoint take their memory from; may be shared with others.
    pub memory: Option<MemoryBudget>,
    /// How often the registry is asked even if it says nothing.
    pub check_every: Duration,
    /// The longest that the registry may take to say which version is meant.
    pub resolve_limit: Duration,
    /// The longest that the registry may take to give a package.
    pub fetch_limit: Duration,
    /// The wait after a first failure; it doubles with each further one.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where prediction ids come from.
    pub ids: Arc<dyn IdSource>,
}

impl EndpointConfig {
    /// Keeps three packages in this folder; asks every 30 s, with 10 s to say which version and
    /// 10 min to give it; waits from 100 ms to 30 s; uses every engine that is compiled in.
    pub fn new(cache_dir: impl Into<PathBuf>) -> Self {
        Self {
            cache_dir: cache_dir.into(),
            cached_versions: 3,
            name: None,
            engines: crate::engines::compiled_in(),
            load: LoadOptions::default(),
            local: LocalConfig::default(),
            batching: None,
            allow_breaking_signature: false,
            swap: Swap::default(),
            max_waiting_requests: 1024,
            drain_limit: Duration::from_secs(30),
            memory: None,
            check_every: Duration::from_secs(30),
            resolve_limit: Duration::from_secs(10),
            fetch_limit: Duration::from_mins(10),
            first_wait: Duration::from_millis(100),
            longest_wait: Duration::from_secs(30),
            clock: Arc::new(SystemClock),
            ids: Arc::new(PooledIds::new()),
        }
    }

    /// Sets how many packages are kept in the cache; at least 1.
    #[must_use]
    pub fn with_cached_versions(mut self, versions: usize) -> Self {
        self.cached_versions = versions.max(1);
        self
    }

    /// Sets the name that clients call.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Asks this engine before those that are there.
    #[must_use]
    pub fn with_engine(mut self, engine: impl Engine + 'static) -> Self {
        self.engines.insert(0, Arc::new(engine));
        self
    }

    /// Sets the bounds on a model and its calls.
    #[must_use]
    pub fn with_load(mut self, load: LoadOptions) -> Self {
        self.load = load;
        self
    }

    /// Sets threads, queue and rows.
    #[must_use]
    pub fn with_local(mut self, local: LocalConfig) -> Self {
        self.local = local;
        self
    }

    /// Gathers requests that wait, within these bounds.
    #[must_use]
    pub fn with_batching(mut self, batching: BatchingConfig) -> Self {
        self.batching = Some(batching);
        self
    }

    /// Says whether a model may take the place of one whose callers it breaks.
    #[must_use]
    pub fn with_breaking_signature_allowed(mut self, allowed: bool) -> Self {
        self.allow_breaking_signature = allowed;
        self
    }

    /// Frees the old model before a new one is loaded: for models of which no two fit in memory.
    /// Requests that come meanwhile wait, up to
    /// [`max_waiting_requests`](Self::max_waiting_requests).
    #[must_use]
    pub fn with_drain_first(mut self) -> Self {
        self.swap = Swap::DrainFirst;
        self
    }

    /// Sets how long the old model may take to finish, and how many requests wait meanwhile.
    #[must_use]
    pub fn with_drain_limits(mut self, limit: Duration, max_waiting_requests: usize) -> Self {
        (self.drain_limit, self.max_waiting_requests) = (limit, max_waiting_requests);
        self
    }

    /// Takes memory from this budget.
    #[must_use]
    pub fn with_memory(mut self, budget: MemoryBudget) -> Self {
        self.memory = Some(budget);
        self
    }

    /// Sets how often the registry is asked even if it says nothing.
    #[must_use]
    pub fn with_check_every(mut self, every: Duration) -> Self {
        self.check_every = every;
        self
    }

    /// Sets the longest that the registry may take to say which version, and to give it.
    #[must_use]
    pub fn with_limits(mut self, resolve: Duration, fetch: Duration) -> Self {
        (self.resolve_limit, self.fetch_limit) = (resolve, fetch);
        self
    }

    /// Sets the first and the longest wait between attempts.
    #[must_use]
    pub fn with_waits(mut self, first: Duration, longest: Duration) -> Self {
        (self.first_wait, self.longest_wait) = (first, longest.max(first));
        self
    }

    /// Takes time and identities from here.
    #[must_use]
    pub fn with_clock_and_ids(mut self, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        (self.clock, self.ids) = (clock, ids);
        self
    }
}
