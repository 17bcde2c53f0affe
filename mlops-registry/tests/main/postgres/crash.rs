//! The server dies in the middle of writes: what was acknowledged is there, and the store goes on.

use super::{Place, cluster::Cluster, config};
use futures_util::StreamExt;
use mlops_core::{
    ErrorKind, EventLog, Registry, Tracker,
    event::Cursor,
    page::Search,
    tracker::{Batch, CreateExperiment, CreateRun, Metric, MetricQuery},
};
use mlops_registry::SqlStore;
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_survives_the_server() {
    let Some(cluster) = Cluster::start() else { return };
    let cluster = Arc::new(cluster);
    let (_, url) = cluster.schema();
    let folder = tempfile::tempdir().unwrap();
    let store = SqlStore::connect(&url, config(folder.path())).await.unwrap();
    let run = store.create_run(CreateRun::new("0".parse().unwrap())).await.unwrap();
    let acknowledged = Arc::new(Mutex::new(BTreeSet::new()));
    for round in 0..3_i64 {
        let (store, acknowledged, run) = (store.clone(), Arc::clone(&acknowledged), run.clone());
        let writer = tokio::spawn(async move {
            for step in round * 100_000.. {
                let point = Metric::new("loss", 0.5, step, run.started);
                match store.log_batch(&run.id, Batch::new().with_metrics(vec![point])).await {
                    Ok(()) => acknowledged.lock().unwrap().insert(step),
                    Err(error) => {
                        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
                        return;
                    }
                };
            }
        });
        tokio::time::sleep(Duration::from_millis(150 + 70 * round.unsigned_abs())).await;
        let own = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || own.kill()).await.unwrap();
        tokio::time::timeout(Duration::from_secs(20), writer).await.expect("an answer").unwrap();
        let own = Arc::clone(&cluster);
        tokio::task::spawn_blocking(move || own.restart()).await.unwrap();
    }
    // The same store, whose connection died with the server.
    let mut found = BTreeSet::new();
    let mut page = None;
    loop {
        let mut query = MetricQuery::new(run.id, "loss");
        query.page = page;
        let history = store.metric_history(query).await.unwrap();
        found.extend(history.items.iter().map(|point| point.step));
        page = history.next;
        if page.is_none() {
            break;
        }
    }
    let acknowledged = acknowledged.lock().unwrap().clone();
    assert!(acknowledged.len() > 10, "{} were acknowledged", acknowledged.len());
    assert!(acknowledged.is_subset(&found), "{:?}", acknowledged.difference(&found));
    // At most the one that was under way each time was written and not acknowledged.
    assert!(found.len() <= acknowledged.len() + 3);
    store.verify_events().await.unwrap();
}

#[tokio::test]
async fn a_connection_that_was_cut_is_opened_again() {
    let Some(mut place) = Place::new() else { return };
    // Nobody else's connections: the server is shared.
    place.url.push_str("&application_name=cut");
    let store = place.open().await;
    let mut events = store.follow(Some(Cursor(0)), Vec::new());
    let other = place.open().await;
    other.create_run(CreateRun::new("0".parse().unwrap())).await.unwrap();
    events.next().await.unwrap().unwrap();
    for name in ["one", "two"] {
        // Everybody's connection, those that listen as well.
        place.sql(
            "select count(pg_terminate_backend(pid)) from pg_stat_activity
             where application_name = 'cut' and pid <> pg_backend_pid()",
        );
        // Nothing was under way, so that nobody has to see it.
        store.create_experiment(CreateExperiment::new(name)).await.unwrap();
    }
    assert_eq!(store.experiments(Search::new()).await.unwrap().items.len(), 3);
}

#[tokio::test]
async fn whoever_waits_too_long_for_its_turn_is_told() {
    let Some(place) = Place::new() else { return };
    let busy = config(place.folder.path()).with_busy_timeout(Duration::from_millis(300));
    let store = SqlStore::connect(&place.url, busy).await.unwrap();
    let lock = "begin; select pg_advisory_xact_lock(1835822191, hashtext(current_schema()));
        select pg_sleep(3); commit";
    let statement = format!("set search_path = {}; {lock}", place.schema);
    let holder = tokio::task::spawn_blocking({
        let cluster = place.cluster;
        move || cluster.sql(&statement)
    });
    tokio::time::sleep(Duration::from_millis(800)).await;
    let began = Instant::now();
    let error = store.create_experiment(CreateExperiment::new("late")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(began.elapsed() < Duration::from_secs(2));
    // Readers do not wait.
    assert_eq!(store.experiments(Search::new()).await.unwrap().items.len(), 1);
    holder.await.unwrap();
    store.create_experiment(CreateExperiment::new("late")).await.unwrap();
    store.models(Search::new()).await.unwrap();
}
