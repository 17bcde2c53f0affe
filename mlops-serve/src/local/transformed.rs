//! A model behind the transform that was fitted with it.

use crate::engines::{InferOptions, Session, SessionInfo};
use mlops_core::{
    Result, ResultExt, Transform,
    signature::{ModelSignature, TensorSpec},
    tensor::Tensors,
};
use std::sync::Arc;

/// A wrapper that takes raw columns: it applies a transform to them and runs a session on the rows
/// that come out. The same code, on the same bits, as in training.
#[derive(Debug)]
pub struct TransformedSession {
    info: SessionInfo,
    transform: Arc<dyn Transform>,
    inner: Arc<dyn Session>,
}

impl TransformedSession {
    /// Takes these inputs: a column each, or packed with named columns. Fails, naming the column,
    /// if the transform cannot work on them, or if what it gives is not what the session takes.
    pub fn new(
        inputs: Vec<TensorSpec>,
        transform: Arc<dyn Transform>,
        inner: Arc<dyn Session>,
    ) -> Result<Self> {
        let own = inner.info();
        let signature = ModelSignature::new(inputs, own.signature.outputs.clone())?;
        let info = SessionInfo::new(signature, own.engine, own.weights_bytes).with_width(own.width);
        let session = Self { info, transform, inner };
        // No rows at all still show names and types.
        let none = super::warm_up::made_up(&session.info.signature, 0)?;
        let fed = session.features(&none);
        let fed = fed.and_then(|fed| session.inner.info().signature.check_inputs(&fed));
        fed.context(|| "a transform that does not fit its model")?;
        Ok(session)
    }

    fn features(&self, inputs: &Tensors) -> Result<Tensors> {
        let rows = inputs.to_batch(&self.info.signature.inputs)?;
        let features = self.transform.apply(&rows)?;
        Tensors::from_batch(&features, &self.inner.info().signature.inputs)
    }
}

impl Session for TransformedSession {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn run(&self, inputs: &Tensors, options: &InferOptions<'_>) -> Result<Tensors> {
        self.info.signature.check_inputs(inputs)?;
        options.stop.check()?;
        self.inner.run(&self.features(inputs)?, options)
    }
}
