//! What happened, who did it and why: append-only, followed by everything that reacts.

use crate::{EventId, Principal, Result, Timestamp};
use async_trait::async_trait;
use futures_core::Stream;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::{fmt, fmt::Debug, pin::Pin, sync::Arc};

/// A stream that ends when nobody wants it any more.
pub type BoxStream<'a, T> = Pin<Box<dyn Stream<Item = T> + Send + 'a>>;

/// Appends events and lets others follow them.
///
/// The suite is `conformance::event`: each bullet below is one check.
#[async_trait]
pub trait EventLog: Debug + Send + Sync {
    /// Adds events. Durable when it returns.
    ///
    /// # Behavior
    /// - all of them or none; the cursor returned is that of the last
    /// - an id already there is not added again, and is no error
    /// - no events return the cursor of the log's end
    /// - only the host may say that another acted: else an event whose actor is not who acts through
    ///   the handle is `PermissionDenied`, and nothing is added
    async fn append(&self, events: &[Event]) -> Result<Cursor>;

    /// Events after a cursor, then each new one as it comes; from the beginning if `None`.
    ///
    /// # Behavior
    /// - in the order of appending, none twice, none missing
    /// - only the kinds asked for; all if the list is empty
    /// - one who follows from a cursor received sees exactly what came after it
    fn follow(
        &self,
        after: Option<Cursor>,
        kinds: Vec<EventKind>,
    ) -> BoxStream<'static, Result<(Cursor, Event)>>;
}

#[async_trait]
impl<L: EventLog + ?Sized> EventLog for Arc<L> {
    async fn append(&self, events: &[Event]) -> Result<Cursor> {
        (**self).append(events).await
    }
    fn follow(
        &self,
        after: Option<Cursor>,
        kinds: Vec<EventKind>,
    ) -> BoxStream<'static, Result<(Cursor, Event)>> {
        (**self).follow(after, kinds)
    }
}

/// One thing that happened.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// Names it for ever.
    pub id: EventId,
    /// When it happened.
    pub time: Timestamp,
    /// What kind of thing it is.
    pub kind: EventKind,
    /// What it is about: `model/risk`, `endpoint/loans`, `run/…`.
    pub subject: Arc<str>,
    /// Who did it.
    pub actor: Arc<str>,
    /// Why, in the actor's words.
    pub reason: Option<Arc<str>>,
    /// What a reader of this kind needs.
    pub detail: Value,
}

impl Event {
    /// An event without reason and detail.
    pub fn new(
        id: EventId,
        time: Timestamp,
        kind: EventKind,
        subject: impl Into<Arc<str>>,
        actor: &Principal,
    ) -> Self {
        let (subject, actor) = (subject.into(), Arc::clone(&actor.name));
        Self { id, time, kind, subject, actor, reason: None, detail: Value::Null }
    }

    /// Adds why.
    #[must_use]
    pub fn with_reason(mut self, reason: impl Into<Arc<str>>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// Adds what a reader of this kind needs.
    #[must_use]
    pub fn with_detail(mut self, detail: Value) -> Self {
        self.detail = detail;
        self
    }
}

/// A kind of event: words joined by dots, `alias.moved`. Hosts add their own.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EventKind(std::borrow::Cow<'static, str>);

impl EventKind {
    /// A run was created.
    pub const RUN_CREATED: Self = Self::of("run.created");
    /// A run ended: its detail says how.
    pub const RUN_ENDED: Self = Self::of("run.ended");
    /// A version of a model was registered.
    pub const VERSION_CREATED: Self = Self::of("version.created");
    /// An alias moved to another version.
    pub const ALIAS_MOVED: Self = Self::of("alias.moved");
    /// An alias was kept where it is: its detail lists every unmet condition.
    pub const ALIAS_REFUSED: Self = Self::of("alias.refused");
    /// A monitor found drift.
    pub const DRIFT_ALARM: Self = Self::of("drift.alarm");

    /// A kind known when the host is built.
    pub const fn of(kind: &'static str) -> Self {
        Self(std::borrow::Cow::Borrowed(kind))
    }

    /// A kind read from somewhere.
    pub fn new(kind: impl Into<String>) -> Self {
        Self(std::borrow::Cow::Owned(kind.into()))
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Debug::fmt(self.as_str(), f)
    }
}

/// A place in one log, right after an event. Sorts as the log does.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Cursor(pub u64);
