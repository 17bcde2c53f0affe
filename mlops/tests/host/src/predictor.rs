//! A scoring rule that a team has written by hand.

use async_trait::async_trait;
use mlops::{
    IdSource, PredictionId, Predictor, RandomIds, Result, SystemClock,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use std::sync::Arc;

/// Approves when income covers the amount.
#[derive(Debug)]
pub struct Rule {
    info: Arc<PredictorInfo>,
}

impl Rule {
    pub fn new() -> Result<Self> {
        let inputs = ["income", "amount"].map(|name| TensorSpec::column(name, DType::F64));
        let outputs = vec![TensorSpec::column("score", DType::F64)];
        let signature = ModelSignature::new(inputs.to_vec(), outputs)?;
        Ok(Self { info: Arc::new(PredictorInfo::new("rule", "2026-11", signature)) })
    }
}

#[async_trait]
impl Predictor for Rule {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.info)
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        use mlops::Clock;
        self.info.check(&request, SystemClock.instant())?;
        let income = request.inputs.require("income")?.as_slice::<f64>()?;
        let amount = request.inputs.require("amount")?.as_slice::<f64>()?;
        let scores: Vec<f64> = income.iter().zip(amount).map(|(i, a)| i / (i + a)).collect();
        let outputs = Tensors::one("score", Tensor::from_vec([scores.len()], scores)?);
        let id = PredictionId::from_u128(RandomIds.next(SystemClock.now()));
        Ok(PredictResponse::new(id, &self.info, &request, outputs))
    }
}
