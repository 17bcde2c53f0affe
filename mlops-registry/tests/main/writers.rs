//! Sixteen writer processes at one file: no error reaches a caller, and nothing is lost.

use crate::story::open;
use mlops_core::{
    ExperimentId, RunId, Timestamp, Tracker,
    page::Search,
    tracker::{Batch, CreateRun, Metric, MetricQuery},
};
use std::{
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

const WRITERS: usize = 16;
/// How long they write in the suite; 60 s with `MLOPS_WRITERS_SECONDS=60`.
const SECONDS: u64 = 3;
/// Where a writer is told its folder and its time.
const FOLDER: &str = "MLOPS_WRITER_FOLDER";
const TIME: &str = "MLOPS_WRITERS_SECONDS";

#[tokio::test]
async fn sixteen_processes_write_and_nothing_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let writers: Vec<Child> = (0..WRITERS).map(|_| start(folder.path())).collect();
    let mut said = Vec::with_capacity(WRITERS);
    for writer in writers {
        let output = writer.wait_with_output().unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "a caller met an error: {error}");
        said.push(acknowledged(&String::from_utf8(output.stdout).unwrap()));
    }
    let store = open(folder.path()).await.unwrap();
    let mut points = 0;
    for (run, batches) in &said {
        let query = MetricQuery::new(*run, "loss");
        let found = store.metric_history(query).await.unwrap().items.len();
        assert_eq!(found, *batches, "run {run}");
        points += found;
    }
    assert_eq!(store.runs(Search::new()).await.unwrap().items.len(), WRITERS);
    store.verify_events().await.unwrap();
    println!("{WRITERS} processes, {points} acknowledged batches, all there");
}

fn start(folder: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "writers::writer", "--ignored", "--nocapture"])
        .env(FOLDER, folder)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// `said RUN BATCHES` among what the test harness prints.
fn acknowledged(output: &str) -> (RunId, usize) {
    let line = output
        .lines()
        .find_map(|line| line.split_once("said "))
        .expect("a writer says what it wrote");
    let (run, batches) = line.1.split_once(' ').unwrap();
    (run.parse().unwrap(), batches.trim().parse().unwrap())
}

/// Does nothing unless the test beside it has started it.
#[test]
#[ignore = "is started by the test beside it"]
fn writer() {
    let Some(folder) = std::env::var_os(FOLDER).map(PathBuf::from) else { return };
    let seconds = std::env::var(TIME).ok().and_then(|time| time.parse().ok()).unwrap_or(SECONDS);
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let store = open(&folder).await.unwrap();
        let run =
            store.create_run(CreateRun::new(ExperimentId::new("0").unwrap())).await.unwrap().id;
        let (until, mut batches) = (Instant::now() + Duration::from_secs(seconds), 0_i64);
        while Instant::now() < until {
            let point = Metric::new("loss", 0.5, batches, Timestamp::default());
            let tag = ("last".to_owned(), batches.to_string());
            let batch = Batch::new().with_metrics(vec![point]).with_tags(vec![tag]);
            store.log_batch(&run, batch).await.unwrap();
            batches += 1;
        }
        // One line: several writers share nothing, but the harness prints too.
        std::io::stdout().write_all(format!("\nsaid {run} {batches}\n").as_bytes()).unwrap();
    });
}
