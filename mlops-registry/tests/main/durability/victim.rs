//! What runs under strace, and is killed.

use crate::story::{open, package, stream};
use mlops_core::{
    Alias, Digest, ExperimentId, Registry, RunId, Timestamp, Tracker,
    artifact::ArtifactPath,
    registry::MoveAlias,
    tracker::{Batch, CreateRun, Metric},
};
use mlops_registry::{SqlStore, store::GcOptions};
use std::{
    fs::{self, File},
    io::Write,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How often the story of everything does each thing.
pub(crate) const ROUNDS: usize = 3;
/// Where the victim is told its folder and its story.
const FOLDER: &str = "MLOPS_VICTIM_FOLDER";
const STORY: &str = "MLOPS_VICTIM_STORY";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Story {
    /// A hundred artifacts.
    Puts,
    /// A hundred batches.
    Batches,
    /// A few batches: enough that small segments are put together.
    Points,
    /// A few rounds of everything.
    Everything,
    /// An artifact that is longer than what is held in memory.
    Long,
    /// Artifacts, and the collection of what nothing refers to.
    Garbage,
    /// A few rounds of everything, told by one who goes on where something is refused.
    Refused,
    /// A small disk, filled.
    Full,
}

impl Story {
    pub(crate) const ALL: [Self; 8] = [
        Self::Puts,
        Self::Batches,
        Self::Points,
        Self::Everything,
        Self::Long,
        Self::Garbage,
        Self::Refused,
        Self::Full,
    ];

    pub(crate) fn name(self) -> String {
        format!("{self:?}")
    }
}

/// Tells a command that runs this binary which story it is, and where.
pub(crate) fn told(command: &mut Command, story: Story, folder: &Path) {
    command.args(["durability::victim::victim", "--exact", "--ignored", "--test-threads=1"]);
    command.env(FOLDER, folder).env(STORY, story.name());
}

/// Does nothing unless one of the tests beside it has started it.
#[test]
#[ignore = "is started by the tests beside it"]
fn victim() {
    let (Some(folder), Ok(told)) = (std::env::var_os(FOLDER), std::env::var(STORY)) else {
        return;
    };
    let folder = PathBuf::from(folder);
    let told = Story::ALL.iter().find(|story| story.name() == told).unwrap();
    // One write call an acknowledgement: what is in this file was said.
    let mut acks = File::options().create(true).append(true).open(folder.join("acks")).unwrap();
    let mut ack = |line: String| acks.write_all(format!("{line}\n").as_bytes()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        match told {
            Story::Refused => return super::refused::story(&folder, &mut ack).await,
            Story::Full => return super::full::story(&folder, &mut ack).await,
            _ => {}
        }
        let store = open(&folder).await.unwrap();
        match told {
            Story::Puts => puts(&store, &mut ack).await,
            Story::Batches => batches(&store, 100, &mut ack).await,
            Story::Points => batches(&store, 12, &mut ack).await,
            Story::Long => long(&store, &mut ack).await,
            Story::Garbage => garbage(&store, &mut ack).await,
            Story::Everything => everything(&store, &folder, ROUNDS, &mut ack).await,
            Story::Refused | Story::Full => unreachable!("they open the store themselves"),
        }
    });
    ack("over".to_owned());
}

async fn puts(store: &SqlStore, ack: &mut dyn FnMut(String)) {
    ack("ready".to_owned());
    for number in 0..100 {
        let body = stream(vec![format!("artifact {number}").into_bytes()]);
        let artifact = store.artifacts().put(body).await.unwrap();
        ack(format!("put {}", artifact.digest));
    }
}

async fn run(store: &SqlStore, ack: &mut dyn FnMut(String)) -> RunId {
    let new = CreateRun::new(ExperimentId::new("0").unwrap());
    let run = store.create_run(new).await.unwrap().id;
    ack(format!("ready {run}"));
    run
}

/// How many points of `c` there are for one of `a`: too many to wait for others in the tail.
pub(crate) const MANY: usize = 40;

pub(crate) fn batch(step: usize) -> Batch {
    let step = i64::try_from(step).unwrap();
    let point = |name: &str, step| Metric::new(name, 0.5, step, Timestamp::default());
    let many = (0..MANY).map(|number| point("c", 100 * step + i64::try_from(number).unwrap()));
    Batch::new()
        .with_metrics([point("a", step), point("b", step)].into_iter().chain(many).collect())
        .with_tags(vec![("step".to_owned(), step.to_string())])
}

async fn batches(store: &SqlStore, count: usize, ack: &mut dyn FnMut(String)) {
    let run = run(store, ack).await;
    for step in 0..count {
        store.log_batch(&run, batch(step)).await.unwrap();
        ack("batch".to_owned());
    }
}

async fn artifact(store: &SqlStore, run: RunId, bytes: Vec<u8>, ack: &mut dyn FnMut(String)) {
    let digest = Digest::of(&bytes);
    let path = ArtifactPath::new(digest.to_hex()).unwrap();
    store.write_artifact(&run, &path, stream(vec![bytes])).await.unwrap();
    ack(format!("artifact {digest}"));
}

async fn long(store: &SqlStore, ack: &mut dyn FnMut(String)) {
    let run = run(store, ack).await;
    artifact(store, run, vec![7; (8 << 20) + 1], ack).await;
}

/// Bytes that are garbage, then of use, then garbage and of use: what is acknowledged stays.
async fn garbage(store: &SqlStore, ack: &mut dyn FnMut(String)) {
    let run = run(store, ack).await;
    let at_once = GcOptions::default().with_older_than(Duration::ZERO);
    for round in 0..3_u8 {
        let of_use = vec![round; 20_000];
        for bytes in [of_use.clone(), vec![100 + round; 20_000]] {
            store.artifacts().put(stream(vec![bytes])).await.unwrap();
        }
        if round == 1 {
            store.collect_garbage(at_once).await.unwrap();
        }
        artifact(store, run, of_use, ack).await;
        store.collect_garbage(at_once).await.unwrap();
        ack("collected".to_owned());
    }
}

pub(crate) async fn everything(
    store: &SqlStore,
    folder: &Path,
    rounds: usize,
    ack: &mut dyn FnMut(String),
) {
    let run = run(store, ack).await;
    for round in 0..rounds {
        store.log_batch(&run, batch(round)).await.unwrap();
        ack("batch".to_owned());

        artifact(store, run, vec![u8::try_from(round).unwrap(); 20_000], ack).await;

        let source = folder.join("packages");
        fs::create_dir_all(&source).unwrap();
        let new = package(&source, "risk", &format!("weights of round {round}"));
        let id = store.create_version(new).await.unwrap().id;
        ack("version".to_owned());
        let alias = Alias::new("champion").unwrap();
        let request = MoveAlias::new(id.model, alias, id.version, "the next");
        store.move_alias(request).await.unwrap();
        ack("alias".to_owned());
    }
}

/// What was acknowledged.
#[derive(Debug, Default)]
pub(crate) struct Acks {
    pub(crate) lines: usize,
    pub(crate) run: Option<RunId>,
    pub(crate) puts: Vec<Digest>,
    pub(crate) artifacts: Vec<Digest>,
    pub(crate) batches: usize,
    pub(crate) versions: usize,
    pub(crate) aliases: usize,
    /// It was not killed.
    pub(crate) over: bool,
}

impl Acks {
    pub(crate) fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("acks")).unwrap_or_default();
        let mut acks = Self::default();
        // A line without its end was not said.
        for line in text.split_inclusive('\n').filter(|line| line.ends_with('\n')) {
            acks.lines += 1;
            let (word, rest) = line.trim_end().split_once(' ').unwrap_or((line.trim_end(), ""));
            match word {
                "ready" => acks.run = rest.parse().ok(),
                "put" => acks.puts.push(rest.parse().unwrap()),
                "artifact" => acks.artifacts.push(rest.parse().unwrap()),
                "batch" => acks.batches += 1,
                "version" => acks.versions += 1,
                "alias" => acks.aliases += 1,
                "collected" => {}
                "over" => acks.over = true,
                _ => panic!("{line}"),
            }
        }
        acks
    }
}
