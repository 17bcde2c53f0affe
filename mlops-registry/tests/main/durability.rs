//! Acknowledged means on the disk: the order of system calls, and a kill at each of them.
//!
//! A kill cannot show a missing fsync, since the page cache outlives the process: the order shows it, and
//! a disk that loses whatever was not synced. Neither shows that what a kill leaves behind is whole: the
//! sweep shows it. All watch this test binary run [`victim`] under strace; where there is none they say so
//! and do nothing.

#![cfg(target_os = "linux")]

#[path = "durability/disk.rs"]
mod disk;
#[path = "durability/full.rs"]
mod full;
#[path = "durability/refused.rs"]
mod refused;
#[path = "durability/strace.rs"]
mod strace;
#[path = "durability/victim.rs"]
mod victim;

use crate::story::open;
use disk::Disk;
use futures_util::TryStreamExt;
use mlops_core::{
    Alias, Digest, ModelName, Registry, RunId, Tracker,
    artifact::ArtifactPath,
    page::Search,
    registry::ModelUri,
    tracker::{MetricPoint, MetricQuery},
};
use mlops_registry::SqlStore;
use std::{
    collections::BTreeSet,
    fs,
    path::Path,
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use strace::{Call, Injection};
use victim::{Acks, Story};

/// How many kills each system call gets; the sweep spreads them over all its calls. Every single one
/// with `MLOPS_KILLS=all`.
const KILLS: usize = 4;

#[test]
fn a_put_is_acknowledged_after_its_bytes_and_its_entry_are_synced() {
    let folder = tempfile::tempdir().unwrap();
    let Some(calls) = strace::run(Story::Puts, folder.path(), None) else { return };
    let acks = Acks::read(folder.path());
    assert_eq!(acks.puts.len(), 100);
    for (digest, calls) in acks.puts.iter().zip(between_acks(&calls, &acks)) {
        let hex = digest.to_hex();
        let moved = calls.iter().find(|call| call.is("rename") && call.args.contains(&hex));
        let moved = moved.unwrap_or_else(|| panic!("{hex} was not renamed to its place"));
        let from = moved.args.split('"').nth(1).unwrap();
        let bytes = calls.iter().any(|call| call.syncs(from) && call.done < moved.begun);
        assert!(bytes, "{hex}: its bytes were not synced before it got its name");
        let shard = format!("/sha256/{}", &hex[..2]);
        let entry = calls.iter().any(|call| call.syncs(&shard) && call.begun > moved.done);
        assert!(entry, "{hex}: its entry was not synced before it was acknowledged");
    }
}

#[test]
fn a_batch_is_acknowledged_after_the_log_is_synced() {
    let folder = tempfile::tempdir().unwrap();
    let Some(calls) = strace::run(Story::Batches, folder.path(), None) else { return };
    let acks = Acks::read(folder.path());
    assert_eq!(acks.batches, 100);
    for (batch, calls) in between_acks(&calls, &acks).into_iter().enumerate() {
        let log = |call: &&&Call| call.is("pwrite64") && call.args.contains("mlops.db-wal>");
        let written = calls.iter().filter(log).map(|call| call.done).max();
        let written = written.unwrap_or_else(|| panic!("batch {batch} was not written"));
        let synced = calls.iter().any(|call| call.syncs("mlops.db-wal") && call.begun > written);
        assert!(synced, "batch {batch} was acknowledged before its log was synced");
    }
}

/// What was done for each acknowledgement: complete calls after the one before it.
fn between_acks<'a>(calls: &'a [Call], acks: &Acks) -> Vec<Vec<&'a Call>> {
    let ends: Vec<&Call> = calls.iter().filter(|call| call.acknowledges()).collect();
    assert_eq!(ends.len(), acks.lines);
    let first = ends.iter().position(|ack| !ack.args.contains("ready")).unwrap();
    let done = |from: &Call, to: &Call| {
        let (from, to) = (from.done, to.begun);
        calls.iter().filter(|call| call.begun > from && call.done < to).collect()
    };
    let last = ends.len() - 1;
    (first..last).map(|index| done(ends[index - 1], ends[index])).collect()
}

#[test]
fn a_power_cut_after_any_acknowledgement_loses_nothing() {
    cut_power(Story::Everything);
}

#[test]
fn a_power_cut_loses_no_point() {
    cut_power(Story::Points);
}

fn cut_power(story: Story) {
    let folder = tempfile::tempdir().unwrap();
    let Some(calls) = strace::run_with_bytes(story, folder.path()) else { return };
    let said = fs::read(folder.path().join("acks")).unwrap();
    let (mut disk, mut lines) = (Disk::new(folder.path()), said.split_inclusive(|b| *b == b'\n'));
    let (mut heard, mut cuts) = (Vec::new(), 0);
    for call in calls.iter().filter(|call| !call.failed) {
        if !disk::acknowledges(call) {
            disk.apply(call);
            continue;
        }
        heard.extend(lines.next().unwrap());
        let left = tempfile::tempdir().unwrap();
        disk.cut(left.path());
        fs::write(left.path().join("acks"), &heard).unwrap();
        check(left.path());
        cuts += 1;
    }
    assert_eq!(cuts, Acks::read(folder.path()).lines);
}

#[test]
fn a_kill_at_any_system_call_loses_nothing_acknowledged() {
    let all = ["openat", "write", "pwrite64", "fsync", "rename", "unlink"];
    sweep(Story::Everything, KILLS, &all);
}

#[test]
fn a_kill_loses_no_point_while_segments_are_put_together() {
    sweep(Story::Points, KILLS, &["pwrite64", "fsync"]);
}

#[test]
fn a_kill_leaves_no_half_of_a_long_artifact() {
    sweep(Story::Long, 2, &["write", "fsync", "rename"]);
}

#[test]
fn a_kill_while_garbage_is_collected_loses_nothing_acknowledged() {
    sweep(Story::Garbage, KILLS, &["openat", "pwrite64", "fsync", "rename", "unlink"]);
}

/// Kills a story at each of these calls, so many times spread over all calls of that name.
fn sweep(story: Story, most: usize, names: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let Some(calls) = strace::run(story, folder.path(), None) else { return };
    assert!(Acks::read(folder.path()).over);
    check(folder.path());

    let swept =
        strace::TRACED.iter().filter(|name| names.iter().any(|own| short(own) == short(name)));
    let kills = swept.flat_map(|&name| {
        let counts = spread(&strace::counts(&calls, name), most);
        counts.into_iter().map(move |when| Injection { name, when })
    });
    let (kills, next, killed) = (kills.collect::<Vec<_>>(), AtomicUsize::new(0), Mutex::default());
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while let Some(kill) = kills.get(next.fetch_add(1, Ordering::Relaxed)) {
                    if kills_and_checks(story, *kill) {
                        BTreeSet::insert(&mut killed.lock().unwrap(), short(kill.name));
                    }
                }
            });
        }
    });
    let killed = killed.into_inner().unwrap();
    for name in names {
        assert!(killed.contains(short(name)), "no run was killed at {name}: {killed:?}");
    }
}

/// The name of a call, whether or not its machine has it with `at` only. SQLite waits for its log with
/// `fdatasync` or with `fsync`, as it was compiled.
fn short(name: &str) -> &str {
    if name == "fdatasync" { "fsync" } else { name.trim_end_matches("at") }
}

/// Kills one run and checks what it leaves; whether it was killed before it was over.
fn kills_and_checks(story: Story, kill: Injection) -> bool {
    let _named = Named(kill);
    let folder = tempfile::tempdir().unwrap();
    strace::run(story, folder.path(), Some(kill));
    check(folder.path());
    !Acks::read(folder.path()).over
}

/// Says which call it was when a check fails.
struct Named(Injection);

impl Drop for Named {
    #[expect(clippy::print_stderr, reason = "a call that does harm is named")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("at {} number {} of its thread", self.0.name, self.0.when);
        }
    }
}

/// Some of many, the first and the last among them.
fn spread(all: &[usize], most: usize) -> Vec<usize> {
    if std::env::var("MLOPS_KILLS").is_ok_and(|kills| kills == "all") || all.len() <= most {
        return all.to_vec();
    }
    (0..most).map(|index| all[index * (all.len() - 1) / (most - 1)]).collect()
}

/// Whatever was acknowledged is there, whatever is there is whole, and the store works on.
fn check(folder: &Path) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let acks = Acks::read(folder);
        let store = open(folder).await.unwrap();
        store.verify_events().await.unwrap();
        check_objects(&folder.join("artifacts"));
        if let Some(run) = acks.run {
            check_run(&store, run, &acks).await;
        }
        check_versions(&store, folder, &acks).await;
        drop(store);
        // What a kill leaves behind is no obstacle to doing it all again.
        let again = open(folder).await.unwrap();
        victim::everything(&again, folder, 1, &mut |_| ()).await;
    });
}

/// A name says what its bytes are.
fn check_objects(artifacts: &Path) {
    let shards = fs::read_dir(artifacts.join("sha256"));
    for shard in shards.into_iter().flatten() {
        for object in fs::read_dir(shard.unwrap().path()).unwrap() {
            let path = object.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            // Others are still waiting for their name: nothing reads them.
            if !name.contains('#') {
                assert_eq!(Digest::of_file(&path).unwrap().to_hex(), name, "half an artifact");
            }
        }
    }
}

async fn check_run(store: &SqlStore, run: RunId, acks: &Acks) {
    let history = async |metric: &str| -> Vec<MetricPoint> {
        store.metric_history(MetricQuery::new(run, metric)).await.unwrap().items
    };
    let (a, b, c) = (history("a").await, history("b").await, history("c").await);
    assert_eq!((b.len(), c.len()), (a.len(), victim::MANY * a.len()), "half a batch");
    assert!((acks.batches..=acks.batches + 1).contains(&a.len()), "{} batches", a.len());
    for digest in &acks.artifacts {
        let path = ArtifactPath::new(digest.to_hex()).unwrap();
        let bytes = store.read_artifact(&run, &path).await.unwrap();
        let bytes: Vec<_> = bytes.try_collect().await.unwrap();
        assert_eq!(Digest::of(bytes.concat()), *digest);
    }
}

async fn check_versions(store: &SqlStore, folder: &Path, acks: &Acks) {
    let versions = store.versions(Search::new()).await.unwrap().items;
    assert!((acks.versions..=acks.versions + 1).contains(&versions.len()));
    for version in versions {
        let into = folder.join(format!("checked-{}", version.id.version));
        let package = store.fetch(&version.id, &into).await.unwrap();
        assert_eq!(package.digest(), version.digest());
        fs::remove_dir_all(into).unwrap();
    }
    let uri = ModelUri::alias(ModelName::new("risk").unwrap(), Alias::new("champion").unwrap());
    let points = match store.resolve(&uri).await {
        Ok(version) => usize::try_from(version.id.version).unwrap(),
        Err(_) => 0,
    };
    assert!((acks.aliases..=acks.aliases + 1).contains(&points), "alias at {points}");
}
