//! [`Tracker`] of the store.

use super::{
    SqlStore, batch,
    connection::Value,
    experiments, metrics, paths,
    paths::Owner,
    runs, search,
    session::{Turn, Tx},
};
use async_trait::async_trait;
use mlops_core::{
    Error, ExperimentId, Result, RunId, Tracker,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    page::{Page, Search},
    search::List,
    tracker::{
        ArtifactEntry, Batch, CreateExperiment, CreateRun, Experiment, ExperimentChange,
        MetricPoint, MetricQuery, Run, RunChange,
    },
};
use std::time::Duration;

#[async_trait]
impl Tracker for SqlStore {
    async fn create_experiment(&self, new: CreateExperiment) -> Result<Experiment> {
        let thread = &self.shared.thread;
        thread.write(&self.actor, async move |tx| experiments::create(tx, new).await).await
    }

    async fn update_experiment(
        &self,
        id: &ExperimentId,
        change: ExperimentChange,
    ) -> Result<Experiment> {
        let (thread, id) = (&self.shared.thread, experiments::number(id)?);
        thread.write(&self.actor, async move |tx| experiments::update(tx, id, change).await).await
    }

    async fn experiments(&self, search: Search) -> Result<Page<Experiment>> {
        let read = self.shared.thread.read(async move |db| {
            let Page { items, next } = search::find(db, List::Experiments, &search).await?;
            Ok(Page { items: experiments::load(db, &items).await?, next })
        });
        read.await
    }

    async fn create_run(&self, new: CreateRun) -> Result<Run> {
        let thread = &self.shared.thread;
        thread.write(&self.actor, async move |tx| runs::create(tx, new).await).await
    }

    async fn update_run(&self, id: &RunId, change: RunChange) -> Result<Run> {
        let (thread, id) = (&self.shared.thread, *id);
        thread.write(&self.actor, async move |tx| runs::update(tx, id, change).await).await
    }

    async fn runs(&self, search: Search) -> Result<Page<Run>> {
        let (thread, now) = (&self.shared.thread, self.shared.clock.now());
        // Whoever looks notes whose process is gone; most looks find nothing and write nothing.
        if thread.read(async move |db| runs::any_expired(db, now).await).await? {
            thread.write(&self.actor, async |tx| runs::expire(tx).await).await?;
        }
        let read = thread.read(async move |db| {
            let Page { items, next } = search::find(db, List::Runs, &search).await?;
            let ids = items.iter().map(run_id).collect::<Result<Vec<_>>>()?;
            Ok(Page { items: runs::load(db, &ids).await?, next })
        });
        read.await
    }

    async fn renew_lease(&self, id: &RunId, lasts: Duration) -> Result<()> {
        let (thread, id) = (&self.shared.thread, *id);
        thread.write(&self.actor, async move |tx| runs::renew_lease(tx, id, lasts).await).await
    }

    async fn log_batch(&self, id: &RunId, batch: Batch) -> Result<()> {
        let (thread, id) = (&self.shared.thread, *id);
        // Each caller takes its own batch apart: the store's thread has less to do.
        let parts = batch::Parts::new(batch)?;
        let log = async move |tx: &mut Tx<'_>| batch::log(tx, id, parts).await;
        thread.write_in_turn(&self.actor, Turn::WithStatement, log).await
    }

    async fn metric_history(&self, query: MetricQuery) -> Result<Page<MetricPoint>> {
        self.shared.thread.read(async move |db| metrics::history(db, query).await).await
    }

    async fn write_artifact(
        &self,
        id: &RunId,
        path: &ArtifactPath,
        body: ByteStream,
    ) -> Result<ArtifactRef> {
        paths::write(self, Owner::Run(*id), path.clone(), body).await
    }

    async fn read_artifact(&self, id: &RunId, path: &ArtifactPath) -> Result<ByteStream> {
        paths::read(self, Owner::Run(*id), path.clone()).await.map(|(_, bytes)| bytes)
    }

    async fn artifacts(&self, id: &RunId, under: &ArtifactPath) -> Result<Page<ArtifactEntry>> {
        let (owner, under) = (Owner::Run(*id), under.clone());
        let thread = &self.shared.thread;
        thread.read(async move |db| paths::list(db, &owner, &under).await).await
    }
}

fn run_id(value: &Value) -> Result<RunId> {
    match value {
        Value::Text(text) => text.parse(),
        _ => Err(Error::corrupt("the record: a run without an identity")),
    }
}
