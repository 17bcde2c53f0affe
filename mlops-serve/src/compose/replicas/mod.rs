//! Several of the same model, each with its share of the load.

mod circuit;
mod config;

pub use config::ReplicasConfig;

use super::arm;
use async_trait::async_trait;
use circuit::State;
use futures_util::FutureExt;
use mlops_core::{
    Clock, Error, ErrorKind, Predictor, Result, ResultExt, SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::{
    fmt,
    panic::AssertUnwindSafe,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// Gives each request to the replica that has the fewest to answer: one that is faster gets more.
///
/// # Behavior
/// - of replicas with equally many requests to answer, the next in turn gets it
/// - one that says that it is not ready is passed over until it is asked again
/// - one that has failed so many times in a row is left alone until its cool-down is over, then one
///   request tries it; where every replica that is ready is left alone, they are asked all the same
/// - a request that a replica is `Unavailable` for goes to another one, each at most once
/// - a request that is dropped, fails or panics counts no longer as one to answer
/// - answers are the replica's own, version included, and so is the name unless there is [another](Self::named)
/// - it is ready when one replica is
pub struct Replicas {
    all: Vec<Arc<dyn Predictor>>,
    /// Another than the replicas'.
    name: Option<Arc<str>>,
    config: ReplicasConfig,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
    merged: Mutex<Option<Merged>>,
}

/// What `info` said last, and of what.
struct Merged {
    of: Vec<Arc<PredictorInfo>>,
    at: usize,
    info: Arc<PredictorInfo>,
}

impl Replicas {
    /// `InvalidInput` if there is none, or if one differs from the first in name or signature.
    pub fn new(replicas: Vec<Arc<dyn Predictor>>, config: ReplicasConfig) -> Result<Self> {
        let name = replicas.first().map(|first| Arc::clone(&first.info().name));
        for (number, replica) in (1..).zip(&replicas) {
            if name.as_ref().is_some_and(|name| *name != replica.info().name) {
                return Err(differs(number, "name"));
            }
        }
        Self::of(None, replicas, config)
    }

    /// The same under a name of its own, of replicas that each have another: two servers', or two
    /// definitions of one file. `InvalidInput` as for [`new`](Self::new), but for the names.
    pub fn named(
        name: impl Into<Arc<str>>,
        replicas: Vec<Arc<dyn Predictor>>,
        config: ReplicasConfig,
    ) -> Result<Self> {
        Self::of(Some(name.into()), replicas, config)
    }

    fn of(
        name: Option<Arc<str>>,
        all: Vec<Arc<dyn Predictor>>,
        config: ReplicasConfig,
    ) -> Result<Self> {
        let Some(first) = all.first().map(Predictor::info) else {
            return Err(Error::invalid("replicas: there is none"));
        };
        for (number, replica) in (1..).zip(&all) {
            if replica.info().signature != first.signature {
                return Err(differs(number, "signature"));
            }
        }
        let state = Mutex::new(State::new(all.len()));
        let clock = Arc::new(SystemClock);
        Ok(Self { all, name, config, clock, state, merged: Mutex::default() })
    }

    /// Takes time from here.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many requests each replica has to answer now.
    pub fn outstanding(&self) -> Vec<usize> {
        self.state().outstanding().collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Counts only: half a change breaks nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the next replica that has not been tried.
    fn begin(&self, tried: &[usize]) -> Option<Turn<'_>> {
        let now = self.clock.instant();
        let at = self.state().begin(tried, now, &self.config)?;
        Some(Turn { replicas: self, at, outcome: None })
    }

    /// What it says of itself, or said not long ago.
    async fn is_ready(&self, at: usize) -> bool {
        if !self.state().is_due(at, self.clock.instant(), &self.config) {
            return true;
        }
        let asking = AssertUnwindSafe(async { self.all[at].ready().await }).catch_unwind();
        let ready = matches!(asking.await, Ok(Ok(())));
        self.state().said(at, ready);
        ready
    }

    async fn ask(&self, mut turn: Turn<'_>, request: PredictRequest) -> Result<PredictResponse> {
        let label = format_args!("replica {}", turn.at + 1).to_string();
        let result = arm::call(&*self.all[turn.at], &label, request).await;
        turn.outcome = match &result {
            Ok(_) => Some(true),
            Err(error) if self.config.kinds.contains(&error.kind()) => Some(false),
            Err(_) => None,
        };
        let mut response = result.context(|| label)?;
        if let Some(name) = &self.name {
            response.model = Arc::clone(name);
        }
        Ok(response)
    }
}

/// A replica that is none of the same model.
fn differs(number: usize, what: &str) -> Error {
    Error::invalid(format!("replica {number} differs from the first in its {what}"))
}

/// A request that a replica has to answer, until this is dropped.
struct Turn<'a> {
    replicas: &'a Replicas,
    at: usize,
    /// Whether it went well; `None` if that says nothing of the replica.
    outcome: Option<bool>,
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        let now = self.replicas.clock.instant();
        self.replicas.state().end(self.at, self.outcome, now, &self.replicas.config);
    }
}

impl fmt::Debug for Replicas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Replicas")
            .field("replicas", &self.all)
            .field("outstanding", &self.outstanding())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Predictor for Replicas {
    /// The width is that of all together, the most rows what all take; the rest is what the replica
    /// says that is next.
    fn info(&self) -> Arc<PredictorInfo> {
        let infos: Vec<_> = self.all.iter().map(Predictor::info).collect();
        let next = self.state().next(&[], self.clock.instant(), &self.config);
        let at = next.unwrap_or(0);
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(Merged { of, at: last, info }) = &*merged
            && *last == at
            && of.iter().zip(&infos).all(|(old, new)| Arc::ptr_eq(old, new))
        {
            return Arc::clone(info);
        }
        let mut info = PredictorInfo::clone(&infos[at]);
        if let Some(name) = &self.name {
            info.name = Arc::clone(name);
        }
        let info = info
            .with_width(arm::widths(self.all.iter()))
            .with_max_rows(arm::max_rows(self.all.iter()));
        let info = Arc::new(info);
        *merged = Some(Merged { of: infos, at, info: Arc::clone(&info) });
        info
    }

    async fn ready(&self) -> Result<()> {
        let mut last = Ok(());
        for (number, replica) in (1..).zip(&self.all) {
            last = replica.ready().await.context(|| format!("replica {number}"));
            if last.is_ok() {
                break;
            }
        }
        last
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let (mut tried, mut last) = (Vec::new(), None);
        while let Some(turn) = self.begin(&tried) {
            let at = turn.at;
            tried.push(at);
            if !self.is_ready(at).await {
                continue;
            }
            if tried.len() == self.all.len() {
                return self.ask(turn, request).await;
            }
            match self.ask(turn, request.clone()).await {
                Err(error) if error.kind() == ErrorKind::Unavailable => last = Some(error),
                answered => return answered,
            }
        }
        Err(last.unwrap_or_else(|| Error::unavailable("no replica is ready")))
    }
}
