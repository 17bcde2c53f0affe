//! The store works from every kind of host: without a runtime, on any runtime, across runtimes.

use crate::story::{Home, open, stream};
use futures_util::{StreamExt, TryStreamExt};
use mlops_core::{
    Alias, ErrorKind, EventLog, ExperimentId, Registry, RunId, Tracker,
    artifact::ArtifactPath,
    event::Cursor,
    registry::{AliasMove, ModelUri, MoveAlias},
    tracker::{Batch, CreateRun, Metric},
};
use mlops_registry::{SqlStore, StoreConfig};
use std::{
    pin::pin,
    sync::Arc,
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
};

/// What a host without any runtime does with a future.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    struct Unpark(Thread);
    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let (mut future, mut context) = (pin!(future), Context::from_waker(&waker));
    loop {
        match future.as_mut().poll(&mut context) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

/// A little of everything.
async fn story(home: &Home, name: &str) {
    let store = &home.store;
    let run = home.run(name).await;
    let point = Metric::new("loss", 0.5, 1, run.started);
    store.log_batch(&run.id, Batch::new().with_metrics(vec![point])).await.unwrap();
    let path = ArtifactPath::new("notes/a.txt").unwrap();
    let written = store.write_artifact(&run.id, &path, stream(vec![b"he".into(), b"llo".into()]));
    assert_eq!(written.await.unwrap().size, 5);
    let read = store.read_artifact(&run.id, &path).await.unwrap();
    assert_eq!(read.try_collect::<Vec<_>>().await.unwrap().concat(), b"hello");

    let version = store.create_version(home.version(name, "weights")).await.unwrap();
    let champion = Alias::new("champion").unwrap();
    let mut watched = store.watch(ModelUri::alias(version.id.model.clone(), champion.clone()));
    assert_eq!(watched.next().await.unwrap().unwrap_err().kind(), ErrorKind::NotFound);
    let request = MoveAlias::new(version.id.model.clone(), champion, 1, "the first");
    let moved = store.move_alias(request).await.unwrap();
    assert_eq!(moved, AliasMove::Moved { from: None, to: Some(1) });
    assert_eq!(watched.next().await.unwrap().unwrap().id, version.id);
    let target = home.folder.path().join(format!("fetched-{name}"));
    store.fetch(&version.id, &target).await.unwrap();
    let mut events = store.follow(Some(Cursor(0)), Vec::new());
    assert_eq!(events.next().await.unwrap().unwrap().0, Cursor(1));
}

#[test]
fn a_host_without_a_runtime() {
    block_on(async {
        let home = Home::new().await;
        story(&home, "sync").await;
    });
}

#[test]
fn runtimes_of_every_kind_one_after_the_other() {
    let current = || tokio::runtime::Builder::new_current_thread().build().unwrap();
    // It opens in one runtime, which then goes away.
    let home = current().block_on(Home::new());
    current().block_on(story(&home, "current"));
    let many = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let home = Arc::new(home);
    let own = Arc::clone(&home);
    many.block_on(many.spawn(async move { story(&own, "many").await })).unwrap();
    block_on(story(&home, "none"));
    drop(many);
    block_on(story(&home, "after"));
}

#[test]
fn a_host_may_wait_inside_of_a_runtime() {
    // Bad manners, but no deadlock and no panic: nothing of the host's runtime is needed.
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let home = block_on(Home::new());
        block_on(story(&home, "nested"));
    });
}

#[tokio::test]
async fn many_callers_at_once_lose_nothing() {
    let home = Home::new().await;
    let run = home.run("crowd").await.id;
    let log = |step: i64| {
        let store = home.store.clone();
        tokio::spawn(async move {
            let point = Metric::new("loss", 1.0, step, mlops_core::Timestamp::default());
            let batch = Batch::new().with_metrics(vec![point]);
            // Every tenth is refused, in the same transaction as its neighbours.
            let id = if step % 10 == 9 { RunId::from_u128(7) } else { run };
            store.log_batch(&id, batch).await.map_err(|error| error.kind())
        })
    };
    let tasks: Vec<_> = (0..500).map(log).collect();
    for (step, task) in tasks.into_iter().enumerate() {
        let outcome = if step % 10 == 9 { Err(ErrorKind::NotFound) } else { Ok(()) };
        assert_eq!(task.await.unwrap(), outcome, "{step}");
    }
    let query = mlops_core::tracker::MetricQuery::new(run, "loss");
    assert_eq!(home.store.metric_history(query).await.unwrap().items.len(), 450);
}

#[tokio::test]
async fn a_caller_who_gives_up_harms_nobody() {
    let home = Home::new().await;
    for _ in 0..50 {
        let new = CreateRun::new(ExperimentId::new("0").unwrap());
        let mut call = pin!(home.store.create_run(new));
        // Sent, and never asked again.
        assert!(futures_util::poll!(&mut call).is_pending());
    }
    let page = home.store.runs(mlops_core::page::Search::new()).await.unwrap();
    assert_eq!(page.items.len(), 50);
    assert!(home.store.verify_events().await.unwrap() >= 50);
}

#[tokio::test]
async fn the_last_handle_closes_the_file() {
    let home = Home::new().await;
    home.run("closing").await;
    let log = home.folder.path().join("mlops.db-wal");
    assert!(log.exists());
    let Home { store, folder } = home;
    let other = store.clone();
    drop(store);
    assert!(log.exists());
    drop(other);
    assert!(!log.exists(), "the file is closed when the last handle is gone");
    drop(open(folder.path()).await.unwrap());
}

#[test]
fn a_place_that_cannot_be_is_named() {
    block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "no database, and long enough to be told apart from one ".repeat(99))
            .unwrap();
        let error = SqlStore::open(&file, StoreConfig::default()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        let error = SqlStore::open(file.join("mlops.db"), StoreConfig::default()).await;
        let error = error.unwrap_err();
        assert!(error.to_string().contains("file"), "{error}");
    });
}
