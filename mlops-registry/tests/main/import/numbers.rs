//! Numbers and aliases of versions, where the record has some of its own or an import was not the last.

use super::{
    left,
    server::{peer, taken},
};
use crate::story::Home;
use mlops_core::{
    ModelName, Registry, Timestamp, VersionId,
    artifact::ArtifactPath,
    page::Search,
    registry::{CreateModel, ModelUri, ModelVersion, MoveAlias},
};
use mlops_registry::SqlStore;

fn ours() -> ModelName {
    ModelName::new("ours").unwrap()
}

/// A version of `ours` with this text.
async fn version(home: &Home, text: &str) -> ModelVersion {
    home.store.create_version(home.version("ours", text)).await.unwrap()
}

async fn point(store: &SqlStore, alias: &str, to: u64) -> MoveAlias {
    let request = MoveAlias::new(ours(), alias.parse().unwrap(), to, "it is");
    store.move_alias(request.clone()).await.unwrap();
    request
}

/// The number that an alias of `ours` points at.
async fn at(store: &SqlStore, alias: &str) -> Option<u64> {
    let uri: ModelUri = format!("models:/ours@{alias}").parse().unwrap();
    store.resolve(&uri).await.ok().map(|found| found.id.version)
}

async fn created(store: &SqlStore) -> Timestamp {
    let models = store.models(Search::new()).await.unwrap().items;
    models.iter().find(|model| model.name == ours()).unwrap().created
}

#[tokio::test]
async fn an_alias_comes_with_its_version_whenever_that_is() {
    let (peer, _server, from) = peer().await;
    let (first, _) = (version(&peer, "one").await, version(&peer, "two").await);
    point(&peer.store, "best", 1).await;
    let damage = || {
        let artifact = *first.manifest.get(&ArtifactPath::new("model.txt").unwrap()).unwrap();
        crate::conformance::damage(peer.folder.path(), &artifact);
    };
    damage();
    let home = Home::new().await;
    let done = taken(&home.store, &from).await;
    assert_eq!(left(&done), ["version 1 of ours", "alias \"best\" of ours"]);
    assert_eq!((at(&home.store, "best").await, at(&home.store, "champion").await), (None, None));

    // Twice damaged is whole.
    damage();
    let done = taken(&home.store, &from).await;
    assert_eq!((done.versions, done.not_taken.as_slice()), (1, &[][..]));
    assert_eq!(at(&home.store, "best").await, Some(1));
    assert_eq!(version(&home, "three").await.id.version, 3);
    let times = (created(&home.store).await, created(&peer.store).await);
    assert_eq!(times.0.unix_millis(), times.1.unix_millis());

    // Moved or removed here, it stays so.
    let events = |store: SqlStore| async move { store.verify_events().await.unwrap() };
    point(&home.store, "best", 3).await;
    let before = events(home.store.clone()).await;
    let done = taken(&home.store, &from).await;
    assert_eq!(
        (at(&home.store, "best").await, left(&done)),
        (Some(3), vec!["alias \"best\" of ours"])
    );
    let removed = MoveAlias::new(ours(), "best".parse().unwrap(), 3, "no").removing();
    home.store.move_alias(removed).await.unwrap();
    let done = taken(&home.store, &from).await;
    assert_eq!(
        (at(&home.store, "best").await, left(&done)),
        (None, vec!["alias \"best\" of ours"])
    );
    assert_eq!(events(home.store.clone()).await, before + 1);
}

#[tokio::test]
async fn an_alias_comes_to_a_model_that_was_begun() {
    let (peer, _server, from) = peer().await;
    version(&peer, "one").await;
    point(&peer.store, "best", 1).await;
    let home = Home::new().await;
    // As far as an import comes that ends between the model and its first version.
    home.store.create_model(CreateModel::new(ours())).await.unwrap();
    assert_eq!(taken(&home.store, &from).await.not_taken, []);
    assert_eq!(at(&home.store, "best").await, Some(1));
}

#[tokio::test]
async fn a_number_that_means_something_else_here_is_reported() {
    let (peer, _server, from) = peer().await;
    for text in ["one", "two", "three", "four"] {
        version(&peer, text).await;
    }
    for (alias, to) in [("first", 1), ("third", 3), ("last", 4)] {
        point(&peer.store, alias, to).await;
    }
    let home = Home::new().await;
    // The first is another, the second the same, the third was another and is gone; the fourth is free.
    let kept = version(&home, "another").await;
    version(&home, "two").await;
    let gone = version(&home, "gone").await;
    home.store.delete_version(&gone.id).await.unwrap();
    let begun = created(&home.store).await;
    // Beside them come the two versions of `twice`, once.
    for (versions, known) in [(3, 1), (0, 4)] {
        let done = taken(&home.store, &from).await;
        let left: Vec<_> = done.not_taken.iter().map(|left| (&*left.what, &*left.why)).collect();
        assert_eq!(
            left,
            [
                ("version 1 of ours", "the record has another version of this number"),
                ("version 3 of ours", "the record's version of this number was deleted"),
                ("alias \"first\" of ours", "version 1 was not taken"),
                ("alias \"third\" of ours", "version 3 was not taken"),
            ]
        );
        let others = done.known - if versions == 0 { 7 } else { 0 };
        assert_eq!((done.versions, others), (versions, known));
    }
    let first = ModelUri::version(ours(), 1);
    assert_eq!(home.store.resolve(&first).await.unwrap(), kept);
    assert_eq!((at(&home.store, "last").await, at(&home.store, "first").await), (Some(4), None));
    assert_eq!(created(&home.store).await, begun);
    assert_eq!(version(&home, "five").await.id, VersionId::new(ours(), 5));
}
