//! A record whose artifacts are in a bucket is kept like any other.

use super::{service::Service, there};
use crate::story::{package, stream};
use futures_util::TryStreamExt;
use mlops_core::{
    ExperimentId, Registry, Tracker,
    artifact::{ArtifactPath, ArtifactRef},
    tracker::{CreateRun, Run},
};
use mlops_registry::{SqlStore, store::GcOptions};
use std::{fs, time::Duration};

fn at_once() -> GcOptions {
    GcOptions::default().with_older_than(Duration::ZERO)
}

async fn run(store: &SqlStore) -> Run {
    store.create_run(CreateRun::new(ExperimentId::new("0").unwrap())).await.unwrap()
}

async fn write(store: &SqlStore, run: &Run, at: &str, text: &str) -> ArtifactRef {
    let body = stream(vec![text.as_bytes().to_vec()]);
    store.write_artifact(&run.id, &ArtifactPath::new(at).unwrap(), body).await.unwrap()
}

async fn read(store: &SqlStore, run: &Run, at: &str) -> String {
    let path = ArtifactPath::new(at).unwrap();
    let bytes: Vec<_> =
        store.read_artifact(&run.id, &path).await.unwrap().try_collect().await.unwrap();
    String::from_utf8(bytes.concat()).unwrap()
}

#[tokio::test]
async fn garbage_goes_and_nothing_else() {
    let service = there!(Service::start());
    let folder = tempfile::tempdir().unwrap();
    let store = service.record(folder.path()).await;
    let run = run(&store).await;
    let old = write(&store, &run, "a", "old").await;
    let new = write(&store, &run, "a", "new").await;
    let version = package(folder.path(), "risk", "registered");
    let version = store.create_version(version).await.unwrap();
    let mut nobodys = Vec::new();
    // More than are removed while the record is locked once.
    for number in 0..70 {
        let body = stream(vec![format!("of nobody {number}").into_bytes()]);
        nobodys.push(store.artifacts().put(body).await.unwrap());
    }
    let other = service.bucket().join("artifacts/sha256/readme");
    fs::write(&other, "of somebody else").unwrap();

    let seen = store.collect_garbage(GcOptions::default()).await.unwrap();
    assert_eq!((seen.artifacts, seen.waiting), (0, 71));
    let planned = store.collect_garbage(at_once().with_dry_run(true)).await.unwrap();
    assert!(service.object(&old).exists());
    let done = store.collect_garbage(at_once()).await.unwrap();
    assert_eq!((planned, done.artifacts, done.waiting), (done, 71, 0));
    assert!(!service.object(&old).exists() && service.object(&new).exists() && other.exists());
    assert!(nobodys.iter().all(|artifact| !service.object(artifact).exists()));
    assert_eq!(read(&store, &run, "a").await, "new");
    store.fetch(&version.id, &folder.path().join("fetched")).await.unwrap();
    // What is gone may come again.
    write(&store, &run, "b", "old").await;
    store.collect_garbage(at_once()).await.unwrap();
    assert_eq!(read(&store, &run, "b").await, "old");
}

#[tokio::test]
async fn leftovers_go_once_they_are_old() {
    let service = there!(Service::start());
    let folder = tempfile::tempdir().unwrap();
    let store = service.record(folder.path()).await;
    let waiting = service.bucket().join("artifacts/incoming");
    fs::create_dir_all(&waiting).unwrap();
    for (name, hours) in [("old", 2), ("new", 0)] {
        fs::write(waiting.join(name), "waits").unwrap();
        let then = std::time::SystemTime::UNIX_EPOCH;
        let now = then + Duration::from_micros(now().unsigned_abs());
        let file = fs::File::options().write(true).open(waiting.join(name)).unwrap();
        file.set_modified(now - Duration::from_hours(hours)).unwrap();
    }
    let done = store.collect_garbage(at_once()).await.unwrap();
    assert_eq!((done.leftovers, done.bytes), (1, 5));
    assert!(!waiting.join("old").exists() && waiting.join("new").exists());
}

fn now() -> i64 {
    mlops_core::Clock::now(&mlops_core::SystemClock).unix_micros()
}

#[tokio::test]
async fn a_backup_is_a_folder_and_goes_back_into_a_bucket() {
    let (service, second) = (there!(Service::start()), there!(Service::start()));
    let folder = tempfile::tempdir().unwrap();
    let store = service.record(folder.path()).await;
    let run = run(&store).await;
    let artifact = write(&store, &run, "a", "kept").await;
    let version = package(folder.path(), "risk", "registered");
    let version = store.create_version(version).await.unwrap();
    let to = folder.path().join("backup");
    let done = store.backup(&to, |_| ()).await.unwrap();
    assert_eq!((done.copied, done.note.artifacts), (3, 3));
    assert_eq!(store.backup(&to, |_| ()).await.unwrap().copied, 0);
    drop((store, service));

    let path = folder.path().join("restored/mlops.db");
    let config = second.record_config();
    SqlStore::restore(&to, &path, config.clone(), |_| ()).await.unwrap();
    assert!(second.object(&artifact).exists());
    let again = SqlStore::open(&path, config).await.unwrap();
    assert_eq!(read(&again, &run, "a").await, "kept");
    again.fetch(&version.id, &folder.path().join("fetched")).await.unwrap();

    // A damaged object keeps a backup from being made.
    fs::write(second.object(&artifact), "kepd").unwrap();
    let error = again.backup(folder.path().join("other"), |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), mlops_core::ErrorKind::Corrupt);
    assert!(error.to_string().contains(&artifact.digest.to_hex()), "{error}");
}
