//! Where the story takes place: one folder, one record, and a clock that the story turns.

use mlops::{
    Alias, Clock, Error, ModelName, Principal, Registry, Result, Timestamp, Tracker,
    store::{SqlStore, StoreConfig},
};
use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicI64, Ordering},
    },
    time::Instant,
};

/// The registered model of the story.
pub(crate) const MODEL: &str = "employment";
/// The alias that the server follows.
pub(crate) const CHAMPION: &str = "champion";

/// Everything that outlives an act.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) folder: PathBuf,
    pub(crate) store: Arc<SqlStore>,
    pub(crate) clock: Arc<StoryClock>,
    pub(crate) model: ModelName,
    pub(crate) champion: Alias,
}

impl Home {
    /// An empty record in `target/quickstart`, at the end of 2015.
    pub(crate) async fn open() -> Result<Self> {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/quickstart");
        if folder.exists() {
            std::fs::remove_dir_all(&folder).map_err(|e| Error::io(folder.display(), e))?;
        }
        std::fs::create_dir_all(&folder).map_err(|e| Error::io(folder.display(), e))?;
        let folder = folder.canonicalize().map_err(|e| Error::io(folder.display(), e))?;
        let clock = Arc::new(StoryClock::at("2015-12-31T00:00:00Z".parse()?));
        let config = StoreConfig::default().with_clock(clock.clone());
        let store = SqlStore::open(folder.join("mlops.db"), config).await?;
        // Whoever holds this handle is in the history as the one who acted.
        let store = Arc::new(store.acting_as(Principal::new("quickstart")));
        let (model, champion) = (ModelName::new(MODEL)?, Alias::new(CHAMPION)?);
        Ok(Self { folder, store, clock, model, champion })
    }

    pub(crate) fn tracker(&self) -> Arc<dyn Tracker> {
        Arc::<SqlStore>::clone(&self.store)
    }

    pub(crate) fn registry(&self) -> Arc<dyn Registry> {
        Arc::<SqlStore>::clone(&self.store)
    }

    pub(crate) fn clock(&self) -> Arc<dyn Clock> {
        Arc::<StoryClock>::clone(&self.clock)
    }
}

/// A clock that stands where the story is: the rows are years old, and their outcomes come up to 90
/// days late. Durations pass as they do.
#[derive(Debug)]
pub(crate) struct StoryClock(AtomicI64);

impl StoryClock {
    fn at(time: Timestamp) -> Self {
        Self(AtomicI64::new(time.unix_micros()))
    }

    /// Turns it; never back.
    pub(crate) fn turn(&self, time: Timestamp) {
        self.0.fetch_max(time.unix_micros(), Ordering::Relaxed);
    }
}

impl Clock for StoryClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_micros(self.0.load(Ordering::Relaxed))
    }

    fn instant(&self) -> Instant {
        Instant::now()
    }
}
