//! Uploads take turns only while bytes move, and end with whoever sends them.

use crate::story::stream;
use bytes::Bytes;
use futures_util::{StreamExt, stream as streams};
use mlops_core::{
    ErrorKind, ExperimentId, RunId, Tracker,
    artifact::{ArtifactPath, ByteStream},
    tracker::CreateRun,
};
use mlops_registry::{SqlStore, StoreConfig};
use std::{pin::pin, time::Duration};
use tempfile::TempDir;

async fn store(config: StoreConfig) -> (SqlStore, RunId, TempDir) {
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::open(folder.path().join("mlops.db"), config).await.unwrap();
    let run = store.create_run(CreateRun::new(ExperimentId::new("0").unwrap())).await.unwrap();
    (store, run.id, folder)
}

/// Something, and then nothing for ever.
fn stalled() -> ByteStream {
    let first = streams::iter([Ok(Bytes::from(vec![1; 9 << 20]))]);
    Box::pin(first.chain(streams::pending()))
}

fn path(name: &str) -> ArtifactPath {
    ArtifactPath::new(name).unwrap()
}

#[tokio::test]
async fn an_upload_that_stalls_is_given_up() {
    let config = StoreConfig::default().with_stalled_after(Duration::from_millis(50));
    let (store, run, _folder) = store(config).await;
    let error = store.write_artifact(&run, &path("a"), stalled()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    let found = Tracker::artifacts(&store, &run, &path("")).await;
    assert!(found.unwrap().items.is_empty());
    let waiting = store.artifacts().root().unwrap().join("incoming");
    assert_eq!(std::fs::read_dir(waiting).unwrap().count(), 0);
}

#[tokio::test]
async fn an_upload_that_stalls_keeps_nobody_waiting() {
    let config =
        StoreConfig::default().with_transfers(1_usize).with_stalled_after(Duration::from_hours(1));
    let (store, run, _folder) = store(config).await;
    let (a, b) = (path("a"), path("b"));
    let mut slow = pin!(store.write_artifact(&run, &a, stalled()));
    for _ in 0..3 {
        let other = store.write_artifact(&run, &b, stream(vec![vec![2; 3 << 20]]));
        // The slow one is polled as well, and gives what it has to give.
        match futures_util::future::select(slow.as_mut(), pin!(other)).await {
            futures_util::future::Either::Left(_) => panic!("nothing ends the slow one"),
            futures_util::future::Either::Right((written, _)) => drop(written.unwrap()),
        }
    }
}

#[tokio::test]
async fn an_upload_ends_with_its_caller() {
    let config =
        StoreConfig::default().with_uploads(1_usize).with_stalled_after(Duration::from_hours(1));
    let (store, run, _folder) = store(config).await;
    for _ in 0..3 {
        let a = path("a");
        let mut slow = pin!(store.write_artifact(&run, &a, stalled()));
        let soon = tokio::time::timeout(Duration::from_millis(50), slow.as_mut()).await;
        assert!(soon.is_err());
    }
    // There is room for one upload, and nobody holds it any more.
    let written = store.write_artifact(&run, &path("b"), stream(vec![b"bytes".into()])).await;
    assert_eq!(written.unwrap().size, 5);
}
