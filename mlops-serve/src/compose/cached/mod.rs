//! Answers that are kept for whoever asks the same again.

mod config;
mod flight;
mod key;
mod store;

pub use config::{CachedConfig, CachedStats};

use super::arm;
use async_trait::async_trait;
use flight::{Answer, Flights, Found};
use mlops_core::{
    Clock, Error, ErrorKind, IdSource, PooledIds, PredictionId, Predictor, Result, SystemClock,
    digest::Digest,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Instant,
};
use store::Store;

/// Gives the same answer to the same question, once computed.
///
/// Two questions are the same if they go to the same version of the same model, ask for the same
/// outputs in the same order, have the same parameters, and inputs of the same types, shapes, nulls
/// and bits: a NaN of another payload is another question, and so is -0 beside 0. The key of an
/// answer is the SHA-256 of all that. The business key, the id, the deadline and the priority are no
/// part of it; so a [`Split`](super::Split) belongs around a cache and not inside. So do a
/// [`Fallback`](super::Fallback) and a quorum: what a stand-in said would be kept as any answer is.
///
/// # Behavior
/// - a cached answer echoes the request's own id and has a prediction id of its own
/// - a request is checked before it is looked up: what would be refused is refused
/// - of requests that ask the same at the same time one is asked, the others wait for its answer,
///   unless they would have to give up earlier. An error is given to all of them; but where the one
///   that was asked timed out, the others ask themselves. If its caller leaves, the others go on
/// - errors are not kept
/// - answers of another version than `info` names are not kept; when it names another one, all that
///   is kept is forgotten
/// - at a bound the answers that were not asked for longest give way; an answer larger than all may
///   be is not kept
pub struct Cached {
    cache: Arc<Cache>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

/// What requests in flight share with those that come.
struct Cache {
    inner: Arc<dyn Predictor>,
    config: CachedConfig,
    store: Mutex<Store>,
    flights: Flights,
    hits: AtomicU64,
    misses: AtomicU64,
    joined: AtomicU64,
}

impl Cached {
    /// An empty cache before a predictor.
    pub fn new(inner: Arc<dyn Predictor>, config: CachedConfig) -> Self {
        let cache = Cache {
            inner,
            config,
            store: Mutex::default(),
            flights: Flights::default(),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            joined: AtomicU64::new(0),
        };
        Self {
            cache: Arc::new(cache),
            clock: Arc::new(SystemClock),
            ids: Arc::new(PooledIds::new()),
        }
    }

    /// Takes time and identities from here.
    #[must_use]
    pub fn with_clock_and_ids(mut self, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        (self.clock, self.ids) = (clock, ids);
        self
    }

    /// What it has counted, and what it holds.
    pub fn stats(&self) -> CachedStats {
        let cache = &*self.cache;
        let store = cache.store();
        CachedStats {
            hits: cache.hits.load(Ordering::Relaxed),
            misses: cache.misses.load(Ordering::Relaxed),
            joined: cache.joined.load(Ordering::Relaxed),
            evicted: store.evicted,
            entries: store.len(),
            bytes: store.bytes,
        }
    }

    /// Forgets all answers.
    pub fn clear(&self) {
        self.cache.store().clear();
    }

    /// The answer to one as the answer to another: with identities of its own.
    fn again(&self, answer: &PredictResponse, request: &PredictRequest) -> PredictResponse {
        let mut answer = answer.clone();
        answer.prediction = PredictionId::from_u128(self.ids.next(self.clock.now()));
        answer.id.clone_from(&request.id);
        answer
    }

    /// Asks without looking anything up.
    async fn ask(&self, request: PredictRequest) -> Result<PredictResponse> {
        add(&self.cache.misses);
        arm::call(&*self.cache.inner, "what is cached", request).await
    }

    /// Asks, or waits for whoever asks the same already.
    async fn fly(
        &self,
        key: Digest,
        info: Arc<PredictorInfo>,
        request: PredictRequest,
        now: Instant,
    ) -> Result<PredictResponse> {
        let cache = &self.cache;
        let kept = || cache.store().get(&key, &info, now);
        let lead = || cache.lead(key, Arc::clone(&info), request.clone(), Arc::clone(&self.clock));
        match cache.flights.find(key, request.deadline, kept, lead) {
            Found::Known(answer) => {
                add(&cache.hits);
                Ok(self.again(&answer, &request))
            }
            Found::Begun(flight) => {
                add(&cache.misses);
                let failed = |error: Arc<Error>| {
                    // For the one that asked: the error itself, unless somebody else waits for it too.
                    Arc::try_unwrap(error).unwrap_or_else(|shared| shared.copy())
                };
                flight.await.map(|answer| PredictResponse::clone(&answer)).map_err(failed)
            }
            Found::Joined(flight) => {
                add(&cache.joined);
                match flight.await {
                    Ok(answer) => Ok(self.again(&answer, &request)),
                    // That was about the time of another request.
                    Err(error)
                        if matches!(error.kind(), ErrorKind::TimedOut | ErrorKind::Cancelled) =>
                    {
                        self.ask(request).await
                    }
                    Err(error) => Err(error.copy()),
                }
            }
        }
    }
}

impl Cache {
    fn store(&self) -> MutexGuard<'_, Store> {
        // Nothing panics while it is held.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Asks the predictor, and keeps what it answers.
    fn lead(
        self: &Arc<Self>,
        key: Digest,
        info: Arc<PredictorInfo>,
        request: PredictRequest,
        clock: Arc<dyn Clock>,
    ) -> impl Future<Output = Answer> + Send + use<> {
        let cache = Arc::clone(self);
        async move {
            let answer = arm::call(&*cache.inner, &info.name, request).await;
            let answer = answer.map_err(Arc::new)?;
            let now = clock.instant();
            // Copied before the lock is taken.
            if let Some(entry) = store::Entry::new(&answer, now, cache.config.ttl) {
                cache.store().keep(key, entry, &cache.config);
            }
            Ok(Arc::new(answer))
        }
    }
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

impl fmt::Debug for Cached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cached({:?}, {:?})", self.cache.inner, self.stats())
    }
}

#[async_trait]
impl Predictor for Cached {
    fn info(&self) -> Arc<PredictorInfo> {
        self.cache.inner.info()
    }

    async fn ready(&self) -> Result<()> {
        self.cache.inner.ready().await
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let (info, now) = (self.cache.inner.info(), self.clock.instant());
        info.check(&request, now)?;
        let Some(key) = key::of(&info, &request) else {
            return self.ask(request).await;
        };
        let kept = self.cache.store().get(&key, &info, now);
        if let Some(answer) = kept {
            add(&self.cache.hits);
            return Ok(self.again(&answer, &request));
        }
        self.fly(key, info, request, now).await
    }
}
