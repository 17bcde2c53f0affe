//! From a verified package to a warm predictor.

use super::{EndpointConfig, check_compatible, stats::InnerCounters};
use crate::{
    batching::Batcher,
    engines::Session,
    local::{LocalPredictor, load_package},
    rollout::MemoryReservation,
};
use mlops_core::{
    Predictor, Result, model::ModelPackage, registry::ModelVersion, signature::ModelSignature,
};
use std::sync::{Arc, Weak};

/// What a model must be to take the place of another.
#[derive(Clone, Debug)]
pub(super) struct Loading {
    config: EndpointConfig,
    counters: InnerCounters,
}

/// There as long as a model is in memory, which may be longer than anybody can ask it.
#[derive(Debug)]
pub(super) struct Loaded {
    /// What it takes of its budget.
    pub(super) memory: Option<MemoryReservation>,
}

impl Loading {
    pub(super) fn new(config: EndpointConfig, counters: InnerCounters) -> Self {
        Self { config, counters }
    }

    /// Whether a signature may take the place of another.
    pub(super) fn admits(&self, old: Option<&ModelSignature>, new: &ModelSignature) -> Result<()> {
        match old {
            Some(old) if !self.config.allow_breaking_signature => check_compatible(old, new),
            _ => Ok(()),
        }
    }

    /// Loads a package with the first engine that knows it, and warms it up, if there is memory
    /// for it. Blocks.
    pub(super) fn open(
        &self,
        package: &ModelPackage,
        version: &ModelVersion,
        old: Option<&ModelSignature>,
    ) -> Result<(Arc<dyn Predictor>, Weak<Loaded>)> {
        // How much it takes is known only when it is there: as much as its files, to begin with.
        let (files, what) = (version.manifest.size(), format!("model {}", version.id));
        let memory = self.config.memory.as_ref();
        let mut memory = memory.map(|budget| budget.reserve(files, &what)).transpose()?;
        let session = load_package(package, &self.config.engines, &self.config.load)?;
        if let Some(memory) = &mut memory {
            memory.resize(session.info().weights_bytes, &what)?;
        }
        self.admits(old, &session.info().signature)?;
        let loaded = Arc::new(Loaded { memory });
        let watched = Arc::downgrade(&loaded);
        Ok((self.predictor(version, session, loaded)?, watched))
    }

    fn predictor(
        &self,
        version: &ModelVersion,
        session: Arc<dyn Session>,
        loaded: Arc<Loaded>,
    ) -> Result<Arc<dyn Predictor>> {
        let (name, number) = (version.id.model.as_str(), version.id.version.to_string());
        let (local, panics) = (&self.config.local, Arc::clone(&self.counters.panics));
        let (name, number) = (name.into(), number.into());
        let predictor = LocalPredictor::open_beside(name, number, session, local, panics, loaded)?;
        let (clock, ids) = (|| Arc::clone(&self.config.clock), || Arc::clone(&self.config.ids));
        let predictor = Arc::new(predictor.with_clock_and_ids(clock(), ids()));
        let Some(batching) = self.config.batching.clone() else { return Ok(predictor) };
        let counters = Arc::clone(&self.counters.batching);
        Ok(Arc::new(Batcher::open_counting(predictor, batching, clock(), ids(), counters)))
    }
}
