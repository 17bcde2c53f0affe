//! An endpoint beside a whole record, and beside one that does not answer.

use crate::doubles::{OffsetEngine, Shelf, offset_inputs, offset_signature};
use mlops_core::{
    ErrorKind, ModelName, Predictor, Registry, Result,
    model::PackageBuilder,
    predictor::PredictRequest,
    registry::{CreateVersion, ModelVersion, MoveAlias},
    testing::MemoryStore,
};
use mlops_serve::{Endpoint, EndpointConfig};
use std::{
    path::Path,
    sync::Arc,
    time::{Duration, Instant},
};

const URI: &str = "models:/risk@champion";

fn config(cache: &Path) -> EndpointConfig {
    let wait = Duration::from_millis(5);
    EndpointConfig::new(cache)
        .with_engine(OffsetEngine)
        .with_check_every(Duration::from_millis(50))
        .with_waits(wait, 4 * wait)
}

async fn create(store: &MemoryStore, folder: &Path, offset: u8) -> ModelVersion {
    let builder = PackageBuilder::new().with_flavor("offset", serde_json::json!({})).unwrap();
    let builder = builder.with_signature(&offset_signature());
    let package = builder.with_file("offset.txt", offset.to_string()).unwrap();
    let package = package.write(folder.join(offset.to_string())).unwrap();
    let name = ModelName::new("risk").unwrap();
    store.create_version(CreateVersion::new(name, package.folder())).await.unwrap()
}

async fn point(store: &MemoryStore, to: u64) {
    let (model, alias) = (ModelName::new("risk").unwrap(), "champion".parse().unwrap());
    store.move_alias(MoveAlias::new(model, alias, to, "a test")).await.unwrap();
}

async fn until(what: &str, holds: impl Fn() -> bool) {
    let limit = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < limit, "never: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

async fn answer(endpoint: &Endpoint) -> Result<String> {
    let response = endpoint.predict(PredictRequest::new(offset_inputs(&[10.0]))).await?;
    let y = response.outputs.require("y")?.as_slice::<f32>()?[0];
    Ok(format!("{} {y}", response.version))
}

#[tokio::test]
async fn it_follows_a_record_promoted_and_rolled_back() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    for offset in 1..=3 {
        create(&store, folder.path(), offset).await;
    }
    point(&store, 1).await;
    let config = config(&folder.path().join("cache"));
    let endpoint = Endpoint::connect(URI, Arc::new(store.clone()), config).await.unwrap();
    assert_eq!(answer(&endpoint).await.unwrap(), "1 11");
    for to in [2, 3, 1, 3] {
        point(&store, to).await;
        until("a swap", || *endpoint.info().version == *to.to_string()).await;
        assert_eq!(answer(&endpoint).await.unwrap(), format!("{to} 1{to}"));
        until("confirmed", || !endpoint.status().stale).await;
    }
    let named = store.resolve(&URI.parse().unwrap()).await.unwrap();
    assert_eq!(endpoint.status().digest, Some(named.digest()));
    assert_eq!(endpoint.stats().swaps, 4);
}

#[tokio::test]
async fn bytes_that_were_damaged_in_the_record_are_never_served() {
    let (store, folder) = (MemoryStore::new(), tempfile::tempdir().unwrap());
    create(&store, folder.path(), 1).await;
    let second = create(&store, folder.path(), 2).await;
    point(&store, 1).await;
    let config = config(&folder.path().join("cache"));
    let endpoint = Endpoint::connect(URI, Arc::new(store.clone()), config).await.unwrap();
    let weights = second.manifest.iter().find(|(path, _)| path.as_str() == "offset.txt");
    store.bytes().damage(weights.unwrap().1);
    point(&store, 2).await;
    until("stale", || endpoint.status().stale).await;
    let problem = endpoint.status().problem.unwrap();
    assert!(problem.contains("offset.txt"), "{problem}");
    assert_eq!(answer(&endpoint).await.unwrap(), "1 11");
    point(&store, 1).await;
    until("fresh", || !endpoint.status().stale).await;
}

#[tokio::test]
async fn a_record_that_never_answers_is_as_good_as_away() {
    let (shelf, cache) = (Shelf::new(), tempfile::tempdir().unwrap());
    shelf.add_offset(1.0, &offset_signature());
    shelf.point("champion", 1);
    let connect = async |cache: &Path| {
        let limit = Duration::from_millis(100);
        let config = config(cache).with_limits(limit, limit);
        Endpoint::connect("models:/m@champion", Arc::new(shelf.clone()), config).await
    };
    drop(connect(cache.path()).await.unwrap());
    shelf.set_silent(true);
    let began = Instant::now();
    let endpoint = connect(cache.path()).await.unwrap();
    assert!(began.elapsed() < Duration::from_secs(20));
    let status = endpoint.status();
    assert!(status.stale && status.problem.unwrap().contains("took longer than 100ms"));
    assert_eq!(answer(&endpoint).await.unwrap(), "1 11");
    shelf.set_silent(false);
    until("fresh", || !endpoint.status().stale).await;

    shelf.set_silent(true);
    let empty = tempfile::tempdir().unwrap();
    let error = connect(empty.path()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
}
