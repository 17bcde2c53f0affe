//! The store in Postgres keeps what it promises in SQLite. The server is one of our own, in a folder that
//! goes with the test; where none is installed, each test says so.

#[path = "postgres/cluster.rs"]
pub(crate) mod cluster;
#[path = "postgres/crash.rs"]
mod crash;
#[path = "postgres/schema.rs"]
mod schema;
#[path = "postgres/urls.rs"]
mod urls;
#[path = "postgres/writers.rs"]
mod writers;

use crate::{conformance::damage, search, story::Home};
use cluster::Cluster;
use mlops_core::{
    conformance::{event, registry, tracker},
    testing::ManualClock,
};
use mlops_registry::{SqlStore, StoreConfig};
use proptest::prelude::*;
use std::{fs, path::Path, sync::Arc, time::Duration};
use tempfile::TempDir;

/// How stores are opened here: what others write is heard, not looked for.
pub(crate) fn config(folder: &Path) -> StoreConfig {
    let config = StoreConfig::default().with_artifacts(folder.join("artifacts"));
    config.with_poll_interval(Duration::from_hours(1))
}

/// A record of its own in the process's server; nothing where there is none.
pub(crate) struct Place {
    pub(crate) cluster: &'static Cluster,
    pub(crate) url: String,
    pub(crate) schema: String,
    pub(crate) folder: TempDir,
}

impl Place {
    pub(crate) fn new() -> Option<Self> {
        let cluster = Cluster::shared()?;
        let (schema, url) = cluster.schema();
        Some(Self { cluster, url, schema, folder: tempfile::tempdir().unwrap() })
    }

    pub(crate) async fn open(&self) -> SqlStore {
        SqlStore::connect(&self.url, config(self.folder.path())).await.unwrap()
    }

    /// Runs a statement beside the store; gives its answer as text.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.cluster.sql(&format!("set search_path = {}; {sql}", self.schema))
    }
}

async fn home() -> Option<Home> {
    let place = Place::new()?;
    Some(Home { store: place.open().await, folder: place.folder })
}

async fn a_tracker() -> Option<tracker::Subject> {
    let place = Place::new()?;
    let clock = Arc::new(ManualClock::default());
    let config = config(place.folder.path()).with_clock(Arc::<ManualClock>::clone(&clock));
    let store = SqlStore::connect(&place.url, config).await.unwrap();
    let path = place.folder.path().to_owned();
    let subject = tracker::Subject::new(store).with_clock(clock);
    Some(subject.with_damage(move |_, _, artifact| damage(&path, artifact)).keeping(place.folder))
}

async fn a_registry() -> Option<registry::Subject> {
    let Home { store, folder } = home().await?;
    let (path, packages) = (folder.path().to_owned(), folder.path().join("packages"));
    fs::create_dir(&packages).unwrap();
    let subject = registry::Subject::new(store.clone(), packages).with_tracker(store);
    let damaged = move |version: &mlops_core::registry::ModelVersion, file: &_| {
        damage(&path, version.manifest.get(file).unwrap());
    };
    Some(subject.with_damage(damaged).keeping(folder))
}

async fn an_event_log() -> Option<event::Subject> {
    let Home { store, folder } = home().await?;
    let subject = event::Subject::new(store.clone()).keeping(folder);
    Some(subject.with_acting_as(move |principal| store.acting_as(principal)))
}

/// Ends a check where there is no server.
macro_rules! there {
    ($made:expr) => {
        match $made {
            Some(subject) => subject,
            None => return,
        }
    };
}

mlops_core::tracker_conformance!(postgres_tracker, there!(a_tracker().await));
mlops_core::registry_conformance!(postgres_registry, there!(a_registry().await));
mlops_core::event_log_conformance!(postgres_event_log, there!(an_event_log().await));

proptest! {
    #![proptest_config(ProptestConfig { cases: 6, max_shrink_iters: 32, ..ProptestConfig::default() })]

    #[test]
    fn the_database_answers_as_the_grammar_says(
        all in prop::collection::vec(search::made(), 1..16),
        asked in search::asked(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let home = there!(home().await);
            search::answers_as_the_grammar_says(&home, &all, asked).await;
        });
    }
}

#[tokio::test]
async fn what_cannot_be_asked_is_named() {
    search::names_what_cannot_be_asked(&there!(home().await)).await;
}

#[tokio::test]
async fn views_hide_what_is_deleted() {
    search::hides_what_is_deleted(&there!(home().await)).await;
}
