//! What sources have in common.

use mlops_core::{
    Digest, RunId, Timestamp,
    signature::ModelSignature,
    tracker::{DatasetInput, RunStatus, Tags},
};
use std::collections::BTreeMap;

/// An experiment of a source.
#[derive(Clone, Debug)]
pub(super) struct FoundExperiment {
    /// What the source knows it by.
    pub(super) key: String,
    pub(super) name: String,
    pub(super) deleted: bool,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) tags: Tags,
    /// Where artifacts of its runs lie, as the source says.
    pub(super) place: String,
}

/// A run of a source, without its points.
#[derive(Clone, Debug)]
pub(super) struct FoundRun {
    pub(super) id: RunId,
    pub(super) name: String,
    pub(super) status: RunStatus,
    pub(super) deleted: bool,
    /// When, if the source knows.
    pub(super) deleted_at: Option<Timestamp>,
    pub(super) actor: String,
    pub(super) started: Timestamp,
    pub(super) ended: Option<Timestamp>,
    pub(super) params: Tags,
    pub(super) tags: Tags,
    pub(super) inputs: Vec<DatasetInput>,
    /// Logged models: whether it is an output, which, and at what step.
    pub(super) models: Vec<(bool, String, i64)>,
    /// Where its artifacts lie, as the source says.
    pub(super) place: String,
}

/// A logged model of a source.
#[derive(Clone, Debug)]
pub(super) struct FoundModel {
    pub(super) id: String,
    pub(super) experiment: String,
    pub(super) name: String,
    pub(super) model_type: Option<String>,
    /// As the record writes it.
    pub(super) status: &'static str,
    pub(super) status_message: Option<String>,
    pub(super) source_run: Option<String>,
    pub(super) deleted: bool,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) tags: Tags,
    pub(super) params: Tags,
    pub(super) metrics: Vec<FoundPoint>,
    pub(super) place: String,
}

/// A point that a run measured of a logged model.
#[derive(Clone, Debug)]
pub(super) struct FoundPoint {
    pub(super) metric: String,
    pub(super) run: String,
    pub(super) dataset: (String, String),
    pub(super) step: i64,
    pub(super) time: Timestamp,
    pub(super) value: f64,
}

/// A registered model of a source.
#[derive(Clone, Debug)]
pub(super) struct FoundRegistered {
    pub(super) name: String,
    pub(super) description: Option<String>,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) tags: Tags,
    /// In the order of their numbers.
    pub(super) versions: Vec<FoundVersion>,
    pub(super) aliases: Vec<(String, i64)>,
}

/// A version of a registered model.
#[derive(Clone, Debug)]
pub(super) struct FoundVersion {
    pub(super) number: i64,
    pub(super) created: Timestamp,
    pub(super) updated: Timestamp,
    pub(super) actor: Option<String>,
    pub(super) description: Option<String>,
    pub(super) stage: String,
    pub(super) source: String,
    /// Where its bytes lie, if the source says more than `source` does.
    pub(super) place: Option<String>,
    pub(super) run: Option<String>,
    pub(super) run_link: Option<String>,
    pub(super) tags: Tags,
    /// What a registrar of ours said of it.
    pub(super) said: Option<Said>,
}

/// What our own clients say of a version when they register it.
#[cfg_attr(not(feature = "mlflow"), allow(dead_code, reason = "only a server says it"))]
#[derive(Clone, Debug)]
pub(super) struct Said {
    /// What its files hash to.
    pub(super) digest: Digest,
    pub(super) signature: Option<ModelSignature>,
    pub(super) dataset: Option<Digest>,
    pub(super) metrics: BTreeMap<String, f64>,
}
