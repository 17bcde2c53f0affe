//! A handle that gives metrics to a run, from wherever they are measured.

use super::{buffer::Buffer, worker::Control};
use crate::{Clock, Result, tracker::Metric};
use std::sync::Arc;
use tokio::sync::mpsc;

/// Gives metrics to a run without holding it: cheap to clone, and never in the way of its end.
///
/// What comes after the run has ended is an error and changes nothing.
#[derive(Clone, Debug)]
pub struct MetricSender {
    buffer: Arc<Buffer>,
    thread: mpsc::WeakSender<Control>,
    clock: Arc<dyn Clock>,
    batch: usize,
}

impl MetricSender {
    pub(super) fn new(
        buffer: Arc<Buffer>,
        thread: mpsc::WeakSender<Control>,
        clock: Arc<dyn Clock>,
        batch: usize,
    ) -> Self {
        Self { buffer, thread, clock, batch }
    }

    /// Accepts a value of a metric and never waits: if the run's buffer is full it is dropped and
    /// counted, or written to the disk, as the run's [`WhenFull`](super::WhenFull) says.
    pub fn push_metric(
        &self,
        name: impl Into<Arc<str>>,
        value: f64,
        step: impl Into<i64>,
    ) -> Result<()> {
        let metric = Metric::new(name, value, step.into(), self.clock.now());
        let waiting = self.buffer.try_push(metric)?;
        if waiting == self.batch
            && let Some(thread) = self.thread.upgrade()
        {
            // A thread that has so much to do needs no waking.
            let _ = thread.try_send(Control::Wake);
        }
        Ok(())
    }
}
