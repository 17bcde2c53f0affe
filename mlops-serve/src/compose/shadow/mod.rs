//! A predictor that is tried on real requests, and whose answers nobody gets.

mod config;
mod work;

pub use config::{ShadowConfig, ShadowObserver, ShadowPair, ShadowStats};
pub use work::ShadowWork;

use super::arm;
use crate::rollout::endpoint::check_compatible;
use async_trait::async_trait;
use mlops_core::{
    Clock, Error, Predictor, Result, ResultExt, SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::sync::{
    Arc,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use std::time::Duration;
use tokio::sync::{mpsc, oneshot};
use work::Asking;

#[derive(Debug, Default)]
struct Counters {
    requests: AtomicU64,
    copied: AtomicU64,
    dropped: AtomicU64,
    answered: AtomicU64,
    failed: AtomicU64,
    /// Memory of what waits.
    waiting_bytes: AtomicUsize,
}

/// What waits for the shadow.
struct Copied {
    request: PredictRequest,
    champion: PredictResponse,
    took: Duration,
    room: Room,
}

/// A share of the memory set aside for what waits; given back when dropped.
struct Room {
    counters: Arc<Counters>,
    bytes: usize,
}

impl Room {
    /// `None` if there is no such room beside what waits already.
    fn take(counters: &Arc<Counters>, bytes: usize, most: usize) -> Option<Self> {
        let more = |held: usize| {
            let wanted = held.saturating_add(bytes);
            (held == 0 || wanted <= most).then_some(wanted)
        };
        let taken = counters.waiting_bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more);
        taken.ok().map(|_| Self { counters: Arc::clone(counters), bytes })
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.counters.waiting_bytes.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// The champion answers; the shadow is asked the same, where nobody waits for it.
///
/// # Behavior
/// - answers, errors, `info` and `ready` are the champion's; the shadow never delays or fails one
/// - it gets a copy of a share of the requests that the champion answered, without their deadline
/// - a copy that finds the queue full, by number or by memory, is dropped and counted
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
        let (working, ended) = oneshot::channel();
        let counters = Arc::new(Counters::default());
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let asking =
            Asking { shadow, observer, counters: Arc::clone(&counters), clock: Arc::clone(&clock) };
        let work = ShadowWork::new(asking, copies, ended, config.at_once.max(1));
        Ok((Self { champion, config, queue, counters, clock, _working: working }, work))
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

    fn send(&self, request: PredictRequest, champion: &PredictResponse, took: Duration) {
        add(&self.counters.copied);
        let bytes = request.inputs.size_bytes().saturating_add(champion.outputs.size_bytes());
        let room = Room::take(&self.counters, bytes, self.config.queue_bytes);
        let copied = room.map(|room| Copied { request, champion: champion.clone(), took, room });
        if copied.is_none_or(|copied| self.queue.try_send(copied).is_err()) {
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
            self.send(request, &champion, took);
        }
        Ok(champion)
    }
}
