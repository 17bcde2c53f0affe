//! What a registry promises about aliases: who moves them, what keeps them, who sees it.

use super::{Subject, alias, check, gates::gated, name, refused, to_champion, uri_of};
use crate::{
    ErrorKind, EventId, Result,
    conformance::waiting::{join, next_of},
    event::{Event, EventKind},
    registry::{
        AliasMove, AliasMoved, Expected, HistoryQuery, ModelVersion, MoveAlias, RegistryExt,
    },
};

check! {
    "compare-and-swap: another `from` than where it points is `Conflict` and names where it points";
    async fn a_move_is_compared_and_swapped(subject: Subject) {
        for _ in 0..3 {
            subject.create("risk").await;
        }
        let moved = |from, to| AliasMove::Moved { from, to };
        for (from, to, outcome) in [
            (Expected::Version(1), 2, None),
            (Expected::Absent, 1, Some(moved(None, Some(1)))),
            (Expected::Absent, 2, None),
            (Expected::Version(2), 3, None),
            (Expected::Version(1), 2, Some(moved(Some(1), Some(2)))),
            (Expected::Version(2), 2, Some(moved(Some(2), Some(2)))),
            (Expected::Any, 3, Some(moved(Some(2), Some(3)))),
        ] {
            let before = subject.resolve("models:/risk@champion").await.ok();
            let result = subject.registry.move_alias(to_champion(to).with_from(from)).await;
            let after = subject.resolve("models:/risk@champion").await.ok();
            if let Some(outcome) = outcome {
                assert_eq!((result.expect("as expected"), after), (outcome, Some(to)));
            } else {
                let place = before.map(|version| version.to_string());
                refused(result, ErrorKind::Conflict, &place.iter().map(String::as_str).collect::<Vec<_>>());
                assert_eq!(after, before, "a refused move moved the alias");
            }
        }
    }
}

check! {
    "of two racing moves from the same place one wins";
    async fn of_racing_moves_one_wins(subject: Subject) {
        for _ in 0..3 {
            subject.create("risk").await;
        }
        for _ in 0..20 {
            subject.move_to(1).await;
            let race = async |to| {
                tokio::task::yield_now().await;
                subject.registry.move_alias(to_champion(to).with_from(Expected::Version(1))).await
            };
            let (left, right) = join(race(2), race(3)).await;
            let (winner, loser, place) = if left.is_ok() { (left, right, 2) } else { (right, left, 3) };
            let moved = AliasMove::Moved { from: Some(1), to: Some(place) };
            assert_eq!(winner.expect("one wins"), moved);
            refused(loser, ErrorKind::Conflict, &[&place.to_string()]);
            assert_eq!(subject.resolve("models:/risk@champion").await.expect("it is there"), place);
        }
    }
}

check! {
    "a `Conflict` names who moved it to where it points";
    async fn a_conflict_names_who_moved(subject: Subject) {
        for _ in 0..2 {
            subject.create("risk").await;
        }
        subject.move_to(2).await;
        let late = subject.registry.move_alias(to_champion(1).with_from(Expected::Absent)).await;
        refused(late, ErrorKind::Conflict, &["version 2", &subject.actor]);
        subject.registry.move_alias(to_champion(2).removing()).await.expect("it is removed");
        // Also one that believes it is where it shall be.
        for to in [1, 2] {
            let late = to_champion(to).with_from(Expected::Version(2));
            let late = subject.registry.move_alias(late).await;
            refused(late, ErrorKind::Conflict, &["does not exist", &subject.actor]);
        }
    }
}

async fn history(subject: &Subject, query: HistoryQuery) -> Vec<Event> {
    subject.registry.history(query).await.expect("a history").items
}

check! {
    "a move is in the history with actor, reason, from and to; so is a refusal";
    async fn moves_and_refusals_are_in_the_history(subject: Subject) {
        for _ in 0..2 {
            subject.create("risk").await;
        }
        subject.create("other").await;
        let mut moving = to_champion(1);
        moving.reason = "the first".into();
        subject.registry.move_alias(moving).await.expect("a move");
        subject.registry.move_alias(gated(2, Some(1), [false, true])).await.expect("a refusal");
        let mut moving = to_champion(2);
        moving.reason = "the better".into();
        subject.registry.move_alias(moving.clone()).await.expect("a move");
        // What moved nothing is nothing that happened.
        subject.registry.move_alias(moving.clone().with_from(Expected::Version(1))).await.expect_err("a conflict");
        subject.registry.move_alias(moving).await.expect("it points there already");

        let query = HistoryQuery::new(uri_of("models:/risk@champion"));
        let events = history(&subject, query.clone()).await;
        let told: Vec<_> = events
            .iter()
            .map(|event| {
                assert_eq!(event.actor, subject.actor);
                let alias = |key: &str| event.detail.get(key).and_then(serde_json::Value::as_u64);
                (&event.kind, event.reason.as_deref().unwrap_or_default(), alias("from"), alias("to"))
            })
            .collect();
        assert_eq!(told, [
            (&EventKind::ALIAS_MOVED, "the first", None, Some(1)),
            (&EventKind::ALIAS_REFUSED, "to see", Some(1), Some(2)),
            (&EventKind::ALIAS_MOVED, "the better", Some(1), Some(2)),
        ]);
        let refusal = events[1].detail.to_string();
        assert!(refusal.contains("the first") && refusal.contains("found that"), "{refusal}");
        let told = history(&subject, query.with_kinds(vec![EventKind::ALIAS_MOVED])).await;
        let details = told.into_iter().map(|event| serde_json::from_value::<AliasMoved>(event.detail));
        let details: Vec<_> = details.map(|detail| detail.expect("the detail of a move")).collect();
        let moved = |from, to| AliasMoved::new(alias("champion"), from, Some(to));
        assert_eq!(details, [moved(None, 1), moved(Some(1), 2)]);
        let all = history(&subject, HistoryQuery::new(uri_of("models:/risk/latest"))).await;
        let created = all.iter().filter(|event| event.kind == EventKind::VERSION_CREATED).count();
        assert_eq!((created, all.len()), (2, 5), "{all:?}");
    }
}

check! {
    "an unknown model or version is `NotFound`";
    async fn a_move_needs_model_and_version(subject: Subject) {
        subject.create("risk").await;
        refused(subject.registry.move_alias(to_champion(404)).await, ErrorKind::NotFound, &["404"]);
        let nobody = MoveAlias::new(name("nobody"), alias("champion"), 1, "to see");
        refused(subject.registry.move_alias(nobody).await, ErrorKind::NotFound, &["nobody"]);
        refused(subject.resolve("models:/risk@champion").await, ErrorKind::NotFound, &["champion"]);
    }
}

check! {
    "an alias that is removed points nowhere";
    async fn an_alias_is_removed(subject: Subject) {
        subject.create("risk").await;
        subject.move_to(1).await;
        let removed = subject.registry.move_alias(to_champion(1).removing()).await.expect("it is removed");
        assert_eq!(removed, AliasMove::Moved { from: Some(1), to: None });
        refused(subject.resolve("models:/risk@champion").await, ErrorKind::NotFound, &["champion"]);
        let back = subject.registry.move_alias(to_champion(1).with_from(Expected::Absent)).await;
        assert_eq!(back.expect("it is free"), AliasMove::Moved { from: None, to: Some(1) });
    }
}

check! {
    "what a move undoes is a move of the same alias, else `InvalidInput`";
    async fn a_move_undoes_a_move(subject: Subject) {
        for _ in 0..2 {
            subject.create("risk").await;
        }
        subject.move_to(1).await;
        subject.move_to(2).await;
        let query = HistoryQuery::new(uri_of("models:/risk@champion"));
        let last = history(&subject, query.clone()).await.pop().expect("a move").id;
        let strange = EventId::from_u128(404);
        let refusal = subject.registry.move_alias(to_champion(1).undoing(strange)).await;
        refused(refusal, ErrorKind::InvalidInput, &[&strange.to_string()]);
        let mut other = to_champion(1).undoing(last);
        other.alias = alias("other");
        refused(subject.registry.move_alias(other).await, ErrorKind::InvalidInput, &["other"]);
        subject.registry.move_alias(to_champion(1).undoing(last)).await.expect("it is a move of it");
        let told = history(&subject, query).await.pop().expect("a move").detail;
        assert_eq!(told["undoes"], last.to_string(), "{told}");
    }
}

check! {
    "two rollbacks go two back; each move names the one that it undoes";
    async fn rollbacks_go_back_one_by_one(subject: Subject) {
        for _ in 0..4 {
            subject.create("risk").await;
        }
        for to in [1, 2, 3] {
            subject.move_to(to).await;
        }
        let (model, champion) = (name("risk"), alias("champion"));
        let back = async || subject.registry.rollback(&model, &champion, "it was wrong").await;
        let moved = |from, to| AliasMove::Moved { from, to };
        assert_eq!(back().await.expect("a move"), moved(Some(3), Some(2)));
        subject.move_to(4).await;
        assert_eq!(back().await.expect("a move"), moved(Some(4), Some(2)));
        assert_eq!(back().await.expect("a move"), moved(Some(2), Some(1)));
        // Nobody is left without a model: it pointed nowhere before.
        refused(back().await, ErrorKind::NotFound, &["champion"]);
        assert_eq!(subject.resolve("models:/risk@champion").await.expect("it stays"), 1);
        subject.registry.move_alias(to_champion(1).removing()).await.expect("it is removed");
        assert_eq!(back().await.expect("a move"), moved(None, Some(1)));
        let told = history(&subject, HistoryQuery::new(uri_of("models:/risk@champion"))).await;
        let undone: Vec<_> = told
            .iter()
            .map(|event| {
                let undoes = event.detail["undoes"].as_str()?.parse::<EventId>().ok();
                told.iter().position(|other| Some(other.id) == undoes)
            })
            .collect();
        assert_eq!(undone, [None, None, None, Some(2), None, Some(4), Some(1), None, Some(7)]);
    }
}

check! {
    "the first item is what `resolve` gives";
    async fn a_watch_begins_with_what_is(subject: Subject) {
        for _ in 0..2 {
            subject.create("risk").await;
        }
        subject.move_to(1).await;
        for uri in ["models:/risk@champion", "models:/risk/2", "models:/risk/latest"] {
            let uri = uri_of(uri);
            let mut watch = subject.registry.watch(uri.clone());
            let first = next_of(&mut watch).await.expect("a first item").expect("it is there");
            assert_eq!(first, subject.registry.resolve(&uri).await.expect("it is there"));
        }
        let mut watch = subject.registry.watch(uri_of("models:/nobody@champion"));
        let first = next_of(&mut watch).await.expect("a first item");
        refused(first, ErrorKind::NotFound, &["nobody"]);
    }
}

check! {
    "each move of the alias comes, or a later one in its place";
    async fn a_watch_sees_each_move(subject: Subject) {
        for _ in 0..9 {
            subject.create("risk").await;
        }
        subject.move_to(1).await;
        let mut watch = subject.registry.watch(uri_of("models:/risk@champion"));
        assert_eq!(watched(&mut watch).await, 1);
        for to in 2..=4 {
            // One that waits already, then one that comes later.
            let (seen, ()) = join(watched(&mut watch), subject.move_to(to)).await;
            assert_eq!(seen, to);
        }
        for to in 5..=9 {
            subject.move_to(to).await;
        }
        let mut seen = 4;
        while seen < 9 {
            let next = watched(&mut watch).await;
            assert!(next > seen, "version {next} after version {seen}");
            seen = next;
        }
    }
}

async fn watched(watch: &mut crate::event::BoxStream<'static, Result<ModelVersion>>) -> u64 {
    next_of(watch)
        .await
        .expect("a watch has no end")
        .expect("the alias points somewhere")
        .id
        .version
}
