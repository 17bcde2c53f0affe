//! Bounds and intervals of a log.

use crate::{Clock, IdSource, RandomIds, SystemClock, setters::setters};
use std::{sync::Arc, time::Duration};

/// Bounds and intervals of an [`InferenceLog`](super::InferenceLog); right as they are for most.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct InferenceLogConfig {
    /// What its records say was called: `default`.
    pub endpoint: Arc<str>,
    /// The most requests that wait to be written: 4,096. What comes above is dropped and counted.
    pub queue: usize,
    /// The most bytes of tensors that wait to be written: 64 MiB. Above likewise.
    pub queue_bytes: usize,
    /// The longest that a record waits before it is written and synced: one second. What a crash
    /// of the process or the machine may cost.
    pub flush_interval: Duration,
    /// So many waiting rows are written at once without waiting longer: 8,192.
    pub flush_rows: usize,
    /// A segment with so many rows is closed: 65,536.
    pub segment_rows: usize,
    /// A segment so old is closed: 15 minutes.
    pub segment_interval: Duration,
    /// The most segments that grow side by side, one for each model version that answers: 4.
    pub open_segments: usize,
    /// The most calls of `append` that wait for the disk before further ones wait to be accepted: 1,024.
    pub outcome_queue: usize,
    /// The longest that dropping the log waits for what is still to be written: 5 seconds.
    pub close_within: Duration,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where the ids of failed requests come from: no answer names them.
    pub ids: Arc<dyn IdSource>,
}

impl Default for InferenceLogConfig {
    fn default() -> Self {
        Self {
            endpoint: Arc::from("default"),
            queue: 4096,
            queue_bytes: 64 << 20,
            flush_interval: Duration::from_secs(1),
            flush_rows: 8192,
            segment_rows: 65_536,
            segment_interval: Duration::from_mins(15),
            open_segments: 4,
            outcome_queue: 1024,
            close_within: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
        }
    }
}

setters!(InferenceLogConfig {
    /// Says what its records say was called.
    with_endpoint => endpoint: impl Into<Arc<str>>,
    /// Sets the most requests that wait to be written.
    with_queue => queue: usize,
    /// Sets the most bytes that wait to be written.
    with_queue_bytes => queue_bytes: usize,
    /// Sets the longest that a record waits before it is written and synced.
    with_flush_interval => flush_interval: Duration,
    /// Sets how many waiting rows are written at once without waiting longer.
    with_flush_rows => flush_rows: usize,
    /// Closes a segment with so many rows.
    with_segment_rows => segment_rows: usize,
    /// Closes a segment so old.
    with_segment_interval => segment_interval: Duration,
    /// Sets the most segments that grow side by side.
    with_open_segments => open_segments: usize,
    /// Sets the most calls of `append` that wait for the disk.
    with_outcome_queue => outcome_queue: usize,
    /// Sets the longest that dropping the log waits.
    with_close_within => close_within: Duration,
    /// Takes the time from here.
    with_clock => clock: Arc<dyn Clock>,
    /// Takes the ids of failed requests from here.
    with_ids => ids: Arc<dyn IdSource>,
});
