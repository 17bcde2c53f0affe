//! Events in the order of their appending, and those who wait for the next.

use super::{MemoryStore, Shared, State, versions};
use crate::{
    Alias, ErrorKind, EventId, Result, VersionId,
    event::{Cursor, Event, EventKind},
    registry::{ModelUri, ModelVersion},
};
use futures_core::Stream;
use std::{
    collections::HashMap,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

/// All events; the cursor of one is its place, counted from 1.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<(Event, About)>,
    places: HashMap<EventId, Cursor>,
}

/// What an event is about, so that the history of a model finds it, whatever its name is by then.
#[derive(Clone, Debug, Default)]
pub(super) struct About {
    /// The number of the model.
    pub(super) model: Option<u64>,
    pub(super) alias: Option<Alias>,
    pub(super) versions: Vec<u64>,
}

impl Log {
    /// Adds an event; gives its place, or the one that it has already.
    pub(super) fn append(&mut self, event: Event, about: About) -> Cursor {
        let next = Cursor(self.entries.len() as u64 + 1);
        let place = *self.places.entry(event.id).or_insert(next);
        if place == next {
            self.entries.push((event, about));
        }
        place
    }

    /// The place of the last event.
    pub(super) fn end(&self) -> Cursor {
        Cursor(self.entries.len() as u64)
    }

    /// Events after a place, of these kinds or of all if there are none.
    pub(super) fn after<'a>(
        &'a self,
        after: Cursor,
        kinds: &'a [EventKind],
    ) -> impl Iterator<Item = (Cursor, &'a Event, &'a About)> {
        let skipped = usize::try_from(after.0).unwrap_or(usize::MAX);
        let places = (after.0..).skip(1).map(Cursor);
        let rest = self.entries.iter().skip(skipped).zip(places);
        rest.map(|((event, about), place)| (place, event, about))
            .filter(|(_, event, _)| kinds.is_empty() || kinds.contains(&event.kind))
    }
}

/// A place among those who wait, given back when dropped.
struct Seat {
    shared: Arc<Shared>,
    number: u64,
}

impl Seat {
    fn take(store: &MemoryStore) -> Self {
        let shared = Arc::clone(&store.shared);
        let number = {
            let mut state = shared.state();
            state.streams_made += 1;
            state.streams_made
        };
        Self { shared, number }
    }

    /// What a look finds; if nothing, the next change wakes whoever asked. Both at one moment, so that
    /// no change comes between.
    fn poll<T>(
        &self,
        context: &Context<'_>,
        look: impl FnOnce(&State) -> Option<T>,
    ) -> Poll<Option<T>> {
        let mut state = self.shared.state();
        if let Some(found) = look(&state) {
            return Poll::Ready(Some(found));
        }
        state.waiting.insert(self.number, context.waker().clone());
        Poll::Pending
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        let waker = self.shared.state().waiting.remove(&self.number);
        // Dropped once the lock is free: a waker may own what owns other streams.
        drop(waker);
    }
}

/// Events after a place, then each new one.
pub(super) struct Following {
    seat: Seat,
    after: Cursor,
    kinds: Vec<EventKind>,
}

impl Following {
    pub(super) fn new(store: &MemoryStore, after: Option<Cursor>, kinds: Vec<EventKind>) -> Self {
        Self { seat: Seat::take(store), after: after.unwrap_or_default(), kinds }
    }
}

impl Stream for Following {
    type Item = Result<(Cursor, Event)>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (after, kinds) = (self.after, &self.kinds);
        let found = self.seat.poll(context, |state| {
            state.log.after(after, kinds).next().map(|(place, event, _)| (place, event.clone()))
        });
        found.map(|item| {
            item.map(|(place, event)| {
                self.after = place;
                Ok((place, event))
            })
        })
    }
}

/// What a URI means now, then each change. What it does not mean any more is an error, after which
/// the stream goes on.
pub(super) struct Watching {
    seat: Seat,
    uri: ModelUri,
    last: Option<Result<VersionId, ErrorKind>>,
}

impl Watching {
    pub(super) fn new(store: &MemoryStore, uri: ModelUri) -> Self {
        Self { seat: Seat::take(store), uri, last: None }
    }
}

impl Stream for Watching {
    type Item = Result<ModelVersion>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let (uri, last) = (&self.uri, &self.last);
        let found = self.seat.poll(context, |state| {
            let found = versions::resolve(state, uri);
            let now = match &found {
                Ok(version) => Ok(version.id.clone()),
                Err(error) => Err(error.kind()),
            };
            (last.as_ref() != Some(&now)).then_some((found, now))
        });
        found.map(|item| {
            item.map(|(found, now)| {
                self.last = Some(now);
                found
            })
        })
    }
}
