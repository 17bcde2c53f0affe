//! Garbage goes, and nothing else ever does.

use crate::story::{Home, open, stream};
use futures_util::TryStreamExt;
use mlops_core::{
    Digest, Error, ErrorKind, EventLog, Registry, Result, RunId, Tracker,
    artifact::ArtifactPath,
    event::EventKind,
    tracker::{ExperimentChange, Lifecycle, RunChange},
};
use mlops_registry::{SqlStore, store::GcOptions};
use proptest::prelude::*;
use std::{
    collections::BTreeMap,
    fs,
    path::Path,
    process::Command,
    sync::{Arc, Mutex},
    time::Duration,
};

fn at_once() -> GcOptions {
    GcOptions::default().with_older_than(Duration::ZERO)
}

fn path(text: &str) -> ArtifactPath {
    ArtifactPath::new(text).unwrap()
}

async fn write(store: &SqlStore, run: RunId, at: &str, text: &str) -> Result<()> {
    let body = stream(vec![text.as_bytes().to_vec()]);
    store.write_artifact(&run, &path(at), body).await.map(drop)
}

async fn read(store: &SqlStore, run: RunId, at: &str) -> Result<String> {
    let bytes: Vec<_> = store.read_artifact(&run, &path(at)).await?.try_collect().await?;
    Ok(String::from_utf8(bytes.concat()).unwrap())
}

/// Whether the bytes of a text are in the store.
fn stored(home: &Home, text: &str) -> bool {
    let name = Digest::of(text).to_hex();
    let root = home.store.artifacts().root().unwrap();
    root.join("sha256").join(&name[..2]).join(name).exists()
}

#[tokio::test]
async fn what_nothing_refers_to_goes_in_two_steps() {
    let home = Home::new().await;
    let run = home.run("here").await.id;
    write(&home.store, run, "a", "old").await.unwrap();
    write(&home.store, run, "a", "new").await.unwrap();
    let version = home.store.create_version(home.version("risk", "registered")).await.unwrap();
    home.store.artifacts().put(stream(vec![b"of nobody".to_vec()])).await.unwrap();

    let seen = home.store.collect_garbage(GcOptions::default()).await.unwrap();
    assert_eq!((seen.artifacts, seen.waiting), (0, 2), "they are only marked");
    let hour = GcOptions::default().with_older_than(Duration::from_hours(1));
    assert_eq!(home.store.collect_garbage(hour).await.unwrap().artifacts, 0);
    let planned = home.store.collect_garbage(at_once().with_dry_run(true)).await.unwrap();
    assert!(stored(&home, "old"));
    let done = home.store.collect_garbage(at_once()).await.unwrap();
    assert_eq!(planned, done);
    assert_eq!((done.artifacts, done.bytes, done.waiting), (2, 12, 0));
    assert!(!stored(&home, "old") && !stored(&home, "of nobody"));

    assert_eq!(read(&home.store, run, "a").await.unwrap(), "new");
    home.store.fetch(&version.id, &home.folder.path().join("fetched")).await.unwrap();
    // What is gone may come again.
    write(&home.store, run, "b", "old").await.unwrap();
    home.store.collect_garbage(at_once()).await.unwrap();
    assert_eq!(read(&home.store, run, "b").await.unwrap(), "old");
    home.store.verify_events().await.unwrap();
}

#[tokio::test]
async fn deleted_runs_keep_their_bytes_until_they_are_purged() {
    let home = Home::new().await;
    let (first, second) = (home.run("one").await, home.run("two").await);
    write(&home.store, first.id, "a", "of a run").await.unwrap();
    let package = home.version("risk", "registered");
    let model = fs::read_to_string(package.package.join("MLmodel")).unwrap();
    write(&home.store, first.id, "MLmodel", &model).await.unwrap();
    write(&home.store, second.id, "a", "of a run of a deleted experiment").await.unwrap();
    let version = home.store.create_version(package.with_run(first.id)).await.unwrap();
    let gone = RunChange::default().with_lifecycle(Lifecycle::Deleted);
    home.store.update_run(&first.id, gone).await.unwrap();
    let gone = ExperimentChange::default().with_lifecycle(Lifecycle::Deleted);
    home.store.update_experiment(&second.experiment, gone).await.unwrap();

    home.store.collect_garbage(at_once()).await.unwrap();
    let recent = at_once().with_purge_deleted(Duration::from_mins(1));
    assert_eq!(home.store.collect_garbage(recent).await.unwrap().runs, 0);
    let back = RunChange::default().with_lifecycle(Lifecycle::Active);
    home.store.update_run(&first.id, back).await.unwrap();
    assert_eq!(read(&home.store, first.id, "a").await.unwrap(), "of a run");
    let gone = RunChange::default().with_lifecycle(Lifecycle::Deleted);
    home.store.update_run(&first.id, gone).await.unwrap();

    let all = at_once().with_purge_deleted(Duration::ZERO);
    let planned = home.store.collect_garbage(all.with_dry_run(true)).await.unwrap();
    assert_eq!((planned.runs, planned.experiments), (2, 1));
    let done = home.store.collect_garbage(all).await.unwrap();
    assert_eq!((done.runs, done.experiments, done.artifacts), (2, 1, 2));
    assert_eq!(home.store.run(&first.id).await.unwrap_err().kind(), ErrorKind::NotFound);
    assert!(stored(&home, &model), "a version holds it");
    home.store.fetch(&version.id, &home.folder.path().join("fetched")).await.unwrap();
    let kinds = vec![EventKind::of("run.purged"), EventKind::of("experiment.purged")];
    let mut purged = home.store.follow(None, kinds);
    for _ in 0..3 {
        purged.try_next().await.unwrap().unwrap();
    }
    home.store.verify_events().await.unwrap();
}

#[tokio::test]
async fn what_interrupted_uploads_left_is_removed_once_it_is_old() {
    let home = Home::new().await;
    let root = home.store.artifacts().root().unwrap().to_owned();
    let old = std::time::SystemTime::UNIX_EPOCH;
    for (name, old) in
        [("incoming/a", Some(old)), ("sha256/ab/x#1", Some(old)), ("incoming/b", None)]
    {
        fs::write(root.join(name), "half").unwrap();
        if let Some(old) = old {
            fs::File::options()
                .write(true)
                .open(root.join(name))
                .unwrap()
                .set_modified(old)
                .unwrap();
        }
    }
    let done = home.store.collect_garbage(at_once()).await.unwrap();
    assert_eq!((done.leftovers, done.bytes), (2, 8));
    assert!(root.join("incoming/b").exists());
}

/// One of those who use a record at the same time.
#[derive(Clone, Debug)]
enum Act {
    /// Stores this content under this path.
    Write(u8, u8),
    /// Stores this content for nobody.
    Put(u8),
    /// Registers this content.
    Register(u8),
    /// Reads this path.
    Read(u8),
    Collect,
}

fn acts() -> impl Strategy<Value = Vec<Act>> {
    let act = prop_oneof![
        4 => (0..4_u8, 0..5_u8).prop_map(|(path, content)| Act::Write(path, content)),
        1 => (0..5_u8).prop_map(Act::Put),
        1 => (0..5_u8).prop_map(Act::Register),
        2 => (0..4_u8).prop_map(Act::Read),
        3 => Just(Act::Collect),
    ];
    prop::collection::vec(act, 1..14)
}

fn content(number: u8) -> String {
    format!("content {number}")
}

/// A retry is allowed to whoever met the collector; nobody else fails.
fn met_collector(error: &Error) -> bool {
    error.kind() == ErrorKind::Unavailable && error.message().contains("store it again")
}

/// What one of them does, at paths of its own; gives what was acknowledged to it.
async fn live(folder: &Path, own: usize, run: RunId, acts: Vec<Act>) -> BTreeMap<String, String> {
    let store = open(folder).await.unwrap();
    let mut told = BTreeMap::new();
    for act in acts {
        match act {
            Act::Write(at, number) => {
                let (at, text) = (format!("{own}-{at}"), content(number));
                match write(&store, run, &at, &text).await {
                    Ok(()) => drop(told.insert(at, text)),
                    Err(error) => assert!(met_collector(&error), "{error}"),
                }
            }
            Act::Put(number) => {
                let body = stream(vec![content(number).into_bytes()]);
                store.artifacts().put(body).await.unwrap();
            }
            Act::Register(number) => {
                let source = folder.join(format!("source-{own}"));
                fs::create_dir_all(&source).unwrap();
                let new = crate::story::package(&source, &format!("model-{own}"), &content(number));
                if let Err(error) = store.create_version(new).await {
                    assert!(met_collector(&error), "{error}");
                }
            }
            Act::Read(at) => {
                let at = format!("{own}-{at}");
                if let Some(text) = told.get(&at) {
                    assert_eq!(read(&store, run, &at).await.unwrap(), *text);
                }
            }
            Act::Collect => drop(store.collect_garbage(at_once()).await.unwrap()),
        }
    }
    told
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn never_a_byte_that_was_acknowledged(lives in prop::collection::vec(acts(), 2..5)) {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
        runtime.block_on(async {
            let home = Home::new().await;
            let run = home.run("shared").await.id;
            let folder: Arc<Path> = home.folder.path().into();
            let told = Arc::new(Mutex::new(BTreeMap::new()));
            let tasks: Vec<_> = lives.into_iter().enumerate().map(|(own, acts)| {
                let (folder, told) = (Arc::clone(&folder), Arc::clone(&told));
                tokio::spawn(async move {
                    let own = live(&folder, own, run, acts).await;
                    told.lock().unwrap().extend(own);
                })
            }).collect();
            for task in tasks {
                task.await.unwrap();
            }
            let told = told.lock().unwrap().clone();
            check(&home, run, &told).await;
        });
    }
}

/// All that was acknowledged is there, and a last collection leaves nothing else.
async fn check(home: &Home, run: RunId, told: &BTreeMap<String, String>) {
    home.store.collect_garbage(at_once()).await.unwrap();
    for (at, text) in told {
        assert_eq!(read(&home.store, run, at).await.unwrap(), *text, "{at}");
    }
    for (number, version) in
        home.store.versions(mlops_core::page::Search::new()).await.unwrap().items.iter().enumerate()
    {
        home.store.fetch(&version.id, &home.folder.path().join(format!("{number}"))).await.unwrap();
    }
    let left = home.store.collect_garbage(at_once()).await.unwrap();
    assert_eq!((left.artifacts, left.waiting), (0, 0));
}

const FOLDER: &str = "MLOPS_GC_FOLDER";

/// Does nothing unless the test below has started it as a process of its own.
#[test]
#[ignore = "is started by the test beside it"]
fn collector() {
    let Some(folder) = std::env::var_os(FOLDER) else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let store = open(Path::new(&folder)).await.unwrap();
        for _ in 0..30 {
            store.collect_garbage(at_once()).await.unwrap();
        }
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_collect_while_this_one_writes() {
    let home = Home::new().await;
    let run = home.run("shared").await.id;
    let mut collectors: Vec<_> = (0..2)
        .map(|_| {
            let mut command = Command::new(std::env::current_exe().unwrap());
            command.args(["gc::collector", "--exact", "--ignored"]).env(FOLDER, home.folder.path());
            command.stdout(std::process::Stdio::null()).spawn().unwrap()
        })
        .collect();
    let mut told = BTreeMap::new();
    let mut round = 0_u8;
    while collectors.iter_mut().any(|one| one.try_wait().unwrap().is_none()) {
        round = round.wrapping_add(1);
        // The same few contents come and go, so that they are often found already there.
        let acts = [Act::Put(round % 3), Act::Write(round % 2, round % 3), Act::Read(round % 2)];
        told.extend(live(home.folder.path(), 0, run, acts.to_vec()).await);
    }
    for mut collector in collectors {
        assert!(collector.wait().unwrap().success());
    }
    assert!(round > 0);
    check(&home, run, &told).await;
}
