//! A tracker in memory that can be away, refuse, be slow, and counts what it is asked.

use async_trait::async_trait;
use mlops_core::{
    Error, ExperimentId, Result, RunId, Timestamp, Tracker,
    artifact::{ArtifactPath, ArtifactRef, ByteStream},
    page::{Page, Search},
    tracker::{
        ArtifactEntry, Batch, CreateExperiment, CreateRun, Experiment, ExperimentChange,
        MetricPoint, MetricQuery, Run, RunChange,
    },
};
use std::{
    collections::BTreeMap,
    future::poll_fn,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::Duration,
};

#[derive(Debug, Default)]
pub(crate) struct Book {
    pages: Mutex<Pages>,
    /// Every write is `Unavailable`.
    pub(crate) away: AtomicBool,
    /// Every write never ends.
    pub(crate) hung: AtomicBool,
    pub(crate) batches: AtomicUsize,
    pub(crate) leases: AtomicUsize,
}

#[derive(Debug, Default)]
struct Pages {
    experiments: Vec<Experiment>,
    runs: Vec<Run>,
    keys: BTreeMap<String, usize>,
    points: BTreeMap<(RunId, String), Vec<MetricPoint>>,
    artifacts: BTreeMap<(RunId, String), Vec<u8>>,
    largest: usize,
}

impl Book {
    fn pages(&self) -> MutexGuard<'_, Pages> {
        self.pages.lock().unwrap()
    }
    pub(crate) fn runs(&self) -> Vec<Run> {
        self.pages().runs.clone()
    }
    pub(crate) fn only(&self) -> Run {
        let runs = self.runs();
        assert_eq!(runs.len(), 1);
        runs[0].clone()
    }
    pub(crate) fn points(&self, run: RunId, metric: &str) -> Vec<(i64, f64)> {
        let pages = self.pages();
        let points = pages.points.get(&(run, metric.to_owned()));
        points.into_iter().flatten().map(|point| (point.step, point.value)).collect()
    }
    pub(crate) fn artifact(&self, run: RunId, path: &str) -> Option<Vec<u8>> {
        self.pages().artifacts.get(&(run, path.to_owned())).cloned()
    }
    pub(crate) fn artifacts_of(&self, run: RunId) -> Vec<String> {
        let pages = self.pages();
        pages.artifacts.keys().filter(|key| key.0 == run).map(|key| key.1.clone()).collect()
    }
    /// The most metrics that came at once.
    pub(crate) fn largest(&self) -> usize {
        self.pages().largest
    }
    async fn write(&self) -> Result<()> {
        if self.hung.load(SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(SeqCst) { Err(Error::unavailable("the book is away")) } else { Ok(()) }
    }
}

fn missing() -> Error {
    Error::not_found("no such run")
}

fn unsupported<T>() -> Result<T> {
    Err(Error::unsupported("this book does not do that"))
}

#[async_trait]
impl Tracker for Book {
    async fn create_experiment(&self, new: CreateExperiment) -> Result<Experiment> {
        let mut pages = self.pages();
        if pages.experiments.iter().any(|known| known.name == new.name) {
            return Err(Error::already_exists("experiment"));
        }
        let id = ExperimentId::new((pages.experiments.len() + 1).to_string())?;
        pages.experiments.push(Experiment::new(id, new.name, Timestamp::default()));
        Ok(pages.experiments.last().unwrap().clone())
    }
    async fn update_experiment(&self, _: &ExperimentId, _: ExperimentChange) -> Result<Experiment> {
        unsupported()
    }
    async fn experiments(&self, search: Search) -> Result<Page<Experiment>> {
        let name = search.filter.strip_prefix("name = '").unwrap().strip_suffix('\'').unwrap();
        let name = name.replace("''", "'");
        let all = self.pages().experiments.clone();
        Ok(Page::all(all.into_iter().filter(|known| *known.name == *name).collect()))
    }
    async fn create_run(&self, new: CreateRun) -> Result<Run> {
        let mut pages = self.pages();
        let next = pages.runs.len();
        if let Some(key) = &new.idempotency_key {
            let at = *pages.keys.entry(key.to_string()).or_insert(next);
            if at < next {
                return Ok(pages.runs[at].clone());
            }
        }
        let id = RunId::from_u128(next as u128 + 1);
        let name = new.name.unwrap_or_else(|| "nameless".into());
        let mut run = Run::new(id, new.experiment, name, new.started.unwrap_or_default());
        run.tags = new.tags;
        pages.runs.push(run.clone());
        Ok(run)
    }
    async fn update_run(&self, id: &RunId, change: RunChange) -> Result<Run> {
        self.write().await?;
        let mut pages = self.pages();
        let run = pages.runs.iter_mut().find(|run| run.id == *id).ok_or_else(missing)?;
        let status = change.status.unwrap_or(run.status);
        if run.status.is_final() && status != run.status {
            return Err(Error::conflict("the run has ended"));
        }
        run.status = status;
        run.ended = change.ended.or(run.ended);
        Ok(run.clone())
    }
    async fn runs(&self, _: Search) -> Result<Page<Run>> {
        Ok(Page::all(self.runs()))
    }
    async fn renew_lease(&self, _: &RunId, _: Duration) -> Result<()> {
        self.leases.fetch_add(1, SeqCst);
        Ok(())
    }
    async fn log_batch(&self, id: &RunId, batch: Batch) -> Result<()> {
        self.write().await?;
        self.batches.fetch_add(1, SeqCst);
        let mut pages = self.pages();
        let pages = &mut *pages;
        let run = pages.runs.iter_mut().find(|run| run.id == *id).ok_or_else(missing)?;
        let written_to = !batch.metrics.is_empty();
        assert!(!(written_to && run.status.is_final()), "metrics after the end");
        if batch.metrics.iter().any(|metric| metric.name.is_empty()) {
            return Err(Error::invalid("a metric without a name"));
        }
        pages.largest = pages.largest.max(batch.metrics.len());
        for metric in batch.metrics {
            let points = pages.points.entry((*id, metric.name.to_string())).or_default();
            if !points.iter().any(|point| point.same(&metric.point)) {
                points.push(metric.point);
            }
        }
        run.params.extend(batch.params);
        run.tags.extend(batch.tags);
        run.inputs.extend(batch.inputs);
        Ok(())
    }
    async fn metric_history(&self, _: MetricQuery) -> Result<Page<MetricPoint>> {
        unsupported()
    }
    async fn write_artifact(
        &self,
        id: &RunId,
        path: &ArtifactPath,
        mut body: ByteStream,
    ) -> Result<ArtifactRef> {
        self.write().await?;
        let mut bytes = Vec::new();
        while let Some(piece) = poll_fn(|context| body.as_mut().poll_next(context)).await {
            bytes.extend_from_slice(&piece?);
        }
        let stored = ArtifactRef::of(&bytes);
        self.pages().artifacts.insert((*id, path.to_string()), bytes);
        Ok(stored)
    }
    async fn read_artifact(&self, _: &RunId, _: &ArtifactPath) -> Result<ByteStream> {
        unsupported()
    }
    async fn artifacts(&self, _: &RunId, _: &ArtifactPath) -> Result<Page<ArtifactEntry>> {
        unsupported()
    }
}
