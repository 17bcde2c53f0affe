//! What a store is opened with.

use mlops_core::{Clock, IdSource, RandomIds, SystemClock};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// How a store behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreConfig {
    /// The folder of the artifacts; created if it is not there. `artifacts` beside the database if `None`.
    pub artifacts: Option<PathBuf>,
    /// How long a write waits while another process writes, before it is `Unavailable`. 30 s.
    pub busy_timeout: Duration,
    /// How many calls wait in line for the store's thread; more wait outside. 256.
    pub queue: usize,
    /// How many writes that wait at the same time share one wait for the disk, at most. 64.
    pub group: usize,
    /// How many artifacts are written or fetched at the same time; more wait. One that waits for its
    /// sender does not count. 8.
    pub transfers: usize,
    /// How many uploads may be under way, those that wait for their senders included; more wait. Each
    /// holds at most 8 MiB. 64.
    pub uploads: usize,
    /// How long an upload waits for its sender before it is given up. 60 s.
    pub stalled_after: Duration,
    /// How often the store looks for what other processes wrote, while somebody follows or watches. 250 ms.
    pub poll_interval: Duration,
    /// The longest that dropping the last handle waits for the file to be closed. 5 s.
    pub close_within: Duration,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Where the identities of runs and events come from.
    pub ids: Arc<dyn IdSource>,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            artifacts: None,
            busy_timeout: Duration::from_secs(30),
            queue: 256,
            group: 64,
            transfers: 8,
            uploads: 64,
            stalled_after: Duration::from_mins(1),
            poll_interval: Duration::from_millis(250),
            close_within: Duration::from_secs(5),
            clock: Arc::new(SystemClock),
            ids: Arc::new(RandomIds),
        }
    }
}

/// `/// Doc. with_x => x: Type,`
macro_rules! setters {
    ($($(#[$doc:meta])* $with:ident => $field:ident: $type:ty,)*) => {
        impl StoreConfig {
            $(
                $(#[$doc])*
                #[must_use]
                pub fn $with(mut self, $field: $type) -> Self {
                    self.$field = $field.into();
                    self
                }
            )*
        }
    };
}

setters! {
    /// Keeps the artifacts in this folder.
    with_artifacts => artifacts: PathBuf,
    /// Sets how long a write waits while another process writes.
    with_busy_timeout => busy_timeout: Duration,
    /// Sets how many calls wait in line.
    with_queue => queue: usize,
    /// Sets how many writes share one wait for the disk.
    with_group => group: usize,
    /// Sets how many artifacts are written at the same time.
    with_transfers => transfers: usize,
    /// Sets how many uploads may be under way.
    with_uploads => uploads: usize,
    /// Sets how long an upload waits for its sender.
    with_stalled_after => stalled_after: Duration,
    /// Sets how often the store looks for what other processes wrote.
    with_poll_interval => poll_interval: Duration,
    /// Sets the longest that closing may take.
    with_close_within => close_within: Duration,
    /// Takes the time from here.
    with_clock => clock: Arc<dyn Clock>,
    /// Takes identities from here.
    with_ids => ids: Arc<dyn IdSource>,
}
