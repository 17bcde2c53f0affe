//! Keeps an endpoint at the version that a registry names.

use super::{
    Endpoint, EndpointConfig, Shared, Swap,
    attendant::Attendant,
    cache::Cache,
    exchange::Exchanges,
    load::Loading,
    stats::{Counters, InnerCounters},
    status::{Live, Standing},
};
use futures_util::{StreamExt, future, future::Either};
use mlops_core::{
    Error, ErrorKind, Registry, Result, ResultExt,
    registry::{ModelUri, ModelVersion},
    signature::ModelSignature,
};
use std::{
    fmt,
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::oneshot;

/// Keeps an endpoint at the version that its registry names: a future that a host spawns. It ends
/// when the last handle of its endpoint is dropped; dropped itself, it leaves the endpoint answering
/// with what it has.
#[must_use = "an endpoint follows its registry only while this is polled"]
pub struct Follower(Pin<Box<dyn Future<Output = ()> + Send>>);

impl Future for Follower {
    type Output = ();
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for Follower {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Follower")
    }
}

/// Brings a first model up and gives the endpoint, and what keeps it up to date.
pub(super) async fn connect(
    uri: ModelUri,
    registry: Arc<dyn Registry>,
    config: EndpointConfig,
) -> Result<(Endpoint, Follower)> {
    let name = config.name.clone().unwrap_or_else(|| uri.model.as_str().into());
    let within = || format!("connecting endpoint {name:?} to {uri}");
    let inner = InnerCounters::default();
    let source = Source::open(uri.clone(), registry, &config, inner.clone()).await;
    let source = source.context(within)?;
    let (live, problem) = source.boot().await.context(within)?;
    let standing = Standing::following(uri);
    let counters = Counters::with_inner(inner);
    let shared = Shared::new(Arc::clone(&name), live, standing, config.clock, counters);
    match problem {
        None => shared.confirm(),
        Some(error) => shared.trouble(&error),
    }
    let (following, stopped) = oneshot::channel();
    let guard = Unfollowed(Some(Arc::clone(&shared)));
    let follower = follow(source, Arc::clone(&shared), stopped, guard);
    let endpoint = Endpoint { shared, _following: Some(Arc::new(following)) };
    Ok((endpoint, Follower(Box::pin(follower))))
}

/// Says that an endpoint is not followed any more, should its follower be dropped or panic: what
/// answers may be out of date from then on.
struct Unfollowed(Option<Arc<Shared>>);

impl Drop for Unfollowed {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            let gone = "nothing follows the registry any more";
            shared.trouble(&Error::new(ErrorKind::Cancelled, gone));
        }
    }
}

/// Runs until every handle of the endpoint is gone.
async fn follow(
    source: Source,
    shared: Arc<Shared>,
    stopped: oneshot::Receiver<()>,
    mut guard: Unfollowed,
) {
    let work = async {
        let mut waits = 0_u32;
        loop {
            // Whatever ended it, the next round begins by asking what is meant now.
            if let Err(error) = source.watch(&shared, &mut waits).await {
                shared.trouble(&error);
            }
            let wait = source.wait(waits);
            waits = waits.saturating_add(1);
            if let Err(error) = source.attendant.pause(wait).await {
                // Its thread is gone, and nothing can be loaded without it: what answers stays.
                shared.trouble(&error);
                future::pending::<()>().await;
            }
        }
    };
    future::select(pin!(work), stopped).await;
    // Every handle is gone: nobody is there to be told.
    guard.0 = None;
}

/// What a model comes from, and what brings it up.
pub(super) struct Source {
    uri: ModelUri,
    registry: Arc<dyn Registry>,
    pub(super) config: EndpointConfig,
    pub(super) loading: Arc<Loading>,
    pub(super) cache: Cache,
    pub(super) attendant: Attendant,
    pub(super) exchanges: Exchanges,
}

impl Source {
    async fn open(
        uri: ModelUri,
        registry: Arc<dyn Registry>,
        config: &EndpointConfig,
        counters: InnerCounters,
    ) -> Result<Self> {
        let attendant = Attendant::open()?;
        let (folder, about, keep) = (config.cache_dir.clone(), uri.clone(), config.cached_versions);
        let cache = attendant.run(move || Cache::open(&folder, &about, keep)).await?;
        let loading = Arc::new(Loading::new(config.clone(), counters));
        let (config, exchanges) = (config.clone(), Exchanges::default());
        Ok(Self { uri, registry, config, loading, cache, attendant, exchanges })
    }

    /// A first model, and what is wrong if it may not be the one that the registry names.
    async fn boot(&self) -> Result<(Live, Option<Error>)> {
        let cache = self.cache.clone();
        let last = self.attendant.run(move || cache.current()).await.unwrap_or_else(|error| {
            tracing::warn!(%error, "the cache does not say what answered last");
            None
        });
        let old = last.as_ref().and_then(|last| last.signature.as_ref());
        let fresh = async { self.bring_up(self.resolve().await?, old).await }.await;
        let problem = match fresh {
            Ok(live) => return Ok((live, None)),
            Err(problem) => problem,
        };
        let Some(last) = last else {
            return Err(problem.context("and nothing is cached"));
        };
        match self.load(last, None).await {
            Ok(Some(live)) => Ok((live, Some(problem))),
            Ok(None) => Err(problem.context("and the cached package is damaged or gone")),
            Err(error) => Err(problem.context(format!("and the cached model failed ({error})"))),
        }
    }

    /// Follows what the registry says until it fails or ends; `waits` is set back by each success.
    async fn watch(&self, shared: &Shared, waits: &mut u32) -> Result<()> {
        let mut named = self.registry.watch(self.uri.clone());
        loop {
            let version = match self.next(named.next()).await? {
                Next::Named(version) => (*version)?,
                Next::Nothing => self.resolve().await?,
                Next::Ended => {
                    self.catch_up(shared, self.resolve().await?).await?;
                    return Ok(());
                }
            };
            self.catch_up(shared, version).await?;
            *waits = 0;
        }
    }

    async fn next(
        &self,
        named: impl Future<Output = Option<Result<ModelVersion>>>,
    ) -> Result<Next> {
        match future::select(pin!(named), pin!(self.attendant.pause(self.config.check_every))).await
        {
            Either::Left((Some(version), _)) => Ok(Next::Named(Box::new(version))),
            Either::Left((None, _)) => Ok(Next::Ended),
            Either::Right((paused, _)) => paused.map(|()| Next::Nothing),
        }
    }

    /// Answers with this version from now on.
    async fn catch_up(&self, shared: &Shared, version: ModelVersion) -> Result<()> {
        let live = shared.live();
        if !live.is(&version) {
            let (from, to) = (live.predictor.info(), version.id.version);
            match self.config.swap {
                Swap::Overlap => {
                    drop(live);
                    shared.swap(self.bring_up(version, Some(&from.signature)).await?);
                }
                Swap::DrainFirst => self.exchange(shared, live, version).await?,
            }
            tracing::info!(endpoint = %shared.name, from = %from.version, %to, "swapped");
        }
        shared.confirm();
        Ok(())
    }

    /// Has the package on this machine, verified, and loads it.
    pub(super) async fn bring_up(
        &self,
        version: ModelVersion,
        old: Option<&ModelSignature>,
    ) -> Result<Live> {
        let within = format!("bringing {} up", version.id);
        let brought = async {
            if let Some(live) = self.load(version.clone(), old.cloned()).await? {
                return Ok(live);
            }
            self.fetch(&version).await?;
            let gone = || Error::corrupt("the registry gave other bytes than it had named");
            self.load(version, old.cloned()).await?.ok_or_else(gone)
        };
        brought.await.context(|| within)
    }

    pub(super) async fn fetch(&self, version: &ModelVersion) -> Result<()> {
        let into = self.cache.path(version);
        let fetched = self.registry.fetch(&version.id, &into);
        self.within(self.config.fetch_limit, "give a package", fetched).await.map(drop)
    }

    /// Loads a package from the cache, if it is there and undamaged.
    async fn load(
        &self,
        version: ModelVersion,
        old: Option<ModelSignature>,
    ) -> Result<Option<Live>> {
        let (cache, loading) = (self.cache.clone(), Arc::clone(&self.loading));
        let clock = Arc::clone(&self.config.clock);
        self.attendant
            .run(move || {
                let Some(package) = cache.package(&version)? else { return Ok(None) };
                let (predictor, loaded) = loading.open(&package, &version, old.as_ref())?;
                // What the next process compares with is what callers see now.
                let signature = predictor.info().signature.clone();
                let mut remembered = version.clone();
                remembered.signature = Some(signature);
                if let Err(error) = cache.remember(&remembered) {
                    // It answers all the same; only the next boot may not find it.
                    tracing::warn!(%error, "cannot remember which version answers");
                }
                Ok(Some(Live::new(predictor, Some(version), clock.now()).with_loaded(loaded)))
            })
            .await
    }

    async fn resolve(&self) -> Result<ModelVersion> {
        let resolving = self.registry.resolve(&self.uri);
        self.within(self.config.resolve_limit, "say which version is meant", resolving).await
    }

    /// A registry that does not answer is as good as away.
    async fn within<T>(
        &self,
        limit: Duration,
        what: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        match future::select(pin!(call), pin!(self.attendant.pause(limit))).await {
            Either::Left((result, _)) => result,
            Either::Right((paused, _)) => {
                paused?;
                let message = format!("the registry took longer than {limit:?} to {what}");
                Err(Error::new(ErrorKind::TimedOut, message))
            }
        }
    }

    /// Doubles up to the bound; the last half is left to chance, so that a fleet does not come back
    /// all at once.
    fn wait(&self, waits: u32) -> Duration {
        let doubled = self.config.first_wait.saturating_mul(2_u32.saturating_pow(waits.min(20)));
        let half = doubled.min(self.config.longest_wait) / 2;
        let chance = self.config.ids.next(self.config.clock.now()) % 1024;
        half + half.mul_f64(f64::from(u16::try_from(chance).unwrap_or(0)) / 1024.0)
    }
}

/// What came first.
enum Next {
    Named(Box<Result<ModelVersion>>),
    Ended,
    Nothing,
}
