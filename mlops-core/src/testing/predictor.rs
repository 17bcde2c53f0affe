//! A predictor made of a closure.

use crate::{
    Clock, IdSource, PredictionId, RandomIds, Result, SystemClock,
    predictor::{PredictRequest, PredictResponse, Predictor, PredictorInfo},
    signature::ModelSignature,
    tensor::Tensors,
};
use async_trait::async_trait;
use std::{fmt, sync::Arc};

type Compute = dyn Fn(&Tensors) -> Result<Tensors> + Send + Sync;

/// Answers with what a closure computes from the inputs, after the usual checks.
///
/// ```
/// use mlops_core::{Predictor, signature::{ModelSignature, TensorSpec}, tensor::DType, testing::FnPredictor};
///
/// let (x, y) = (TensorSpec::column("x", DType::F64), TensorSpec::column("y", DType::F64));
/// let signature = ModelSignature::new(vec![x], vec![y])?;
/// let same = FnPredictor::new("same", signature, |inputs| {
///     Ok(mlops_core::tensor::Tensors::one("y", inputs.require("x")?.clone()))
/// });
/// assert_eq!(same.info().name.as_ref(), "same");
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone)]
pub struct FnPredictor {
    info: Arc<PredictorInfo>,
    compute: Arc<Compute>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl FnPredictor {
    /// Version 1 of a model of this name.
    pub fn new(
        name: impl Into<Arc<str>>,
        signature: ModelSignature,
        compute: impl Fn(&Tensors) -> Result<Tensors> + Send + Sync + 'static,
    ) -> Self {
        let info = PredictorInfo::new(name, "1", signature).with_width(usize::MAX);
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(RandomIds));
        Self { info: Arc::new(info), compute: Arc::new(compute), clock, ids }
    }

    /// Takes time and identities from here.
    #[must_use]
    pub fn with_clock_and_ids(mut self, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        (self.clock, self.ids) = (clock, ids);
        self
    }
}

impl fmt::Debug for FnPredictor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FnPredictor({}/{})", self.info.name, self.info.version)
    }
}

#[async_trait]
impl Predictor for FnPredictor {
    fn info(&self) -> Arc<PredictorInfo> {
        Arc::clone(&self.info)
    }

    async fn ready(&self) -> Result<()> {
        Ok(())
    }

    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        self.info.check(&request, self.clock.instant())?;
        let computed = (self.compute)(&request.inputs)?;
        let outputs = match &request.outputs {
            None => computed,
            Some(wanted) => wanted.iter().try_fold(Tensors::new(), |chosen, name| {
                chosen.with(Arc::clone(name), computed.require(name)?.clone())
            })?,
        };
        let prediction = PredictionId::from_u128(self.ids.next(self.clock.now()));
        Ok(PredictResponse::new(prediction, &self.info, &request, outputs))
    }
}
