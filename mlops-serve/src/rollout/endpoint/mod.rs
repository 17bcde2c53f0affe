//! A name that clients call, and what answers behind it now.

mod attendant;
mod between;
mod cache;
mod compatible;
mod config;
mod exchange;
mod follow;
mod load;
mod stats;
mod status;

pub use compatible::check_compatible;
pub use config::{EndpointConfig, Swap};
pub use follow::Follower;
pub use stats::{EndpointStats, VersionStats};
#[cfg(feature = "metrics")]
pub(crate) use status::Answered;
pub use status::EndpointStatus;

use crate::{
    batching::{Batcher, BatchingConfig},
    compose::{at_once, fenced},
};
use async_trait::async_trait;
use mlops_core::{
    Clock, Error, Observer, PooledIds, Predictor, Registry, Result, SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    typed::{Input, Output, Typed},
};
use stats::{Counters, Counting, InnerCounters};
use status::{Live, Standing};
#[cfg(feature = "metrics")]
use std::sync::Weak;
use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError, RwLock},
    thread,
    time::Instant,
};
use tokio::sync::oneshot;

/// A name that clients call. Clones are handles to the same endpoint.
///
/// An endpoint that [follows](Self::connect) an alias of a registry answers with the version that
/// the alias points at, and goes over to another one without losing a request: the new model is
/// fetched, verified, loaded and warmed beside the old one, which finishes what it has begun.
///
/// # Behavior
/// - once it exists it always has a model that answers; what fails to come up never replaces it
/// - with [`Swap::DrainFirst`] requests wait while one model goes and another comes, and it is not
///   ready; what fails to come up is followed by the old model again
/// - a model for which its [`MemoryBudget`](crate::MemoryBudget) has no room does not come up
/// - a model that would break its callers does not replace it, unless the configuration allows it
///   ([`check_compatible`] says what breaks)
/// - while the registry is away it goes on answering, says `stale`, and catches up later; a new
///   process boots from the verified copy in its cache
/// - a predictor that panics loses that one request, which is `Internal`
/// - following ends when the last handle is dropped
#[derive(Clone)]
pub struct Endpoint {
    shared: Arc<Shared>,
    /// Dropped with the last handle.
    _following: Option<Arc<oneshot::Sender<()>>>,
}

/// What all handles and the follower see.
struct Shared {
    name: Arc<str>,
    now: RwLock<Now>,
    standing: Mutex<Standing>,
    counters: Counters,
    clock: Arc<dyn Clock>,
}

/// What a request meets when it comes.
#[derive(Clone)]
struct Now {
    live: Arc<Live>,
    /// Who sees its answer; `None` if nobody does.
    observers: Option<Observers>,
}

type Observers = Arc<Vec<Arc<dyn Observer>>>;

impl Endpoint {
    /// An endpoint that one predictor answers for ever.
    pub fn from_predictor(name: impl Into<Arc<str>>, predictor: impl Predictor + 'static) -> Self {
        Self::fixed(name.into(), predictor, Arc::new(SystemClock), Counters::default())
    }

    /// As [`from_predictor`](Self::from_predictor), with a [`Batcher`] before the predictor; its
    /// counters are among the endpoint's.
    pub fn from_batched(
        name: impl Into<Arc<str>>,
        predictor: impl Predictor + 'static,
        config: BatchingConfig,
    ) -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (inner, ids) = (InnerCounters::default(), Arc::new(PooledIds::new()));
        let counters = Arc::clone(&inner.batching);
        let (predictor, own) = (Arc::new(predictor), Arc::clone(&clock));
        let batcher = Batcher::open_counting(predictor, config, own, ids, counters);
        Self::fixed(name.into(), batcher, clock, Counters::with_inner(inner))
    }

    fn fixed(
        name: Arc<str>,
        predictor: impl Predictor + 'static,
        clock: Arc<dyn Clock>,
        counters: Counters,
    ) -> Self {
        let live = Live::new(Arc::new(predictor), None, clock.now());
        let shared = Shared::new(name, live, Standing::fixed(), clock, counters);
        Self { shared, _following: None }
    }

    /// Follows `models:/NAME@ALIAS` (or a fixed version) of a registry, on the tokio runtime that
    /// this is called on.
    ///
    /// Returns once a model is ready to answer: the version that the registry names, or the last
    /// one from the cache if the registry cannot be asked or its version does not come up (the
    /// [status](Self::status) is then `stale`). Fails if there is neither, and with `Unsupported`
    /// where no tokio runtime runs: [`connect_with_follower`](Self::connect_with_follower) is for
    /// other executors.
    pub async fn connect(
        uri: &str,
        registry: Arc<dyn Registry>,
        config: EndpointConfig,
    ) -> Result<Self> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|cause| {
            Error::unsupported("no tokio runtime runs here to follow a registry on")
                .with_source(cause)
        })?;
        let (endpoint, follower) = Self::connect_with_follower(uri, registry, config).await?;
        runtime.spawn(follower);
        Ok(endpoint)
    }

    /// As [`connect`](Self::connect), but the host spawns what follows, on any executor. While
    /// nobody polls it the endpoint goes on answering with what it has.
    pub async fn connect_with_follower(
        uri: &str,
        registry: Arc<dyn Registry>,
        config: EndpointConfig,
    ) -> Result<(Self, Follower)> {
        follow::connect(uri.parse()?, registry, config).await
    }

    /// Lets an observer see every answer of this endpoint, through whichever handle it was asked.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Self {
        let mut now = self.shared.now.write().unwrap_or_else(PoisonError::into_inner);
        Arc::make_mut(now.observers.get_or_insert_default()).push(observer);
        drop(now);
        self
    }

    /// This endpoint with rows of the host's own types; see [`Typed::new`] for what is refused. A model
    /// that takes this one's place is [compatible](check_compatible), and so takes and gives them too.
    pub fn typed<I: Input, O: Output>(&self) -> Result<Typed<I, O>> {
        Typed::new(Arc::new(self.clone()))
    }

    /// The name that clients call; the model behind it may be called otherwise.
    pub fn name(&self) -> &Arc<str> {
        &self.shared.name
    }

    /// What answers now, and whether it is what the registry names.
    pub fn status(&self) -> EndpointStatus {
        EndpointStatus::new(&self.shared.name, &self.shared.live(), &self.shared.standing())
    }

    /// What it has counted since it exists.
    pub fn stats(&self) -> EndpointStats {
        let live = self.shared.live();
        let info = live.predictor.info();
        let mut stats = self.shared.counters.snapshot();
        let (answered, failed) = live.counts.read();
        let (model, version) = (Arc::clone(&info.name), Arc::clone(&info.version));
        stats.live = VersionStats { model, version, answered, failed };
        stats
    }

    /// What answers now, and what counts its answers.
    #[cfg(feature = "metrics")]
    pub(crate) fn answering(&self) -> (Arc<PredictorInfo>, Arc<Answered>) {
        let live = self.shared.live();
        (live.predictor.info(), Arc::clone(&live.counts))
    }

    /// A handle that keeps neither the endpoint nor its model.
    #[cfg(feature = "metrics")]
    pub(crate) fn downgrade(&self) -> WeakEndpoint {
        WeakEndpoint(Arc::downgrade(&self.shared))
    }
}

/// Finds an endpoint as long as somebody else holds it.
#[cfg(feature = "metrics")]
#[derive(Clone)]
pub(crate) struct WeakEndpoint(Weak<Shared>);

#[cfg(feature = "metrics")]
impl WeakEndpoint {
    /// A handle that does not keep it following.
    pub(crate) fn upgrade(&self) -> Option<Endpoint> {
        let shared = self.0.upgrade()?;
        Some(Endpoint { shared, _following: None })
    }
}

#[cfg(feature = "metrics")]
impl fmt::Debug for WeakEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.upgrade(), f)
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let info = self.info();
        write!(f, "Endpoint({} answers with {}/{})", self.shared.name, info.name, info.version)
    }
}

#[async_trait]
impl Predictor for Endpoint {
    fn info(&self) -> Arc<PredictorInfo> {
        self.shared.live().predictor.info()
    }

    async fn ready(&self) -> Result<()> {
        let live = self.shared.live();
        live.predictor.ready().await
    }

    async fn predict(&self, mut request: PredictRequest) -> Result<PredictResponse> {
        let asked = Asked::new(&self.shared, &request);
        let counting = self.shared.counters.begin();
        let answer = match at_once(asked.predictor(), &mut request) {
            Some(answer) => answer,
            None => fenced(asked.predictor(), request).await,
        };
        asked.ended(answer, counting)
    }

    fn predict_at_once(&self, request: &mut PredictRequest) -> Option<Result<PredictResponse>> {
        let asked = Asked::new(&self.shared, request);
        // What is not answered now is asked again, and counts then.
        let answer = at_once(asked.predictor(), request)?;
        Some(asked.ended(answer, self.shared.counters.begin()))
    }
}

/// A request on its way.
struct Asked<'a> {
    shared: &'a Shared,
    began: Instant,
    /// Held until the answer is there: a swap meanwhile leaves this request where it is.
    live: Arc<Live>,
    seen: Option<(Observers, PredictRequest)>,
}

impl<'a> Asked<'a> {
    fn new(shared: &'a Shared, request: &PredictRequest) -> Self {
        let began = shared.clock.instant();
        let Now { live, observers } = shared.now();
        let seen = observers.map(|observers| (observers, request.clone()));
        Self { shared, began, live, seen }
    }

    fn predictor(&self) -> &dyn Predictor {
        &*self.live.predictor
    }

    /// Counts what came of it, and shows it to who observes.
    fn ended(
        self,
        answer: thread::Result<Result<PredictResponse>>,
        counting: Counting<'_>,
    ) -> Result<PredictResponse> {
        let Self { shared, began, live, seen } = self;
        let result = answer.unwrap_or_else(|_| {
            shared.counters.panicked();
            Err(Error::internal(format!("endpoint {:?} panicked", shared.name)))
        });
        let took = shared.clock.instant().saturating_duration_since(began);
        counting.end(&result, took);
        live.count(result.is_ok());
        if let Some((observers, request)) = seen {
            observers.iter().for_each(|one| one.observe(&request, result.as_ref(), took));
        }
        result
    }
}

impl Shared {
    fn new(
        name: Arc<str>,
        live: Live,
        standing: Standing,
        clock: Arc<dyn Clock>,
        counters: Counters,
    ) -> Arc<Self> {
        let now = RwLock::new(Now { live: Arc::new(live), observers: None });
        Arc::new(Self { name, now, standing: Mutex::new(standing), counters, clock })
    }

    fn now(&self) -> Now {
        self.now.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn live(&self) -> Arc<Live> {
        Arc::clone(&self.now.read().unwrap_or_else(PoisonError::into_inner).live)
    }

    fn standing(&self) -> Standing {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Another model answers the requests that come from now on.
    fn swap(&self, live: Live) {
        self.put(Arc::new(live));
        self.counters.swapped();
    }

    /// Requests that come from now on are answered by this.
    fn put(&self, live: Arc<Live>) {
        let mut now = self.now.write().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut now.live, live);
        // Freeing a model takes a while; callers need not wait for it.
        drop(now);
        drop(old);
    }

    /// The registry said that what answers is what it names.
    fn confirm(&self) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.confirm(self.clock.now());
    }

    /// What answers may not be what the registry names.
    fn trouble(&self, error: &Error) {
        tracing::warn!(endpoint = %self.name, %error, "cannot follow");
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        standing.trouble(error);
    }
}
