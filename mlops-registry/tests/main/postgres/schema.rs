//! The schema in a database: made once, migrated by an explicit act, found out if it was tampered with.

use super::{Place, config};
use mlops_core::{
    ErrorKind, EventId, EventLog, Principal, Timestamp, Tracker,
    event::{Event, EventKind},
    page::Search,
    tracker::{Batch, CreateExperiment, CreateRun},
};
use mlops_registry::SqlStore;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_open_a_fresh_database_at_once() {
    let Some(place) = Place::new() else { return };
    let opening: Vec<_> = (0..6)
        .map(|_| {
            let (url, config) = (place.url.clone(), config(place.folder.path()));
            tokio::spawn(async move { SqlStore::connect(&url, config).await })
        })
        .collect();
    for store in opening {
        let found = store.await.unwrap().unwrap().experiments(Search::new()).await.unwrap();
        assert_eq!(found.items.len(), 1);
    }
    assert_eq!(place.sql("select count(*) from schema_version where version = 1"), "1");
}

#[tokio::test]
async fn records_in_two_schemas_know_nothing_of_each_other() {
    let (Some(one), Some(two)) = (Place::new(), Place::new()) else { return };
    let (first, second) = (one.open().await, two.open().await);
    first.create_experiment(CreateExperiment::new("here")).await.unwrap();
    assert_eq!(second.experiments(Search::new()).await.unwrap().items.len(), 1);
    second.create_experiment(CreateExperiment::new("here")).await.unwrap();
}

#[tokio::test]
async fn old_and_new_schemas_are_named_and_migrated() {
    let Some(place) = Place::new() else { return };
    let config = || config(place.folder.path());
    let done = SqlStore::migrate_url(&place.url, config()).await.unwrap();
    assert_eq!((done.from, done.to > 0), (0, true));
    let done = SqlStore::migrate_url(&place.url, config()).await.unwrap();
    assert_eq!(done.from, done.to);
    drop(place.open().await);

    // A later release added something that this one need not know.
    place.sql("insert into schema_version values (99, 'later', 1, 0)");
    drop(place.open().await);
    place.sql("update schema_version set oldest = 99 where version = 99");
    let error = SqlStore::connect(&place.url, config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("newer release"), "{error}");
    let error = SqlStore::migrate_url(&place.url, config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);

    // An earlier one knew less.
    place.sql("delete from schema_version where version > 1");
    place.sql("update schema_version set version = 0");
    let url = place.url.replace("mlops@", "mlops:very-secret@");
    let error = SqlStore::connect(&url, config()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("--backend-store-uri postgresql://mlops@"), "{error}");
    assert!(!error.to_string().contains("very-secret"), "{error}");
}

#[tokio::test]
async fn a_history_that_was_changed_is_found_out() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    for number in 0..4 {
        let (id, kind) = (EventId::from_u128(number), EventKind::of("test.noted"));
        let event = Event::new(id, Timestamp::default(), kind, "x", &Principal::host());
        store.append(&[event.with_reason(format!("reason {number}"))]).await.unwrap();
    }
    assert_eq!(store.verify_events().await.unwrap(), 4);
    for (damage, undo, named) in [
        (
            "update events set reason = 'excuse' where position = 2",
            "update events set reason = 'reason 1' where position = 2",
            "event 2",
        ),
        (
            "update counters set value = 5 where name = 'event'",
            "update counters set value = 4 where name = 'event'",
            "event 5",
        ),
        ("delete from events where position = 3", "", "event 3"),
    ] {
        place.sql(damage);
        let error = store.verify_events().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(named), "{error}");
        place.sql(undo);
    }
}

#[tokio::test]
async fn texts_of_every_kind_are_kept_or_named() {
    let Some(place) = Place::new() else { return };
    let store = place.open().await;
    let run = store.create_run(CreateRun::new("0".parse().unwrap())).await.unwrap().id;
    // Nothing that repeats, since that would be stored compressed.
    let parts = (0..9_000_u32).map(|n| format!("{:x}", n.wrapping_mul(2_654_435_761)));
    let long = parts.collect::<Vec<_>>().concat();
    let tag = |value: &str| {
        let mut batch = Batch::new();
        batch.tags.extend([("note".to_owned(), value.to_owned())]);
        batch
    };
    for text in [long.as_str(), "ä\u{10ffff}\n\r'\"\\%_", ""] {
        store.log_batch(&run, tag(text)).await.unwrap();
        let mut param = Batch::new();
        param.params.extend([(format!("p{}", text.len()), text.to_owned())]);
        store.log_batch(&run, param).await.unwrap();
        let found = store.runs(Search::new()).await.unwrap().items.pop().unwrap();
        assert_eq!(found.tags["note"], text);
    }
    let error = store.log_batch(&run, tag("a\0b")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput, "{error}");
    // Refused before it goes with others: each of these is written beside one that is fine.
    for bad in [tag("a\0b"), Batch::new().with_params(vec![("k".repeat(1001), "1".into())])] {
        let fine: Vec<_> = (0..8).map(|_| store.log_batch(&run, tag("beside"))).collect();
        let (refused, fine) = futures_util::join!(
            store.log_batch(&run, bad),
            futures_util::future::try_join_all(fine)
        );
        let kind = refused.unwrap_err().kind();
        assert!(matches!(kind, ErrorKind::InvalidInput | ErrorKind::TooLarge), "{kind:?}");
        fine.unwrap();
    }
    // Names of 250 characters with values of any length, in whatever alphabet.
    let wide =
        |count: u32| (0..count).map(|n| char::from_u32(0x1_0000 + n * 7 % 0xf_ffff).unwrap());
    let (key, value) = (wide(250).collect::<String>(), wide(5_000).collect::<String>());
    store.log_batch(&run, Batch::new().with_tags(vec![(key, value)])).await.unwrap();
    // What failed harms nobody after it.
    store.log_batch(&run, tag("fine")).await.unwrap();
}
