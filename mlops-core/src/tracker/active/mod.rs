//! The everyday handle of a run.

mod body;
mod buffer;
mod extension;
#[cfg(feature = "tracing")]
mod layer;
mod options;
mod params;
mod sender;
mod spill;
#[cfg(feature = "system-metrics")]
mod system;
mod worker;

pub use extension::TrackerExt;
#[cfg(feature = "pipeline")]
pub(crate) use extension::{begin, create};
#[cfg(feature = "tracing")]
pub use layer::MetricsLayer;
pub use options::{RunOptions, WhenFull};
pub use params::ParamValue;
pub use sender::MetricSender;

use super::{
    Batch, DatasetInput, InputData, Metric, Run, RunChange, RunStatus, Tracker,
    active::{
        buffer::Buffer,
        spill::Spill,
        worker::{Control, End, Worker},
    },
};
use crate::{
    Digest, Error, Result, RunId,
    artifact::{ArtifactPath, ArtifactRef, Manifest},
    model::ModelPackage,
    seed,
};
use bytes::Bytes;
use std::{
    path::Path,
    sync::{Arc, Mutex, mpsc::Receiver},
};
use tokio::sync::{mpsc, oneshot};

/// The most requests, other than metrics, that wait for the run's thread.
const CONTROLS: usize = 16;

/// A run that this process works on.
///
/// [`log_metric`](Self::log_metric) *accepts*: the value is put into a bounded buffer and written
/// with others. [`flush`](Self::flush), [`finish`](Self::finish) and all other methods *acknowledge*:
/// what they wrote is durable when they return. A thread of its own writes what is in the buffer
/// and renews the run's lease, so the run works in any host, on any runtime or none, and a process
/// that is killed leaves a run that fails once its lease runs out.
///
/// Dropped without `finish` (left by `?`, or a panic) the run is failed, with the reason under
/// [`FAILURE_TAG`](super::FAILURE_TAG); dropping waits for that at most
/// [`close_within`](RunOptions::close_within).
///
/// ```no_run
/// use mlops_core::{Result, Tracker, tracker::{RunOptions, TrackerExt}};
/// use std::sync::Arc;
///
/// async fn train(tracker: Arc<dyn Tracker>) -> Result<()> {
///     let run = tracker.start_run("income", RunOptions::new().with_name("mlp-64")).await?;
///     run.log_params([("hidden", 64.into()), ("learning_rate", 1e-3.into())]).await?;
///     let seed = run.seed("weights"); // all seeds come from the run's one root
///     for epoch in 0..20 {
///         run.log_metric("loss", 1.0 / f64::from(epoch + 1), epoch).await?;
///     }
///     run.log_metrics([("accuracy", 0.83)]).await?;
///     run.finish().await
/// }
/// ```
#[derive(Debug)]
pub struct ActiveRun {
    run: Run,
    tracker: Arc<dyn Tracker>,
    options: RunOptions,
    buffer: Arc<Buffer>,
    control: Option<mpsc::Sender<Control>>,
    closed: Mutex<Receiver<()>>,
}

impl ActiveRun {
    /// Works on a run that the tracker has.
    fn begin(tracker: Arc<dyn Tracker>, run: Run, options: RunOptions) -> Result<Self> {
        let (control, inbox) = mpsc::channel(CONTROLS);
        let (closing, closed) = std::sync::mpsc::channel();
        let spill = match &options.when_full {
            WhenFull::Spill(folder) => Some(Spill::create(folder, run.id, options.spill_bytes)?),
            _ => None,
        };
        let buffer = Arc::new(Buffer::new(options.buffer, spill));
        let worker = Worker::new(Arc::clone(&tracker), &run.id, Arc::clone(&buffer), &options);
        let thread = move || {
            // Dropped last, whichever way the end comes.
            let _closing: std::sync::mpsc::Sender<()> = closing;
            worker.serve(inbox);
        };
        std::thread::Builder::new()
            .name("mlops-run".to_owned())
            .spawn(thread)
            .map_err(|source| Error::io("the run's thread", source))?;
        let (control, closed) = (Some(control), Mutex::new(closed));
        Ok(Self { run, tracker, options, buffer, control, closed })
    }

    /// Its identity.
    pub fn id(&self) -> RunId {
        self.run.id
    }

    /// The run as it was when it started.
    pub fn run(&self) -> &Run {
        &self.run
    }

    /// Who records it.
    pub fn tracker(&self) -> &Arc<dyn Tracker> {
        &self.tracker
    }

    /// A seed for one use of randomness, always the same for the same root and name.
    pub fn seed(&self, name: &str) -> u64 {
        seed::derive(self.options.seed, name)
    }

    /// Accepts a value of a metric; it is written with others, at the latest after
    /// [`flush_interval`](RunOptions::flush_interval), and durable after the next
    /// [`flush`](Self::flush) or [`finish`](Self::finish).
    ///
    /// # Behavior
    /// - if the buffer is full it waits, drops and counts, or writes to the disk, as [`WhenFull`] says
    pub async fn log_metric(
        &self,
        name: impl Into<Arc<str>>,
        value: f64,
        step: impl Into<i64>,
    ) -> Result<()> {
        let metric = Metric::new(name, value, step.into(), self.options.clock.now());
        let waiting = match self.options.when_full {
            WhenFull::Wait => self.buffer.push(metric).await?,
            WhenFull::Drop | WhenFull::Spill(_) => self.buffer.try_push(metric)?,
        };
        self.wake(waiting);
        Ok(())
    }

    /// As [`log_metric`](Self::log_metric), for code that does not await: if the buffer is full it
    /// never waits; it drops and counts, or writes to the disk.
    pub fn push_metric(
        &self,
        name: impl Into<Arc<str>>,
        value: f64,
        step: impl Into<i64>,
    ) -> Result<()> {
        let metric = Metric::new(name, value, step.into(), self.options.clock.now());
        self.wake(self.buffer.try_push(metric)?);
        Ok(())
    }

    /// Tells the thread that a batch is full.
    fn wake(&self, waiting: usize) {
        if waiting == self.options.batch.max(1)
            && let Some(control) = &self.control
        {
            // A thread that has so much to do needs no waking.
            let _ = control.try_send(Control::Wake);
        }
    }

    /// A handle that gives metrics to this run from elsewhere: another thread, a callback, a layer.
    pub fn sender(&self) -> MetricSender {
        // While the run can be named it has not ended, and its thread listens.
        let closed = || mpsc::channel(1).0.downgrade();
        let thread = self.control.as_ref().map_or_else(closed, mpsc::Sender::downgrade);
        let (buffer, clock) = (Arc::clone(&self.buffer), Arc::clone(&self.options.clock));
        MetricSender::new(buffer, thread, clock, self.options.batch.max(1))
    }

    /// Metrics that were dropped because the buffer was full, or that the tracker refused.
    pub fn lost_metrics(&self) -> u64 {
        self.buffer.lost()
    }

    /// Writes several metrics at once, at step 0: all or none.
    pub async fn log_metrics<N: Into<Arc<str>>>(
        &self,
        metrics: impl IntoIterator<Item = (N, f64)>,
    ) -> Result<()> {
        let now = self.options.clock.now();
        let metric = |(name, value): (N, f64)| Metric::new(name, value, 0, now);
        self.log(Batch::new().with_metrics(metrics.into_iter().map(metric).collect::<Vec<_>>()))
            .await
    }

    /// Writes settings: all or none. A setting keeps its first value; another is `Conflict`.
    pub async fn log_params<N: Into<String>>(
        &self,
        params: impl IntoIterator<Item = (N, ParamValue)>,
    ) -> Result<()> {
        let param = |(name, value): (N, ParamValue)| (name.into(), value.into());
        self.log(Batch::new().with_params(params.into_iter().map(param).collect::<Vec<_>>())).await
    }

    /// Sets tags: all or none.
    pub async fn set_tags<N: Into<String>, V: Into<String>>(
        &self,
        tags: impl IntoIterator<Item = (N, V)>,
    ) -> Result<()> {
        let tag = |(name, value): (N, V)| (name.into(), value.into());
        self.log(Batch::new().with_tags(tags.into_iter().map(tag).collect::<Vec<_>>())).await
    }

    /// Records what the run read, and for what: digest and size, never the rows.
    pub async fn log_input(&self, data: &impl InputData, context: &str) -> Result<DatasetInput> {
        let input = data.input(context);
        self.log(Batch::new().with_inputs(vec![input.clone()])).await?;
        Ok(input)
    }

    /// Writes a batch: all of it or nothing.
    pub async fn log(&self, batch: Batch) -> Result<()> {
        self.tracker.log_batch(&self.run.id, batch).await
    }

    /// Stores bytes under a path of the run.
    pub async fn log_artifact(&self, path: &str, bytes: impl Into<Bytes>) -> Result<ArtifactRef> {
        let path = ArtifactPath::new(path)?;
        self.tracker.write_artifact(&self.run.id, &path, body::bytes_stream(bytes.into())).await
    }

    /// Stores every file of a folder under a path of the run; the root of the run if it is empty.
    ///
    /// # Behavior
    /// - `Corrupt` names a file that changed while it was stored
    pub async fn log_folder(&self, under: &str, folder: &Path) -> Result<Manifest> {
        let under = ArtifactPath::new(under)?;
        let manifest = Manifest::of_dir(folder)?;
        for (path, wanted) in manifest.iter() {
            let target = match under.as_str() {
                "" => path.clone(),
                under => ArtifactPath::new(format!("{under}/{path}"))?,
            };
            let file = body::file_stream(&path.under(folder))?;
            let stored = self.tracker.write_artifact(&self.run.id, &target, file).await?;
            if stored != *wanted {
                return Err(Error::corrupt(format!("{path}: changed while it was stored")));
            }
        }
        Ok(manifest)
    }

    /// Stores a model package under a path of the run, and its digest as a tag,
    /// `mlops.model.` and the path.
    pub async fn log_model(&self, path: &str, package: &ModelPackage) -> Result<Digest> {
        self.log_folder(path, package.folder()).await?;
        let digest = package.digest();
        self.set_tags([(format!("mlops.model.{path}"), digest.to_string())]).await?;
        Ok(digest)
    }

    /// Waits until every metric accepted before is durable; the error says why some are not.
    ///
    /// # Behavior
    /// - metrics that could not be written because the tracker is away are kept and tried again
    /// - metrics that the tracker refuses are lost, and counted in [`lost_metrics`](Self::lost_metrics)
    pub async fn flush(&self) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.ask(Control::Flush(reply)).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Ends the run as it should. All that was accepted is durable and the run is finished when
    /// this returns; if metrics cannot be written it is failed, and the error says why.
    pub async fn finish(self) -> Result<()> {
        self.end(RunStatus::Finished, None).await
    }

    /// Ends the run as failed, for this reason.
    pub async fn fail(self, reason: impl Into<String>) -> Result<()> {
        self.end(RunStatus::Failed, Some(reason.into())).await
    }

    /// Ends the run because somebody wants it to end.
    pub async fn kill(self, reason: impl Into<String>) -> Result<()> {
        self.end(RunStatus::Killed, Some(reason.into())).await
    }

    /// Finishes the run if this is Ok, else fails it with the error's text; gives the same back.
    pub async fn conclude<T>(self, result: Result<T>) -> Result<T> {
        match result {
            Ok(value) => self.finish().await.map(|()| value),
            Err(error) => {
                // The first error is the one that matters.
                let _ = self.fail(error.to_string()).await;
                Err(error)
            }
        }
    }

    async fn end(self, status: RunStatus, reason: Option<String>) -> Result<()> {
        let (reply, answer) = oneshot::channel();
        self.ask(Control::End(End { status, reason }, reply)).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    async fn ask(&self, control: Control) -> Result<()> {
        let sender = self.control.as_ref().ok_or_else(stopped)?;
        sender.send(control).await.map_err(|_| stopped())
    }
}

fn stopped() -> Error {
    Error::internal("the run's thread ended")
}

impl Drop for ActiveRun {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.buffer.left_by_panic();
        }
        // Without a sender the thread writes what is left, fails a run that has not ended, and ends.
        self.control = None;
        if let Ok(closed) = self.closed.get_mut() {
            let _ = closed.recv_timeout(self.options.close_within);
        }
    }
}

/// A change that ends a run.
fn ended(status: RunStatus, now: crate::Timestamp) -> RunChange {
    RunChange::default().with_status(status).with_ended(now)
}
