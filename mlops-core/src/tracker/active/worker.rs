//! The thread of a run: writes what is in the buffer, renews the lease, ends the run.

use super::{RunOptions, buffer::Buffer, ended};
use crate::{
    Clock, Error, ErrorKind, Result, RunId, Tracker,
    tracker::{Batch, FAILURE_TAG, RunStatus},
};
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep, timeout_at},
};

/// The shortest interval and the pause between two tries while the tracker is away.
const PAUSE: Duration = Duration::from_millis(20);

/// What the run's handle asks of its thread.
#[derive(Debug)]
pub(super) enum Control {
    /// A batch is full.
    Wake,
    Flush(oneshot::Sender<Result<()>>),
    End(End, oneshot::Sender<Result<()>>),
}

/// How a run ends.
#[derive(Debug)]
pub(super) struct End {
    pub(super) status: RunStatus,
    pub(super) reason: Option<String>,
}

/// What the thread works on.
pub(super) struct Worker {
    tracker: Arc<dyn Tracker>,
    run: RunId,
    buffer: Arc<Buffer>,
    clock: Arc<dyn Clock>,
    batch: usize,
    flush_interval: Duration,
    /// `None` if the tracker knows no leases.
    lease: Option<Duration>,
    close_within: Duration,
    renew_at: Instant,
    /// Why metrics were lost since somebody last asked.
    trouble: Option<Error>,
    #[cfg(feature = "system-metrics")]
    system: Option<super::system::SystemMetrics>,
}

impl Worker {
    pub(super) fn new(
        tracker: Arc<dyn Tracker>,
        run: &RunId,
        buffer: Arc<Buffer>,
        options: &RunOptions,
    ) -> Self {
        Self {
            tracker,
            run: *run,
            buffer,
            clock: Arc::clone(&options.clock),
            batch: options.batch.max(1),
            flush_interval: options.flush_interval.max(PAUSE),
            lease: Some(options.lease),
            close_within: options.close_within,
            renew_at: Instant::now(),
            trouble: None,
            #[cfg(feature = "system-metrics")]
            system: options.system_metrics.map(super::system::SystemMetrics::new),
        }
    }

    /// Works until the run has ended or nobody holds it any more.
    pub(super) fn serve(mut self, inbox: mpsc::Receiver<Control>) {
        // The thread is the run's own, so blocking it holds up nobody. Without a runtime the
        // inbox closes, and whoever asks is told that the thread ended.
        if let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() {
            runtime.block_on(self.work(inbox));
        }
    }

    async fn work(&mut self, mut inbox: mpsc::Receiver<Control>) {
        let mut flush_at = Instant::now() + self.flush_interval;
        self.renew_at = Instant::now() + self.renewal();
        loop {
            match timeout_at(self.next(flush_at), inbox.recv()).await {
                Ok(Some(Control::Wake)) => {
                    // What could not be written is tried again when its time comes.
                    // Somebody who asks for something meanwhile comes first.
                    while self.buffer.len() >= self.batch
                        && inbox.is_empty()
                        && self.write_batch().await.is_ok()
                    {}
                }
                Ok(Some(Control::Flush(reply))) => {
                    let written = self.flush().await;
                    let _ = reply.send(written);
                    flush_at = Instant::now() + self.flush_interval;
                }
                Ok(Some(Control::End(end, reply))) => {
                    let done = self.end(end).await;
                    let _ = reply.send(done);
                    return;
                }
                Ok(None) => {
                    let _ = self.end(self.left()).await;
                    return;
                }
                Err(_) if self.renew_at <= Instant::now() => self.renew_if_due().await,
                Err(_) if flush_at <= Instant::now() => {
                    let _ = self.write_all().await;
                    flush_at = Instant::now() + self.flush_interval;
                }
                Err(_) => {}
            }
            self.sample();
        }
    }

    /// When something is to be done even if nobody asks.
    fn next(&self, flush_at: Instant) -> Instant {
        let next = flush_at.min(self.renew_at);
        #[cfg(feature = "system-metrics")]
        let next = self.system.as_ref().map_or(next, |system| next.min(system.due));
        next
    }

    /// Notes what the machine does, if it is time.
    #[cfg(feature = "system-metrics")]
    fn sample(&mut self) {
        if let Some(system) = &mut self.system
            && let Err(error) = system.sample_if_due(&self.buffer, self.clock.as_ref())
        {
            self.trouble = Some(error);
        }
    }

    #[cfg(not(feature = "system-metrics"))]
    #[expect(clippy::unused_self, reason = "there is nothing to sample")]
    fn sample(&mut self) {}

    /// Three renewals fit into a lease, so that one that fails is no end.
    fn renewal(&self) -> Duration {
        // A tracker without leases is asked again so seldom that it does not matter.
        self.lease.map_or(Duration::from_hours(24), |lease| (lease / 3).max(PAUSE))
    }

    async fn renew(&mut self) {
        let Some(lease) = self.lease else { return };
        let renewed = self.tracker.renew_lease(&self.run, lease).await;
        if renewed.is_err_and(|error| error.kind() == ErrorKind::Unsupported) {
            self.lease = None;
        }
    }

    /// How a run ends that was dropped.
    fn left(&self) -> End {
        let panicked = self.buffer.was_left_by_panic();
        let reason =
            if panicked { "left by a panic" } else { "dropped without having been finished" };
        End { status: RunStatus::Failed, reason: Some(reason.to_owned()) }
    }

    /// Writes the first metrics of the buffer; whether there were any.
    async fn write_batch(&mut self) -> Result<bool> {
        self.renew_if_due().await;
        let metrics = self.buffer.first(self.batch);
        let count = metrics.len();
        if count == 0 {
            return Ok(false);
        }
        let written = self.tracker.log_batch(&self.run, Batch::new().with_metrics(metrics)).await;
        match written {
            Ok(()) => self.buffer.remove(count, false),
            // The same batch again changes nothing, so it may have been written.
            Err(error) if error.kind().row().may_retry => return Err(error),
            // One bad metric costs only itself.
            Err(error) if error.kind() == ErrorKind::InvalidInput && count > 1 => {
                return self.write_each(count).await;
            }
            Err(error) => {
                self.buffer.remove(count, true);
                self.trouble = Some(error);
            }
        }
        Ok(true)
    }

    /// Writes so many metrics one by one.
    async fn write_each(&mut self, count: usize) -> Result<bool> {
        for _ in 0..count {
            let batch = Batch::new().with_metrics(self.buffer.first(1));
            let written = self.tracker.log_batch(&self.run, batch).await;
            match written {
                Err(error) if error.kind().row().may_retry => return Err(error),
                written => {
                    self.buffer.remove(1, written.is_err());
                    self.trouble = written.err().or(self.trouble.take());
                }
            }
        }
        Ok(true)
    }

    async fn write_all(&mut self) -> Result<()> {
        // What comes meanwhile is not waited for: a busy producer would hold this up for ever.
        for _ in 0..self.buffer.len().div_ceil(self.batch) {
            self.write_batch().await?;
        }
        while self.write_spilled().await? {}
        Ok(())
    }

    /// Keeps the lease also while there is always something to write.
    async fn renew_if_due(&mut self) {
        if self.renew_at <= Instant::now() {
            self.renew().await;
            self.renew_at = Instant::now() + self.renewal();
        }
    }

    /// Writes the first metrics that are on this machine's disk; whether there were any.
    async fn write_spilled(&mut self) -> Result<bool> {
        self.renew_if_due().await;
        let Some(spill) = &self.buffer.spill else { return Ok(false) };
        let (metrics, bytes) = spill.first(self.batch)?;
        let count = metrics.len();
        if count > 0 {
            let batch = Batch::new().with_metrics(metrics);
            match self.tracker.log_batch(&self.run, batch).await {
                Ok(()) => {}
                Err(error) if error.kind().row().may_retry => return Err(error),
                Err(error) => {
                    self.buffer.lose(count);
                    self.trouble = Some(error);
                }
            }
        }
        spill.remove(bytes)?;
        Ok(bytes > 0)
    }

    async fn flush(&mut self) -> Result<()> {
        let written = self.write_all().await;
        self.answer(written)
    }

    fn answer(&mut self, written: Result<()>) -> Result<()> {
        written.map_err(|error| error.context("metrics are not written yet"))?;
        let lost = |error: Error| Err(error.context("metrics were lost"));
        self.trouble.take().map_or(Ok(()), lost)
    }

    /// Writes what is left and ends the run. A run whose metrics are not all there is failed.
    async fn end(&mut self, end: End) -> Result<()> {
        let until = Instant::now() + self.close_within;
        let mut written = self.flush().await;
        while written.as_ref().is_err_and(|error| error.kind().row().may_retry)
            && Instant::now() < until
        {
            sleep(PAUSE).await;
            written = self.flush().await;
        }
        let End { status, reason } = match &written {
            Err(error) if end.status == RunStatus::Finished => {
                End { status: RunStatus::Failed, reason: Some(error.to_string()) }
            }
            _ => end,
        };
        loop {
            match self.write_end(status, reason.as_deref()).await {
                Err(error) if error.kind().row().may_retry && Instant::now() < until => {
                    sleep(PAUSE).await;
                }
                done => return written.and(done),
            }
        }
    }

    async fn write_end(&self, status: RunStatus, reason: Option<&str>) -> Result<()> {
        // First the end: a run that another handle has finished is not told that it failed.
        let change = ended(status, self.clock.now());
        self.tracker.update_run(&self.run, change).await?;
        let Some(reason) = reason else { return Ok(()) };
        let tags = vec![(FAILURE_TAG.to_owned(), reason.to_owned())];
        self.tracker.log_batch(&self.run, Batch::new().with_tags(tags)).await
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.buffer.close();
    }
}
