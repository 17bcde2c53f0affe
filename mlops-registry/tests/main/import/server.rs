//! What another server has is what a record has after the import.

use super::{check_run_as, data, expected, import};
use crate::{client::ours::Server, story::Home};
use mlops_core::{
    ExperimentId, ModelName, Registry, Timestamp, Tracker, VersionId,
    artifact::ArtifactPath,
    page::{Search, View},
    registry::{ModelUri, MoveAlias},
    tracker::{Batch, CreateRun, Metric, MetricQuery},
};
use mlops_registry::{
    RestConfig, RestStore, SqlStore,
    store::{ImportOptions, ImportSource},
};

/// A server over a record that has what MLflow's own client wrote.
pub(super) async fn peer() -> (Home, Server, ImportSource) {
    let home = Home::new().await;
    import(&home.store, &ImportSource::Database(data("mlflow-3.17/mlflow.db"))).await;
    let server = Server::start(home.store.clone()).await;
    let client = RestStore::connect(&server.url, RestConfig::default()).await.unwrap();
    (home, server, ImportSource::Server(client))
}

pub(super) async fn taken(
    store: &SqlStore,
    from: &ImportSource,
) -> mlops_registry::store::Imported {
    store.import(from, &ImportOptions::default(), |_| ()).await.unwrap()
}

#[tokio::test]
async fn a_server_is_taken_as_its_client_reads_it() {
    let (peer, _server, from) = peer().await;
    let (home, wanted) = (Home::new().await, expected("mlflow-3.17"));
    let done = taken(&home.store, &from).await;
    assert_eq!((done.experiments, done.runs, done.logged_models, done.versions), (2, 6, 1, 2));
    assert_eq!(done.not_taken, []);
    for run in wanted["runs"].as_array().unwrap() {
        // The largest number is how an infinity travels.
        let read = |value| if value >= f64::MAX { f64::INFINITY } else { value };
        check_run_as(&home.store, run, read).await;
    }
    let all = Search::new().with_view(View::All);
    let names = async |store: &SqlStore| {
        let found = store.experiments(all.clone()).await.unwrap().items;
        let named = found.into_iter().map(|own| (own.name, own.lifecycle, own.tags));
        let mut named: Vec<_> = named.collect();
        named.sort_by(|left, right| left.0.cmp(&right.0));
        named
    };
    assert_eq!(names(&home.store).await, names(&peer.store).await);
    for number in [1, 2] {
        let id = VersionId::new(ModelName::new("twice").unwrap(), number);
        let of = async |store: &SqlStore| {
            let uri = ModelUri::version(id.model.clone(), number);
            store.resolve(&uri).await.unwrap()
        };
        let (mut here, there) = (of(&home.store).await, of(&peer.store).await);
        here.updated = there.updated;
        assert_eq!(here, there);
        let target = home.folder.path().join(format!("fetched-{number}"));
        home.store.fetch(&id, &target).await.unwrap();
        assert!(target.join("MLmodel").is_file());
    }
    let uri: ModelUri = "models:/twice@champion".parse().unwrap();
    assert_eq!(
        home.store.resolve(&uri).await.unwrap().id.version,
        wanted["models"][0]["aliases"]["champion"]
    );
    let events = home.store.verify_events().await.unwrap();
    // Again changes nothing.
    let again = taken(&home.store, &from).await;
    assert_eq!((again.experiments, again.runs, again.points, again.artifacts), (0, 0, 0, 0));
    assert_eq!((again.known, home.store.verify_events().await.unwrap()), (9, events));
}

#[tokio::test]
async fn long_histories_inputs_and_versions_of_our_own_come_as_they_are() {
    let (peer, _server, from) = peer().await;
    let new = CreateRun::new(ExperimentId::new("0").unwrap()).with_name("long".into());
    let run = peer.store.create_run(new).await.unwrap().id;
    // More than one page, out of order, with what is no number.
    let point = |step: i32| {
        let value = if step % 7 == 0 { f64::NAN } else { -1.0 / f64::from(step) };
        Metric::new(
            "loss",
            value,
            step.into(),
            Timestamp::from_unix_millis(1_000_000 - i64::from(step)),
        )
    };
    let mut points: Vec<Metric> = (0..30_000).rev().map(point).collect();
    points.push(Metric::new("top", f64::INFINITY, 3, Timestamp::from_unix_millis(-5)));
    peer.store.log_batch(&run, Batch::new().with_metrics(points)).await.unwrap();
    let mut new = peer.version("ours", "weights").with_run(run);
    new.metrics = [("auc".to_owned(), f64::NEG_INFINITY)].into();
    let version = peer.store.create_version(new).await.unwrap();
    let later = vec![Metric::new("top", 1.0, 9, Timestamp::from_unix_millis(9))];
    peer.store.log_batch(&run, Batch::new().with_metrics(later)).await.unwrap();
    let (name, alias) = (version.id.model.clone(), "best".parse().unwrap());
    peer.store.move_alias(MoveAlias::new(name, alias, 1, "it is")).await.unwrap();

    let home = Home::new().await;
    let done = taken(&home.store, &from).await;
    assert_eq!(done.not_taken, []);
    for metric in ["loss", "top"] {
        let all = async |store: &SqlStore| {
            let (mut query, mut found) = (MetricQuery::new(run, metric), Vec::new());
            loop {
                let page = store.metric_history(query.clone()).await.unwrap();
                found.extend(page.items);
                let Some(next) = page.next else { return found };
                query = query.with_page(Some(next));
            }
        };
        let (here, there) = (all(&home.store).await, all(&peer.store).await);
        assert_eq!(here.len(), there.len());
        assert!(here.iter().zip(&there).all(|(here, there)| here.same(there)));
    }
    let uri: ModelUri = "models:/ours@best".parse().unwrap();
    let (here, there) =
        (home.store.resolve(&uri).await.unwrap(), peer.store.resolve(&uri).await.unwrap());
    assert_eq!((here.digest(), &here.metrics), (there.digest(), &there.metrics));
    assert_eq!((here.run, here.created), (Some(run), millis(there.created)));
}

/// What the wire keeps of a time.
fn millis(time: Timestamp) -> Timestamp {
    Timestamp::from_unix_millis(time.unix_millis())
}

#[tokio::test]
async fn damaged_bytes_are_reported_and_the_rest_is_taken() {
    let (peer, _server, from) = peer().await;
    let version = peer.store.create_version(peer.version("ours", "weights")).await.unwrap();
    let path = ArtifactPath::new("model.txt").unwrap();
    let artifact = version.manifest.get(&path).unwrap();
    crate::conformance::damage(peer.folder.path(), artifact);
    let home = Home::new().await;
    let done = taken(&home.store, &from).await;
    let left: Vec<&str> = done.not_taken.iter().map(|left| left.what.as_str()).collect();
    assert_eq!((left, done.runs, done.versions), (vec!["version 1 of ours"], 6, 2));
    assert!(done.not_taken[0].why.contains("digest"), "{}", done.not_taken[0].why);
}
