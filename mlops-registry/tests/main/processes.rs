//! Several processes at one file: here several stores, which share nothing but the file.

use crate::story::{Home, open};
use futures_util::StreamExt;
use mlops_core::{
    Alias, ErrorKind, EventLog, Principal, Registry, Result, Tracker,
    event::EventKind,
    page::Search,
    registry::{AliasMove, Expected, Gate, ModelUri, ModelVersion, MoveAlias, Unmet},
    tracker::{CreateExperiment, RunStatus},
};
use std::{
    fmt,
    sync::{Mutex, mpsc},
    time::Duration,
};

#[tokio::test]
async fn one_sees_what_the_other_wrote() {
    let home = Home::new().await;
    let other = open(home.folder.path()).await.unwrap();
    let mut events = other.follow(None, vec![EventKind::RUN_CREATED]);
    let champion = Alias::new("champion").unwrap();
    home.store.create_version(home.version("risk", "one")).await.unwrap();
    let version = home.store.create_version(home.version("risk", "two")).await.unwrap();
    let model = version.id.model;
    let point = |to: u64| MoveAlias::new(model.clone(), champion.clone(), to, "next");
    home.store.move_alias(point(1)).await.unwrap();
    let mut watched = other.watch(ModelUri::alias(model.clone(), champion.clone()));
    assert_eq!(watched.next().await.unwrap().unwrap().id.version, 1);

    let run = home.run("here").await;
    let seen = tokio::time::timeout(Duration::from_secs(10), events.next()).await.unwrap();
    assert_eq!(seen.unwrap().unwrap().1.subject.as_ref(), format!("run/{}", run.id));
    home.store.move_alias(point(2)).await.unwrap();
    let seen = tokio::time::timeout(Duration::from_secs(10), watched.next()).await.unwrap();
    assert_eq!(seen.unwrap().unwrap().id.version, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_racing_moves_one_wins() {
    let home = Home::new().await;
    let racers =
        [("ada", home.store.clone(), 1), ("bob", open(home.folder.path()).await.unwrap(), 2)];
    for text in ["one", "two"] {
        home.store.create_version(home.version("risk", text)).await.unwrap();
    }
    let (model, alias) = (home.version("risk", "one").model, Alias::new("champion").unwrap());
    for _ in 0..20 {
        let race = racers.iter().map(|(name, store, to)| {
            let request = MoveAlias::new(model.clone(), alias.clone(), *to, "race");
            let request = request.with_from(Expected::Absent);
            let store = store.acting_as(Principal::new(*name));
            tokio::spawn(async move { store.move_alias(request).await })
        });
        let (mut won, mut lost) = (Vec::new(), Vec::new());
        for ((name, _, to), outcome) in racers.iter().zip(race.collect::<Vec<_>>()) {
            match outcome.await.unwrap() {
                Ok(_) => won.push(format!("points at version {to}: {name} moved it there")),
                Err(error) => lost.push(error),
            }
        }
        assert_eq!((won.len(), lost.len()), (1, 1));
        assert_eq!(lost[0].kind(), ErrorKind::Conflict);
        assert!(lost[0].to_string().contains(&won[0]), "{} does not say: {}", lost[0], won[0]);
        let over = MoveAlias::new(model.clone(), alias.clone(), 1, "over").removing();
        home.store.move_alias(over).await.unwrap();
    }
    home.store.verify_events().await.unwrap();
}

/// Tells when it is asked, and waits until it may answer.
#[derive(Debug)]
struct Slow {
    asked: mpsc::Sender<()>,
    go_on: Mutex<mpsc::Receiver<()>>,
}

impl fmt::Display for Slow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("in good time")
    }
}

impl Gate for Slow {
    fn unmet(&self, _: &ModelVersion, _: Option<&ModelVersion>) -> Result<Vec<Unmet>> {
        self.asked.send(()).unwrap();
        let _ = self.go_on.lock().unwrap().recv_timeout(Duration::from_secs(30));
        Ok(Vec::new())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_waits_for_a_slow_gate() {
    let home = Home::new().await;
    let version = home.store.create_version(home.version("risk", "one")).await.unwrap();
    let other = open(home.folder.path()).await.unwrap();
    let ((asked, is_asked), (goes_on, go_on)) = (mpsc::channel(), mpsc::channel());
    let gate = Slow { asked, go_on: Mutex::new(go_on) };
    let request = MoveAlias::new(version.id.model, Alias::new("champion").unwrap(), 1, "slowly");
    let (store, request) = (home.store.clone(), request.with_gate(gate));
    let moving = tokio::spawn(async move { store.move_alias(request).await });
    tokio::task::spawn_blocking(move || is_asked.recv().unwrap()).await.unwrap();
    // The gate judges now; this process and others go on writing.
    home.run("here").await;
    other.create_experiment(CreateExperiment::new("there")).await.unwrap();
    assert!(!moving.is_finished());
    goes_on.send(()).unwrap();
    assert_eq!(moving.await.unwrap().unwrap(), AliasMove::Moved { from: None, to: Some(1) });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_wait_for_each_other() {
    let home = Home::new().await;
    let tasks: Vec<_> = (0..4)
        .map(|process| {
            let folder = home.folder.path().to_owned();
            tokio::spawn(async move {
                let store = open(&folder).await.unwrap();
                for number in 0..25 {
                    let new = CreateExperiment::new(format!("{process}-{number}"));
                    store.create_experiment(new).await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let found = home.store.experiments(Search::new()).await.unwrap();
    assert_eq!(found.items.len(), 101, "with the one that is there from the beginning");
}

#[tokio::test]
async fn a_lease_of_a_process_that_is_gone_runs_out_for_everybody() {
    let home = Home::new().await;
    let run = home.run("gone").await;
    home.store.renew_lease(&run.id, Duration::ZERO).await.unwrap();
    let other = open(home.folder.path()).await.unwrap();
    let found = other.runs(Search::new()).await.unwrap().items.pop().unwrap();
    assert_eq!(found.status, RunStatus::Failed);
    assert!(found.tags.values().any(|reason| reason.contains("lease")), "{:?}", found.tags);
}
