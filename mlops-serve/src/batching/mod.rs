//! Requests that wait for the same model run together.
//!
//! A model that computes many rows in one call takes less time for each. But a request that waits
//! for company while nothing runs only loses time. So nothing waits while a permit is free; what
//! comes while all are taken is gathered, and runs together as soon as one is given back, or is handed
//! on once it makes a whole batch.

mod batch;
mod config;
#[cfg(all(test, shuttle))]
mod interleavings;
mod queue;
mod stats;
mod waiting;

pub use config::BatchingConfig;
pub(crate) use stats::Counters;
pub use stats::{BatchingStats, ROWS_BOUNDS};

use async_trait::async_trait;
use batch::Seat;
use mlops_core::{
    Clock, Error, ErrorKind, IdSource, PooledIds, PredictionId, Predictor, Result, SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use queue::{Dispatch, Queue, Waits};
use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError},
    time::Instant,
};
use waiting::Waiting;

// There each lock is a place where another thread may go on.
#[cfg(shuttle)]
use shuttle::sync::{Mutex, MutexGuard};
#[cfg(not(shuttle))]
use std::sync::{Mutex, MutexGuard};

/// A wrapper that gathers requests while what it wraps is busy, and asks it for all their rows in
/// one call.
///
/// It is for what answers from the inputs alone, such as a
/// [`LocalPredictor`](crate::LocalPredictor): a merged request has no `id` and no `key`.
///
/// # Behavior
/// - a request runs at once, as it is, while fewer than [`info().width`](PredictorInfo::width) run;
///   nothing waits for company, and no timer runs
/// - while all permits are taken, a batch that could hold no more is handed on all the same,
///   [`ahead`](BatchingConfig::ahead) of its turn: it waits where it is computed, and what computes need
///   not wait for it. So what is wrapped is asked for so many more at a time than its width
/// - requests run together if their tensors differ in their rows alone, and the outputs and
///   parameters asked for are the same; a model with a tensor of fixed first axis runs each alone
/// - what is more urgent goes first, then what came first; a batch has at most
///   [`max_batch_rows`](BatchingConfig::max_batch_rows), unless one request alone has more
/// - a request is checked before it waits; one that would exceed a bound is `Overloaded`, at once;
///   one that is over a bound by itself waits only where no other does
/// - a caller that leaves takes its request along if it still waits; a batch is given up when all
///   its callers have left
/// - a deadline that passes in the queue is `TimedOut`, and nothing is computed for it; a batch has
///   the latest deadline of its members
/// - a batch that fails for a reason that may lie in its rows (`InvalidInput`, `TooLarge`,
///   `Unsupported`, `Internal`) runs again in halves, until who is to blame is alone: one bad request
///   fails alone
/// - a panic of what is wrapped loses one batch, each member of which is `Internal`
/// - futures need no runtime; a permit is held until the future of a request, or those of all
///   members of a batch, are finished or dropped
#[derive(Clone)]
pub struct Batcher(Arc<Shared>);

struct Shared {
    inner: Arc<dyn Predictor>,
    queue: Mutex<Queue<Waiting>>,
    counters: Arc<Counters>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl Batcher {
    /// Gathers for this predictor.
    pub fn new(inner: impl Predictor + 'static, config: BatchingConfig) -> Self {
        Self::with_clock_and_ids(inner, config, Arc::new(SystemClock), Arc::new(PooledIds::new()))
    }

    /// As [`new`](Self::new), with time and identities from here.
    pub fn with_clock_and_ids(
        inner: impl Predictor + 'static,
        config: BatchingConfig,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Self {
        Self::open_counting(Arc::new(inner), config, clock, ids, Arc::default())
    }

    /// Counts where others have counted before.
    pub(crate) fn open_counting(
        inner: Arc<dyn Predictor>,
        config: BatchingConfig,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        counters: Arc<Counters>,
    ) -> Self {
        let queue = Mutex::new(Queue::new(config));
        Self(Arc::new(Shared { inner, queue, counters, clock, ids }))
    }

    /// What it has counted since it exists.
    pub fn stats(&self) -> BatchingStats {
        self.0.counters.snapshot()
    }
}

impl fmt::Debug for Batcher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Batcher({:?}, {} waiting)", self.0.inner, self.0.queue().len())
    }
}

#[async_trait]
impl Predictor for Batcher {
    fn info(&self) -> Arc<PredictorInfo> {
        self.0.inner.info()
    }

    async fn ready(&self) -> Result<()> {
        self.0.inner.ready().await
    }

    async fn predict(&self, mut request: PredictRequest) -> Result<PredictResponse> {
        let shared = &self.0;
        // A future of its own, so that the one of a request that does not wait stays small.
        let Some(permit) = shared.start() else { return Box::pin(shared.wait(request)).await };
        shared.counters.at_once.add(1);
        let answer = match shared.inner.predict_at_once(&mut request) {
            Some(answer) => answer,
            None => shared.inner.predict(request).await,
        };
        drop(permit);
        answer
    }

    fn predict_at_once(&self, request: &mut PredictRequest) -> Option<Result<PredictResponse>> {
        let _permit = self.0.start()?;
        let answer = self.0.inner.predict_at_once(request)?;
        self.0.counters.at_once.add(1);
        Some(answer)
    }
}

/// The right to run. What waits runs next when it is dropped.
struct Permit(Arc<Shared>);

impl Drop for Permit {
    fn drop(&mut self) {
        let mut queue = self.0.queue();
        queue.finish();
        if queue.len() > 0 {
            drop(queue);
            // Perhaps while a panic unwinds: a second one would end the process.
            let _ = catch_unwind(AssertUnwindSafe(|| self.0.dispatch()));
        }
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue<Waiting>> {
        // Nothing panics while it is held.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn start(self: &Arc<Self>) -> Option<Permit> {
        let width = self.inner.info().width;
        let started = self.queue().start(width);
        started.then(|| Permit(Arc::clone(self)))
    }

    async fn wait(self: &Arc<Self>, request: PredictRequest) -> Result<PredictResponse> {
        let info = self.inner.info();
        let now = self.clock.instant();
        info.check(&request, now)?;
        let (waiting, caller, seat) = Waiting::new(request, &info, now)?;
        if !self.push(waiting, now, &info) {
            self.counters.refused.add(1);
            let message = format!("too many requests wait for model {:?} already", info.name);
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        // A permit may have been given back meanwhile, by the last that will ever do so.
        self.dispatch();
        let seat = seat.await.unwrap_or_else(|_| Err(Error::internal("a queue lost a request")));
        let answer = seat?.answer().await;
        drop(caller);
        answer
    }

    /// Lets a request wait; false if it would be too much.
    fn push(&self, waiting: Waiting, now: Instant, info: &PredictorInfo) -> bool {
        let mut dropped = Vec::new();
        // Counted while the queue is held: nobody counts it out before.
        let mut queue = self.queue();
        let pushed = queue.push(waiting, now, &mut dropped).inspect(|()| self.counters.came());
        drop(queue);
        self.let_go(dropped, info);
        pushed.is_ok()
    }

    /// Forms the batches that may run now, and gives their members seats.
    fn dispatch(self: &Arc<Self>) {
        let queue = self.queue();
        if queue.len() == 0 {
            return;
        }
        drop(queue);
        // The host's code, which may panic, is asked before any permit is taken.
        let (info, now) = (self.inner.info(), self.clock.instant());
        let most = info.max_rows.unwrap_or(usize::MAX);
        let Dispatch { batches, dropped } = self.queue().dispatch(info.width, most, now);
        let batches: Vec<_> =
            batches.into_iter().map(|members| (Permit(Arc::clone(self)), members)).collect();
        self.let_go(dropped, &info);
        for (permit, members) in batches {
            for member in &members {
                self.counters.waited.add(now.saturating_duration_since(member.since));
            }
            self.counters.formed(members.len(), members.iter().map(Waits::rows).sum());
            Seat::give_out(Arc::clone(self), permit, members);
        }
    }

    /// Tells those whose deadline has passed; the others have left.
    fn let_go(&self, dropped: Vec<Waiting>, info: &PredictorInfo) {
        self.counters.went(dropped.len());
        for mut waiting in dropped {
            if waiting.is_abandoned() {
                self.counters.abandoned.add(1);
                continue;
            }
            self.counters.expired.add(1);
            let late = Error::new(
                ErrorKind::TimedOut,
                format!(
                    "the deadline of a request to model {:?} passed while it waited",
                    info.name
                ),
            );
            // The caller may leave at this very moment.
            let _ = waiting.reply.take().map(|reply| reply.send(Err(late)));
        }
    }

    fn next_id(&self) -> PredictionId {
        PredictionId::from_u128(self.ids.next(self.clock.now()))
    }
}
