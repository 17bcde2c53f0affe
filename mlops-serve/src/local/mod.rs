//! A session on its lane: short calls run where they are asked for, long ones on threads of its own.
//!
//! Computing where the request is costs a fraction of a microsecond, handing it to another thread
//! some seventeen. But a model that computes for 100 ms on a thread of the host's runtime delays
//! everything else there. So each model is measured once, when it is opened, and each request goes
//! one way or the other by how many rows it has.

mod config;
mod inline;
mod lane;
mod package;
mod transformed;
pub(crate) mod warm_up;

pub use config::LocalConfig;
pub use package::load_package;
pub use transformed::TransformedSession;

use crate::engines::{InferOptions, Session, Stop};
use async_trait::async_trait;
use inline::Inline;
use lane::{Call, Lane, stop_at};
use mlops_core::{
    Clock, Error, IdSource, PooledIds, PredictionId, Predictor, Result, ResultExt, SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    tensor::Tensors,
};
use std::{
    any::Any,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// A loaded model that answers requests.
///
/// # Behavior
/// - a request of no more rows than [`inline_rows`](Self::inline_rows) is computed on the thread
///   that polls its future; any other on threads of the predictor's own, never on the host's
/// - no call waits for another where it is polled: of a session of some
///   [width](crate::SessionInfo::width), those beyond it are computed on the predictor's own threads,
///   of which there are no more than that
/// - futures need no runtime: any executor may poll them
/// - a queue that is full is `Overloaded`, at once
/// - a future that is dropped stops its computation, or takes its place in the queue back
/// - a deadline that passes in the queue is `TimedOut`, and nothing is computed; one that passes
///   later ends the computation where its session looks
/// - a session that panics loses that one call, which is `Internal`
///
/// Dropping it ends its threads once they have finished what they compute; it does not wait.
pub struct LocalPredictor {
    info: Arc<PredictorInfo>,
    compute: Arc<Compute>,
    inline: Inline,
    lane: Lane,
    arm: Option<Arc<str>>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl LocalPredictor {
    /// Runs the model on made-up rows to warm it and to see how long it takes.
    ///
    /// Waits for that: asynchronous code calls it where blocking is allowed. `InvalidInput` for
    /// made-up rows is forgiven (the model is then never run inline); any other error is returned.
    pub fn open(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        session: Arc<dyn Session>,
        config: &LocalConfig,
    ) -> Result<Self> {
        let (label, panics) = (Arc::default(), Arc::default());
        let compute = Compute { session, label, panics, busy: None, _beside: None };
        Self::open_computing(name.into(), version.into(), compute, config)
    }

    /// Counts panics in a counter that outlives this predictor, and holds what is dropped when the
    /// session is gone: that may be later than the predictor, whose threads finish what they compute.
    pub(crate) fn open_beside(
        name: Arc<str>,
        version: Arc<str>,
        session: Arc<dyn Session>,
        config: &LocalConfig,
        panics: Arc<AtomicU64>,
        beside: Arc<dyn Any + Send + Sync>,
    ) -> Result<Self> {
        let label = Arc::default();
        let compute = Compute { session, label, panics, busy: None, _beside: Some(beside) };
        Self::open_computing(name, version, compute, config)
    }

    fn open_computing(
        name: Arc<str>,
        version: Arc<str>,
        mut compute: Compute,
        config: &LocalConfig,
    ) -> Result<Self> {
        let label: Arc<str> = format!("model {name:?} version {version}").into();
        let session = &compute.session;
        let width = session.info().width;
        let threads = width.map_or(config.threads, |width| config.threads.min(width)).max(1);
        let info = PredictorInfo::new(name, version, session.info().signature.clone())
            .with_width(threads)
            .with_max_rows(config.max_rows);
        compute.busy = width.map(|width| Busy { width, calls: AtomicUsize::new(0) });
        compute.label = Arc::clone(&label);
        let compute = Arc::new(compute);
        let within = || format!("warming {label} up");
        let rows = warm_up::inline_rows(&compute, config).context(within)?;
        let lane = Lane::new(&compute, threads, config.queue);
        Ok(Self {
            info: Arc::new(info),
            compute,
            inline: Inline::new(rows, config.inline_limit),
            lane,
            arm: None,
            clock: Arc::new(SystemClock),
            ids: Arc::new(PooledIds::new()),
        })
    }

    /// Takes time and identities from here.
    #[must_use]
    pub fn with_clock_and_ids(mut self, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        (self.clock, self.ids) = (clock, ids);
        self
    }

    /// Names the arm of a split, canary or ensemble that its answers carry.
    #[must_use]
    pub fn with_arm(mut self, arm: impl Into<Arc<str>>) -> Self {
        self.arm = Some(arm.into());
        self
    }

    /// The most rows that a request may have and still be computed where it is polled. 0 if every
    /// request goes to the predictor's own threads. Falls if calls turn out to take longer than
    /// they did in the warm-up.
    pub fn inline_rows(&self) -> usize {
        self.inline.rows()
    }

    /// How many calls were lost to a panic of the session.
    pub fn panics(&self) -> u64 {
        self.compute.panics.load(Ordering::Relaxed)
    }

    /// Answers on the calling thread, however long it takes: for hosts without a runtime, and for
    /// batch scoring. It takes no place in the queue.
    pub fn predict_now(&self, request: &PredictRequest) -> Result<PredictResponse> {
        self.info.check_by(request, || self.clock.instant())?;
        let stop = stop_at(Stop::never(), self.deadline(request));
        let outputs = self.compute.run(&request.inputs, request.outputs.as_deref(), &stop)?;
        Ok(self.answer(request, outputs))
    }

    /// When, and by whose clock.
    fn deadline(&self, request: &PredictRequest) -> Option<(Instant, Arc<dyn Clock>)> {
        request.deadline.map(|deadline| (deadline, Arc::clone(&self.clock)))
    }

    /// How many rows a good request has.
    fn check(&self, request: &PredictRequest) -> Result<usize> {
        self.info.check_by(request, || self.clock.instant())?;
        request.inputs.rows()
    }

    /// `None` if it would have to wait for another call.
    fn run_inline(&self, request: &PredictRequest, rows: usize) -> Option<Result<Tensors>> {
        let turn = self.compute.turn_at_once()?;
        let began = self.inline.is_timed().then(Instant::now);
        let stop = stop_at(Stop::never(), self.deadline(request));
        let outputs = self.compute.fenced(&request.inputs, request.outputs.as_deref(), &stop);
        if let Some(began) = began {
            self.inline.ran(rows, began.elapsed());
        }
        drop(turn);
        Some(outputs)
    }

    async fn run_on_lane(&self, request: &PredictRequest) -> Result<Tensors> {
        let call = Call {
            inputs: request.inputs.clone(),
            outputs: request.outputs.clone(),
            deadline: self.deadline(request),
            priority: request.priority,
        };
        self.lane.submit(call)?.await
    }

    fn answer(&self, request: &PredictRequest, outputs: Tensors) -> PredictResponse {
        let prediction = PredictionId::from_u128(self.ids.next(self.clock.now()));
        let mut response = PredictResponse::new(prediction, &self.info, request, outputs);
        response.arm.clone_from(&self.arm);
        response
    }
}

impl fmt::Debug for LocalPredictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "LocalPredictor({}, inline up to {} rows)",
            self.compute.label,
            self.inline_rows()
        )
    }
}

#[async_trait]
impl Predictor for LocalPredictor {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.info)
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn predict(&self, mut request: PredictRequest) -> Result<PredictResponse> {
        if let Some(answer) = self.predict_at_once(&mut request) {
            return answer;
        }
        // A future of its own, so that the one of a request that is computed here stays small.
        let outputs = Box::pin(self.run_on_lane(&request)).await?;
        Ok(self.answer(&request, outputs))
    }

    fn predict_at_once(&self, request: &mut PredictRequest) -> Option<Result<PredictResponse>> {
        let outputs = self.check(request).and_then(|rows| {
            let is_short = self.inline.takes(rows, || inline::texts(&request.inputs));
            is_short.then(|| self.run_inline(request, rows)).flatten().transpose()
        });
        let answer = outputs.map(|outputs| outputs.map(|outputs| self.answer(request, outputs)));
        answer.transpose()
    }
}

/// The session, fenced in: whatever it does, the caller gets an answer or an error.
#[derive(Debug)]
struct Compute {
    session: Arc<dyn Session>,
    /// The model in messages.
    label: Arc<str>,
    panics: Arc<AtomicU64>,
    /// Counted where a further call has to wait.
    busy: Option<Busy>,
    /// Dropped after the session: fields go in their order.
    _beside: Option<Arc<dyn Any + Send + Sync>>,
}

/// How many calls compute, or wait to, and how many do so at once.
#[derive(Debug)]
struct Busy {
    width: usize,
    calls: AtomicUsize,
}

/// One call; it counts until it is dropped.
struct Turn<'a>(Option<&'a Busy>);

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        if let Some(busy) = self.0 {
            busy.calls.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

impl Compute {
    /// A call that may wait for others.
    fn turn(&self) -> Turn<'_> {
        if let Some(busy) = &self.busy {
            busy.calls.fetch_add(1, Ordering::Relaxed);
        }
        Turn(self.busy.as_ref())
    }

    /// A call that waits for none: `None` if it would have to.
    fn turn_at_once(&self) -> Option<Turn<'_>> {
        if let Some(busy) = &self.busy {
            let less = |calls: usize| (calls < busy.width).then_some(calls + 1);
            busy.calls.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).ok()?;
        }
        Some(Turn(self.busy.as_ref()))
    }

    fn run(&self, inputs: &Tensors, outputs: Option<&[Arc<str>]>, stop: &Stop) -> Result<Tensors> {
        let _turn = self.turn();
        self.fenced(inputs, outputs, stop)
    }

    fn fenced(
        &self,
        inputs: &Tensors,
        outputs: Option<&[Arc<str>]>,
        stop: &Stop,
    ) -> Result<Tensors> {
        let mut options = InferOptions::new(stop);
        if let Some(outputs) = outputs {
            options = options.with_outputs(outputs);
        }
        // A session is `&self` and must bear concurrent calls; one that panicked is run again as
        // one that returned an error would be.
        let ran = catch_unwind(AssertUnwindSafe(|| self.session.run(inputs, &options)));
        ran.unwrap_or_else(|_| {
            self.panics.fetch_add(1, Ordering::Relaxed);
            // What it said may quote an input, so it stays with the host's panic hook.
            Err(Error::internal(format!("{} panicked", self.label)))
        })
    }

    /// How long a call takes; the fastest of a few, since others use the machine too.
    fn time(&self, inputs: &Tensors, stop: &Stop, enough: Duration) -> Result<Duration> {
        const TIMES: usize = 5;
        let mut fastest = Duration::MAX;
        for _ in 0..TIMES {
            let began = Instant::now();
            self.run(inputs, None, stop)?;
            fastest = fastest.min(began.elapsed());
            // Far over: once more would only keep the host waiting.
            if fastest > enough.saturating_mul(4) {
                break;
            }
        }
        Ok(fastest)
    }
}
