//! A predictor that is tried on real requests, and whose answers nobody gets.

use super::arm;
use crate::rollout::endpoint::check_compatible;
use async_trait::async_trait;
use futures_util::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
    stream,
};
use mlops_core::{
    Clock, Error, Predictor, Result, ResultExt, SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};

/// How much the shadow has to do.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShadowConfig {
    /// The share of requests that it gets a copy of, 0 to 1; they are chosen as if by chance.
    pub fraction: f64,
    /// The most copies that wait for it; at least 1.
    pub queue: usize,
    /// How many it is asked at the same time; at least 1.
    pub at_once: usize,
}

impl Default for ShadowConfig {
    /// Every request, 64 waiting, one at a time.
    fn default() -> Self {
        Self { fraction: 1.0, queue: 64, at_once: 1 }
    }
}

impl ShadowConfig {
    /// Sets the share of requests, 0 to 1.
    #[must_use]
    pub fn with_fraction(mut self, fraction: f64) -> Self {
        self.fraction = fraction;
        self
    }

    /// Sets the most copies that wait; at least 1.
    #[must_use]
    pub fn with_queue(mut self, queue: usize) -> Self {
        self.queue = queue.max(1);
        self
    }

    /// Sets how many are asked at the same time; at least 1.
    #[must_use]
    pub fn with_at_once(mut self, at_once: usize) -> Self {
        self.at_once = at_once.max(1);
        self
    }
}

/// One request that both answered, or tried to.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct ShadowPair<'a> {
    /// The request as the shadow got it: without a deadline.
    pub request: &'a PredictRequest,
    /// What the caller got.
    pub champion: &'a PredictResponse,
    /// How long the caller waited.
    pub champion_took: Duration,
    /// What the shadow would have said.
    pub shadow: Result<&'a PredictResponse, &'a Error>,
    /// How long the shadow took, without waiting in its queue.
    pub shadow_took: Duration,
}

/// Sees what both answered. Runs where the shadow does, and never on the task of a request.
pub trait ShadowObserver: fmt::Debug + Send + Sync {
    /// Called once for each request that the shadow was asked; a panic is caught.
    fn observe(&self, pair: ShadowPair<'_>);
}

/// What a shadow has counted. Each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ShadowStats {
    /// Copies that were made for it.
    pub copied: u64,
    /// Of those, the ones that its queue had no room for.
    pub dropped: u64,
    /// Those that it answered.
    pub answered: u64,
    /// Those that it failed, or panicked on.
    pub failed: u64,
}

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    copied: AtomicU64,
    dropped: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
}

/// What waits for the shadow.
struct Copied {
    request: PredictRequest,
    champion: PredictResponse,
    took: Duration,
}

/// The champion answers; the shadow is asked the same, where nobody waits for it.
///
/// # Behavior
/// - answers, errors, `info` and `ready` are the champion's; the shadow never delays or fails one
/// - it gets a copy of a share of the requests that the champion answered, without their deadline
/// - a copy that finds the queue full is dropped and counted
/// - a shadow, or an observer, that fails or panics harms nothing; one that never answers fills its
///   queue and no more
/// - dropping it ends the shadow's work, and gives up what waits
#[derive(Debug)]
pub struct Shadow {
    champion: Arc<dyn Predictor>,
    config: ShadowConfig,
    queue: mpsc::Sender<Copied>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
    /// Dropped with this, which tells the work to end.
    _working: oneshot::Sender<()>,
}

/// What asks the shadow, for the host to spawn on any executor. It ends when its [`Shadow`] is
/// dropped. While nobody polls it, copies fill the queue.
#[must_use = "nobody asks the shadow unless this is polled"]
pub struct ShadowWork(BoxFuture<'static, ()>);

impl Shadow {
    /// A shadow on a thread of its own, with a runtime that has timers: for predictors that compute.
    /// One that needs more of a runtime, such as a remote one, is for [`new`](Self::new).
    ///
    /// Fails as that does, or if the thread cannot be started.
    pub fn open(
        champion: Arc<dyn Predictor>,
        shadow: Arc<dyn Predictor>,
        observer: Arc<dyn ShadowObserver>,
        config: ShadowConfig,
    ) -> Result<Self> {
        let (own, work) = Self::new(champion, shadow, observer, config)?;
        let thread = "a thread for a shadow";
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        let runtime = runtime.map_err(|source| Error::io(thread, source))?;
        std::thread::Builder::new()
            .name("mlops-shadow".to_owned())
            .spawn(move || runtime.block_on(work))
            .map_err(|source| Error::io(thread, source))?;
        Ok(own)
    }

    /// A shadow that works where the host polls the second of the two.
    ///
    /// `InvalidInput` if the fraction is no share, or if the shadow does not take what the champion
    /// takes and give what it gives.
    pub fn new(
        champion: Arc<dyn Predictor>,
        shadow: Arc<dyn Predictor>,
        observer: Arc<dyn ShadowObserver>,
        config: ShadowConfig,
    ) -> Result<(Self, ShadowWork)> {
        if !(0.0..=1.0).contains(&config.fraction) {
            let text = format!("a shadow of {} of the requests", config.fraction);
            return Err(Error::invalid(text));
        }
        check_compatible(&champion.info().signature, &shadow.info().signature)
            .context(|| "the shadow cannot stand in for its champion")?;
        let (queue, copies) = mpsc::channel(config.queue.max(1));
        let (_working, ended) = oneshot::channel();
        let counters = Arc::new(Counters::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let working = Working {
            shadow,
            observer,
            counters: Arc::clone(&counters),
            clock: Arc::clone(&clock),
        };
        let work = working.run(copies, config.at_once.max(1));
        // Nothing is ever sent: it ends by the work, or because the other end is gone.
        let work = future::select(work.boxed(), ended).map(|_| ()).boxed();
        Ok((Self { champion, config, queue, counters, clock, _working }, ShadowWork(work)))
    }

    /// What has been counted since it exists.
    pub fn stats(&self) -> ShadowStats {
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let Counters { copied, dropped, answered, failed, .. } = &*self.counters;
        ShadowStats {
            copied: get(copied),
            dropped: get(dropped),
            answered: get(answered),
            failed: get(failed),
        }
    }

    fn is_chosen(&self) -> bool {
        let number = self.counters.requests.fetch_add(1, Ordering::Relaxed);
        is_below(scattered(number), self.config.fraction)
    }

    fn send(&self, copied: Copied) {
        add(&self.counters.copied);
        if self.queue.try_send(copied).is_err() {
            add(&self.counters.dropped);
        }
    }
}

/// `SplitMix64`'s output function (Steele, Lea and Flood, OOPSLA 2014): numbers in a row come out as
/// if by chance, so that requests that come in a pattern are not chosen by it.
fn scattered(number: u64) -> u64 {
    let mut bits = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    bits ^ (bits >> 31)
}

/// Whether a point between 0 and 2⁶⁴ lies in the first share of that line.
fn is_below(point: u64, share: f64) -> bool {
    #[expect(clippy::cast_precision_loss, reason = "53 bits of a share are enough")]
    let at = (point >> 11) as f64 / (1_u64 << 53) as f64;
    at < share
}

fn add(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::Relaxed);
}

#[async_trait]
impl Predictor for Shadow {
    fn info(&self) -> Arc<PredictorInfo> {
        self.champion.info()
    }

    async fn ready(&self) -> Result<()> {
        self.champion.ready().await
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let copy = self.is_chosen().then(|| (request.clone(), self.clock.instant()));
        let champion = arm::call(&*self.champion, "the champion", request).await?;
        if let Some((mut request, began)) = copy {
            let took = self.clock.instant().saturating_duration_since(began);
            // Nobody waits for the shadow.
            (request.deadline, request.priority) = (None, 0);
            self.send(Copied { request, champion: champion.clone(), took });
        }
        Ok(champion)
    }
}

/// What the shadow's side needs.
struct Working {
    shadow: Arc<dyn Predictor>,
    observer: Arc<dyn ShadowObserver>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
}

impl Working {
    async fn run(self, mut copies: mpsc::Receiver<Copied>, at_once: usize) {
        let copies = stream::poll_fn(move |context| copies.poll_recv(context));
        copies.for_each_concurrent(at_once, |copied| self.ask(copied)).await;
    }

    async fn ask(&self, copied: Copied) {
        let Copied { request, champion, took } = copied;
        let began = self.clock.instant();
        let result = arm::call(&*self.shadow, "the shadow", request.clone()).await;
        let shadow_took = self.clock.instant().saturating_duration_since(began);
        add(if result.is_ok() { &self.counters.answered } else { &self.counters.failed });
        let shadow = result.as_ref();
        let (request, champion, champion_took) = (&request, &champion, took);
        let pair = ShadowPair { request, champion, champion_took, shadow, shadow_took };
        if catch_unwind(AssertUnwindSafe(|| self.observer.observe(pair))).is_err() {
            tracing::warn!("the observer of a shadow panicked");
        }
        give_way().await;
    }
}

/// Lets the executor do something else: requests may come faster than a shadow that computes where
/// it is polled can be asked.
async fn give_way() {
    let mut gave_way = false;
    future::poll_fn(|context| {
        if std::mem::replace(&mut gave_way, true) {
            return Poll::Ready(());
        }
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

impl Future for ShadowWork {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.0.as_mut().poll(context)
    }
}

impl fmt::Debug for ShadowWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ShadowWork")
    }
}
