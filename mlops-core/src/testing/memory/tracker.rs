//! [`Tracker`] of the store.

use super::{MemoryStore, batch, experiments, files, pages, runs};
use crate::{
    ExperimentId, Result, ResultExt, RunId, Tracker,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    page::{Page, Search},
    search::List,
    tracker::{
        ArtifactEntry, Batch, CreateExperiment, CreateRun, Experiment, ExperimentChange,
        MetricPoint, MetricQuery, Run, RunChange,
    },
};
use async_trait::async_trait;
use std::time::Duration;

#[async_trait]
impl Tracker for MemoryStore {
    async fn create_experiment(&self, new: CreateExperiment) -> Result<Experiment> {
        self.write(|tx| experiments::create(tx, new))
    }

    async fn update_experiment(
        &self,
        id: &ExperimentId,
        change: ExperimentChange,
    ) -> Result<Experiment> {
        self.write(|tx| experiments::update(tx, id, change))
    }

    async fn experiments(&self, search: Search) -> Result<Page<Experiment>> {
        let all: Vec<_> = self.read(|state| state.experiments.values().cloned().collect());
        let seen = |experiment: &Experiment| {
            let own = search.experiments.is_empty() || search.experiments.contains(&experiment.id);
            own && pages::shows(search.view, experiment.lifecycle)
        };
        pages::find(List::Experiments, &search, &all, |own| own.id.to_string(), seen)
    }

    async fn create_run(&self, new: CreateRun) -> Result<Run> {
        self.write(|tx| runs::create(tx, new))
    }

    async fn update_run(&self, id: &RunId, change: RunChange) -> Result<Run> {
        self.write(|tx| runs::update(tx, *id, change))
    }

    async fn runs(&self, search: Search) -> Result<Page<Run>> {
        // A look is a change, too: whoever looks notes whose process is gone.
        let all: Vec<_> =
            self.write(|tx| tx.state.runs.values().map(|held| held.run.clone()).collect());
        let seen = |run: &Run| {
            let own = search.experiments.is_empty() || search.experiments.contains(&run.experiment);
            own && pages::shows(search.view, run.lifecycle)
        };
        pages::find(List::Runs, &search, &all, |run| run.id.to_string(), seen)
    }

    async fn renew_lease(&self, id: &RunId, lasts: Duration) -> Result<()> {
        self.write(|tx| runs::renew_lease(tx, *id, lasts))
    }

    async fn log_batch(&self, id: &RunId, batch: Batch) -> Result<()> {
        self.write(|tx| batch::log(tx, *id, batch))
    }

    async fn metric_history(&self, query: MetricQuery) -> Result<Page<MetricPoint>> {
        self.read(|state| batch::history(state, &query))
    }

    async fn write_artifact(
        &self,
        id: &RunId,
        path: &ArtifactPath,
        body: ByteStream,
    ) -> Result<ArtifactRef> {
        self.read(|state| files::may_write(state, *id, path))?;
        let artifact = self.bytes().put(body).await.context(|| path.to_string())?;
        self.write(|tx| files::enter(tx, *id, path.clone(), artifact))?;
        Ok(artifact)
    }

    async fn read_artifact(&self, id: &RunId, path: &ArtifactPath) -> Result<ByteStream> {
        let artifact = self.read(|state| files::find(state, *id, path))?;
        self.bytes().get(&artifact).context(|| path.to_string())
    }

    async fn artifacts(&self, id: &RunId, under: &ArtifactPath) -> Result<Page<ArtifactEntry>> {
        self.read(|state| files::list(state, *id, under))
    }
}
