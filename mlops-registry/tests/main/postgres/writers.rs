//! Several processes at one database.

use super::Place;
use crate::story::package;
use futures_util::StreamExt;
use mlops_core::{
    Alias, ErrorKind, EventLog, ModelName, Registry, Tracker,
    event::EventKind,
    page::Search,
    registry::{Expected, HistoryQuery, ModelUri, MoveAlias},
    tracker::{Batch, CreateExperiment, CreateRun, Metric, RunStatus},
};
use mlops_registry::SqlStore;
use std::{
    collections::BTreeSet,
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

const URL: &str = "MLOPS_POSTGRES_URL";
const FOLDER: &str = "MLOPS_POSTGRES_FOLDER";
const PROCESSES: usize = 4;
const ROUNDS: usize = 10;

#[tokio::test]
async fn what_one_appends_wakes_the_other_at_once() {
    let Some(place) = Place::new() else { return };
    let (store, other) = (place.open().await, place.open().await);
    let mut events = other.follow(None, vec![EventKind::RUN_CREATED]);
    let experiment = store.create_experiment(CreateExperiment::new("here")).await.unwrap().id;
    let create = || CreateRun::new(experiment.clone());
    let first = store.create_run(create()).await.unwrap();
    let seen = events.next().await.unwrap().unwrap().1;
    assert_eq!(seen.subject.as_ref(), format!("run/{}", first.id));

    // From here on both listen, and nobody looks for an hour.
    tokio::time::sleep(Duration::from_millis(300)).await;
    for _ in 0..20 {
        let run = store.create_run(create()).await.unwrap();
        let written = Instant::now();
        let seen = tokio::time::timeout(Duration::from_secs(5), events.next()).await;
        let seen = seen.expect("heard").unwrap().unwrap().1;
        assert_eq!(seen.subject.as_ref(), format!("run/{}", run.id));
        assert!(written.elapsed() < Duration::from_secs(2), "{:?}", written.elapsed());
    }

    let champion = Alias::new("champion").unwrap();
    let version = |text: &str| package(place.folder.path(), "risk", text);
    let model = store.create_version(version("one")).await.unwrap().id.model;
    store.create_version(version("two")).await.unwrap();
    let point = |to: u64| MoveAlias::new(model.clone(), champion.clone(), to, "next");
    store.move_alias(point(1)).await.unwrap();
    let mut watched = other.watch(ModelUri::alias(model.clone(), champion.clone()));
    assert_eq!(watched.next().await.unwrap().unwrap().id.version, 1);
    store.move_alias(point(2)).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(5), watched.next()).await;
    assert_eq!(seen.expect("heard").unwrap().unwrap().id.version, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_moves_one_wins() {
    let Some(place) = Place::new() else { return };
    let stores = [place.open().await, place.open().await, place.open().await];
    let model = ModelName::new("risk").unwrap();
    for text in ["one", "two", "three"] {
        stores[0].create_version(package(place.folder.path(), "risk", text)).await.unwrap();
    }
    let alias = Alias::new("champion").unwrap();
    for _ in 0..15 {
        let race = stores.iter().zip(1..).map(|(store, to)| {
            let request = MoveAlias::new(model.clone(), alias.clone(), to, "race");
            let (store, request) = (store.clone(), request.with_from(Expected::Absent));
            tokio::spawn(async move { store.move_alias(request).await })
        });
        let mut won = 0;
        for outcome in race.collect::<Vec<_>>() {
            match outcome.await.unwrap() {
                Ok(_) => won += 1,
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict),
            }
        }
        assert_eq!(won, 1);
        let over = MoveAlias::new(model.clone(), alias.clone(), 1, "over").removing();
        stores[0].move_alias(over).await.unwrap();
    }
    stores[0].verify_events().await.unwrap();
}

#[tokio::test]
async fn processes_that_write_at_once_lose_nothing() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let shared = store.create_run(CreateRun::new("0".parse().unwrap())).await.unwrap().id;
    let children: Vec<_> = (0..PROCESSES).map(|process| spawn(&place, process)).collect();
    for mut child in children {
        assert!(child.wait().unwrap().success());
    }
    let found = store.experiments(Search::new()).await.unwrap().items;
    let ids: BTreeSet<_> = found.iter().map(|experiment| experiment.id.to_string()).collect();
    assert_eq!((found.len(), ids.len()), (PROCESSES * ROUNDS + 1, PROCESSES * ROUNDS + 1));
    let versions = store.versions(Search::new()).await.unwrap().items;
    let mut numbers: Vec<_> = versions.iter().map(|version| version.id.version).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=(PROCESSES * ROUNDS) as u64).collect::<Vec<_>>());
    let all = HistoryQuery::new(ModelUri::latest("risk".parse().unwrap()));
    assert!(store.history(all).await.unwrap().items.len() > PROCESSES * ROUNDS);
    assert!(store.verify_events().await.unwrap() > (2 * PROCESSES * ROUNDS) as u64);
    assert_eq!(store.runs(Search::new()).await.unwrap().items.pop().unwrap().id, shared);
}

fn spawn(place: &Place, process: usize) -> std::process::Child {
    let mut own = Command::new(std::env::current_exe().unwrap());
    own.args(["--exact", "postgres::writers::writer", "--ignored", "--nocapture"]);
    own.env(URL, &place.url).env(FOLDER, place.folder.path());
    own.env("MLOPS_POSTGRES_PROCESS", process.to_string()).spawn().unwrap()
}

/// Does nothing unless the test above has started it.
#[tokio::test]
#[ignore = "is started by the test above"]
async fn writer() {
    let (Ok(url), Some(folder)) = (std::env::var(URL), std::env::var_os(FOLDER)) else { return };
    let process = std::env::var("MLOPS_POSTGRES_PROCESS").unwrap();
    let folder = Path::new(&folder);
    let store = SqlStore::connect(&url, super::config(folder)).await.unwrap();
    let alias = Alias::new("champion").unwrap();
    for round in 0..ROUNDS {
        let new = CreateExperiment::new(format!("{process}-{round}"));
        let experiment = store.create_experiment(new).await.unwrap().id;
        let run = store.create_run(CreateRun::new(experiment)).await.unwrap();
        let point = Metric::new("loss", 0.5, 1, run.started);
        store.log_batch(&run.id, Batch::new().with_metrics(vec![point])).await.unwrap();
        let text = format!("{process}-{round}");
        let version = store.create_version(package(folder, "risk", &text)).await.unwrap().id;
        let request = MoveAlias::new(version.model, alias.clone(), version.version, "mine");
        store.move_alias(request).await.unwrap();
    }
}

#[tokio::test]
async fn a_lease_of_a_process_that_is_gone_runs_out_for_everybody() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let run = store.create_run(CreateRun::new("0".parse().unwrap())).await.unwrap();
    store.renew_lease(&run.id, Duration::ZERO).await.unwrap();
    let found = place.open().await.runs(Search::new()).await.unwrap().items.pop().unwrap();
    assert_eq!(found.status, RunStatus::Failed);
}
