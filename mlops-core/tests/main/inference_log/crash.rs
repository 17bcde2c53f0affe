//! What a killed process, a torn file and a bare system call leave behind.

use super::{DAY, all, names, observe, open, risk, start, wait};
use mlops_core::{
    PredictionId,
    inference_log::{
        InferenceLog, InferenceLogConfig, LogReader, Outcome, OutcomeLog, OutcomeValue,
    },
};
use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

const CHILD: &str = "MLOPS_TEST_LOG_CHILD";

fn outcome(id: u128) -> Outcome {
    Outcome::new(PredictionId::from_u128(id), start().plus(DAY), "n", OutcomeValue::Number(1.0))
}

/// Not a test by itself: what the tests below run as another process. Writes records and outcomes,
/// and says what was acknowledged.
#[test]
fn child_writes() {
    let Ok(folder) = std::env::var(CHILD) else { return };
    let config = InferenceLogConfig::default()
        .with_flush_interval(Duration::from_millis(20))
        .with_segment_rows(40_usize);
    let log = InferenceLog::open(folder, config).unwrap();
    let info = risk("1");
    log.declare(&info, None).unwrap();
    let count: u128 = std::env::var("COUNT").unwrap().parse().unwrap();
    for id in 1..=count {
        observe(&log, id, &info, 0.5);
        wait(log.append(&[outcome(id)])).unwrap();
        println!("outcome {id}");
        if id % 7 == 0 {
            wait(log.flush()).unwrap();
            println!("record {id}");
        }
        std::io::stdout().flush().unwrap();
    }
}

fn child(folder: &Path, count: u32) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([
        "--exact",
        "inference_log::crash::child_writes",
        "--nocapture",
        "--test-threads=1",
    ]);
    command.env(CHILD, folder).env("COUNT", count.to_string()).stdout(Stdio::piped());
    command
}

#[test]
fn what_was_acknowledged_outlives_a_kill() {
    for after in [1, 13, 57, 130, 200] {
        let folder = tempfile::tempdir().unwrap();
        let mut process = child(folder.path(), 100_000).spawn().unwrap();
        let mut acknowledged = (0, 0);
        for line in BufReader::new(process.stdout.take().unwrap()).lines() {
            let line = line.unwrap();
            match line.split_once(' ') {
                Some(("outcome", id)) => acknowledged.0 = id.parse::<u128>().unwrap(),
                Some(("record", id)) => acknowledged.1 = id.parse::<u128>().unwrap(),
                _ => {}
            }
            if acknowledged.0 >= after {
                break;
            }
        }
        process.kill().unwrap();
        process.wait().unwrap();

        // Before and after the next process has put the folder in order.
        for recovered in [false, true] {
            if recovered {
                drop(open(folder.path()));
                let left = names(&folder.path().join("outcomes"));
                assert!(!left.iter().any(|name| name.contains("journal")), "{left:?}");
            }
            let (outcomes, _) = LogReader::open(folder.path()).unwrap().outcomes().unwrap();
            let found: BTreeSet<_> =
                outcomes.iter().map(|o| o.prediction.unwrap().as_u128()).collect();
            assert!((1..=acknowledged.0).all(|id| found.contains(&id)));
            assert_eq!(found.len(), outcomes.len(), "an outcome is there twice");
            let records = all(folder.path());
            let ids: BTreeSet<_> = records.iter().map(|record| record.0).collect();
            assert!((1..=acknowledged.1).all(|id| ids.contains(&id)));
            assert_eq!(ids.len(), records.len(), "a record is there twice");
        }
    }
}

/// A copy of a folder of segments as a machine that stops might leave it.
fn torn(from: &Path, journal: &str, keep: usize, tail: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let records = folder.path().join("records");
    fs::create_dir(&records).unwrap();
    for name in names(from) {
        fs::copy(from.join(&name), records.join(&name)).unwrap();
    }
    let bytes = fs::read(from.join(journal)).unwrap();
    fs::write(records.join(journal), [&bytes[..keep], tail].concat()).unwrap();
    folder
}

#[test]
fn a_torn_segment_gives_what_was_flushed_and_says_what_not() {
    let folder = tempfile::tempdir().unwrap();
    let (log, info) = (open(folder.path()), risk("1"));
    log.declare(&info, None).unwrap();
    let records = folder.path().join("records");
    // Where each flush ends.
    let mut ends = Vec::new();
    let mut journal = String::new();
    for id in 1..=4 {
        observe(&log, id, &info, 0.5);
        wait(log.flush()).unwrap();
        journal = names(&records).pop().unwrap();
        ends.push(fs::read(records.join(&journal)).unwrap().len());
    }
    let length = ends[3];
    let tails: [&[u8]; 3] = [b"", &[0; 4096], &[0xff; 300]];
    for keep in (0..=length).step_by(487).chain(ends.iter().copied()) {
        for tail in tails {
            let copy = torn(&records, &journal, keep, tail);
            let whole = ends.iter().filter(|&&end| end <= keep).count();
            let good = ends[..whole].last().copied().unwrap_or(8.min(keep));
            let mut gaps = Vec::new();
            for segment in LogReader::open(copy.path()).unwrap().segments().unwrap() {
                // A file that does not even begin as a journal is not ours to guess about.
                match segment {
                    Ok(segment) => gaps.extend(segment.gap),
                    Err(error) => assert!(keep < 8 && !tail.is_empty(), "{error}"),
                }
            }
            if keep < 8 {
                continue;
            }
            assert_eq!(all(copy.path()).len(), whole, "{keep} of {length}");
            let dropped = (keep + tail.len() - good) as u64;
            assert_eq!(gaps.first().map_or(0, |gap| gap.bytes), dropped);
            // The next writer puts it in order and keeps saying it.
            let log = open(copy.path());
            assert_eq!(log.recovered().first().map_or(0, |gap| gap.bytes), dropped);
            drop(log);
            assert_eq!(all(copy.path()).len(), whole);
        }
    }
    drop(log);
}

#[test]
fn a_stop_between_rename_and_removal_counts_nothing_twice() {
    let folder = tempfile::tempdir().unwrap();
    let (log, info) = (open(folder.path()), risk("1"));
    observe(&log, 1, &info, 0.5);
    wait(log.flush()).unwrap();
    let records = folder.path().join("records");
    let journal = records.join(names(&records).pop().unwrap());
    let bytes = fs::read(&journal).unwrap();
    drop(log);
    fs::write(&journal, bytes).unwrap();
    fs::write(records.join("0000000000000002.temporary"), b"half").unwrap();
    assert_eq!((names(&records).len(), all(folder.path()).len()), (3, 1));
    drop(open(folder.path()));
    assert_eq!((names(&records).len(), all(folder.path()).len()), (1, 1));
}

fn strace() -> Option<PathBuf> {
    let paths = std::env::var_os("PATH")?;
    std::env::split_paths(&paths).map(|path| path.join("strace")).find(|path| path.exists())
}

/// A kill cannot show a missing fsync; the order of the system calls can.
#[test]
fn an_outcome_is_synced_before_it_is_acknowledged() {
    let Some(strace) = strace() else {
        println!("skipped: an_outcome_is_synced_before_it_is_acknowledged: no strace");
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let trace = folder.path().join("trace");
    let plain = child(&folder.path().join("log"), 100);
    let mut command = Command::new(strace);
    command.args(["-f", "-y", "-e", "trace=write,fdatasync,fsync,rename,unlink", "-o"]).arg(&trace);
    command.arg(plain.get_program()).args(plain.get_args());
    command.envs(plain.get_envs().filter_map(|(key, value)| Some((key, value?))));
    let output = command.stdout(Stdio::null()).status().unwrap();
    assert!(output.success());

    let trace = fs::read_to_string(trace).unwrap();
    let (mut written, mut synced, mut acknowledged, mut renamed) = (0, 0, 0, false);
    for line in trace.lines() {
        let done = !line.contains("unfinished");
        let on_outcomes = line.contains("/outcomes/");
        if on_outcomes && line.contains("write(") && line.contains(".journal") {
            written += 1;
        } else if line.contains("write(1<") && line.contains("\"outcome ") {
            acknowledged += 1;
            assert!(synced >= acknowledged, "acknowledged before it was synced: {line}");
        } else if (on_outcomes && line.contains("fdatasync(") && done)
            || line.contains("<... fdatasync resumed>")
        {
            synced += 1;
        } else if on_outcomes && line.contains("rename(") {
            renamed = true;
        }
    }
    assert!(written > 100 && renamed, "{written} {synced}");
    assert_eq!(acknowledged, 100);
}
