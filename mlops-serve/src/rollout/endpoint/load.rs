//! From a verified package to a warm predictor.

use super::{EndpointConfig, check_compatible};
use crate::local::{LocalPredictor, load_package};
use mlops_core::{Result, model::ModelPackage, registry::ModelVersion, signature::ModelSignature};
use std::sync::{Arc, atomic::AtomicU64};

/// What a model must be to take the place of another.
#[derive(Clone, Debug)]
pub(super) struct Loading {
    config: EndpointConfig,
    panics: Arc<AtomicU64>,
}

impl Loading {
    pub(super) fn new(config: EndpointConfig, panics: Arc<AtomicU64>) -> Self {
        Self { config, panics }
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
    ) -> Result<LocalPredictor> {
        let session = load_package(package, &self.config.engines, &self.config.load)?;
        self.admits(old, &session.info().signature)?;
        let (name, number) = (version.id.model.as_str(), version.id.version.to_string());
        let (local, panics) = (&self.config.local, Arc::clone(&self.panics));
        LocalPredictor::open_counting(name.into(), number.into(), session, local, panics).map(
            |predictor| {
                let (clock, ids) = (&self.config.clock, &self.config.ids);
                predictor.with_clock_and_ids(Arc::clone(clock), Arc::clone(ids))
            },
        )
    }
}
