//! A model of another server, as a predictor like any other.
//!
//! The server speaks the Open Inference Protocol v2: ours, Triton, `MLServer`, `KServe`'s. Over HTTP tensors
//! travel as raw bytes where the server has the extension `binary_tensor_data`, else as JSON; over gRPC
//! always as raw bytes.

mod address;
mod asker;
mod config;
mod failure;
mod grpc;
mod rest;
mod transport;

pub use config::{HeaderSource, RemoteConfig, Retries};

use crate::{http::oip::Answered, local::warm_up::made_up, own_runtime::OwnRuntime};
use asker::{Asker, Known};
use async_trait::async_trait;
use mlops_core::{
    Clock, Error, ErrorKind, IdSource, PooledIds, PredictionId, Predictor, Result, ResultExt,
    SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::ModelSignature,
    tensor::Tensors,
};
use std::{
    fmt,
    sync::{Arc, atomic::Ordering},
};

/// Answers with what a model of another server answers.
///
/// It owns one thread, on which it waits for its connections: any executor may poll its futures.
///
/// # Behavior
/// - requests are checked here, against what the server said of the model, before anything is sent
/// - a request of more rows than the server says that it takes at once (Triton's `max_batch_size`) is
///   `TooLarge`; a batcher before it gathers no more
/// - an answer has the model's name as the server is asked for it, and the version that the server says;
///   a prediction id of a server of ours stays what it is, so that what is logged there is found by it
/// - with raw bytes, and over gRPC, every bit survives, also those of a NaN; JSON says of a NaN only that
///   it is one, and only to a server of ours
/// - the time that is left goes along, as the parameter `timeout` and as `grpc-timeout`, and bounds the
///   call with all that is tried again
/// - what is tried again says [`Retries`]; the waits between are random. An error is that of the last time
/// - after so many failures in a row the server is left alone: then a request is `Unavailable` at once,
///   until the cool-down is over and one request tries it
/// - requests that the server has to answer are bounded, and so are those that wait for their turn:
///   more are `Overloaded`
/// - answers are foreign: one that is too long is `TooLarge`, one that is cut off `Unavailable`, one that
///   is not what the server said, or is to another request, `Corrupt`; nothing in one makes it panic
/// - a refusal has the kind of its status, by the family's table. What the server says beside it is the
///   error's source, which goes to the log and not to callers
/// - a future that is dropped ends the call: its connection is closed, or its stream is reset
/// - an answer of another version than the last makes it ask what that version takes and gives
/// - a request of no rows is answered here
///
/// ```no_run
/// # async fn ask() -> mlops_core::Result<()> {
/// use mlops_core::{Predictor, predictor::PredictRequest, tensor::{Tensor, Tensors}};
/// use mlops_serve::engines::remote::{RemoteConfig, RemotePredictor};
///
/// let config = RemoteConfig::of_model("grpc://models.example:8081/v2/models/risk")?;
/// let risk = RemotePredictor::connect(config).await?;
/// let row = Tensors::one("features", Tensor::from_vec([1, 30], vec![0.5_f32; 30])?);
/// let answer = risk.predict(PredictRequest::new(row)).await?;
/// # Ok(())
/// # }
/// ```
pub struct RemotePredictor {
    asker: Arc<Asker>,
    runtime: OwnRuntime,
}

/// What a remote predictor has counted. Each only grows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RemoteStats {
    /// Calls that were sent: questions about the model too, and each time that one was tried again.
    pub sent: u64,
    /// Of those, the ones that were tried again.
    pub again: u64,
    /// Calls that were not sent, for the server is left alone.
    pub left_alone: u64,
}

impl RemotePredictor {
    /// Asks the server what the model takes and gives. With a [signature](RemoteConfig::signature) it may be away: it is
    /// asked again once it has answered a request, and its version is `unknown` until then.
    ///
    /// `InvalidInput` for a URL or a header that is none, `NotFound` for a model or a secret that is not
    /// there, `Unavailable` for a server that is away where the configuration does not say what the model takes,
    /// `Unsupported` for one that does not say it either.
    pub async fn connect(config: RemoteConfig) -> Result<Self> {
        Self::connect_with(config, Arc::new(SystemClock), Arc::new(PooledIds::new())).await
    }

    /// As [`connect`](Self::connect); takes time, identities and the randomness of its waits from here.
    /// Timers that wait for the server are the operating system's all the same.
    pub async fn connect_with(
        config: RemoteConfig,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
    ) -> Result<Self> {
        let what = format!("remote model {:?}", config.model);
        let runtime = OwnRuntime::start("mlops-remote")?;
        let asker = Asker::new(config, clock, ids).context(|| what.clone())?;
        let asker = Arc::new(asker);
        let own = Arc::clone(&asker);
        let described = runtime.run(async move {
            match own.config.signature {
                None => own.describe_patiently().await,
                Some(_) => own.describe().await,
            }
        });
        match described.await {
            Err(error) if asker.config.signature.is_some() && is_away(&error) => {
                tracing::warn!(%error, "{what} is taken for what its configuration says");
                asker.assume().context(|| what)?;
            }
            described => described.context(|| what)?,
        }
        Ok(Self { asker, runtime })
    }

    /// What it has counted.
    pub fn stats(&self) -> RemoteStats {
        let counts = &self.asker.counts;
        RemoteStats {
            sent: counts.sent.load(Ordering::Relaxed),
            again: counts.again.load(Ordering::Relaxed),
            left_alone: counts.left_alone.load(Ordering::Relaxed),
        }
    }
}

impl fmt::Debug for RemotePredictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemotePredictor({:?}, {:?})", self.asker.config, self.stats())
    }
}

#[async_trait]
impl Predictor for RemotePredictor {
    /// What the server said when it was last asked, which is at its first answer of another version.
    fn info(&self) -> Arc<PredictorInfo> {
        self.asker.known().info
    }

    /// Asks the server.
    async fn ready(&self) -> Result<()> {
        let asker = Arc::clone(&self.asker);
        self.runtime.run(async move { asker.ready().await }).await
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let (asker, known) = (Arc::clone(&self.asker), self.asker.known());
        known.info.check_by(&request, || asker.clock.instant())?;
        if request.inputs.rows()? == 0 && has_rows(&known.info.signature) {
            let none = ModelSignature::new(known.info.signature.outputs.clone(), Vec::new())?;
            let outputs = picked(&request, &known.info.signature, &made_up(&none, 0)?)?;
            return Ok(PredictResponse::new(asker.prediction(), &known.info, &request, outputs));
        }
        let answering = async move {
            let answered = asker.ask(&known, &request).await;
            let answered = answered.and_then(|answered| asker.response(&known, &request, answered));
            match &answered {
                Ok(answer) if answer.version != known.info.version || known.is_assumed() => {
                    asker.changed(Some(&answer.version)).await;
                }
                Err(error) if error.kind() == ErrorKind::Corrupt => asker.changed(None).await,
                _ => {}
            }
            answered.context(|| format!("remote model {:?}", asker.config.model))
        };
        self.runtime.run(answering).await
    }
}

impl Asker {
    fn prediction(&self) -> PredictionId {
        PredictionId::from_u128(self.ids.next(self.clock.now()))
    }

    /// What the server answered as the answer to this request; `Corrupt` if it is none.
    fn response(
        &self,
        known: &Known,
        request: &PredictRequest,
        answered: Answered,
    ) -> Result<PredictResponse> {
        let Known { info, .. } = known;
        if let (Some(asked), Some(given)) = (&request.id, &answered.id)
            && asked != given
        {
            return Err(Error::corrupt("the server's answer is to another request"));
        }
        let version = answered.version.unwrap_or_else(|| Arc::clone(&info.version));
        if self.config.version.as_ref().is_some_and(|wanted| *wanted != version) {
            return Err(Error::corrupt("the server's answer is of another version than was asked"));
        }
        let outputs = picked(request, &info.signature, &answered.outputs)?;
        let rows = request.inputs.rows()?;
        let open = |name: &str| {
            let spec = info.signature.output(name);
            spec.is_some_and(|spec| spec.shape.first() == Some(&None))
        };
        if has_rows(&info.signature)
            && let Some((name, tensor)) =
                outputs.iter().find(|(name, tensor)| open(name) && tensor.rows() != rows)
        {
            let given = tensor.rows();
            return Err(Error::corrupt(format!(
                "output {name:?} of the server's answer has {given} rows for {rows} of the request"
            )));
        }
        let prediction = answered.prediction.unwrap_or_else(|| self.prediction());
        let mut response = PredictResponse::new(prediction, info, request, outputs);
        (response.version, response.arm) = (version, answered.arm);
        response.parameters =
            (!answered.parameters.is_empty()).then(|| Arc::new(answered.parameters));
        Ok(response)
    }
}

/// Whether a server that is there could have answered.
fn is_away(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Unavailable | ErrorKind::TimedOut | ErrorKind::Overloaded)
}

/// Whether the first axis of every tensor is one of rows.
fn has_rows(signature: &ModelSignature) -> bool {
    let mut all = signature.inputs.iter().chain(&signature.outputs);
    all.all(|spec| spec.shape.first() == Some(&None))
}

/// The outputs that are wanted, in their order.
fn picked(
    request: &PredictRequest,
    signature: &ModelSignature,
    given: &Tensors,
) -> Result<Tensors> {
    let pick = |some: Tensors, name: &Arc<str>| {
        let missing = || Error::corrupt(format!("the server's answer has no output {name:?}"));
        some.with(Arc::clone(name), given.get(name).ok_or_else(missing)?.clone())
    };
    if let Some(names) = &request.outputs {
        return names.iter().try_fold(Tensors::new(), pick);
    }
    signature.outputs.iter().map(|spec| &spec.name).try_fold(Tensors::new(), pick)
}
