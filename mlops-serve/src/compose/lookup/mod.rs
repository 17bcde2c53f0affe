//! Features of entities that a store knows, beside what the request has.

mod config;
mod filler;
mod plan;

pub use config::{Away, LookupConfig, LookupStats, Missing};

use super::arm;
use crate::own_runtime::OwnRuntime;
use async_trait::async_trait;
use futures_util::{
    FutureExt,
    future::{self, Either},
};
use mlops_core::{
    Clock, Error, ErrorKind, OnlineStore, Predictor, Result, ResultExt, SystemClock,
    features::{FeatureView, OnlineRead, OnlineRows},
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::ModelSignature,
    tensor::Tensors,
};
use plan::Plan;
use std::{
    collections::HashMap,
    fmt,
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

/// Asks a store for features of the entities that a request names, and the model with them.
///
/// It takes the keys of the view, and of what the model takes all that the store does not give. A model
/// with one packed input is given the columns that the store has in their places; the request has the
/// others packed under the same name.
///
/// # Behavior
/// - names, types and shapes are checked against the model's signature when it is opened, and so is that
///   each rule can be followed
/// - the store is asked once for all rows of a request, and once about an entity that stands in several
/// - what is not known, is null, or is older than it may be follows the rule of its feature; an error names
///   the feature and the row, never the key
/// - a store that fails, panics or is too slow fails the request with its kind of error, or leaves all to
///   the rules: as [`Away`] says. When the request's own deadline has passed it is `TimedOut` in any case
/// - what the store gives and the view does not say is `Internal`
/// - a request of no rows asks nobody but the model
/// - answers are the model's, name and version included; id, key, deadline and parameters reach it
/// - it is ready when the model is and, unless it may be away, the store knows the view
///
/// It owns a thread for its timer, and any executor may poll it.
pub struct Lookup {
    inner: Arc<dyn Predictor>,
    store: Arc<dyn OnlineStore>,
    config: LookupConfig,
    view: Arc<FeatureView>,
    plan: Plan,
    clock: Arc<dyn Clock>,
    timer: OwnRuntime,
    counts: Counts,
    /// What `info` said last, and of what.
    merged: Mutex<Option<(Arc<PredictorInfo>, Arc<PredictorInfo>)>>,
}

#[derive(Default)]
struct Counts {
    asked: AtomicU64,
    entities: AtomicU64,
    missing: AtomicU64,
    away: AtomicU64,
}

impl Lookup {
    /// Before this model. `NotFound` if the store has no such view, `InvalidInput` names a feature that
    /// does not fit the model, or whose rule cannot be followed.
    pub async fn open(
        inner: Arc<dyn Predictor>,
        store: Arc<dyn OnlineStore>,
        config: LookupConfig,
    ) -> Result<Self> {
        let what = || format!("look-up of view {:?}", config.view);
        let view = store.view(&config.view).await.context(what)?;
        let plan = Plan::new(&inner.info().signature, &view, &config).context(what)?;
        // Keys and inputs of one name have been told apart.
        ModelSignature::new(plan.inputs.clone(), Vec::new()).context(what)?;
        let timer = OwnRuntime::start("mlops-lookup")?;
        let (clock, counts, merged) = (Arc::new(SystemClock), Counts::default(), Mutex::default());
        Ok(Self { inner, store, config, view, plan, clock, timer, counts, merged })
    }

    /// Takes the time from here, for deadlines and ages.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// What it has counted.
    pub fn stats(&self) -> LookupStats {
        let Counts { asked, entities, missing, away } = &self.counts;
        LookupStats {
            asked: asked.load(Ordering::Relaxed),
            entities: entities.load(Ordering::Relaxed),
            missing: missing.load(Ordering::Relaxed),
            away: away.load(Ordering::Relaxed),
        }
    }

    /// The features of each row of a request.
    async fn features(&self, request: &PredictRequest) -> Result<Tensors> {
        let mut keys = Tensors::new();
        for spec in &self.view.keys {
            keys.push(Arc::clone(&spec.name), request.inputs.require(&spec.name)?.clone())?;
        }
        let (firsts, places) = once(&self.view.entities(&keys)?);
        let known = match firsts.as_slice() {
            [] => self.unknown(0)?,
            _ => self.known(keys.take_rows(&firsts)?, firsts.len(), request.deadline).await?,
        };
        self.filled(&known, &places)
    }

    /// What the store knows of these entities, or that it knows nothing.
    async fn known(
        &self,
        keys: Tensors,
        count: usize,
        deadline: Option<Instant>,
    ) -> Result<OnlineRows> {
        add(&self.counts.asked, 1);
        add(&self.counts.entities, count);
        match self.read(keys, count, deadline).await {
            Err(error) if is_away(error.kind()) => {
                add(&self.counts.away, 1);
                let is_over = deadline.is_some_and(|deadline| deadline <= self.clock.instant());
                if is_over || self.config.away == Away::Fail {
                    return Err(error);
                }
                tracing::warn!(view = %self.view.name, %error, "features are not looked up");
                self.unknown(count)
            }
            answered => answered,
        }
    }

    /// Asks the store, within its time.
    async fn read(
        &self,
        keys: Tensors,
        count: usize,
        deadline: Option<Instant>,
    ) -> Result<OnlineRows> {
        let now = self.clock.instant();
        let own = now.checked_add(self.config.timeout);
        let deadline = [own, deadline].into_iter().flatten().min();
        let names = self.plan.features.iter().map(|(name, _)| Arc::clone(name));
        let question = OnlineRead::new(Arc::clone(&self.view.name), keys, names);
        let question = question.with_deadline(deadline);
        let asking = AssertUnwindSafe(async { self.store.read(question).await }).catch_unwind();
        let left = deadline.map_or(Duration::MAX, |at| at.saturating_duration_since(now));
        match future::select(pin!(asking), pin!(self.timer.sleep(left))).await {
            Either::Left((Ok(answered), _)) => self.checked(answered?, count),
            Either::Left((Err(_), _)) => Err(Error::internal("the store of features panicked")),
            Either::Right(_) => {
                let what = "the store of features did not answer in time";
                Err(Error::new(ErrorKind::TimedOut, what))
            }
        }
    }

    /// What the store gave, if it is what was asked.
    fn checked(&self, rows: OnlineRows, count: usize) -> Result<OnlineRows> {
        let wrong = |what: &str| Error::internal(format!("the store of features gave {what}"));
        if rows.times.len() != count {
            return Err(wrong("other than a row for each entity"));
        }
        for (name, _) in &self.plan.features {
            let spec = self.view.require(name)?.clone().with_nullable(true);
            let tensor = rows.features.get(name).ok_or_else(|| wrong("not all features"))?;
            if spec.check(tensor).is_err() || tensor.rows() != count {
                return Err(wrong(&format!("feature {name:?} not as its view says")));
            }
        }
        Ok(rows)
    }

    /// Nothing of so many entities.
    fn unknown(&self, count: usize) -> Result<OnlineRows> {
        let one = |some: Tensors, (name, _): &(Arc<str>, filler::Filler)| {
            let tensor = FeatureView::unknown(self.view.require(name)?, count)?;
            some.with(Arc::clone(name), tensor)
        };
        let features = self.plan.features.iter().try_fold(Tensors::new(), one)?;
        Ok(OnlineRows::new(features, vec![None; count]))
    }

    /// A row for each row of the request, whose entity stands at this place; what is not known is filled.
    fn filled(&self, known: &OnlineRows, places: &[usize]) -> Result<Tensors> {
        let now = self.clock.now();
        let is_old = |at: usize| match (known.times[at], self.config.max_age) {
            (None, _) => true,
            (Some(time), Some(age)) => now.since(time) > age,
            (Some(_), None) => false,
        };
        let old: Vec<bool> = (0..known.times.len()).map(is_old).collect();
        let mut filled = Tensors::new();
        for (name, filler) in &self.plan.features {
            let tensor = known.features.require(name)?;
            let (width, nulls) = (tensor.row_len(), tensor.nulls());
            let is_null = |row: usize| {
                nulls.is_some_and(|nulls| {
                    (row * width..(row + 1) * width).any(|at| nulls.is_null(at))
                })
            };
            let there = |&at: &usize| (!old[at] && !is_null(at)).then_some(at);
            let places: Vec<Option<usize>> = places.iter().map(there).collect();
            add(&self.counts.missing, places.iter().filter(|place| place.is_none()).count());
            if filler.is_none()
                && let Some(row) = places.iter().position(Option::is_none)
            {
                let view = &self.view.name;
                let what = format!("feature {name:?} of view {view:?} is not known for row {row}");
                return Err(Error::not_found(what));
            }
            let tensor = filler.fill(tensor, &places)?;
            filled.push(Arc::clone(name), tensor)?;
        }
        Ok(filled)
    }
}

/// The first row of each entity, and for each row the place of its entity among them.
fn once(entities: &[Vec<u8>]) -> (Vec<usize>, Vec<usize>) {
    let (mut firsts, mut seen) = (Vec::new(), HashMap::with_capacity(entities.len()));
    let places = entities.iter().enumerate().map(|(row, entity)| {
        *seen.entry(entity).or_insert_with(|| {
            firsts.push(row);
            firsts.len() - 1
        })
    });
    let places = places.collect();
    (firsts, places)
}

/// Whether an error says that the store cannot be asked, and not that the question is wrong.
fn is_away(kind: ErrorKind) -> bool {
    use ErrorKind::{Cancelled, Corrupt, Internal, Overloaded, TimedOut, Unavailable};
    matches!(kind, Cancelled | Corrupt | Internal | Overloaded | TimedOut | Unavailable)
}

fn add(counter: &AtomicU64, more: usize) {
    counter.fetch_add(more as u64, Ordering::Relaxed);
}

impl fmt::Debug for Lookup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lookup")
            .field("view", &self.view.name)
            .field("inner", &self.inner)
            .field("store", &self.store)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Predictor for Lookup {
    /// The model's, but for what it takes.
    fn info(&self) -> Arc<PredictorInfo> {
        let inner = self.inner.info();
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((of, info)) = &*merged
            && Arc::ptr_eq(of, &inner)
        {
            return Arc::clone(info);
        }
        let mut info = PredictorInfo::clone(&inner);
        info.signature.inputs.clone_from(&self.plan.inputs);
        let info = Arc::new(info);
        *merged = Some((inner, Arc::clone(&info)));
        info
    }

    async fn ready(&self) -> Result<()> {
        if self.config.away == Away::Fail {
            self.store
                .view(&self.config.view)
                .await
                .map(drop)
                .context(|| "the store of features")?;
        }
        self.inner.ready().await
    }

    async fn predict(&self, mut request: PredictRequest) -> Result<PredictResponse> {
        self.info().check_by(&request, || self.clock.instant())?;
        let features = self.features(&request).await?;
        request.inputs = self.plan.inputs(&request.inputs, &features)?;
        arm::call(&*self.inner, "the model behind a look-up", request).await
    }
}
