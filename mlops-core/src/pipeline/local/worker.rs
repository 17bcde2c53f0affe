//! The thread of one execution.

use super::{LocalPipeline, Place, write_past};
use crate::{
    Clock, Error, Result, RunId,
    disk::Lock,
    pipeline::{
        ExecutedStep, ExecutionEvent, ExecutionManifest, Graph, SourceState, StepContext, StepSpec,
        StoredValue, cache::Cache, execution::Execution,
    },
    tracker::{ActiveRun, Batch, RunStatus},
};
use std::{
    any::Any,
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::runtime::{Builder, Runtime};

/// What the thread works on.
pub(super) struct Worker {
    graph: Arc<Graph>,
    id: RunId,
    execution: Arc<Execution>,
    cache: Cache,
    folder: PathBuf,
    source: PathBuf,
    seed: u64,
    clock: Arc<dyn Clock>,
    /// The folder stays this process's until its last execution has ended.
    _lock: Arc<Lock>,
}

/// Why an execution does not go on.
enum Halt {
    Cancelled,
    Failed(Error),
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl Worker {
    pub(super) fn new(
        pipeline: &LocalPipeline,
        id: RunId,
        execution: Arc<Execution>,
        seed: u64,
    ) -> Self {
        Self {
            graph: Arc::clone(&pipeline.graph),
            id,
            execution,
            cache: pipeline.cache.clone(),
            folder: pipeline.folder.clone(),
            source: pipeline.config.source.clone(),
            seed,
            clock: Arc::clone(&pipeline.config.clock),
            _lock: Arc::clone(&pipeline.lock),
        }
    }

    /// Executes all steps, ends the run, and says how it ended once that is recorded.
    pub(super) fn serve(self, run: ActiveRun, place: Place) {
        // The thread is the execution's own, so blocking it holds up nobody.
        let runtime = Builder::new_current_thread().enable_all().build();
        let status = runtime.map_or(RunStatus::Failed, |runtime| self.execute(&runtime, run));
        let event = ExecutionEvent::Ended { status };
        let mut events = self.execution.events();
        events.push(event.clone());
        // Whoever asks later and finds no end is told that it failed.
        let _ = write_past(&self.folder, &self.id, self.graph.name(), events);
        let execution = Arc::clone(&self.execution);
        // The folder and the place are free before anybody is told.
        drop((self, place));
        execution.push(event);
    }

    fn execute(&self, runtime: &Runtime, run: ActiveRun) -> RunStatus {
        let source = SourceState::of(&self.source);
        let started = self.clock.now();
        let mut manifest = ExecutionManifest::new(&self.graph, self.seed, source, started);
        let done = self.steps(runtime, &run, &mut manifest);
        manifest.ended = Some(self.clock.now());
        // What cannot be removed now is removed by the next process.
        let _ = remove(&self.work());
        let recorded = runtime.block_on(record(&run, &manifest)).map_err(Halt::Failed);
        let (status, ended) = runtime.block_on(async {
            match done.and(recorded) {
                Ok(()) => (RunStatus::Finished, run.finish().await),
                Err(Halt::Cancelled) => (RunStatus::Killed, run.kill("cancelled").await),
                Err(Halt::Failed(error)) => (RunStatus::Failed, run.fail(error.to_string()).await),
            }
        });
        if ended.is_ok() { status } else { RunStatus::Failed }
    }

    fn steps(
        &self,
        runtime: &Runtime,
        run: &ActiveRun,
        manifest: &mut ExecutionManifest,
    ) -> Result<(), Halt> {
        // A process that dies leaves what it began with.
        runtime.block_on(record(run, manifest))?;
        for (index, spec) in self.graph.steps().enumerate() {
            if self.execution.is_cancelled() {
                return Err(Halt::Cancelled);
            }
            let executed = self.step(runtime, run, (index, spec), &manifest.steps);
            let executed = executed.inspect_err(|halt| {
                if let Halt::Failed(error) = halt {
                    let (step, reason) = (Arc::clone(&spec.name), error.to_string().into());
                    self.execution.push(ExecutionEvent::Failed { step, reason });
                }
            })?;
            let (step, cached) = (Arc::clone(&spec.name), executed.cached);
            manifest.steps.push(executed);
            self.execution.push(ExecutionEvent::Succeeded { step, cached });
        }
        Ok(())
    }

    /// Finds what a step makes of the values before it, or makes it.
    fn step(
        &self,
        runtime: &Runtime,
        run: &ActiveRun,
        (index, spec): (usize, &StepSpec),
        before: &[ExecutedStep],
    ) -> Result<ExecutedStep, Halt> {
        let inputs = inputs(spec, before)?;
        let work = self.work().join(index.to_string());
        let scratch = work.join("scratch");
        let context = StepContext::new(self.id, Arc::clone(&spec.name), self.seed, scratch)
            .with_cancelled(Arc::clone(&self.execution.cancelled));
        let seed = context.seed;
        let key = Cache::key(spec, seed, &inputs)?;
        let found = self.cache.find(key)?;
        let cached = found.is_some();
        let outputs = if let Some(found) = found {
            found
        } else {
            let started = self.clock.instant();
            self.execution.push(ExecutionEvent::Started { step: Arc::clone(&spec.name) });
            let made = self.make(runtime, (index, spec), &context, &inputs, &work)?;
            let kept = self.cache.keep(key, spec, &made)?;
            let took = self.clock.instant().saturating_duration_since(started);
            run.push_metric(duration_metric(&spec.name), took.as_secs_f64(), 0)?;
            kept
        };
        let data: Vec<_> = outputs.iter().filter_map(|value| value.dataset.clone()).collect();
        if !data.is_empty() {
            runtime.block_on(run.log(Batch::new().with_inputs(data)))?;
        }
        Ok(ExecutedStep { spec: spec.clone(), seed, cached, outputs })
    }

    /// The folder of this execution's steps while they run.
    fn work(&self) -> PathBuf {
        self.folder.join("work").join(self.id.to_string())
    }

    /// Executes a step into paths of its own.
    fn make(
        &self,
        runtime: &Runtime,
        (index, spec): (usize, &StepSpec),
        context: &StepContext,
        inputs: &[&StoredValue],
        work: &Path,
    ) -> Result<Vec<PathBuf>, Halt> {
        remove(work)?;
        let scratch = &context.scratch;
        fs::create_dir_all(scratch).map_err(|source| Error::io(scratch.display(), source))?;
        let outputs: Vec<PathBuf> =
            (0..spec.outputs.len()).map(|port| work.join(format!("output-{port}"))).collect();
        let inputs: Vec<PathBuf> = inputs.iter().map(|value| self.cache.path(value)).collect();
        let from: Vec<&Path> = inputs.iter().map(PathBuf::as_path).collect();
        let into: Vec<&Path> = outputs.iter().map(PathBuf::as_path).collect();
        let step = self.graph.execute_step(index, context, &from, &into);
        // What a step leaves behind when it panics is its work folder, and that is removed.
        let done = catch_unwind(AssertUnwindSafe(|| {
            runtime.block_on(self.execution.unless_cancelled(step))
        }));
        match done {
            Ok(Some(done)) => done?,
            Ok(None) => return Err(Halt::Cancelled),
            Err(panic) => {
                let (name, said) = (&spec.name, said(&*panic));
                return Err(Error::internal(format!("step {name:?} panicked: {said}")).into());
            }
        }
        Ok(outputs)
    }
}

/// The metric that says how long a step took; trackers do not take every letter in a name.
fn duration_metric(step: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_. ".contains(c) { c } else { '_' };
    format!("steps/{}/duration_s", step.chars().map(plain).collect::<String>())
}

/// The values that a step reads.
fn inputs<'a>(spec: &StepSpec, before: &'a [ExecutedStep]) -> Result<Vec<&'a StoredValue>> {
    let value = |&(step, port): &(usize, usize)| before.get(step)?.outputs.get(port);
    let found: Option<Vec<&StoredValue>> = spec.inputs.iter().map(value).collect();
    found.ok_or_else(|| Error::internal(format!("step {:?}: a value is missing", spec.name)))
}

async fn record(run: &ActiveRun, manifest: &ExecutionManifest) -> Result<()> {
    run.log_artifact("manifest.json", manifest.to_json()).await.map(|_| ())
}

fn remove(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
            Err(Error::io(folder.display(), source))
        }
        _ => Ok(()),
    }
}

/// The text of a panic.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a word")
}
