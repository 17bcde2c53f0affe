//! A copy at one point in time, made in use; brought back whole or not at all.

#[path = "backup/places.rs"]
mod places;

use crate::story::{Home, open, stream};
use futures_util::TryStreamExt;
use mlops_core::{
    Digest, ErrorKind, Registry, Result, RunId, Tracker,
    artifact::ArtifactPath,
    page::Search,
    tracker::{Batch, Metric, MetricQuery},
};
use mlops_registry::{
    SqlStore, StoreConfig,
    store::{BackupNote, GcOptions, Progress},
};
use std::{
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

fn path(text: &str) -> ArtifactPath {
    ArtifactPath::new(text).unwrap()
}

async fn write(store: &SqlStore, run: RunId, at: &str, text: &str) {
    let body = stream(vec![text.as_bytes().to_vec()]);
    store.write_artifact(&run, &path(at), body).await.unwrap();
}

async fn read(store: &SqlStore, run: RunId, at: &str) -> String {
    let bytes = store.read_artifact(&run, &path(at)).await.unwrap();
    let bytes: Vec<_> = bytes.try_collect().await.unwrap();
    String::from_utf8(bytes.concat()).unwrap()
}

async fn restore(from: &Path, to: &Path) -> Result<BackupNote> {
    let config = StoreConfig::default();
    SqlStore::restore(from, to.join("mlops.db"), config, |_| ()).await
}

/// Every file below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(files(&path)) } else { found.push(path) }
    }
    found.sort();
    found
}

#[tokio::test]
async fn a_restored_record_is_the_one_that_was_backed_up() {
    let home = Home::new().await;
    let run = home.run("here").await;
    write(&home.store, run.id, "a", "one").await;
    let auc = Metric::new("auc", 0.5, 0, run.started);
    home.store.log_batch(&run.id, Batch::new().with_metrics(vec![auc])).await.unwrap();
    let version = home.store.create_version(home.version("risk", "weights")).await.unwrap();
    let to = home.folder.path().join("backup");
    let mut steps = Vec::new();
    let done = home.store.backup(&to, |step| steps.push(step)).await.unwrap();
    assert_eq!(done.note.artifacts, done.copied);
    assert_eq!(steps.last().map(|Progress { done, all, .. }| (*done, *all)), Some((3, 3)));
    // What comes later is not part of it.
    write(&home.store, run.id, "a", "two").await;

    let back = tempfile::tempdir().unwrap();
    assert_eq!(restore(&to, back.path()).await.unwrap(), done.note);
    let store = open(back.path()).await.unwrap();
    assert_eq!(read(&store, run.id, "a").await, "one");
    assert_eq!(store.verify_events().await.unwrap(), done.note.events);
    let history = store.metric_history(MetricQuery::new(run.id, "auc")).await.unwrap();
    assert_eq!(history.items.len(), 1);
    store.fetch(&version.id, &back.path().join("fetched")).await.unwrap();
    assert_eq!(files(back.path()).iter().filter(|path| path.ends_with(".restoring")).count(), 0);
    let error = restore(&to, back.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    // A restored record is one: a run goes on in it.
    write(&store, run.id, "b", "three").await;
}

#[tokio::test]
async fn a_second_backup_copies_what_is_new() {
    let home = Home::new().await;
    let run = home.run("here").await.id;
    write(&home.store, run, "a", "one").await;
    let to = home.folder.path().join("backup");
    let first = home.store.backup(&to, |_| ()).await.unwrap();
    write(&home.store, run, "b", "two").await;
    let second = home.store.backup(&to, |_| ()).await.unwrap();
    assert_eq!((first.copied, second.copied, second.note.artifacts), (1, 1, 2));
    assert_ne!(first.note.database, second.note.database);
    assert!(!to.join(first.note.database).exists());
    let back = tempfile::tempdir().unwrap();
    restore(&to, back.path()).await.unwrap();
    assert_eq!(read(&open(back.path()).await.unwrap(), run, "b").await, "two");
}

/// What it is called, the damage, and how it is refused.
type Case<'a> = (&'a str, &'a dyn Fn(&Path), ErrorKind, &'a str);

#[tokio::test]
async fn a_backup_that_was_tampered_with_is_refused_by_name() {
    let home = Home::new().await;
    let run = home.run("here").await.id;
    write(&home.store, run, "a", "the truth").await;
    let good = home.folder.path().join("backup");
    let note = home.store.backup(&good, |_| ()).await.unwrap().note;
    let object = Digest::of("the truth").to_hex();
    let cases: [Case<'_>; 7] = [
        (
            "no note",
            &|to| fs::remove_file(to.join("backup.json")).unwrap(),
            ErrorKind::NotFound,
            "no finished",
        ),
        (
            "a damaged note",
            &|to| fs::write(to.join("backup.json"), "{").unwrap(),
            ErrorKind::Corrupt,
            "backup.json",
        ),
        (
            "a newer note",
            &|to| fs::write(to.join("backup.json"), "{\"format\": 2}").unwrap(),
            ErrorKind::Unsupported,
            "format 2",
        ),
        (
            "a foreign database",
            &|to| {
                let other = fs::read(to.join("backup.json")).unwrap();
                fs::write(to.join(&note.database), other).unwrap();
            },
            ErrorKind::Corrupt,
            &note.database,
        ),
        (
            "changed bytes",
            &|to| {
                let object = files(to).into_iter().find(|path| path.ends_with(&object)).unwrap();
                fs::write(object, "the tryth").unwrap();
            },
            ErrorKind::Corrupt,
            &object,
        ),
        (
            "missing bytes",
            &|to| {
                let object = files(to).into_iter().find(|path| path.ends_with(&object)).unwrap();
                fs::remove_file(object).unwrap();
            },
            ErrorKind::Corrupt,
            &object,
        ),
        (
            "another count",
            &|to| {
                let text = fs::read_to_string(to.join("backup.json")).unwrap();
                fs::write(
                    to.join("backup.json"),
                    text.replace("\"artifacts\": 1", "\"artifacts\": 0"),
                )
                .unwrap();
            },
            ErrorKind::Corrupt,
            "differ",
        ),
    ];
    for (what, tamper, kind, words) in cases {
        let folder = tempfile::tempdir().unwrap();
        let (bad, back) = (folder.path().join("bad"), folder.path().join("back"));
        for file in files(&good) {
            let copy = bad.join(file.strip_prefix(&good).unwrap());
            fs::create_dir_all(copy.parent().unwrap()).unwrap();
            fs::copy(&file, copy).unwrap();
        }
        tamper(&bad);
        let error = restore(&bad, &back).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{what}: {error}");
        assert!(error.to_string().contains(words), "{what}: {error}");
        assert!(!back.join("mlops.db").exists(), "{what}: a record appeared");
        let left =
            files(&back).iter().filter(|path| path.to_string_lossy().contains("restoring")).count();
        assert_eq!(left, 0, "{what}");
        // The same place takes the good one.
        restore(&good, &back).await.unwrap();
    }
}

#[tokio::test]
async fn a_damaged_artifact_does_not_get_into_a_backup() {
    let home = Home::new().await;
    let run = home.run("here").await.id;
    write(&home.store, run, "a", "the truth").await;
    let hex = Digest::of("the truth").to_hex();
    let object = home.folder.path().join("artifacts/sha256").join(&hex[..2]).join(&hex);
    fs::write(object, "the tryth").unwrap();
    let to = home.folder.path().join("backup");
    let error = home.store.backup(&to, |_| ()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains(&hex), "{error}");
    assert!(!to.join("backup.json").exists());
    // It does not stand in the way of anything afterwards.
    home.store.collect_garbage(GcOptions::default().with_older_than(Duration::ZERO)).await.unwrap();
}

/// Writers go on, and a collector collects as hard as it can: every backup is one point in time.
#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn backups_in_the_middle_of_everything() {
    let home = Home::new().await;
    let run = home.run("busy").await.id;
    let over = Arc::new(AtomicBool::new(false));
    let (folder, ended) = (home.folder.path().to_owned(), Arc::clone(&over));
    let writer = tokio::spawn(async move {
        let store = open(&folder).await.unwrap();
        let mut number = 0;
        while !ended.load(Ordering::Relaxed) {
            number += 1;
            // The older bytes become garbage at once.
            let body = stream(vec![format!("content {number}").into_bytes()]);
            let written = store.write_artifact(&run, &path("latest"), body).await;
            // Without any grace it happens that bytes go before they are referred to; nobody is misled.
            if let Err(error) = written {
                assert!(error.to_string().contains("store it again"), "{error}");
            }
        }
    });
    let (folder, ended) = (home.folder.path().to_owned(), Arc::clone(&over));
    let collector = tokio::spawn(async move {
        let store = open(&folder).await.unwrap();
        let at_once = GcOptions::default().with_older_than(Duration::ZERO);
        while !ended.load(Ordering::Relaxed) {
            if let Err(error) = store.collect_garbage(at_once).await {
                assert!(error.to_string().contains("a backup needs every artifact"), "{error}");
            }
        }
    });
    for round in 0..5 {
        let to = home.folder.path().join("backup");
        home.store.backup(&to, |_| ()).await.unwrap();
        let back = home.folder.path().join(format!("back-{round}"));
        restore(&to, &back).await.unwrap();
        let store = open(&back).await.unwrap();
        let found = store.runs(Search::new()).await.unwrap();
        assert_eq!(found.items.len(), 1);
        if !Tracker::artifacts(&store, &run, &path("")).await.unwrap().items.is_empty() {
            assert!(read(&store, run, "latest").await.starts_with("content "));
        }
    }
    over.store(true, Ordering::Relaxed);
    writer.await.unwrap();
    collector.await.unwrap();
}
