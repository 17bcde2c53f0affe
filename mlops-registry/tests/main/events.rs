//! What happened stays as it was written, and says so if it does not.

use crate::story::{Home, open};
use mlops_core::{
    Alias, ErrorKind, EventId, EventLog, Principal, Registry, Timestamp,
    event::{Event, EventKind},
    registry::{AliasMove, HistoryQuery, ModelUri, MoveAlias},
};
use mlops_registry::{MetricGate, SqlStore, StoreConfig};
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

/// What somebody does to a log of four events, and what is said of it.
const TAMPERED: [(&str, &str); 17] = [
    // Changed: each part of an event.
    ("update events set reason = 'a better one' where position = 3", "event 3 is not what was"),
    ("update events set reason = null where position = 4", "event 4 is not what was"),
    ("update events set actor = 'somebody else' where position = 1", "event 1 is not what was"),
    ("update events set time = time + 1 where position = 2", "event 2 is not what was"),
    ("update events set kind = 'test.other' where position = 2", "event 2 is not what was"),
    ("update events set subject = 'y' where position = 3", "event 3 is not what was"),
    ("update events set detail = '{\"a\": 1}' where position = 4", "event 4 is not what was"),
    ("update events set id = replace(id, '3', '9') where position = 4", "event 4 is not what was"),
    ("update events set hash = previous where position = 3", "event 3 is not what was"),
    ("update events set previous = hash where position = 2", "event 2 is not what was"),
    // Removed: the first, one in the middle, the last, and with all traces but the hashes.
    ("delete from events where position = 1", "event 1 is missing"),
    ("delete from events where position = 2", "event 2 is missing"),
    ("delete from events where position = 4", "event 4 is missing"),
    (
        "delete from events where position = 2;
         update events set position = position - 1 where position > 2;
         update counters set value = 3 where name = 'event'",
        "event 2 is the one that was written as event 3",
    ),
    // Put in another order: neighbours, and the first with the last.
    (
        "update events set position = -2 where position = 2;
         update events set position = 2 where position = 3;
         update events set position = 3 where position = -2",
        "event 2 is the one that was written as event 3",
    ),
    (
        "update events set position = -1 where position = 1;
         update events set position = 1 where position = 4;
         update events set position = 4 where position = -1",
        "event 1 is the one that was written as event 4",
    ),
    // Added.
    (
        "insert into events (position, id, time, kind, subject, actor, detail, previous, hash)
         select 5, 'x' || id, time, kind, subject, actor, detail, previous, hash
         from events where position = 4",
        "event 5",
    ),
];

/// Whoever can write to the database cannot do it unseen: python3 is somebody else.
#[tokio::test]
async fn every_way_to_tamper_is_named() {
    for (sql, words) in TAMPERED {
        let home = Home::new().await;
        for number in 0..4 {
            let (id, kind) = (EventId::from_u128(number), EventKind::of("test.noted"));
            let event = Event::new(id, Timestamp::default(), kind, "x", &Principal::host());
            home.store.append(&[event.with_reason(format!("reason {number}"))]).await.unwrap();
        }
        let Home { store, folder } = home;
        drop(store);
        let path = folder.path().join("mlops.db");
        let script =
            "import sqlite3, sys; c = sqlite3.connect(sys.argv[1]); c.executescript(sys.argv[2])";
        let mut python = std::process::Command::new("python3");
        let Ok(done) = python.arg("-c").arg(script).arg(&path).arg(sql).status() else {
            return println!("skipped: no python3 here");
        };
        assert!(done.success(), "{sql}");
        let store = open(folder.path()).await.unwrap();
        let error = store.verify_events().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        assert!(error.to_string().contains(words), "{sql}: {error}");
    }
}

#[tokio::test]
async fn migrating_what_is_up_to_date_changes_nothing() {
    let home = Home::new().await;
    let path = home.folder.path().join("mlops.db");
    let done = SqlStore::migrate(&path, StoreConfig::default()).await.unwrap();
    assert_eq!(done.from, done.to);
    let fresh = home.folder.path().join("fresh.db");
    let done = SqlStore::migrate(&fresh, StoreConfig::default()).await.unwrap();
    assert_eq!((done.from, done.to > 0), (0, true));
}
