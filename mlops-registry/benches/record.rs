//! What the record takes: durable writes, history, search, opening after a kill.
//!
//! `scripts/bench record`, or `cargo bench -p mlops-registry --bench record -- [PART …]`. Every figure is
//! printed beside what the disk itself takes in the same folder, in the same run.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench prints and may panic")]

use mlops_core::{
    ExperimentId, RunId, Timestamp, Tracker,
    page::Search,
    tracker::{Batch, CreateRun, Metric, MetricQuery},
};
use mlops_registry::{SqlStore, StoreConfig};
use std::{
    fs::File,
    future::Future,
    io::{BufRead, BufReader, Seek, Write},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

/// Points of one batch, where batches are measured.
const BATCH: i64 = 1000;
const RUNS: i64 = 20_000;
/// Where the databases lie; the system's temporary folder otherwise.
const FOLDER: &str = "MLOPS_BENCH_FOLDER";

fn main() {
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build().unwrap();
    if let [child, folder] = &args[..]
        && child == "child"
    {
        return runtime.block_on(until_killed(Path::new(folder)));
    }
    let wants = |part: &str| args.is_empty() || args.iter().any(|arg| arg == part);
    runtime.block_on(async {
        if wants("latency") {
            latency().await;
        }
        if wants("batches") {
            batches().await;
        }
        if wants("history") {
            history().await;
        }
        if wants("search") {
            search().await;
        }
    });
    if wants("recovery") {
        recovery(&runtime);
    }
}

struct Home {
    folder: tempfile::TempDir,
    store: SqlStore,
}

fn folder() -> tempfile::TempDir {
    let place = std::env::var_os(FOLDER).map_or_else(std::env::temp_dir, PathBuf::from);
    tempfile::tempdir_in(place).unwrap()
}

async fn open(folder: &Path) -> SqlStore {
    SqlStore::open(folder.join("mlops.db"), StoreConfig::default()).await.unwrap()
}

impl Home {
    async fn new() -> Self {
        let folder = folder();
        let store = open(folder.path()).await;
        Self { folder, store }
    }

    async fn run(&self) -> RunId {
        let new = CreateRun::new(ExperimentId::new("0").unwrap());
        self.store.create_run(new).await.unwrap().id
    }
}

/// A number between 0 and 1 that has every bit, as a loss has.
fn noise(seed: i64) -> f64 {
    let mut x = seed.cast_unsigned().wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    f64::from(u32::try_from((x ^ (x >> 31)) >> 32).unwrap()) / f64::from(u32::MAX) + 1e-9 * 0.1
}

fn point(name: &Arc<str>, step: i64) -> Metric {
    let time = 1_700_000_000_000 + 137 * step + step % 7;
    Metric::new(Arc::clone(name), noise(step), step, Timestamp::from_unix_millis(time))
}

fn names(count: i64) -> Vec<Arc<str>> {
    (0..count).map(|number| Arc::from(format!("metric_{number}"))).collect()
}

/// The next points of some metrics, from this step on.
fn batch(names: &[Arc<str>], points: i64, from: i64) -> Batch {
    let steps = points / i64::try_from(names.len()).unwrap();
    let step = |step| names.iter().map(move |name| point(name, step));
    Batch::new().with_metrics((from..from + steps).flat_map(step).collect())
}

fn print(what: &str, figure: &str) {
    println!("{what:<64} {figure}");
}

fn percentile(times: &mut [Duration], share: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() - 1) * share / 100]
}

fn print_times(what: &str, mut times: Vec<Duration>) -> f64 {
    let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
    print(what, &format!("p50 {:9.1} µs   p99 {:9.1} µs", micros(p50), micros(p99)));
    micros(p50)
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

async fn timed<T>(times: &mut Vec<Duration>, work: impl Future<Output = T>) -> T {
    let began = Instant::now();
    let done = work.await;
    times.push(began.elapsed());
    done
}

/// A write of 100 bytes and a wait for the disk: at the end of a file that grows, and over bytes that
/// are there.
fn bare(folder: &Path, count: usize) -> (Vec<Duration>, Vec<Duration>) {
    let measure = |name: &str, long: usize| {
        let mut file = File::create(folder.join(name)).unwrap();
        file.write_all(&vec![0; long]).unwrap();
        file.sync_all().unwrap();
        file.seek(std::io::SeekFrom::Start(0)).unwrap();
        let write = |_| {
            let began = Instant::now();
            file.write_all(&[7; 100]).unwrap();
            file.sync_data().unwrap();
            began.elapsed()
        };
        (0..count).map(write).collect()
    };
    (measure("grows", 0), measure("stays", 100 * count))
}

async fn latency() {
    let home = Home::new().await;
    let (run, names) = (home.run().await, names(1));
    // Until the log has its size and is written over.
    for step in 0..2000 {
        home.store.log_batch(&run, batch(&names, 1, step)).await.unwrap();
    }
    let (mut grows, mut stays, mut ours) = (Vec::new(), Vec::new(), Vec::new());
    for turn in 0..20 {
        let (one, other) = bare(home.folder.path(), 100);
        grows.extend(one);
        stays.extend(other);
        for step in 0..100 {
            let batch = batch(&names, 1, 2000 + 100 * turn + step);
            timed(&mut ours, home.store.log_batch(&run, batch)).await.unwrap();
        }
    }
    let grows = print_times("bare write and fsync, a file that grows", grows);
    let stays = print_times("bare write and fsync, over bytes that are there", stays);
    let ours = print_times("log_batch of one point, durable", ours);
    let ratios = format!(
        "{:.2} × a file that grows, {:.2} × bytes that are there",
        ours / grows,
        ours / stays
    );
    print("", &ratios);
}

async fn batches() {
    for (writers, metrics) in [(1, 10), (16, 1), (16, 10), (16, 100), (16, 1000)] {
        let home = Home::new().await;
        let began = Instant::now();
        let count = 2_000 / if metrics == 1000 { 4 } else { 1 };
        let write = |_| {
            let (store, names) = (home.store.clone(), names(metrics));
            async move {
                let new = CreateRun::new(ExperimentId::new("0").unwrap());
                let run = store.create_run(new).await.unwrap().id;
                for number in 0..count / writers {
                    let from = number * BATCH / metrics;
                    store.log_batch(&run, batch(&names, BATCH, from)).await.unwrap();
                }
            }
        };
        let points = writers * (count / writers) * BATCH;
        together((0..writers).map(write)).await;
        let what = format!("batches of {BATCH} points, {metrics} metrics, {writers} writers");
        rate(&what, "points", points, began);
        size(&home, points);
    }
    for writers in [1, 16] {
        let home = Home::new().await;
        let began = Instant::now();
        let count = 2000 / writers;
        let write = |_| {
            let store = home.store.clone();
            async move {
                for _ in 0..count {
                    let new = CreateRun::new(ExperimentId::new("0").unwrap());
                    store.create_run(new).await.unwrap();
                }
            }
        };
        together((0..writers).map(write)).await;
        rate(&format!("create_run, {writers} writers"), "runs", count * writers, began);
    }
}

async fn together(tasks: impl Iterator<Item = impl Future<Output = ()> + Send + 'static>) {
    for task in tasks.map(tokio::spawn).collect::<Vec<_>>() {
        task.await.unwrap();
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate for people")]
fn rate(what: &str, of: &str, count: i64, began: Instant) {
    print(what, &format!("{:12.0} {of}/s", count as f64 / began.elapsed().as_secs_f64()));
}

#[expect(clippy::cast_precision_loss, reason = "a size for people")]
fn size(home: &Home, points: i64) {
    let size = |name: &str| std::fs::metadata(home.folder.path().join(name)).map_or(0, |m| m.len());
    let (file, log) = (size("mlops.db") as f64, size("mlops.db-wal") as f64);
    print(
        "",
        &format!(
            "{:.1} bytes a point and {:.0} MiB of log",
            file / points as f64,
            log / 1_048_576.0
        ),
    );
}

async fn history() {
    let home = Home::new().await;
    let (run, names) = (home.run().await, names(1));
    for from in (0..15_000).step_by(1000) {
        home.store.log_batch(&run, batch(&names, BATCH, from)).await.unwrap();
    }
    let mut times = Vec::new();
    for _ in 0..50 {
        let query = MetricQuery::new(run, "metric_0");
        let page = timed(&mut times, home.store.metric_history(query)).await.unwrap();
        assert_eq!(page.items.len(), 15_000);
    }
    print_times("history of 15,000 points", times);
}

async fn search() {
    let home = Home::new().await;
    let began = Instant::now();
    let (writers, metrics) = (16, names(4));
    let write = |writer: i64| {
        let (store, names) = (home.store.clone(), metrics.clone());
        async move {
            for number in (writer..RUNS).step_by(16) {
                let new = CreateRun::new(ExperimentId::new("0").unwrap());
                let run = store.create_run(new).await.unwrap().id;
                let params = [("depth", number % 20), ("seed", number)];
                let params = params.map(|(key, value)| (key.to_owned(), value.to_string()));
                let batch = batch(&names, 400, 100 * number).with_params(params.to_vec());
                store.log_batch(&run, batch).await.unwrap();
            }
        }
    };
    together((0..writers).map(write)).await;
    rate("20,000 runs of 400 points", "points", 400 * RUNS, began);
    size(&home, 400 * RUNS);
    for (filter, order, page) in [
        ("metrics.metric_0 < 0.05 and params.depth = '7'", "metrics.metric_0 ASC", 100),
        ("metrics.metric_0 < 0.05 and params.depth = '7'", "", 100),
        ("metrics.metric_0 < 0.5 and params.depth = '7'", "metrics.metric_1 DESC", 20),
        ("metrics.metric_0 < 0.5 and params.depth != '7'", "metrics.metric_0 ASC", 20),
        ("metrics.metric_0 < 0.5", "", 20),
        ("metrics.metric_0 < 0.001", "metrics.metric_0 ASC", 20),
    ] {
        let mut search = Search::new().with_filter(filter).with_max_results(page);
        if !order.is_empty() {
            search = search.with_order_by(order);
        }
        let (mut times, mut found) = (Vec::new(), 0);
        for _ in 0..21 {
            let runs = timed(&mut times, home.store.runs(search.clone())).await.unwrap();
            found = runs.items.len();
        }
        print_times(&format!("{filter} {order} (page of {page}: {found})"), times);
    }
    print("resident memory", &resident());
}

/// Writes for ever; says when the points are there that are asked for.
async fn until_killed(folder: &Path) {
    let store = open(folder).await;
    let new = || CreateRun::new(ExperimentId::new("0").unwrap());
    let names = names(10);
    let mut written = 0;
    loop {
        let run = store.create_run(new()).await.unwrap().id;
        for from in 0..1000 {
            store.log_batch(&run, batch(&names, BATCH, 100 * from)).await.unwrap();
            written += BATCH;
            if written == 10_000_000 {
                println!("written");
            }
        }
    }
}

fn recovery(runtime: &tokio::runtime::Runtime) {
    let folder = folder();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.arg("child").arg(folder.path()).stdout(Stdio::piped());
    let mut child = child.spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    child.kill().unwrap();
    child.wait().unwrap();
    let log = std::fs::metadata(folder.path().join("mlops.db-wal")).map_or(0, |file| file.len());
    let began = Instant::now();
    let store = runtime.block_on(open(folder.path()));
    let opened = began.elapsed();
    let runs = runtime.block_on(store.runs(Search::new())).unwrap().items;
    let what = format!("open after a kill at 10 million points ({} KiB of log)", log >> 10);
    print(
        &what,
        &format!(
            "{:9.1} ms; first search {:.1} ms",
            micros(opened) / 1e3,
            micros(began.elapsed()) / 1e3
        ),
    );
    assert!(runs.len() > 10);
    print("resident memory", &resident());
}

fn resident() -> String {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS"));
    line.map_or_else(|| "not known here".to_owned(), |line| line[6..].trim().to_owned())
}
