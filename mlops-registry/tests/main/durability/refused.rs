//! A story whose teller goes on when the disk takes no more: what it was told is written down, and what
//! is there afterwards is compared with it.

use crate::story::{package, stream};
use futures_util::TryStreamExt;
use mlops_core::{
    Alias, Digest, ErrorKind, ExperimentId, ModelName, Registry, Result, RunId, Tracker, VersionId,
    artifact::ArtifactPath,
    page::Search,
    registry::{ModelUri, MoveAlias},
    tracker::{CreateRun, MetricPoint, MetricQuery},
};
use mlops_registry::SqlStore;
use std::{collections::BTreeSet, fs, path::Path};

/// How often anything is tried that nothing goes on without.
const TRIES: usize = 3;
/// How often the story does each thing.
const ROUNDS: usize = 3;

/// Writes down how something ended.
pub(crate) fn said<T>(ack: &mut dyn FnMut(String), what: String, outcome: Result<T>) -> Option<T> {
    match outcome {
        Ok(value) => {
            ack(what);
            Some(value)
        }
        Err(error) => {
            ack(format!("refused {what} {:?} {error}", error.kind()));
            None
        }
    }
}

/// Opens the store of a folder, tries a few rounds of everything, closes it.
pub(crate) async fn story(folder: &Path, ack: &mut dyn FnMut(String)) {
    for _ in 0..TRIES {
        let opened = crate::story::open(folder).await;
        let Some(store) = said(ack, "opened".to_owned(), opened) else { continue };
        if let Some(run) = run(&store, ack).await {
            for number in 0..ROUNDS {
                round(&store, run, folder, number, ack).await;
            }
        }
        return;
    }
}

/// A run; `None` if there is no room for one.
pub(crate) async fn run(store: &SqlStore, ack: &mut dyn FnMut(String)) -> Option<RunId> {
    for _ in 0..TRIES {
        let new = CreateRun::new(ExperimentId::new("0").unwrap());
        let made = store.create_run(new.with_idempotency_key("the run of the story".into())).await;
        if let Some(run) = said(ack, "run".to_owned(), made) {
            ack(format!("ready {}", run.id));
            return Some(run.id);
        }
    }
    None
}

/// Everything once. Packages are made beside the store's own files.
pub(crate) async fn round(
    store: &SqlStore,
    run: RunId,
    beside: &Path,
    number: usize,
    ack: &mut dyn FnMut(String),
) {
    let logged = store.log_batch(&run, super::victim::batch(number)).await;
    said(ack, format!("batch {number}"), logged);

    let bytes = bytes_of(number);
    let digest = Digest::of(&bytes);
    let written = store.write_artifact(&run, &path_of(&digest), stream(vec![bytes])).await;
    said(ack, format!("artifact {digest}"), written);

    let source = beside.join("packages");
    fs::create_dir_all(&source).unwrap();
    let new = package(&source, "risk", &format!("weights of round {number}"));
    let made = store.create_version(new).await;
    let what = match &made {
        Ok(version) => format!("version {}", version.id.version),
        Err(_) => "version".to_owned(),
    };
    let Some(version) = said(ack, what, made) else { return };
    let (to, alias) = (version.id.version, Alias::new("champion").unwrap());
    let moved = store.move_alias(MoveAlias::new(version.id.model, alias, to, "the next")).await;
    said(ack, format!("alias {to}"), moved);
}

fn bytes_of(number: usize) -> Vec<u8> {
    format!("{number} ").repeat(8_000).into_bytes()
}

fn path_of(digest: &Digest) -> ArtifactPath {
    ArtifactPath::new(digest.to_hex()).unwrap()
}

/// What the teller was told.
#[derive(Debug, Default)]
pub(crate) struct Told {
    pub(crate) run: Option<RunId>,
    batches: BTreeSet<i64>,
    artifacts: Vec<Digest>,
    versions: BTreeSet<u64>,
    /// Where the alias went, as far as that is known.
    alias: u64,
    /// Where it may have gone, though that was not acknowledged.
    doubtful: BTreeSet<u64>,
    pub(crate) refusals: Vec<String>,
    pub(crate) over: bool,
}

impl Told {
    pub(crate) fn read(folder: &Path) -> Self {
        let text = fs::read_to_string(folder.join("acks")).unwrap_or_default();
        let mut told = Self::default();
        for line in text.lines() {
            let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
            match word {
                "ready" => told.run = rest.parse().ok(),
                "batch" => drop(told.batches.insert(rest.parse().unwrap())),
                "artifact" => told.artifacts.push(rest.parse().unwrap()),
                "version" => drop(told.versions.insert(rest.parse().unwrap())),
                "alias" => {
                    told.alias = rest.parse().unwrap();
                    told.doubtful.clear();
                }
                "refused" => told.refusal(rest),
                "over" => told.over = true,
                _ => {}
            }
        }
        told
    }

    fn refusal(&mut self, rest: &str) {
        if let Some(to) = rest.strip_prefix("alias ") {
            self.doubtful.insert(to.split(' ').next().unwrap().parse().unwrap());
        }
        self.refusals.push(rest.to_owned());
    }

    /// Each refusal is of the kind that may be tried again, and says why.
    pub(crate) fn says_why(&self) {
        const WHY: [&str; 5] =
            ["is full", "No space left", "writing its file", "cannot be opened", "ended both"];
        let kind = format!(" {:?} ", ErrorKind::Unavailable);
        for refusal in &self.refusals {
            let says = refusal.contains(&kind) && WHY.iter().any(|why| refusal.contains(why));
            assert!(says, "this says not that the disk is full: {refusal}");
        }
    }

    /// How many of these were refused.
    pub(crate) fn refused(&self, what: &str) -> usize {
        self.refusals.iter().filter(|refusal| refusal.starts_with(what)).count()
    }
}

/// Whatever was acknowledged is there; whatever else is there was tried, and is there as a whole.
pub(crate) async fn check(store: &SqlStore, folder: &Path, told: &Told) {
    store.verify_events().await.unwrap();
    if let Some(run) = told.run {
        check_batches(store, run, told).await;
        for digest in &told.artifacts {
            let bytes = store.read_artifact(&run, &path_of(digest)).await.unwrap();
            let bytes: Vec<_> = bytes.try_collect().await.unwrap();
            assert_eq!(Digest::of(bytes.concat()), *digest);
        }
    }
    check_versions(store, folder, told).await;
}

async fn check_batches(store: &SqlStore, run: RunId, told: &Told) {
    let history = async |metric: &str| -> Vec<MetricPoint> {
        store.metric_history(MetricQuery::new(run, metric)).await.unwrap().items
    };
    let (a, b, c) = (history("a").await, history("b").await, history("c").await);
    let there: BTreeSet<i64> = a.iter().map(|point| point.step).collect();
    assert!(told.batches.is_subset(&there), "{:?} of {:?}", there, told.batches);
    assert_eq!((b.len(), c.len()), (a.len(), super::victim::MANY * a.len()), "half a batch");
    for step in there.difference(&told.batches) {
        let tried = format!("batch {step} ");
        assert!(told.refused(&tried) > 0, "nobody logged step {step}");
    }
}

async fn check_versions(store: &SqlStore, folder: &Path, told: &Told) {
    let model = ModelName::new("risk").unwrap();
    let there = store.versions(Search::new().with_max_results(10_000)).await.unwrap().items;
    let numbers: BTreeSet<u64> = there.iter().map(|version| version.id.version).collect();
    assert!(told.versions.is_subset(&numbers), "{numbers:?} of {:?}", told.versions);
    assert!(numbers.len() <= told.versions.len() + told.refused("version"));
    for version in &there {
        let into = folder.join(format!("checked-{}", version.id.version));
        let package = store.fetch(&version.id, &into).await.unwrap();
        assert_eq!(package.digest(), version.digest());
        fs::remove_dir_all(into).unwrap();
    }
    let uri = ModelUri::alias(model.clone(), Alias::new("champion").unwrap());
    let points = store.resolve(&uri).await.map_or(0, |version| version.id.version);
    assert!(points == told.alias || told.doubtful.contains(&points), "alias at {points}");
    let nobodys = VersionId { model, version: 1_000_000 };
    assert_eq!(store.fetch(&nobodys, folder).await.unwrap_err().kind(), ErrorKind::NotFound);
}
