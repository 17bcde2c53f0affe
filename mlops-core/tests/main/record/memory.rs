//! The record in memory passes the suites of all three traits.

use mlops_core::{
    ErrorKind, Tracker,
    artifact::ArtifactPath,
    conformance::{event, registry, tracker},
    page::Search,
    testing::{ManualClock, MemoryStore, SequentialIds, collected, stream_of},
    tracker::{Batch, CreateRun},
};
use std::sync::Arc;

fn tracker_subject() -> tracker::Subject {
    let clock = Arc::new(ManualClock::default());
    let store = MemoryStore::with_clock_and_ids(clock.clone(), Arc::new(SequentialIds::default()));
    let bytes = store.clone();
    tracker::Subject::new(store)
        .with_clock(clock)
        .with_damage(move |_, _, artifact| bytes.bytes().damage(artifact))
}

fn registry_subject() -> registry::Subject {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    let bytes = store.clone();
    registry::Subject::new(store.clone(), folder.path())
        .with_tracker(store)
        .with_damage(move |version, path| bytes.bytes().damage(version.manifest.get(path).unwrap()))
        .keeping(folder)
}

fn event_log_subject() -> event::Subject {
    let store = MemoryStore::new();
    event::Subject::new(store.clone()).with_acting_as(move |principal| store.acting_as(principal))
}

mlops_core::tracker_conformance!(memory_tracker, tracker_subject());
mlops_core::registry_conformance!(memory_registry, registry_subject());
mlops_core::event_log_conformance!(memory_event_log, event_log_subject());

#[tokio::test(flavor = "current_thread")]
async fn a_file_is_no_folder() {
    let store = MemoryStore::new();
    let experiment = store.experiments(Search::new()).await.unwrap().items.remove(0).id;
    let run = store.create_run(CreateRun::new(experiment)).await.unwrap().id;
    let at = |path: &str| ArtifactPath::new(path).unwrap();
    store.write_artifact(&run, &at("a/b"), stream_of("one")).await.unwrap();
    for (path, kind) in
        [("a", ErrorKind::Conflict), ("a/b/c", ErrorKind::Conflict), ("", ErrorKind::InvalidInput)]
    {
        let refused = store.write_artifact(&run, &at(path), stream_of("two")).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{path:?}: {refused}");
    }
    let read = store.read_artifact(&run, &at("a/b")).await.unwrap();
    assert_eq!(collected(read).await.unwrap(), b"one");
    store.log_batch(&run, Batch::new()).await.unwrap();
}

#[test]
fn a_folder_goes_in_and_out() {
    let (folder, store) = (tempfile::tempdir().unwrap(), MemoryStore::new());
    let (from, into) = (folder.path().join("from"), folder.path().join("into"));
    std::fs::create_dir_all(from.join("sub")).unwrap();
    std::fs::write(from.join("sub/a"), "alpha").unwrap();
    std::fs::write(from.join("b"), "").unwrap();
    let manifest = store.bytes().put_dir(&from).unwrap();
    store.bytes().fetch_dir(&manifest, &into).unwrap();
    manifest.verify_dir(&into).unwrap();
    let taken = store.bytes().fetch_dir(&manifest, &into).unwrap_err();
    assert_eq!(taken.kind(), ErrorKind::AlreadyExists);
    // Nothing but what was asked for lies there.
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}
