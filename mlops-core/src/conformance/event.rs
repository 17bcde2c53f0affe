//! What every [`EventLog`] promises, a check a promise.

use super::{
    check,
    waiting::{join, next_of, poll_once},
};
use crate::{
    ErrorKind, EventId, EventLog, Principal, Result, Timestamp,
    event::{BoxStream, Cursor, Event, EventKind},
};
use std::{any::Any, fmt};

type Acting = dyn Fn(Principal) -> Box<dyn EventLog> + Send + Sync;

/// A fresh log to check; what the host itself has written into it may be there already.
pub struct Subject {
    log: Box<dyn EventLog>,
    acting: Option<Box<Acting>>,
    kept: Vec<Box<dyn Any + Send>>,
}

impl fmt::Debug for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Subject({:?})", self.log)
    }
}

type Item = Result<(Cursor, Event)>;

impl Subject {
    /// A log in which no event of kind `test.…` is, and whose handle acts as the host.
    pub fn new(log: impl EventLog + 'static) -> Self {
        Self { log: Box::new(log), acting: None, kept: Vec::new() }
    }

    /// Makes another handle of the same log: one through which somebody else acts.
    #[must_use]
    pub fn with_acting_as<L: EventLog + 'static>(
        mut self,
        acting: impl Fn(Principal) -> L + Send + Sync + 'static,
    ) -> Self {
        self.acting = Some(Box::new(move |principal| Box::new(acting(principal))));
        self
    }

    /// Keeps something, such as a folder, for as long as the subject is there.
    #[must_use]
    pub fn keeping(mut self, kept: impl Any + Send) -> Self {
        self.kept.push(Box::new(kept));
        self
    }

    async fn append(&self, events: &[Event]) -> Cursor {
        self.log.append(events).await.expect("events are appended")
    }

    /// Events of the checks from a place on, as far as there are any now.
    async fn all(&self, after: Option<Cursor>) -> Vec<(Cursor, Event)> {
        let end = self.append(&[]).await;
        let mut stream = self.log.follow(after, vec![KIND, OTHER]);
        let mut found = Vec::new();
        // A last event of our own, so that nobody waits for one that does not come.
        let mark = Event::new(
            EventId::from_u128(u128::from(end.0) << 64),
            time(),
            OTHER,
            "test/mark",
            &actor(),
        );
        self.append(std::slice::from_ref(&mark)).await;
        loop {
            let (cursor, event) = next(&mut stream).await;
            if event.id == mark.id {
                return found;
            }
            if event.subject.as_ref() != "test/mark" {
                found.push((cursor, event));
            }
        }
    }

    async fn ids(&self) -> Vec<u128> {
        self.all(None).await.iter().map(|(_, event)| event.id.as_u128()).collect()
    }
}

const KIND: EventKind = EventKind::of("test.happened");
const OTHER: EventKind = EventKind::of("test.other");

fn time() -> Timestamp {
    Timestamp::from_unix_millis(1_500_000_000_000)
}

fn actor() -> Principal {
    Principal::new("suite")
}

fn event(id: u128, kind: EventKind) -> Event {
    let detail = serde_json::json!({"id": id.to_string(), "nested": [1.5, null, "é"]});
    Event::new(EventId::from_u128(id), time(), kind, "test/subject", &actor())
        .with_reason("to see")
        .with_detail(detail)
}

fn events(ids: impl IntoIterator<Item = u128>) -> Vec<Event> {
    ids.into_iter().map(|id| event(id, KIND)).collect()
}

async fn next(stream: &mut BoxStream<'_, Item>) -> (Cursor, Event) {
    next_of(stream).await.expect("a log has no end").expect("an event")
}

check! {
    "all of them or none; the cursor returned is that of the last";
    async fn an_append_is_all_or_none(subject: Subject) {
        let appended = events(1..=3);
        let end = subject.append(&appended).await;
        let found = subject.all(None).await;
        assert_eq!(found.last().map(|(cursor, _)| *cursor), Some(end));
        assert_eq!(found.into_iter().map(|(_, event)| event).collect::<Vec<_>>(), appended);
        // One who gives up in the middle leaves all or none, too.
        for round in 1..=5 {
            let ids = round * 100..round * 100 + 20;
            let many = events(ids.clone());
            poll_once(subject.log.append(&many)).await;
            let found = subject.ids().await;
            let count = found.iter().filter(|id| ids.contains(id)).count();
            assert!([0, 20].contains(&count), "{count} of 20 events of an abandoned append");
        }
    }
}

check! {
    "an id already there is not added again, and is no error";
    async fn an_id_is_added_once(subject: Subject) {
        subject.append(&events([1, 2])).await;
        subject.append(&events([2, 3, 3, 1])).await;
        assert_eq!(subject.ids().await, [1, 2, 3]);
        subject.append(&events([1])).await;
        assert_eq!(subject.ids().await, [1, 2, 3]);
    }
}

check! {
    "no events return the cursor of the log's end";
    async fn nothing_appended_gives_the_end(subject: Subject) {
        let empty = subject.append(&[]).await;
        let end = subject.append(&events([1, 2])).await;
        assert!(end > empty, "{end:?} is not after {empty:?}");
        assert_eq!(subject.append(&[]).await, end);
        assert_eq!(subject.append(&[]).await, end, "appending nothing moves the end");
    }
}

check! {
    "in the order of appending, none twice, none missing";
    async fn follow_gives_each_event_once_in_order(subject: Subject) {
        subject.append(&events(1..=3)).await;
        let mut stream = subject.log.follow(None, vec![KIND]);
        let mut cursors = Vec::new();
        for id in 1..=3 {
            let (cursor, found) = next(&mut stream).await;
            assert_eq!(found, event(id, KIND));
            cursors.push(cursor);
        }
        // While one waits, others append: one by one, in a batch, and one that is there already.
        let append = async {
            for id in 4..=20 {
                tokio::task::yield_now().await;
                subject.append(&events([id])).await;
            }
            subject.append(&events(19..=30)).await;
        };
        let follow = async {
            for id in 4..=30 {
                let (cursor, found) = next(&mut stream).await;
                assert_eq!(found.id.as_u128(), id);
                cursors.push(cursor);
            }
        };
        join(follow, append).await;
        assert!(cursors.is_sorted_by(|left, right| left < right), "{cursors:?}");
    }
}

check! {
    "only the kinds asked for; all if the list is empty";
    async fn follow_gives_the_kinds_asked_for(subject: Subject) {
        let mixed = [event(1, KIND), event(2, OTHER), event(3, KIND), event(4, OTHER)];
        subject.append(&mixed).await;
        for (kinds, ids) in [(vec![KIND], vec![1, 3]), (vec![OTHER], vec![2, 4]), (vec![], vec![1, 2, 3, 4])] {
            let mut stream = subject.log.follow(None, kinds.clone());
            for id in ids {
                let mut found = next(&mut stream).await.1;
                while kinds.is_empty() && found.subject.as_ref() != "test/subject" {
                    found = next(&mut stream).await.1; // What the host itself wrote.
                }
                assert_eq!(found.id.as_u128(), id, "{kinds:?}");
            }
        }
        // A kind that comes later is waited for, past others.
        let mut stream = subject.log.follow(None, vec![EventKind::of("test.late")]);
        let append = async {
            subject.append(&[event(5, KIND)]).await;
            subject.append(&[event(6, EventKind::of("test.late"))]).await;
        };
        let (found, ()) = join(next(&mut stream), append).await;
        assert_eq!(found.1.id.as_u128(), 6);
    }
}

check! {
    "one who follows from a cursor received sees exactly what came after it";
    async fn follow_goes_on_from_a_cursor(subject: Subject) {
        let end = subject.append(&events(1..=5)).await;
        let all = subject.all(None).await;
        for (place, (cursor, _)) in all.iter().enumerate() {
            let rest = subject.all(Some(*cursor)).await;
            assert_eq!(rest, all[place + 1..], "after {cursor:?}");
        }
        let mut stream = subject.log.follow(Some(end), vec![KIND]);
        subject.append(&events([6])).await;
        assert_eq!(next(&mut stream).await.1.id.as_u128(), 6);
    }
}

check! {
    "only the host may say that another acted: else an event whose actor is not who acts through the \
     handle is `PermissionDenied`, and nothing is added";
    async fn an_actor_speaks_for_nobody_else(subject: Subject) {
        let acting = subject.acting.as_ref().expect("a handle of somebody else: `with_acting_as`");
        let log = acting(Principal::new("ada"));
        let own = |id| Event::new(EventId::from_u128(id), time(), KIND, "test/subject", &Principal::new("ada"));
        let mixed = [own(1), event(2, KIND), own(3)];
        let error = log.append(&mixed).await.expect_err("an event of somebody else");
        assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{error}");
        for name in ["ada", "suite"] {
            assert!(error.to_string().contains(name), "{error} does not name {name}");
        }
        assert_eq!(subject.ids().await, [0_u128; 0]);
        log.append(&[own(1), own(3)]).await.expect("her own events are appended");
        // Even a name that looks like the host's is not the host.
        let posing = acting(Principal::host().with_role("write"));
        posing.append(&events([4])).await.expect_err("an event of somebody else");
        assert_eq!(subject.ids().await, [1, 3]);
    }
}

super::suite! {
    /// One named test a promise of [`EventLog`](crate::EventLog), on a backend that an expression
    /// makes, which may await: a [`Subject`](crate::conformance::event::Subject).
    event_log_conformance, event: [
        an_append_is_all_or_none, an_id_is_added_once, nothing_appended_gives_the_end,
        an_actor_speaks_for_nobody_else, follow_gives_each_event_once_in_order, follow_gives_the_kinds_asked_for, follow_goes_on_from_a_cursor,
    ]
}
