//! What a remote predictor does on its own thread: ask, wait, ask again.

use super::{
    config::RemoteConfig,
    failure::{Again, Failure},
    grpc, has_rows, rest,
    transport::Transport,
};
use crate::{
    breaker::Breaker,
    http::oip::{Answered, Described},
    rollout::endpoint::check_compatible,
};
use mlops_core::{
    Clock, Digest, Error, ErrorKind, IdSource, Result, ResultExt,
    predictor::{PredictRequest, PredictorInfo},
    signature::ModelSignature,
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::{Semaphore, SemaphorePermit};

/// A server and a model, and how it has gone of late.
pub(super) struct Asker {
    pub(super) config: RemoteConfig,
    pub(super) transport: Transport,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<dyn IdSource>,
    binary: AtomicBool,
    /// Whether the last failure said when to ask again.
    later: AtomicBool,
    known: Mutex<Known>,
    /// Held by whoever asks what the model is.
    describing: tokio::sync::Mutex<()>,
    breaker: Mutex<Breaker>,
    turns: Semaphore,
    waiting: AtomicUsize,
    pub(super) counts: Counts,
}

/// What the server last said of the model.
#[derive(Clone)]
pub(super) struct Known {
    pub(super) info: Arc<PredictorInfo>,
    signature: Arc<ModelSignature>,
    /// When it said so.
    at: Option<Instant>,
}

impl Known {
    /// Whether the server has said nothing yet.
    pub(super) fn is_assumed(&self) -> bool {
        self.at.is_none()
    }
}

/// So soon after it said what the model is the server is not asked again.
const FRESH: Duration = Duration::from_secs(1);
/// Between two questions to a server that is starting.
const PAUSE: Duration = Duration::from_millis(500);

#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) sent: AtomicU64,
    pub(super) again: AtomicU64,
    pub(super) left_alone: AtomicU64,
}

impl Asker {
    pub(super) fn new(
        config: RemoteConfig,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Self> {
        let turns = config.max_in_flight.clamp(1, Semaphore::MAX_PERMITS);
        let signature = ModelSignature::default();
        let info = PredictorInfo::new(Arc::clone(&config.model), "unknown", signature.clone());
        let known = Known { info: Arc::new(info), signature: Arc::new(signature), at: None };
        Ok(Self {
            transport: Transport::new(&config)?,
            config,
            clock,
            ids,
            binary: AtomicBool::new(false),
            later: AtomicBool::new(false),
            known: Mutex::new(known),
            describing: tokio::sync::Mutex::default(),
            breaker: Mutex::default(),
            turns: Semaphore::new(turns),
            waiting: AtomicUsize::new(0),
            counts: Counts::default(),
        })
    }

    /// What was last known.
    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn keep(&self, info: PredictorInfo, at: Option<Instant>) {
        let signature = Arc::new(info.signature.clone());
        let known = Known { info: Arc::new(info), signature, at };
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// Asks the server what the model is now, and keeps it.
    pub(super) async fn describe(&self) -> Result<()> {
        let deadline = self.clock.instant().checked_add(self.config.timeout);
        let described = self.again_and_again(deadline, true, |_| async {
            let Self { transport, config, .. } = self;
            if transport.address.is_grpc {
                let described = grpc::describe(transport, config).await?;
                return Ok((described, true, grpc::most_rows(transport, config).await?));
            }
            let (described, binary) = rest::describe(transport, config).await?;
            Ok((described, binary, rest::most_rows(transport, config).await?))
        });
        let (described, binary, most_rows) = described.await?;
        self.binary.store(binary, Ordering::Relaxed);
        let info = info(&self.config, described)?;
        let most_rows = most_rows.filter(|_| has_rows(&info.signature));
        self.keep(info.with_max_rows(most_rows), Some(self.clock.instant()));
        Ok(())
    }

    /// The same, of a server that perhaps has only begun: one that says when to ask again is asked again for as
    /// long as it may take to answer.
    pub(super) async fn describe_patiently(&self) -> Result<()> {
        let deadline = self.clock.instant().checked_add(self.config.timeout);
        loop {
            let Err(error) = self.describe().await else { return Ok(()) };
            let is_later =
                error.kind() == ErrorKind::Unavailable && self.later.load(Ordering::Relaxed);
            if !is_later || self.left(deadline) <= PAUSE {
                return Err(error);
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Takes the configuration's word for what the model is, until the server has answered.
    pub(super) fn assume(&self) -> Result<()> {
        let (name, signature) = (Arc::clone(&self.config.model), ModelSignature::default());
        let silent = Described { name, versions: Vec::new(), signature };
        self.binary.store(self.config.binary == Some(true), Ordering::Relaxed);
        self.keep(info(&self.config, silent)?, None);
        Ok(())
    }

    /// An answer was not of the model as it is known: asks what it is now, unless that was done just now.
    pub(super) async fn changed(&self, version: Option<&Arc<str>>) {
        let _only = self.describing.lock().await;
        let now = self.clock.instant();
        let known = self.known();
        if known.at.is_none_or(|at| now.saturating_duration_since(at) >= FRESH)
            && let Err(error) = self.describe().await
        {
            tracing::warn!(model = %self.config.model, %error, "it is not known what the model takes now");
            self.keep(PredictorInfo::clone(&known.info), Some(now));
        }
        // Of several versions that are there the server chose this one.
        let known = self.known();
        if let Some(version) = version.filter(|version| **version != known.info.version) {
            let mut info = PredictorInfo::clone(&known.info);
            info.version = Arc::clone(version);
            self.keep(info, known.at);
        }
    }

    /// Asks the model; once more where that is safe.
    pub(super) async fn ask(&self, known: &Known, request: &PredictRequest) -> Result<Answered> {
        let own = self.clock.instant().checked_add(self.config.timeout);
        let deadline = [own, request.deadline].into_iter().flatten().min();
        // Whoever gives less time than we would have the server take learns nothing of the server.
        let patient = own.is_some() && own == deadline;
        let binary = self.binary.load(Ordering::Relaxed);
        let _turn = within(self.left(deadline), self.turn()).await?;
        self.again_and_again(deadline, patient, |left| async move {
            let Self { transport, config, .. } = self;
            if transport.address.is_grpc {
                grpc::infer(transport, config, request, (&known.signature, left)).await
            } else {
                rest::infer(transport, config, request, (&known.signature, binary, left)).await
            }
        })
        .await
    }

    /// Asks once whether the model is ready.
    pub(super) async fn ready(&self) -> Result<()> {
        if self.breaker().is_left_alone(self.clock.instant()) {
            return Err(left_alone());
        }
        let asking = async {
            let Self { transport, config, .. } = self;
            if transport.address.is_grpc {
                grpc::ready(transport, config).await
            } else {
                rest::ready(transport, config).await
            }
        };
        let unready = |failure: Failure| {
            let message = format!("model {:?}: {}", self.config.model, failure.error.message());
            Error::unavailable(message).with_source(failure.error)
        };
        within(self.config.timeout, async { asking.await.map_err(unready) }).await
    }

    /// A place among those that the server has to answer; who finds too many before it gets none.
    async fn turn(&self) -> Result<SemaphorePermit<'_>> {
        if let Ok(turn) = self.turns.try_acquire() {
            return Ok(turn);
        }
        let waiting = Waiting(&self.waiting);
        if self.waiting.fetch_add(1, Ordering::Relaxed) >= self.config.queue {
            drop(waiting);
            let what = "too many requests wait for the server's answers";
            return Err(Error::new(ErrorKind::Overloaded, what));
        }
        let turn = self.turns.acquire().await;
        turn.map_err(|_| Error::internal("the turns of a remote model are over"))
    }

    /// Does it until it goes well, or must not be done again. `patient` says that the time is the
    /// server's own fault.
    async fn again_and_again<T, F>(
        &self,
        deadline: Option<Instant>,
        patient: bool,
        attempt: impl Fn(Duration) -> F,
    ) -> Result<T>
    where
        F: Future<Output = Result<T, Failure>>,
    {
        let retries = self.config.retries;
        for number in 1.. {
            let mut try_ = self.begin()?;
            let left = self.left(deadline);
            let answered = tokio::time::timeout(left, attempt(left)).await;
            let failure = match answered {
                Ok(Ok(answer)) => {
                    try_.went_well = Some(true);
                    return Ok(answer);
                }
                Ok(Err(failure)) => failure,
                Err(_) => {
                    try_.went_well = patient.then_some(false);
                    return Err(late());
                }
            };
            self.later.store(failure.after.is_some(), Ordering::Relaxed);
            try_.went_well = went_well(failure.error.kind());
            drop(try_);
            let may = match failure.again {
                Again::Never => false,
                Again::IfHarmless => retries.unanswered,
                Again::Safely => true,
            };
            let wait = self.wait(number).max(failure.after.unwrap_or_default());
            if !may || number >= retries.attempts.max(1) || wait >= self.left(deadline) {
                return Err(failure.error);
            }
            tracing::debug!(server = %self.transport.address, error = %failure.error, "asking again");
            self.counts.again.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
        }
        Err(Error::internal("there is no attempt"))
    }

    /// One attempt, unless the server is left alone.
    fn begin(&self) -> Result<Try<'_>> {
        let now = self.clock.instant();
        let mut breaker = self.breaker();
        if breaker.is_left_alone(now) {
            self.counts.left_alone.fetch_add(1, Ordering::Relaxed);
            return Err(left_alone());
        }
        breaker.begin(now);
        self.counts.sent.fetch_add(1, Ordering::Relaxed);
        Ok(Try { asker: self, went_well: None })
    }

    fn left(&self, deadline: Option<Instant>) -> Duration {
        let now = self.clock.instant();
        deadline.map_or(Duration::MAX, |deadline| deadline.saturating_duration_since(now))
    }

    /// A random part of a time that doubles with each attempt.
    fn wait(&self, number: u32) -> Duration {
        let factor = 1_u32.checked_shl(number - 1).unwrap_or(u32::MAX);
        let most = self.config.retries.base.saturating_mul(factor).min(self.config.retries.most);
        // Part of an id may be a time; a digest of all of it is evenly spread.
        let digest = Digest::of(self.ids.next(self.clock.now()).to_be_bytes());
        most.mul_f64(f64::from(digest.as_bytes()[0]) / 255.0)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a failure says of the server.
fn went_well(kind: ErrorKind) -> Option<bool> {
    match kind {
        ErrorKind::Unavailable | ErrorKind::Internal | ErrorKind::Corrupt => Some(false),
        // It was the server's own time, or somebody's on the way.
        ErrorKind::TimedOut | ErrorKind::Cancelled | ErrorKind::Overloaded => None,
        // It knows what is wrong with the request, and so it is there.
        _ => Some(true),
    }
}

/// An attempt, until this is dropped.
struct Try<'a> {
    asker: &'a Asker,
    went_well: Option<bool>,
}

impl Drop for Try<'_> {
    fn drop(&mut self) {
        let RemoteConfig { failures, cool_down, .. } = self.asker.config;
        let now = self.asker.clock.instant();
        self.asker.breaker().end(self.went_well, now, failures, cool_down);
    }
}

/// Somebody who waits for a turn, until this is dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The work's value within this time.
async fn within<T>(left: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::time::timeout(left, work).await.unwrap_or_else(|_| Err(late()))
}

fn left_alone() -> Error {
    Error::unavailable("the server has failed too often of late, and is left alone for a while")
}

fn late() -> Error {
    Error::new(ErrorKind::TimedOut, "the server did not answer in time")
}

/// What a model is to its callers here, of what its server says and what the configuration adds.
fn info(config: &RemoteConfig, described: Described) -> Result<PredictorInfo> {
    let Described { versions, signature: said, .. } = described;
    let is_silent = said.inputs.is_empty() || said.outputs.is_empty();
    let signature = match &config.signature {
        Some(own) if is_silent => own.clone(),
        Some(own) => {
            check_compatible(&as_said(own), &as_said(&said))
                .context(|| "the signature given and what the server says")?;
            own.clone()
        }
        None if is_silent => {
            return Err(Error::unsupported(
                "the server does not say what the model takes and gives: give a signature",
            ));
        }
        None => said,
    };
    let number = |version: &&Arc<str>| version.parse::<u64>().ok();
    let version = config.version.clone().or_else(|| {
        let newest = versions.iter().filter(|version| number(version).is_some()).max_by_key(number);
        newest.or(versions.last()).cloned()
    });
    let version = version.unwrap_or_else(|| "unknown".into());
    let width = config.max_in_flight.max(1);
    Ok(PredictorInfo::new(Arc::clone(&config.model), version, signature).with_width(width))
}

/// The signature as the protocol could say it.
fn as_said(own: &ModelSignature) -> ModelSignature {
    use mlops_core::tensor::DType;
    let mut said = own.clone();
    for spec in said.inputs.iter_mut().chain(&mut said.outputs) {
        spec.nullable = false;
        spec.columns.clear();
        if spec.dtype == DType::Utf8 {
            spec.dtype = DType::Bytes;
        }
    }
    said
}
