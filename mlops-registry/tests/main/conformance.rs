//! The store keeps every promise of the three traits.

use crate::story::open;
use mlops_core::{
    artifact::ArtifactRef,
    conformance::{event, registry, tracker},
    testing::ManualClock,
};
use mlops_registry::{SqlStore, StoreConfig};
use std::{fs, path::Path, sync::Arc};

/// Where an artifact lies in a folder's store.
pub(crate) fn damage(folder: &Path, artifact: &ArtifactRef) {
    let hex = artifact.digest.to_hex();
    let path = folder.join("artifacts/sha256").join(&hex[..2]).join(hex);
    let mut bytes = fs::read(&path).unwrap();
    match bytes.first_mut() {
        Some(first) => *first ^= 1,
        None => bytes.push(0),
    }
    fs::write(path, bytes).unwrap();
}

async fn tracker() -> tracker::Subject {
    let folder = tempfile::tempdir().unwrap();
    let clock = Arc::new(ManualClock::default());
    let config = StoreConfig::default().with_clock(Arc::<ManualClock>::clone(&clock));
    let store = SqlStore::open(folder.path().join("mlops.db"), config).await.unwrap();
    let path = folder.path().to_owned();
    tracker::Subject::new(store)
        .with_clock(clock)
        .with_damage(move |_, _, artifact| damage(&path, artifact))
        .keeping(folder)
}

async fn registry() -> registry::Subject {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    let (path, packages) = (folder.path().to_owned(), folder.path().join("packages"));
    fs::create_dir(&packages).unwrap();
    registry::Subject::new(store.clone(), packages)
        .with_tracker(store)
        .with_damage(move |version, file| damage(&path, version.manifest.get(file).unwrap()))
        .keeping(folder)
}

async fn event_log() -> event::Subject {
    let folder = tempfile::tempdir().unwrap();
    let store = open(folder.path()).await.unwrap();
    event::Subject::new(store.clone())
        .with_acting_as(move |principal| store.acting_as(principal))
        .keeping(folder)
}

mlops_core::tracker_conformance!(sqlite_tracker, tracker().await);
mlops_core::registry_conformance!(sqlite_registry, registry().await);
mlops_core::event_log_conformance!(sqlite_event_log, event_log().await);
