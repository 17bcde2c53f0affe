//! A model of your own: what it takes and gives, how it answers; then everything else works with it.
//!
//! `cargo run --example bring_your_model` serves it; `cargo test --example bring_your_model` proves
//! that it keeps each promise of `Predictor`.

use async_trait::async_trait;
use axum::{body::Body, http::Request};
use mlops::predictor::{PredictRequest, PredictResponse, PredictorInfo};
use mlops::serve::http::Service;
use mlops::signature::{ModelSignature, TensorSpec};
use mlops::tensor::{DType, Tensor, Tensors};
use mlops::{Clock, IdSource, PredictionId, Predictor, RandomIds, Result, SystemClock};
use std::sync::Arc;
use tower::ServiceExt;

/// Whether a loan will be paid back: a formula here; yours may hold weights, a connection, a table.
#[derive(Debug)]
struct Scorecard {
    info: Arc<PredictorInfo>,
}

impl Scorecard {
    fn new() -> Result<Self> {
        let inputs = ["income", "amount"].map(|name| TensorSpec::column(name, DType::F64));
        let outputs = vec![TensorSpec::column("probability", DType::F64)];
        let signature = ModelSignature::new(inputs.to_vec(), outputs)?;
        Ok(Self { info: Arc::new(PredictorInfo::new("scorecard", "2026-11", signature)) })
    }
}

#[async_trait]
impl Predictor for Scorecard {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.info)
    }

    async fn ready(&self) -> Result<()> {
        Ok(()) // nothing has to be there first
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        // Names, types, shapes and the deadline: after this the inputs are what the signature says.
        self.info.check(&request, SystemClock.instant())?;
        let income = request.inputs.require("income")?.as_slice::<f64>()?;
        let amount = request.inputs.require("amount")?.as_slice::<f64>()?;
        // Short work only: this is the host's runtime. Longer work is a Session in a LocalPredictor.
        let score = |(income, amount): (&f64, &f64)| 1.0 / (1.0 + (amount / income - 3.0).exp());
        let scores: Vec<f64> = income.iter().zip(amount).map(score).collect();
        let outputs = Tensors::one("probability", Tensor::from_vec([scores.len()], scores)?);
        let id = PredictionId::from_u128(RandomIds.next(SystemClock.now()));
        Ok(PredictResponse::new(id, &self.info, &request, outputs))
    }
}

/// Any client of the Open Inference Protocol can ask it now.
#[tokio::main(flavor = "current_thread")]
#[expect(clippy::print_stdout, reason = "an example shows what it does")]
async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let app = Service::new().with_model(Scorecard::new()?).into_router();
    let body = r#"{"inputs": [
        {"name": "income", "datatype": "FP64", "shape": [2], "data": [40000, 8000]},
        {"name": "amount", "datatype": "FP64", "shape": [2], "data": [60000, 60000]}]}"#;
    let request = Request::post("/v2/models/scorecard/infer").body(Body::from(body))?;
    let answer = app.oneshot(request).await?;
    let answer = axum::body::to_bytes(answer.into_body(), usize::MAX).await?;
    println!("{}", String::from_utf8_lossy(&answer));
    Ok(())
}

#[cfg(test)]
mlops::predictor_conformance!(scorecard, {
    let column = |values: [f64; 3]| Tensor::from_vec([3], values.to_vec()).unwrap();
    let income = Tensors::one("income", column([40_000.0, 8_000.0, 0.0]));
    let inputs = income.with("amount", column([60_000.0, 60_000.0, 1.0])).unwrap();
    mlops::conformance::predictor::Subject::new(Scorecard::new().unwrap(), inputs)
});
