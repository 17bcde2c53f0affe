//! A pipeline on this machine.

mod worker;

use super::{
    Answer, ExecuteOptions, ExecutionEvent, Graph, Pipeline,
    cache::Cache,
    execution::{Execution, Failure, Follow},
};
use crate::{
    Clock, Error, Result, RunId, SystemClock, Tracker,
    disk::{self, Lock},
    event::BoxStream,
    setters::setters,
    tracker::{Run, RunChange, RunOptions, RunStatus, Tags, begin, create},
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};
use worker::Worker;

/// Bounds and surroundings of a [`LocalPipeline`]; right as they are for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct LocalPipelineConfig {
    /// The experiment that executions are runs of; the pipeline's name if `None`.
    pub experiment: Option<Arc<str>>,
    /// Where the source of the program lies, for the record of what was executed: the folder that
    /// the process runs in.
    pub source: PathBuf,
    /// The most executions at a time: 4. Each has a thread of its own.
    pub executions: usize,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl Default for LocalPipelineConfig {
    fn default() -> Self {
        let source = PathBuf::from(".");
        Self { experiment: None, source, executions: 4, clock: Arc::new(SystemClock) }
    }
}

setters!(LocalPipelineConfig {
    /// Says where the source of the program lies.
    with_source => source: impl Into<PathBuf>,
    /// Sets the most executions at a time.
    with_executions => executions: usize,
    /// Takes the time from here.
    with_clock => clock: Arc<dyn Clock>,
});

impl LocalPipelineConfig {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the experiment that executions are runs of.
    #[must_use]
    pub fn with_experiment(mut self, experiment: impl Into<Arc<str>>) -> Self {
        self.experiment = Some(experiment.into());
        self
    }
}

/// Executes a graph in this process, one step after the other, with a cache of what steps made.
///
/// Each execution is a run of the tracker and has a thread of its own; the steps' futures are polled
/// there, so a step that computes for an hour holds up nobody. The run holds the
/// [manifest](super::ExecutionManifest) as the artifact `manifest.json`, and the data that steps made as
/// inputs. The folder holds the cache and what became of executions; it has one pipeline at a time.
///
/// A step is not executed again if its type, version, settings, seed and the bytes of its inputs are
/// those of an earlier execution, of whatever pipeline in the folder, and what it made then still
/// has its digest.
#[derive(Debug)]
pub struct LocalPipeline {
    graph: Arc<Graph>,
    tracker: Arc<dyn Tracker>,
    config: LocalPipelineConfig,
    folder: PathBuf,
    cache: Cache,
    running: Arc<Running>,
    lock: Arc<Lock>,
}

/// The executions of this process that have not ended.
type Running = Mutex<BTreeMap<RunId, Arc<Execution>>>;

/// What became of an execution, as a file.
#[derive(Serialize, Deserialize)]
struct Past {
    version: u32,
    pipeline: Arc<str>,
    events: Vec<ExecutionEvent>,
}

impl LocalPipeline {
    /// Binds a graph to a folder, which is created if it is not there, and a tracker.
    ///
    /// # Behavior
    /// - a folder that another pipeline uses is `Conflict`
    pub fn open(
        graph: Graph,
        folder: impl AsRef<Path>,
        tracker: Arc<dyn Tracker>,
        config: LocalPipelineConfig,
    ) -> Result<Self> {
        let folder = folder.as_ref().to_owned();
        disk::create_dirs(&folder)?;
        let thing = format!("pipeline folder {}", folder.display());
        let lock = Arc::new(disk::lock(&folder.join("lock"), &thing)?);
        let cache = Cache::open(&folder)?;
        disk::create_dirs(&folder.join("executions"))?;
        let work = folder.join("work");
        // What an earlier process left in the middle of a step.
        if work.exists() {
            fs::remove_dir_all(&work).map_err(|source| Error::io(work.display(), source))?;
        }
        disk::create_dirs(&work)?;
        let (graph, running) = (Arc::new(graph), Arc::default());
        Ok(Self { graph, tracker, config, folder, cache, running, lock })
    }

    /// Waits until an execution has ended, and gives all of its events.
    pub async fn wait(&self, id: &RunId) -> Result<Vec<ExecutionEvent>> {
        let mut events = Vec::new();
        let mut stream = self.follow(id);
        while let Some(event) =
            std::future::poll_fn(|context| stream.as_mut().poll_next(context)).await
        {
            events.push(event?);
        }
        Ok(events)
    }

    /// Where a value of an execution's manifest lies, to be read and not changed.
    pub fn path_of(&self, value: &super::StoredValue) -> PathBuf {
        self.cache.path(value)
    }

    fn options(&self, options: &ExecuteOptions) -> RunOptions {
        let mut tags: Tags = options.tags.clone();
        tags.insert("mlops.pipeline".to_owned(), self.graph.name().to_string());
        tags.insert("mlops.pipeline.graph".to_owned(), self.graph.digest().to_string());
        let run = RunOptions::new()
            .with_name(Arc::clone(self.graph.name()))
            .with_tags(tags)
            .with_seed(options.seed)
            .with_clock(Arc::clone(&self.config.clock));
        match &options.key {
            Some(key) => run.with_idempotency_key(format!("pipeline/{}/{key}", self.graph.name())),
            None => run,
        }
    }

    /// An execution of this process or an earlier one.
    fn execution(&self, id: &RunId) -> Result<Arc<Execution>> {
        if let Some(running) = lock(&self.running).get(id) {
            return Ok(Arc::clone(running));
        }
        let path = past_path(&self.folder, id);
        let bytes = fs::read(&path).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => {
                let name = self.graph.name();
                Error::not_found(format!("pipeline {name:?} has no execution {id}"))
            }
            _ => Error::io(path.display(), source),
        })?;
        let past: Past = serde_json::from_slice(&bytes)
            .map_err(|cause| Error::corrupt(format!("execution {id}")).with_source(cause))?;
        Ok(Arc::new(Execution::past(past.events)))
    }

    /// Executes in a thread of its own, unless that is being done already.
    async fn start(&self, run: Run, options: RunOptions, seed: u64) -> Result<()> {
        let Some((execution, place)) = self.enter(run.id)? else { return Ok(()) };
        write_past(&self.folder, &run.id, self.graph.name(), Vec::new())?;
        let run = begin(Arc::clone(&self.tracker), run, options).await?;
        let worker = Worker::new(self, run.id(), execution, seed);
        std::thread::Builder::new()
            .name("mlops-pipeline".to_owned())
            .spawn(move || worker.serve(run, place))
            .map(|_| ())
            .map_err(|source| Error::io("the execution's thread", source))
    }

    /// Takes a place among the executions; `None` if this one has one already.
    fn enter(&self, id: RunId) -> Result<Option<(Arc<Execution>, Place)>> {
        let mut running = lock(&self.running);
        if running.contains_key(&id) {
            return Ok(None);
        }
        if running.len() >= self.config.executions.max(1) {
            let (name, most) = (self.graph.name(), running.len());
            let message = format!("pipeline {name:?} executes {most} times already");
            return Err(Error::new(crate::ErrorKind::Overloaded, message));
        }
        let execution = Arc::new(Execution::default());
        running.insert(id, Arc::clone(&execution));
        Ok(Some((execution, Place { running: Arc::clone(&self.running), id })))
    }
}

#[async_trait]
impl Pipeline for LocalPipeline {
    fn graph(&self) -> &Graph {
        &self.graph
    }

    async fn execute(&self, options: ExecuteOptions) -> Result<RunId> {
        let run_options = self.options(&options);
        let experiment = self.config.experiment.as_ref().unwrap_or(self.graph.name());
        let run = create(&self.tracker, experiment, &run_options).await?;
        let id = run.id;
        // One that has ended is not executed again under its key.
        if run.status.is_final() {
            return Ok(id);
        }
        let started = self.start(run, run_options, options.seed).await;
        if started.is_err() && options.key.is_none() {
            // Nobody can ask for it again; the first error is the one that matters.
            let change = RunChange::default().with_status(RunStatus::Killed);
            let _ = self.tracker.update_run(&id, change).await;
        }
        started.map(|()| id)
    }

    fn follow(&self, id: &RunId) -> BoxStream<'static, Result<ExecutionEvent>> {
        match self.execution(id) {
            Ok(execution) => Box::pin(Follow::new(execution)),
            Err(error) => Box::pin(Failure(Some(error))),
        }
    }

    /// A local pipeline has no gates, so none waits for an answer.
    async fn answer(&self, id: &RunId, gate: &str, _: Answer) -> Result<()> {
        self.execution(id)?;
        Err(Error::not_found(format!("execution {id} does not wait at a gate {gate:?}")))
    }

    /// One that has ended stays as it is.
    async fn cancel(&self, id: &RunId) -> Result<()> {
        self.execution(id)?.cancel();
        Ok(())
    }
}

/// A place among the executions, left whichever way the end comes.
struct Place {
    running: Arc<Running>,
    id: RunId,
}

impl Drop for Place {
    fn drop(&mut self) {
        lock(&self.running).remove(&self.id);
    }
}

fn past_path(folder: &Path, id: &RunId) -> PathBuf {
    folder.join("executions").join(format!("{id}.json"))
}

fn write_past(
    folder: &Path,
    id: &RunId,
    pipeline: &Arc<str>,
    events: Vec<ExecutionEvent>,
) -> Result<()> {
    let past = Past { version: 1, pipeline: Arc::clone(pipeline), events };
    let bytes = serde_json::to_vec(&past)
        .map_err(|cause| Error::internal("events are no JSON").with_source(cause))?;
    disk::write_whole(&past_path(folder, id), &bytes)
}

/// What a panic elsewhere left is still a map.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
