//! What happened stays as it was written, and says so if it does not.

use crate::story::{Home, open};
use mlops_core::{
    Alias, ErrorKind, EventId, EventLog, Principal, Registry, Timestamp,
    event::{Event, EventKind},
    registry::{AliasMove, HistoryQuery, ModelUri, MoveAlias},
};
use mlops_registry::{MetricGate, SqliteStore, StoreConfig};
use std::fs;

#[tokio::test]
async fn a_history_says_who_moved_what_and_why() {
    let home = Home::new().await;
    let version = home.store.create_version(home.version("risk", "one")).await.unwrap();
    let (model, champion) = (version.id.model, Alias::new("champion").unwrap());
    let ada = home.store.acting_as(Principal::new("ada"));
    let request = MoveAlias::new(model.clone(), champion.clone(), 1, "looks good");
    let gated = request.clone().with_gate(MetricGate::at_least("auc", 0.9));
    assert!(matches!(ada.move_alias(gated).await.unwrap(), AliasMove::Refused { .. }));
    ada.move_alias(request).await.unwrap();

    let query = HistoryQuery::new(ModelUri::alias(model.clone(), champion));
    let events = home.store.history(query).await.unwrap().items;
    let kinds: Vec<_> = events.iter().map(|event| event.kind.clone()).collect();
    assert_eq!(kinds, [EventKind::ALIAS_REFUSED, EventKind::ALIAS_MOVED]);
    for event in &events {
        assert_eq!((event.actor.as_ref(), event.reason.as_deref()), ("ada", Some("looks good")));
    }
    assert_eq!(events[0].detail["unmet"][0]["found"], "not measured");
    assert_eq!(events[1].detail["to"], 1);
    let created = HistoryQuery::new(ModelUri::version(model, 1));
    let created = created.with_kinds(vec![EventKind::VERSION_CREATED]);
    let created = home.store.history(created).await.unwrap().items;
    assert_eq!(created[0].actor, Principal::host().name);
}

#[tokio::test]
async fn a_history_that_was_changed_is_found_out() {
    let home = Home::new().await;
    let kind = EventKind::of("test.noted");
    for number in 0..3 {
        let id = EventId::from_u128(number);
        let event = Event::new(id, Timestamp::default(), kind.clone(), "x", &Principal::host());
        let reason = format!("reason number {number}");
        home.store.append(&[event.with_reason(reason)]).await.unwrap();
    }
    assert_eq!(home.store.verify_events().await.unwrap(), 3);
    let Home { store, folder } = home;
    drop(store);

    // Somebody edits the file itself.
    let path = folder.path().join("mlops.db");
    let mut bytes = fs::read(&path).unwrap();
    let wanted = b"reason number 1";
    let at = bytes.windows(wanted.len()).position(|window| window == wanted).unwrap();
    bytes[at..at + 6].copy_from_slice(b"excuse");
    fs::write(&path, bytes).unwrap();

    let store = open(folder.path()).await.unwrap();
    let error = store.verify_events().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupt);
    assert!(error.to_string().contains("event 2"), "{error}");
}

#[tokio::test]
async fn migrating_what_is_up_to_date_changes_nothing() {
    let home = Home::new().await;
    let path = home.folder.path().join("mlops.db");
    let done = SqliteStore::migrate(&path, StoreConfig::default()).await.unwrap();
    assert_eq!(done.from, done.to);
    let fresh = home.folder.path().join("fresh.db");
    let done = SqliteStore::migrate(&fresh, StoreConfig::default()).await.unwrap();
    assert_eq!((done.from, done.to > 0), (0, true));
}
