//! Each composition: what every predictor promises, and what happens when a part of it fails.

#[path = "compose/branch.rs"]
mod branch;
#[path = "compose/cached.rs"]
mod cached;
#[path = "compose/chain.rs"]
mod chain;
#[cfg(feature = "definitions")]
#[path = "compose/definition.rs"]
mod definition;
#[path = "compose/ensemble.rs"]
mod ensemble;
#[path = "compose/fallback.rs"]
mod fallback;
#[path = "compose/lookup.rs"]
mod lookup;
#[path = "compose/nested.rs"]
mod nested;
#[path = "compose/replicas.rs"]
mod replicas;
#[path = "compose/shadow.rs"]
mod shadow;
#[path = "compose/split.rs"]
mod split;

use crate::doubles::{block_on, offset_inputs, offset_signature};
use futures_util::future::BoxFuture;
use mlops_core::{
    Error, ErrorKind, Predictor, Result,
    conformance::predictor::Subject,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use mlops_serve::compose::Arm;
use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
};

/// `x` plus an offset as `y`, and `x`.
fn add(x: &Tensor, by: f32) -> Result<Tensors> {
    let moved = x.as_slice::<f32>()?.iter().map(|x| x + by).collect();
    Tensors::one("y", Tensor::from_vec([x.rows()], moved)?).with("x", x.clone())
}

fn offset(by: f32) -> Arc<dyn Predictor> {
    made(move |inputs| add(inputs.require("x")?, by))
}

fn made(
    compute: impl Fn(&Tensors) -> Result<Tensors> + Send + Sync + 'static,
) -> Arc<dyn Predictor> {
    Arc::new(FnPredictor::new("offset", offset_signature(), compute))
}

/// Fails each call, and counts them.
fn failing(kind: ErrorKind) -> (Arc<dyn Predictor>, Arc<AtomicUsize>) {
    let calls = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&calls);
    let predictor = made(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
        Err(Error::new(kind, "not now"))
    });
    (predictor, calls)
}

fn panicking() -> Arc<dyn Predictor> {
    made(|_| panic!("a member panics"))
}

/// Panics before there is a future, as one can that is written by hand.
#[derive(Debug)]
struct Hasty(Arc<dyn Predictor>);

impl Predictor for Hasty {
    fn info(&self) -> Arc<PredictorInfo> {
        self.0.info()
    }

    fn ready<'a, 'b>(&'a self) -> BoxFuture<'b, Result<()>>
    where
        'a: 'b,
    {
        self.0.ready()
    }

    fn predict<'a, 'b>(&'a self, _: PredictRequest) -> BoxFuture<'b, Result<PredictResponse>>
    where
        'a: 'b,
    {
        panic!("a member panics at once")
    }
}

/// Takes what the others take, but gives something else.
fn other_shape() -> Arc<dyn Predictor> {
    let y = TensorSpec::new("y", DType::F32, [None, Some(2)]);
    let outputs = vec![y, TensorSpec::column("x", DType::F32)];
    let signature = ModelSignature::new(offset_signature().inputs, outputs).unwrap();
    Arc::new(FnPredictor::new("other", signature, |_| Err(Error::internal("never asked"))))
}

fn arms(parts: impl IntoIterator<Item = (&'static str, Arc<dyn Predictor>)>) -> Vec<Arm> {
    parts.into_iter().map(|(name, predictor)| Arm::new(name, predictor)).collect()
}

fn subject(predictor: impl Predictor + 'static) -> Subject {
    Subject::new(predictor, offset_inputs(&[1.0, f32::NAN, -0.0]))
}

fn request() -> PredictRequest {
    PredictRequest::new(offset_inputs(&[1.0, 2.0]))
}

fn ask(predictor: &dyn Predictor, request: PredictRequest) -> Result<PredictResponse> {
    block_on(predictor.predict(request))
}

fn y(response: &PredictResponse) -> f32 {
    response.outputs.require("y").unwrap().as_slice::<f32>().unwrap()[0]
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

/// Answers, but not before it is let.
#[derive(Debug)]
struct Gated {
    inner: Arc<dyn Predictor>,
    gate: tokio::sync::Semaphore,
    begun: AtomicUsize,
}

impl Gated {
    fn new(inner: Arc<dyn Predictor>) -> Arc<Self> {
        let gate = tokio::sync::Semaphore::new(0);
        Arc::new(Self { inner, gate, begun: AtomicUsize::new(0) })
    }

    fn begun(&self) -> usize {
        self.begun.load(Ordering::SeqCst)
    }
}

#[async_trait::async_trait]
impl Predictor for Gated {
    fn info(&self) -> Arc<PredictorInfo> {
        self.inner.info()
    }
    async fn ready(&self) -> Result<()> {
        Ok(())
    }
    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        self.begun.fetch_add(1, Ordering::SeqCst);
        self.gate.acquire().await.unwrap().forget();
        self.inner.predict(request).await
    }
}

/// Polls once, with nobody to wake.
fn poll<F: Future + Unpin>(future: &mut F) -> Poll<F::Output> {
    Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
}
