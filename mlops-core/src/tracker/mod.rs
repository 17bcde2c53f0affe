//! What was tried, with what, and what came of it: experiments, runs, metrics, run artifacts.

#[cfg(feature = "tracking")]
mod active;
mod input;
mod types;

#[cfg(feature = "tracing")]
pub use active::MetricsLayer;
#[cfg(feature = "tracking")]
pub use active::{ActiveRun, MetricSender, ParamValue, RunOptions, TrackerExt, WhenFull};
#[cfg(feature = "pipeline")]
pub(crate) use active::{begin, create};
pub use input::InputData;
pub use types::{
    ArtifactEntry, Batch, CreateExperiment, CreateRun, DatasetInput, Experiment, ExperimentChange,
    Lifecycle, Metric, MetricPoint, MetricQuery, Run, RunChange, RunStatus, Tags,
};

use crate::{
    ExperimentId, Result, RunId,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    page::{Page, Search},
};
use async_trait::async_trait;
use std::{fmt::Debug, sync::Arc, time::Duration};

/// The tag of a run that says why it failed.
pub const FAILURE_TAG: &str = "mlops.failure";

/// Records runs.
///
/// The suite is `conformance::tracker`: each bullet below is one check.
#[async_trait]
pub trait Tracker: Debug + Send + Sync {
    /// Creates an experiment.
    ///
    /// # Behavior
    /// - experiment `0`, named `Default`, is there from the beginning
    /// - a name that a live or deleted experiment has is `AlreadyExists`
    async fn create_experiment(&self, new: CreateExperiment) -> Result<Experiment>;

    /// Renames, tags, deletes or restores an experiment.
    ///
    /// # Behavior
    /// - gives the experiment as it is afterwards, changed now unless only its tags are new; an unknown
    ///   one is `NotFound`
    /// - deleting keeps its name taken and hides it from a search for live ones
    async fn update_experiment(
        &self,
        id: &ExperimentId,
        change: ExperimentChange,
    ) -> Result<Experiment>;

    /// Experiments that a search finds, the newest first if it names no order.
    async fn experiments(&self, search: Search) -> Result<Page<Experiment>>;

    /// Creates a run, which is then running.
    ///
    /// # Behavior
    /// - an unknown or deleted experiment is `NotFound`
    /// - the same idempotency key again gives the same run and makes no other
    async fn create_run(&self, new: CreateRun) -> Result<Run>;

    /// Ends, renames, deletes or restores a run.
    ///
    /// # Behavior
    /// - gives the run as it is afterwards; an unknown one is `NotFound`
    /// - a run that ended stays ended: another status is `Conflict`, the same one changes nothing
    async fn update_run(&self, id: &RunId, change: RunChange) -> Result<Run>;

    /// Runs that a search finds, the last started first if it names no order.
    ///
    /// # Behavior
    /// - a metric in a filter is the latest: the largest by (step, time, value)
    /// - paging visits every run once
    /// - a filter outside the grammar is `InvalidInput` and says where
    async fn runs(&self, search: Search) -> Result<Page<Run>>;

    /// Promises that the run's process lives and will renew again within `lasts`.
    ///
    /// # Behavior
    /// - a run whose lease ran out is `Failed`, with the reason as a tag
    async fn renew_lease(&self, id: &RunId, lasts: Duration) -> Result<()>;

    /// Writes metrics, parameters, tags and inputs. Durable when it returns.
    ///
    /// # Behavior
    /// - all of it or nothing
    /// - the same batch again changes nothing
    /// - a parameter keeps its first value: another value is `Conflict` and names it
    /// - a tag keeps its last value
    /// - NaN and infinities are kept
    /// - an unknown run is `NotFound`; a deleted one is `Conflict`
    async fn log_batch(&self, id: &RunId, batch: Batch) -> Result<()>;

    /// A metric's points in the order of (step, time).
    async fn metric_history(&self, query: MetricQuery) -> Result<Page<MetricPoint>>;

    /// Stores bytes under a path of the run. Durable when it returns.
    ///
    /// # Behavior
    /// - what is read back has the digest returned
    /// - a path written again holds the new bytes
    async fn write_artifact(
        &self,
        id: &RunId,
        path: &ArtifactPath,
        body: ByteStream,
    ) -> Result<ArtifactRef>;

    /// Reads bytes; the stream ends with `Corrupt` if they are not what was written.
    async fn read_artifact(&self, id: &RunId, path: &ArtifactPath) -> Result<ByteStream>;

    /// What lies directly under a path of the run, folders and files in the order of their names.
    async fn artifacts(&self, id: &RunId, under: &ArtifactPath) -> Result<Page<ArtifactEntry>>;
}

#[async_trait]
impl<T: Tracker + ?Sized> Tracker for Arc<T> {
    async fn create_experiment(&self, new: CreateExperiment) -> Result<Experiment> {
        (**self).create_experiment(new).await
    }
    async fn update_experiment(
        &self,
        id: &ExperimentId,
        change: ExperimentChange,
    ) -> Result<Experiment> {
        (**self).update_experiment(id, change).await
    }
    async fn experiments(&self, search: Search) -> Result<Page<Experiment>> {
        (**self).experiments(search).await
    }
    async fn create_run(&self, new: CreateRun) -> Result<Run> {
        (**self).create_run(new).await
    }
    async fn update_run(&self, id: &RunId, change: RunChange) -> Result<Run> {
        (**self).update_run(id, change).await
    }
    async fn runs(&self, search: Search) -> Result<Page<Run>> {
        (**self).runs(search).await
    }
    async fn renew_lease(&self, id: &RunId, lasts: Duration) -> Result<()> {
        (**self).renew_lease(id, lasts).await
    }
    async fn log_batch(&self, id: &RunId, batch: Batch) -> Result<()> {
        (**self).log_batch(id, batch).await
    }
    async fn metric_history(&self, query: MetricQuery) -> Result<Page<MetricPoint>> {
        (**self).metric_history(query).await
    }
    async fn write_artifact(
        &self,
        id: &RunId,
        path: &ArtifactPath,
        body: ByteStream,
    ) -> Result<ArtifactRef> {
        (**self).write_artifact(id, path, body).await
    }
    async fn read_artifact(&self, id: &RunId, path: &ArtifactPath) -> Result<ByteStream> {
        (**self).read_artifact(id, path).await
    }
    async fn artifacts(&self, id: &RunId, under: &ArtifactPath) -> Result<Page<ArtifactEntry>> {
        (**self).artifacts(id, under).await
    }
}
