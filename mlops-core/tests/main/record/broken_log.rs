//! Event logs that break one promise each.

use super::{Shortened, saboteurs};
use async_trait::async_trait;
use mlops_core::{
    EventId, EventLog, Result,
    conformance::event::{self as suite, Subject},
    event::{BoxStream, Cursor, Event, EventKind},
    testing::MemoryStore,
};
use std::{collections::HashSet, sync::Mutex};

saboteurs!(suite, subject: {
    an_append_is_all_or_none: AppendsOneByOne,
    an_id_is_added_once: AddsAgain,
    nothing_appended_gives_the_end: ForgetsTheEnd,
    an_actor_speaks_for_nobody_else: BelievesAnyActor,
    follow_gives_each_event_once_in_order: LeavesOneOut,
    follow_gives_the_kinds_asked_for: GivesEveryKind,
    follow_goes_on_from_a_cursor: BeginsAgain,
});

/// Breaks one promise of the store that it holds.
#[derive(Debug)]
struct Saboteur {
    inner: MemoryStore,
    breaks: Breaks,
    seen: Mutex<HashSet<EventId>>,
}

fn subject(breaks: Breaks) -> Subject {
    let inner = MemoryStore::new();
    let other = inner.clone();
    let log = move |inner| Saboteur { inner, breaks, seen: Mutex::default() };
    Subject::new(log(inner)).with_acting_as(move |principal| {
        let believes = breaks == Breaks::BelievesAnyActor;
        log(if believes { other.clone() } else { other.acting_as(principal) })
    })
}

#[async_trait]
impl EventLog for Saboteur {
    async fn append(&self, events: &[Event]) -> Result<Cursor> {
        match self.breaks {
            Breaks::AppendsOneByOne => {
                let mut last = self.inner.append(&[]).await?;
                for event in events {
                    last = self.inner.append(std::slice::from_ref(event)).await?;
                    tokio::task::yield_now().await;
                }
                Ok(last)
            }
            Breaks::AddsAgain => {
                let mut own = events.to_vec();
                for event in &mut own {
                    if !self.seen.lock().unwrap().insert(event.id) {
                        event.id = EventId::from_u128(event.id.as_u128() + 1_000);
                    }
                }
                self.inner.append(&own).await
            }
            Breaks::ForgetsTheEnd if events.is_empty() => Ok(Cursor(0)),
            _ => self.inner.append(events).await,
        }
    }

    fn follow(
        &self,
        after: Option<Cursor>,
        kinds: Vec<EventKind>,
    ) -> BoxStream<'static, Result<(Cursor, Event)>> {
        match self.breaks {
            Breaks::LeavesOneOut => {
                Box::pin(Shortened::without(2, self.inner.follow(after, kinds)))
            }
            Breaks::GivesEveryKind => self.inner.follow(after, Vec::new()),
            Breaks::BeginsAgain => self.inner.follow(None, kinds),
            _ => self.inner.follow(after, kinds),
        }
    }
}
