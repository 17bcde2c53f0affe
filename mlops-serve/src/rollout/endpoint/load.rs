//! From a verified package to a warm predictor.

use super::{EndpointConfig, check_compatible, stats::InnerCounters};
use crate::{
    batching::Batcher,
    local::{LocalPredictor, load_package},
};
use mlops_core::{
    Predictor, Result, model::ModelPackage, registry::ModelVersion, signature::ModelSignature,
};
use std::sync::Arc;

/// What a model must be to take the place of another.
#[derive(Clone, Debug)]
pub(super) struct Loading {
    config: EndpointConfig,
    counters: InnerCounters,
}

impl Loading {
    pub(super) fn new(config: EndpointConfig, counters: InnerCounters) -> Self {
        Self { config, counters }
    }

    /// Whether a signature may take the place of another.
    fn admits(&self, old: Option<&ModelSignature>, new: &ModelSignature) -> Result<()> {
        match old {
            Some(old) if !self.config.allow_breaking_signature => check_compatible(old, new),
            _ => Ok(()),
        }
    }

    /// Loads a package with the first engine that knows it, and warms it up. Blocks.
    pub(super) fn open(
        &self,
        package: &ModelPackage,
        version: &ModelVersion,
        old: Option<&ModelSignature>,
    ) -> Result<Arc<dyn Predictor>> {
        let session = load_package(package, &self.config.engines, &self.config.load)?;
        self.admits(old, &session.info().signature)?;
        let (name, number) = (version.id.model.as_str(), version.id.version.to_string());
        let (local, panics) = (&self.config.local, Arc::clone(&self.counters.panics));
        let predictor =
            LocalPredictor::open_counting(name.into(), number.into(), session, local, panics)?;
        let (clock, ids) = (|| Arc::clone(&self.config.clock), || Arc::clone(&self.config.ids));
        let predictor = Arc::new(predictor.with_clock_and_ids(clock(), ids()));
        let Some(batching) = self.config.batching.clone() else { return Ok(predictor) };
        let counters = Arc::clone(&self.counters.batching);
        Ok(Arc::new(Batcher::open_counting(predictor, batching, clock(), ids(), counters)))
    }
}
