//! Everything that answers: a local session, a batcher, a chain, a split, an endpoint, a remote server.

use crate::{Error, PredictionId, Result, signature::ModelSignature, tensor::Tensors};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fmt::Debug,
    pin::Pin,
    sync::Arc,
    time::{Duration, Instant},
};

type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Answers requests.
///
/// The suite is `conformance::predictor`: each bullet below is one check.
#[async_trait]
pub trait Predictor: Debug + Send + Sync {
    /// What answers now. Owned: an endpoint may swap behind it.
    ///
    /// # Behavior
    /// - names the model and the version that a response to the next request carries
    /// - `width` is at least 1
    fn info(&self) -> Arc<PredictorInfo>;

    /// Ok only if a request sent now would be answered.
    ///
    /// # Behavior
    /// - after `ready` is Ok, a valid request is answered
    async fn ready(&self) -> Result<()>;

    /// Answers one request, of one row or many. Dropping the future abandons the work.
    ///
    /// # Behavior
    /// - gives the outputs of the signature, in its order, each of its type and shape, as many rows as the inputs
    /// - with `outputs`, gives exactly those, in the order asked
    /// - echoes `id`; names a `prediction` that no other answer has
    /// - carries the model and version that computed it
    /// - the same inputs give the same bits, alone or beside other requests
    /// - a missing, unknown, wrongly typed or wrongly shaped input is `InvalidInput` and is named
    /// - an unknown output is `InvalidInput` and is named
    /// - a deadline that has passed is `TimedOut`
    /// - a bad request leaves the next good one unharmed
    /// - zero rows give zero rows
    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse>;

    /// Answers now, on the calling thread, where nothing has to be waited for; `None` leaves the request as it
    /// was. Whoever asks from inside of another predictor is spared a future, which costs as much as a small
    /// model; none has to offer it.
    ///
    /// # Behavior
    /// - gives what `predict` gives, or nothing
    fn predict_at_once(&self, request: &mut PredictRequest) -> Option<Result<PredictResponse>> {
        let _ = request;
        None
    }
}

// What `async_trait` would write, without a future around the future, which costs an allocation.
impl<P: Predictor + ?Sized> Predictor for Arc<P> {
    fn info(&self) -> Arc<PredictorInfo> {
        (**self).info()
    }
    fn ready<'a, 'f>(&'a self) -> BoxFuture<'f, Result<()>>
    where
        'a: 'f,
        Self: 'f,
    {
        (**self).ready()
    }
    fn predict<'a, 'f>(&'a self, request: PredictRequest) -> BoxFuture<'f, Result<PredictResponse>>
    where
        'a: 'f,
        Self: 'f,
    {
        (**self).predict(request)
    }
    fn predict_at_once(&self, request: &mut PredictRequest) -> Option<Result<PredictResponse>> {
        (**self).predict_at_once(request)
    }
}

/// What a predictor says of itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PredictorInfo {
    /// The model.
    pub name: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// What it takes and gives.
    pub signature: ModelSignature,
    /// How many calls make progress at the same time; a batcher holds back the rest.
    pub width: usize,
    /// The most rows that one request may have.
    pub max_rows: Option<usize>,
}

impl PredictorInfo {
    /// One call at a time, any number of rows.
    pub fn new(
        name: impl Into<Arc<str>>,
        version: impl Into<Arc<str>>,
        signature: ModelSignature,
    ) -> Self {
        Self { name: name.into(), version: version.into(), signature, width: 1, max_rows: None }
    }

    /// How many calls make progress at the same time.
    #[must_use]
    pub fn with_width(mut self, width: usize) -> Self {
        self.width = width.max(1);
        self
    }

    /// The most rows that one request may have.
    #[must_use]
    pub fn with_max_rows(mut self, max_rows: Option<usize>) -> Self {
        self.max_rows = max_rows;
        self
    }

    /// What every predictor checks before it computes: inputs, outputs, rows and the deadline.
    pub fn check(&self, request: &PredictRequest, now: Instant) -> Result<()> {
        self.check_by(request, || now)
    }

    /// As [`check`](Self::check); the time is asked for only if the request has a deadline.
    pub fn check_by(&self, request: &PredictRequest, now: impl FnOnce() -> Instant) -> Result<()> {
        self.signature.check_inputs(&request.inputs)?;
        self.signature.check_outputs(request.outputs.as_deref().unwrap_or_default())?;
        if let Some(max) = self.max_rows
            && request.inputs.rows()? > max
        {
            return Err(Error::too_large(format!(
                "model {:?} takes at most {max} rows",
                self.name
            )));
        }
        match request.deadline {
            Some(deadline) if deadline <= now() => Err(Error::new(
                crate::ErrorKind::TimedOut,
                format!("the deadline of a request to model {:?} has passed", self.name),
            )),
            _ => Ok(()),
        }
    }
}

/// Named values that travel beside tensors.
pub type Parameters = BTreeMap<String, Parameter>;

/// One value of [`Parameters`]: what the Open Inference Protocol allows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Parameter {
    /// True or false.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
}

/// A question.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct PredictRequest {
    /// The caller's own id, echoed.
    pub id: Option<Arc<str>>,
    /// The tensors that the signature names.
    pub inputs: Tensors,
    /// The outputs wanted; all if `None`.
    pub outputs: Option<Vec<Arc<str>>>,
    /// Named values that travel beside the tensors.
    pub parameters: Option<Arc<Parameters>>,
    /// The caller's business key: keeps one caller on one arm, joins late outcomes that know no prediction id.
    pub key: Option<Arc<str>>,
    /// After this the answer is worth nothing.
    pub deadline: Option<Instant>,
    /// 0 is ordinary; higher goes first.
    pub priority: u8,
}

impl PredictRequest {
    /// A request for all outputs.
    pub fn new(inputs: Tensors) -> Self {
        Self { inputs, ..Self::default() }
    }

    /// Sets the caller's own id.
    #[must_use]
    pub fn with_id(mut self, id: impl Into<Arc<str>>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Asks for these outputs only.
    #[must_use]
    pub fn with_outputs<S: Into<Arc<str>>>(mut self, outputs: impl IntoIterator<Item = S>) -> Self {
        self.outputs = Some(outputs.into_iter().map(Into::into).collect());
        self
    }

    /// Sets the caller's business key.
    #[must_use]
    pub fn with_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// Sets the deadline.
    #[must_use]
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }
}

/// An answer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PredictResponse {
    /// Names this answer for ever: outcomes, the inference log and `mlops why` refer to it.
    pub prediction: PredictionId,
    /// The caller's own id, echoed.
    pub id: Option<Arc<str>>,
    /// The model that answered.
    pub model: Arc<str>,
    /// Its version.
    pub version: Arc<str>,
    /// The arm of a split, canary or ensemble that answered.
    pub arm: Option<Arc<str>>,
    /// The tensors that the signature names, or those asked for.
    pub outputs: Tensors,
    /// Named values that travel beside the tensors.
    pub parameters: Option<Arc<Parameters>>,
}

impl PredictResponse {
    /// The answer of what `info` describes to this request.
    pub fn new(
        prediction: PredictionId,
        info: &PredictorInfo,
        request: &PredictRequest,
        outputs: Tensors,
    ) -> Self {
        let (model, version) = (Arc::clone(&info.name), Arc::clone(&info.version));
        let id = request.id.clone();
        Self { prediction, id, model, version, arm: None, outputs, parameters: None }
    }
}

/// Sees every answer. Runs on the request's task: bounded, non-blocking, infallible.
pub trait Observer: Debug + Send + Sync {
    /// Called once for each request that reached the predictor, with how long it took.
    fn observe(
        &self,
        request: &PredictRequest,
        result: Result<&PredictResponse, &Error>,
        took: Duration,
    );
}

impl<O: Observer + ?Sized> Observer for Arc<O> {
    fn observe(
        &self,
        request: &PredictRequest,
        result: Result<&PredictResponse, &Error>,
        took: Duration,
    ) {
        (**self).observe(request, result, took);
    }
}

/// Says why a predictor answered as it did: one number a feature a row.
#[async_trait]
pub trait Explainer: Debug + Send + Sync {
    /// For each output a tensor of the inputs' shape whose elements add up to the answer less its base.
    async fn explain(&self, request: PredictRequest) -> Result<Tensors>;
}
