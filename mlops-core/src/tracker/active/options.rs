//! How one run differs from another.

use crate::{Clock, RunId, SystemClock, setters::setters, tracker::Tags};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// What happens to a metric when the buffer is full.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// The caller waits for a place: for training. Never inside a served request.
    #[default]
    Wait,
    /// The metric is dropped and counted.
    Drop,
    /// The metric is put into a file of this folder, and written later; dropped and counted once
    /// that file holds [`spill_bytes`](RunOptions::spill_bytes).
    Spill(PathBuf),
}

/// How an [`ActiveRun`](super::ActiveRun) starts and works; right as it is for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RunOptions {
    /// A name for people; the tracker makes one up if `None`.
    pub name: Option<Arc<str>>,
    /// Tags of the run.
    pub tags: Tags,
    /// The run that this one is a part of.
    pub parent: Option<RunId>,
    /// The same key again gives the same run.
    pub idempotency_key: Option<Arc<str>>,
    /// The root of all randomness: 0. Recorded as a tag, `mlops.seed`.
    pub seed: u64,
    /// The most metrics that wait to be written: 10,000.
    pub buffer: usize,
    /// The most metrics that are written at once: 1,000, the most that MLflow takes.
    pub batch: usize,
    /// The longest that a metric waits before it is written: one second.
    pub flush_interval: Duration,
    /// What happens to a metric when the buffer is full.
    pub when_full: WhenFull,
    /// The most bytes of metrics on the disk, if they are put there: 1 GiB.
    pub spill_bytes: u64,
    /// How long after its process is gone the run counts as failed: one minute. Renewed three
    /// times as often.
    pub lease: Duration,
    /// The longest that ending tries again while the tracker is away, and that dropping waits: 5 s.
    pub close_within: Duration,
    /// How often the run notes what processor and memory do, under MLflow's names; never if `None`.
    #[cfg(feature = "system-metrics")]
    pub system_metrics: Option<Duration>,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
}

impl RunOptions {
    /// A run without name and tags.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names it for people.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Adds a tag.
    #[must_use]
    pub fn with_tag(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.tags.insert(name.into(), value.into());
        self
    }

    /// Notes so often what processor and memory do.
    #[cfg(feature = "system-metrics")]
    #[must_use]
    pub fn with_system_metrics(mut self, every: Duration) -> Self {
        self.system_metrics = Some(every);
        self
    }

    /// The same key again gives the same run.
    #[must_use]
    pub fn with_idempotency_key(mut self, key: impl Into<Arc<str>>) -> Self {
        self.idempotency_key = Some(key.into());
        self
    }
}

impl Default for RunOptions {
    fn default() -> Self {
        Self {
            name: None,
            tags: Tags::new(),
            parent: None,
            idempotency_key: None,
            seed: 0,
            buffer: 10_000,
            batch: 1_000,
            flush_interval: Duration::from_secs(1),
            when_full: WhenFull::Wait,
            spill_bytes: 1 << 30,
            lease: Duration::from_mins(1),
            close_within: Duration::from_secs(5),
            #[cfg(feature = "system-metrics")]
            system_metrics: None,
            clock: Arc::new(SystemClock),
        }
    }
}

setters!(RunOptions {
    /// Sets its tags.
    with_tags => tags: Tags,
    /// Makes it a part of another run.
    with_parent => parent: RunId,
    /// Sets the root of all randomness.
    with_seed => seed: u64,
    /// Sets the most metrics that wait to be written.
    with_buffer => buffer: usize,
    /// Sets the most metrics that are written at once.
    with_batch => batch: usize,
    /// Sets the longest that a metric waits before it is written.
    with_flush_interval => flush_interval: Duration,
    /// Says what happens to a metric when the buffer is full.
    with_when_full => when_full: WhenFull,
    /// Sets the most bytes of metrics on the disk.
    with_spill_bytes => spill_bytes: u64,
    /// Sets how long after its process is gone the run counts as failed.
    with_lease => lease: Duration,
    /// Sets the longest that ending tries again, and that dropping waits.
    with_close_within => close_within: Duration,
    /// Takes the time from here.
    with_clock => clock: Arc<dyn Clock>,
});
