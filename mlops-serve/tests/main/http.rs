//! The router: by tower's `oneshot`, and on a socket that a client of another make speaks to.

#[path = "http/access.rs"]
mod access;
#[path = "http/answers.rs"]
mod answers;
#[path = "http/bad_inputs.rs"]
mod bad_inputs;
#[path = "http/bodies.rs"]
mod bodies;
#[path = "http/compressed.rs"]
mod compressed;
#[path = "http/goldens.rs"]
pub(crate) mod goldens;
#[path = "http/guest.rs"]
mod guest;
#[path = "http/hosting.rs"]
mod hosting;
#[cfg(feature = "data")]
#[path = "http/invocations.rs"]
mod invocations;
#[path = "http/openapi.rs"]
mod openapi;
#[path = "http/outcomes.rs"]
mod outcomes;
#[cfg(feature = "data")]
#[path = "http/parquet.rs"]
mod parquet;
#[path = "http/round_trip.rs"]
mod round_trip;
#[path = "http/socket.rs"]
mod socket;
#[path = "http/triton.rs"]
mod triton;
#[path = "http/unread.rs"]
mod unread;

pub(crate) use hosting::Copies;

use axum::{
    Router,
    body::{Body, Bytes, to_bytes},
    http::{HeaderMap, Request, StatusCode},
};
use mlops_core::{
    Error, Predictor, Result,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use mlops_serve::http::{HttpConfig, HttpCounters, Service};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tower::ServiceExt;

/// Adds up the two columns of `x`, and hands `label` through. Says so of itself.
pub(crate) fn model(name: &str) -> FnPredictor {
    let x = TensorSpec::new("x", DType::F32, [None, Some(2)]).with_columns(["age", "income"]);
    let label = TensorSpec::column("label", DType::Utf8);
    let outputs = vec![TensorSpec::column("sum", DType::F32), label.clone()];
    let signature = ModelSignature::new(vec![x, label], outputs).unwrap();
    FnPredictor::new(name, signature, |inputs| {
        let x = inputs.require("x")?;
        assert!(x.as_slice::<f32>()?.first() != Some(&666.0), "a bug in somebody else's model");
        let sums: Vec<f32> = x.as_slice::<f32>()?.chunks(2).map(|pair| pair[0] + pair[1]).collect();
        let sums = Tensor::from_vec([sums.len()], sums)?;
        Tensors::one("sum", sums).with("label", inputs.require("label")?.clone())
    })
}

/// A router in a host's hands, and what it counted.
struct Host {
    app: Router,
    counters: Arc<HttpCounters>,
}

impl Host {
    fn new(config: HttpConfig) -> Self {
        Self::of(Service::new().with_model(model("sum")).with_config(config))
    }

    fn of(service: Service) -> Self {
        let counters = service.counters();
        Self { app: service.into_router(), counters }
    }

    async fn send(&self, request: Request<Body>) -> Answer {
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (status, headers) = (response.status(), response.headers().clone());
        let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
        Answer { status, headers, body }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(Request::get(path).body(Body::empty()).unwrap()).await
    }

    async fn post(&self, path: &str, body: impl Into<Body>) -> Answer {
        self.send(Request::post(path).body(body.into()).unwrap()).await
    }

    async fn infer(&self, body: impl Into<Body>) -> Answer {
        self.post("/v2/models/sum/infer", body).await
    }

    /// What a request that harmed nobody leaves behind: the next one is answered, and nothing broke.
    async fn still_answers(&self) {
        let answer = self.infer(good().to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
        assert_eq!(answer.json()["outputs"][0]["data"], json!([3.0, 7.0]));
        let counts = self.counters.read();
        assert_eq!((counts.panics, counts.internal_errors), (0, 0));
    }
}

struct Answer {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
}

impl Answer {
    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {}", self.text()))
    }

    /// The message of an answer that is an error and nothing else.
    fn error(&self) -> String {
        let json = self.json();
        let members = json.as_object().unwrap();
        assert_eq!(members.len(), 1, "{json}");
        members["error"].as_str().unwrap().to_owned()
    }
}

/// A request that every model of [`model`] answers with 3 and 7.
fn good() -> Value {
    json!({ "inputs": [
        { "name": "x", "shape": [2, 2], "datatype": "FP32", "data": [1.0, 2.0, 3.0, 4.0] },
        { "name": "label", "shape": [2], "datatype": "BYTES", "data": ["a", "é"] },
    ]})
}

/// The identity on one tensor `x` of this type, any shape of these many axes.
pub(crate) fn same(dtype: DType, axes: usize, nullable: bool) -> FnPredictor {
    let spec = |name| TensorSpec::new(name, dtype, vec![None; axes]).with_nullable(nullable);
    let signature = ModelSignature::new(vec![spec("x")], vec![spec("y")]).unwrap();
    FnPredictor::new("same", signature, |inputs| {
        Ok(Tensors::one("y", inputs.require("x").map_err(|_| Error::internal("no x"))?.clone()))
    })
}

/// Never answers, and says when its work was dropped.
#[derive(Debug)]
pub(crate) struct Waits {
    info: Arc<PredictorInfo>,
    dropped: Arc<AtomicBool>,
}

impl Waits {
    /// A model of this name without inputs, and whether work of it was dropped.
    pub(crate) fn new(name: &str) -> (Self, Arc<AtomicBool>) {
        let dropped = Arc::<AtomicBool>::default();
        let info = Arc::new(PredictorInfo::new(name, "1", ModelSignature::default()));
        (Self { info, dropped: Arc::clone(&dropped) }, dropped)
    }
}

struct Drops(Arc<AtomicBool>);

impl Drop for Drops {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

#[async_trait::async_trait]
impl Predictor for Waits {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.info)
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        assert!(request.deadline.is_some(), "the service has a limit");
        let _drops = Drops(Arc::clone(&self.dropped));
        std::future::pending().await
    }
}
