//! A disk that fills up. What does not fit is refused and the caller told so; what was acknowledged is there,
//! nothing is there by half, and where there is room again the same open store goes on.
//!
//! Twice: a small disk that is really full, and a call after the other to which the system says so.

use super::{
    check_objects, refused,
    refused::{Told, said},
    short, spread,
    strace::{self, Injection},
    victim::{self, Story},
};
use crate::story::{open, stream};
use mlops_core::{ErrorKind, ModelName, Registry, VersionId, artifact::ByteStream};
use std::{
    collections::BTreeSet,
    fs::{self, File},
    io::Write,
    path::Path,
    process::Command,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};

/// How large the small disk is: room for a few rounds, and for no long artifact.
const DISK: usize = 6 << 20;
/// What lies on it from the beginning, and makes room at the end.
const BALLAST: usize = 2 << 20;
/// How many rounds are more than enough to fill it.
const MOST_ROUNDS: usize = 400;
/// How many calls of each name are refused; every single one with `MLOPS_KILLS=all`.
const REFUSALS: usize = 3;

#[test]
fn a_disk_that_is_full_loses_nothing_acknowledged() {
    let folder = tempfile::tempdir().unwrap();
    let disk = folder.path().join("disk");
    fs::create_dir(&disk).unwrap();
    // Mounted where nobody else sees it; gone with the last process that does.
    let script = format!("mount -t tmpfs -o size={DISK} none \"$0\" && exec \"$@\"");
    let small = |user: &str, what: &[&str]| {
        let mut command = Command::new("unshare");
        command.args([user, "sh", "-c", &script]).arg(&disk).args(what);
        command
    };
    let may = |user: &&&str| small(user, &["true"]).output().is_ok_and(|out| out.status.success());
    let Some(user) = ["-m", "-rm"].iter().find(may) else {
        return strace::skipped("no disk may be mounted here");
    };
    let exe = std::env::current_exe().unwrap();
    let mut command = small(user, &[exe.to_str().unwrap()]);
    victim::told(&mut command, Story::Full, folder.path());
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let told = Told::read(folder.path());
    assert!(told.over);
    told.says_why();
}

/// Fills the disk that it is on, looks at what is there, makes room and goes on.
pub(crate) async fn story(folder: &Path, ack: &mut dyn FnMut(String)) {
    let (disk, told) = (folder.join("disk"), || Told::read(folder));
    let ballast = disk.join("ballast");
    fs::write(&ballast, vec![1; BALLAST]).unwrap();
    let store = open(&disk).await.unwrap();
    let run = refused::run(&store, ack).await.unwrap();
    let mut rounds = 0..MOST_ROUNDS;
    while ["batch", "artifact", "version"].iter().any(|what| told().refused(what) < 3) {
        let number = rounds.next().expect("the disk is full by now");
        refused::round(&store, run, folder, number, ack).await;
        let long = store.artifacts().put(long()).await;
        assert!(said(ack, "long".to_owned(), long).is_none(), "it is longer than the disk");
    }
    assert!(told().refused("batch") < rounds.start, "some fitted");

    // Full to the last byte: what is there is read, and nothing new appears by half.
    let mut rest = File::create(disk.join("rest")).unwrap();
    while rest.write_all(&[0; 4096]).is_ok() {}
    refused::check(&store, folder, &told()).await;
    let version = VersionId { model: ModelName::new("risk").unwrap(), version: 1 };
    let into = disk.join("fetched");
    let error = store.fetch(&version, &into).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!into.exists(), "half a package");
    let left = fs::read_dir(disk.join("artifacts/incoming")).unwrap().count();
    assert_eq!(left, 0, "what was given up takes room");
    check_objects(&disk.join("artifacts"));

    // Room again.
    fs::remove_file(ballast).unwrap();
    let refusals = told().refusals.len();
    for number in rounds.take(2) {
        refused::round(&store, run, folder, number, ack).await;
    }
    assert_eq!(told().refusals.len(), refusals, "{:?}", told().refusals.last());
    store.fetch(&version, &into).await.unwrap();
    refused::check(&store, folder, &told()).await;
    drop(store);
    let again = open(&disk).await.unwrap();
    refused::check(&again, folder, &told()).await;
    check_objects(&disk.join("artifacts"));
}

/// Longer than the disk.
fn long() -> ByteStream {
    stream(vec![vec![7; 1 << 20]; (DISK >> 20) + 4])
}

#[test]
fn whichever_call_finds_the_disk_full_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let Some(calls) = strace::run(Story::Refused, folder.path(), None) else { return };
    let paths = strace::paths(&calls, folder.path());
    let again = tempfile::tempdir().unwrap();
    let Some(calls) = strace::run_refusing(Story::Refused, again.path(), &paths, None) else {
        return;
    };
    assert!(Told::read(again.path()).refusals.is_empty());

    let names = ["openat", "write", "pwrite64", "ftruncate", "fsync", "rename"];
    let swept = strace::TRACED.iter().filter(|name| names.contains(&short_of(name)));
    let refusals = swept.flat_map(|&name| {
        let counts = spread(&strace::counts(&calls, name), REFUSALS);
        let each = counts.into_iter().map(move |when| Injection { name, when });
        // Once, as where somebody else makes room, and for good.
        each.flat_map(|at| [(at, false), (at, true)])
    });
    let (refusals, next) = (refusals.collect::<Vec<_>>(), AtomicUsize::new(0));
    let refused = Mutex::new(BTreeSet::new());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(at) = refusals.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if refuses_and_checks(&paths, *at) {
                        refused.lock().unwrap().insert(short_of(at.0.name));
                    }
                }
            });
        }
    });
    let refused = refused.into_inner().unwrap();
    for name in ["write", "pwrite64", "fsync"] {
        assert!(refused.contains(name), "nothing was refused for {name}: {refused:?}");
    }
}

/// `open` of `openat`, `fsync` of `fdatasync`: as the names above are written.
fn short_of(name: &str) -> &str {
    match short(name) {
        "open" => "openat",
        name => name,
    }
}

/// Refuses one call, and perhaps all after it; checks what the story was told and what it leaves. Whether
/// anything was refused.
fn refuses_and_checks(paths: &[String], at: (Injection, bool)) -> bool {
    let _named = super::Named(at.0);
    let folder = tempfile::tempdir().unwrap();
    strace::run_refusing(Story::Refused, folder.path(), paths, Some(at));
    let told = Told::read(folder.path());
    assert!(told.over, "the story panicked");
    told.says_why();
    check_objects(&folder.path().join("artifacts"));
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = open(folder.path()).await.unwrap();
        refused::check(&store, folder.path(), &told).await;
        victim::everything(&store, folder.path(), 1, &mut |_| ()).await;
    });
    !told.refusals.is_empty()
}
