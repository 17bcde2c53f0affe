//! [`Tracker`] of a record on another machine.

use super::{RestStore, batch, experiments, run_artifacts, runs};
use async_trait::async_trait;
use mlops_core::{
    ExperimentId, Result, RunId, Tracker,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    page::{Page, Search},
    tracker::{
        ArtifactEntry, Batch, CreateExperiment, CreateRun, Experiment, ExperimentChange,
        MetricPoint, MetricQuery, Run, RunChange,
    },
};
use std::time::Duration;

#[async_trait]
impl Tracker for RestStore {
    async fn create_experiment(&self, new: CreateExperiment) -> Result<Experiment> {
        self.call(|session| experiments::create(session, new)).await
    }

    async fn update_experiment(
        &self,
        id: &ExperimentId,
        change: ExperimentChange,
    ) -> Result<Experiment> {
        let id = id.clone();
        self.call(|session| experiments::update(session, id, change)).await
    }

    async fn experiments(&self, search: Search) -> Result<Page<Experiment>> {
        self.call(|session| experiments::find(session, search)).await
    }

    async fn create_run(&self, new: CreateRun) -> Result<Run> {
        self.call(|session| runs::create(session, new)).await
    }

    async fn update_run(&self, id: &RunId, change: RunChange) -> Result<Run> {
        self.call(|session| runs::update(session, *id, change)).await
    }

    async fn runs(&self, search: Search) -> Result<Page<Run>> {
        self.call(|session| runs::find(session, search)).await
    }

    async fn renew_lease(&self, id: &RunId, lasts: Duration) -> Result<()> {
        self.call(|session| runs::renew_lease(session, *id, lasts)).await
    }

    async fn log_batch(&self, id: &RunId, batch: Batch) -> Result<()> {
        self.call(|session| batch::log(session, *id, batch)).await
    }

    async fn metric_history(&self, query: MetricQuery) -> Result<Page<MetricPoint>> {
        self.call(|session| batch::history(session, query)).await
    }

    async fn write_artifact(
        &self,
        id: &RunId,
        path: &ArtifactPath,
        body: ByteStream,
    ) -> Result<ArtifactRef> {
        let path = path.clone();
        self.call(|session| run_artifacts::write(session, *id, path, body)).await
    }

    async fn read_artifact(&self, id: &RunId, path: &ArtifactPath) -> Result<ByteStream> {
        let path = path.clone();
        let pieces = self.call(|session| run_artifacts::read(session, *id, path)).await?;
        // The thread lives for as long as somebody reads.
        Ok(pieces.keeping(self.clone()))
    }

    async fn artifacts(&self, id: &RunId, under: &ArtifactPath) -> Result<Page<ArtifactEntry>> {
        let under = under.clone();
        self.call(|session| run_artifacts::list(session, *id, under)).await
    }
}
