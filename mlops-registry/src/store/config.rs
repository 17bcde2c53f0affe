//! What a store is opened with.

#[cfg(feature = "s3")]
use crate::S3Config;
use crate::{ArtifactPlace, ArtifactStore, setters::setters};
use mlops_core::{Clock, IdSource, RandomIds, Result, SystemClock};
use std::{path::PathBuf, sync::Arc, time::Duration};

/// How a store behaves.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct StoreConfig {
    /// Where the artifacts are kept: a folder, created if it is not there, or a bucket. `artifacts` beside the
    /// database if `None`.
    ///
    /// A record whose bucket cannot be reached opens and tracks; calls for artifacts are `Unavailable` then.
    /// Records must not share a place: each would collect what only the other refers to.
    pub artifacts: Option<ArtifactPlace>,
    /// How the bucket is reached, if the artifacts are kept in one.
    #[cfg(feature = "s3")]
    pub s3: S3Config,
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
            #[cfg(feature = "s3")]
            s3: S3Config::default(),
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

impl StoreConfig {
    /// Keeps the artifacts in this folder or bucket.
    ///
    /// ```
    /// # #[cfg(feature = "s3")] {
    /// use mlops_registry::{ArtifactPlace, S3Config, StoreConfig};
    ///
    /// let place: ArtifactPlace = "s3://models/team".parse()?;
    /// let s3 = S3Config::from_env(|name| std::env::var(name).ok())?;
    /// let config = StoreConfig::default().with_artifacts(place).with_s3(s3);
    /// # let _ = config; }
    /// # Ok::<(), mlops_core::Error>(())
    /// ```
    #[must_use]
    pub fn with_artifacts(mut self, place: impl Into<ArtifactPlace>) -> Self {
        self.artifacts = Some(place.into());
        self
    }

    /// Says how the bucket is reached.
    #[cfg(feature = "s3")]
    #[must_use]
    pub fn with_s3(mut self, s3: S3Config) -> Self {
        self.s3 = s3;
        self
    }

    /// Opens the artifacts of a record; here if the configuration does not say where.
    pub(super) async fn open_artifacts(&self, beside: PathBuf) -> Result<ArtifactStore> {
        match &self.artifacts {
            None => ArtifactStore::open_dir(beside).await,
            Some(ArtifactPlace::Folder(folder)) => ArtifactStore::open_dir(folder).await,
            #[cfg(feature = "s3")]
            Some(ArtifactPlace::Bucket(bucket)) => ArtifactStore::open_bucket(bucket, &self.s3),
            #[cfg(not(feature = "s3"))]
            Some(ArtifactPlace::Bucket(bucket)) => Err(ArtifactStore::no_bucket(bucket)),
        }
    }
}

setters!(StoreConfig {
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
});
