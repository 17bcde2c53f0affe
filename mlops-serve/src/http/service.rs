//! What the router is made of: models by name, where outcomes go, and what is said of health.

use super::{
    HttpConfig, HttpCounters, RateLimit,
    access::Limiter,
    body::Budget,
    invocations,
    loading::{Loading, LoadingConfig, ModelLoader},
    routes,
    statistics::Tally,
};
use axum::Router;
use mlops_core::{
    Clock, Error, Predictor, Result, SystemClock, auth::Authenticator, inference_log::OutcomeLog,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// What a model's health answers say beside ready or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ModelStatus {
    /// Whether it answers from what it last knew, because what it follows is away.
    pub stale: bool,
    /// Why, in words for an operator; nothing private.
    pub reason: Option<String>,
}

impl ModelStatus {
    /// Up to date.
    pub fn fresh() -> Self {
        Self::default()
    }

    /// Answering from what it last knew.
    pub fn stale(reason: impl Into<String>) -> Self {
        Self { stale: true, reason: Some(reason.into()) }
    }
}

/// Where a model's [`ModelStatus`] comes from. Asked at each health request: cheap, non-blocking.
///
/// Any closure is one.
pub trait HealthSource: Send + Sync {
    /// How it is now.
    fn status(&self) -> ModelStatus;
}

impl<F: Fn() -> ModelStatus + Send + Sync> HealthSource for F {
    fn status(&self) -> ModelStatus {
        self()
    }
}

/// Collects what a router serves.
///
/// ```
/// use mlops_core::{signature::ModelSignature, testing::FnPredictor};
/// use mlops_serve::http::{HttpConfig, ModelStatus, Service};
///
/// let model = FnPredictor::new("risk", ModelSignature::default(), |inputs| Ok(inputs.clone()));
/// let router = Service::new()
///     .with_model(model)
///     .with_status("risk", ModelStatus::fresh)
///     .with_config(HttpConfig::default().with_max_body_bytes(1 << 20))
///     .into_router();
/// let app: axum::Router = axum::Router::new().nest("/ml", router);
/// ```
#[derive(Clone)]
pub struct Service {
    pub(super) models: BTreeMap<Arc<str>, Arc<dyn Predictor>>,
    pub(super) loading: Option<Arc<Loading>>,
    statuses: BTreeMap<Arc<str>, Arc<dyn HealthSource>>,
    invocations: Option<Arc<str>>,
    hosting: bool,
    starting: bool,
    outcomes: Option<Arc<dyn OutcomeLog>>,
    outcomes_of: BTreeMap<Arc<str>, Arc<dyn OutcomeLog>>,
    pub(super) authenticator: Option<Arc<dyn Authenticator>>,
    pub(super) limiter: Option<Arc<Limiter>>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) config: HttpConfig,
    pub(crate) budget: Arc<Budget>,
    pub(crate) counters: Arc<HttpCounters>,
    pub(super) tallies: BTreeMap<Arc<str>, Arc<Tally>>,
}

impl Default for Service {
    fn default() -> Self {
        Self::new()
    }
}

impl Service {
    /// No models: alive, and not ready.
    pub fn new() -> Self {
        let config = HttpConfig::default();
        Self {
            models: BTreeMap::new(),
            loading: None,
            statuses: BTreeMap::new(),
            invocations: None,
            hosting: false,
            starting: false,
            outcomes: None,
            outcomes_of: BTreeMap::new(),
            authenticator: None,
            limiter: None,
            clock: Arc::new(SystemClock),
            budget: Arc::new(Budget::new(config.max_bytes_in_flight)),
            config,
            counters: Arc::default(),
            tallies: BTreeMap::new(),
        }
    }

    /// Serves this under the name that its `info` gives now; a model already there is replaced.
    #[must_use]
    pub fn with_model(self, model: impl Predictor + 'static) -> Self {
        let name = Arc::clone(&model.info().name);
        self.with_named(name, model)
    }

    /// Serves this under another name: an endpoint has its own, whatever model answers in it.
    #[must_use]
    pub fn with_named(
        mut self,
        name: impl Into<Arc<str>>,
        model: impl Predictor + 'static,
    ) -> Self {
        let name = name.into();
        self.tallies.insert(Arc::clone(&name), Arc::default());
        self.models.insert(name, Arc::new(model));
        self
    }

    /// Answers `POST /invocations`, `GET /ping`, `/health` and `/version` for the model of this name,
    /// as MLflow's scoring server and `SageMaker`'s containers do.
    ///
    /// # Behavior
    /// - `application/json` holds one of `dataframe_split`, `dataframe_records`, `instances` and
    ///   `inputs`, and perhaps `params`; `text/csv` a table with a head; with the feature `data`
    ///   `application/vnd.apache.parquet` (or `application/x-parquet`) a Parquet file that becomes no
    ///   more than [`max_body_bytes`](HttpConfig::max_body_bytes)
    /// - columns that the model does not take are left out; missing ones are named
    /// - an error is `{"error_code": "…", "message": "…"}`, with neither inputs nor stack traces
    #[must_use]
    pub fn with_invocations(mut self, model: impl Into<Arc<str>>) -> Self {
        self.invocations = Some(model.into());
        self
    }

    /// Answers for every model, in the forms of [`with_invocations`](Self::with_invocations), as
    /// `SageMaker`'s multi-model endpoints are asked.
    ///
    /// # Behavior
    /// - `POST /models/{name}/invoke` asks that model; `POST /invocations` the one that the header
    ///   `X-Amzn-SageMaker-Target-Model` names, or, without the header, that of `with_invocations`
    /// - `GET /models` and `/models/{name}` say what is there
    /// - with a [loader](Self::with_loader) `POST /models` loads `{"model_name": …, "url": …}`: 409 if
    ///   it is there already, 507 where there is no room; `DELETE /models/{name}` takes it out
    #[must_use]
    pub fn with_hosting(mut self) -> Self {
        self.hosting = true;
        self
    }

    /// Lets callers load and unload models while the server runs: by Triton's
    /// `/v2/repository/models/{name}/load` and `/unload`, and by [`with_hosting`](Self::with_hosting)'s
    /// routes. Models that were there from the start stay. Where there is an
    /// [authenticator](Self::with_authenticator) only callers of the role [`ADMIN`](super::ADMIN) may, or of
    /// the one that the configuration names.
    ///
    /// A server that loads models is ready without any.
    #[must_use]
    pub fn with_loader(mut self, loader: Arc<dyn ModelLoader>, config: LoadingConfig) -> Self {
        self.loading = Some(Arc::new(Loading::new(loader, config)));
        self
    }

    /// Keeps outcomes here; without a log their route answers 501.
    #[must_use]
    pub fn with_outcomes(mut self, log: Arc<dyn OutcomeLog>) -> Self {
        self.outcomes = Some(log);
        self
    }

    /// Keeps the outcomes of the model of this name here, whatever holds for the others.
    #[must_use]
    pub fn with_outcomes_of(
        mut self,
        model: impl Into<Arc<str>>,
        log: Arc<dyn OutcomeLog>,
    ) -> Self {
        self.outcomes_of.insert(model.into(), log);
        self
    }

    /// Asks this about the health of the model of this name.
    #[must_use]
    pub fn with_status(
        mut self,
        model: impl Into<Arc<str>>,
        source: impl HealthSource + 'static,
    ) -> Self {
        self.statuses.insert(model.into(), Arc::new(source));
        self
    }

    /// Asks everybody for credentials but who asks for health: the header `Authorization`, or
    /// `X-API-Key`, which is a bearer's token. [`ApiKeys`](super::ApiKeys) is one.
    ///
    /// It is asked on the task of each request, and so must not take long.
    #[must_use]
    pub fn with_authenticator(mut self, authenticator: Arc<dyn Authenticator>) -> Self {
        self.authenticator = Some(authenticator);
        self
    }

    /// Refuses who asks too often: 429, with `Retry-After`. What asks for health is not counted.
    #[must_use]
    pub fn with_rate_limit(mut self, limit: RateLimit) -> Self {
        self.limiter = Some(Arc::new(Limiter::new(limit)));
        self
    }

    /// Takes the time for deadlines and rates from here.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets bounds and names.
    #[must_use]
    pub fn with_config(mut self, config: HttpConfig) -> Self {
        self.budget = Arc::new(Budget::new(config.max_bytes_in_flight));
        self.config = config;
        self
    }

    /// What the router counts; stays readable once the router is made.
    pub fn counters(&self) -> Arc<HttpCounters> {
        Arc::clone(&self.counters)
    }

    /// What answers until the models of this one are loaded, with the same counters, limits and callers: alive
    /// and not ready, and whatever model is asked for is `Unavailable`, as it may be there soon.
    #[must_use]
    pub fn starting(&self) -> Self {
        let mut starting = self.clone();
        starting.models.clear();
        starting.loading = None;
        starting.starting = true;
        starting
    }

    /// The router: routes below `/v2`, and those of [`with_invocations`](Self::with_invocations); no
    /// fallback, no state left to give.
    pub fn into_router(self) -> Router {
        let (scored, hosting) = (self.invocations.clone(), self.hosting);
        let service = Arc::new(self);
        let router = routes::router(&service);
        if scored.is_none() && !hosting {
            return router;
        }
        router.merge(invocations::router(service, scored, hosting))
    }

    /// The model of this name and, if one is asked for, of this version.
    pub(crate) fn model(&self, name: &str, version: Option<&str>) -> Result<Arc<dyn Predictor>> {
        let loaded = || self.loading.as_ref()?.model(name);
        let model = self.models.get(name).cloned().or_else(loaded);
        let model = model.ok_or_else(|| self.missing(name))?;
        match version {
            Some(version) if *version != *model.info().version => Err(Error::not_found(format!(
                "model {name:?} has no version {} here",
                shown(version)
            ))),
            _ => Ok(model),
        }
    }

    fn missing(&self, name: &str) -> Error {
        let unknown = || Error::not_found(format!("there is no model {}", shown(name)));
        self.not_yet().err().unwrap_or_else(unknown)
    }

    /// `Unavailable` while models are loaded, for who asks what there is.
    pub(crate) fn not_yet(&self) -> Result<()> {
        if self.starting {
            return Err(Error::unavailable("models are still loaded here"));
        }
        Ok(())
    }

    /// Every model that is there now, by name.
    pub(crate) fn all(&self) -> Vec<(Arc<str>, Arc<dyn Predictor>)> {
        let own = self.models.iter().map(|(name, model)| (Arc::clone(name), Arc::clone(model)));
        let mut all: Vec<_> = own.collect();
        if let Some(loading) = &self.loading {
            all.extend(loading.all());
            all.sort_by(|(a, _), (b, _)| a.cmp(b));
        }
        all
    }

    /// Whether there are the routes of MLflow's scoring server, and those by name.
    pub(super) fn scores(&self) -> (bool, bool) {
        (self.invocations.is_some(), self.hosting)
    }

    /// Whether having no model is no reason not to be ready.
    pub(crate) fn may_be_empty(&self) -> bool {
        self.loading.is_some()
    }

    /// `Conflict` for a model that was there from the start: callers neither replace nor remove it.
    pub(crate) fn refuse_own(&self, name: &str) -> Result<()> {
        if self.models.contains_key(name) {
            let message = format!("model {} is there from the start, and stays", shown(name));
            return Err(Error::conflict(message));
        }
        Ok(())
    }

    /// Where the outcomes of the model of this name go.
    pub(super) fn outcomes(&self, name: &str) -> Result<&Arc<dyn OutcomeLog>> {
        let log = self.outcomes_of.get(name).or(self.outcomes.as_ref());
        log.ok_or_else(|| Error::unsupported("this server keeps no outcomes"))
    }

    pub(super) fn status(&self, name: &str) -> ModelStatus {
        self.statuses.get(name).map(|source| source.status()).unwrap_or_default()
    }
}

/// A caller's name, quoted, and no longer than a line.
fn shown(name: &str) -> String {
    let short: String = name.chars().take(100).collect();
    if short.len() == name.len() { format!("{name:?}") } else { format!("{short:?}…") }
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (models, outcomes) = (self.models.keys(), self.outcomes_of.keys());
        f.debug_struct("Service")
            .field("models", &models.collect::<Vec<_>>())
            .field("loading", &self.loading)
            .field("outcomes", &self.outcomes.is_some())
            .field("outcomes_of", &outcomes.collect::<Vec<_>>())
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}
