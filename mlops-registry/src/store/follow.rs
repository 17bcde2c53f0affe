//! Streams over the event log: what is there, then what comes.

use super::{
    SqlStore, events,
    events::{Reach, Wanted},
    models, versions,
};
use futures_util::stream;
use mlops_core::{
    Error, ErrorKind, Result, VersionId,
    event::{BoxStream, Cursor, Event, EventKind},
    page::Page,
    registry::{HistoryQuery, ModelUri, ModelVersion, Which},
};
use std::collections::VecDeque;
use tokio::sync::watch;

/// How many events are read at once.
const CHUNK: usize = 500;
/// How many events a page of a history has if nobody says, and at most.
const HISTORY: (usize, usize) = (1000, 10_000);

/// Events after a place, then each new one.
pub(super) fn follow(
    store: SqlStore,
    after: Option<Cursor>,
    kinds: Vec<EventKind>,
) -> BoxStream<'static, Result<(Cursor, Event)>> {
    let changes = store.shared.thread.changes();
    let wanted = Wanted { after, kinds, about: None };
    let following = Following { store, wanted, changes, ready: VecDeque::new() };
    Box::pin(stream::unfold(Some(following), |following| async move {
        let mut following = following?;
        match following.next().await {
            Ok(item) => Some((Ok(item), Some(following))),
            // One who wants to go on follows again from the last place received.
            Err(error) => Some((Err(error), None)),
        }
    }))
}

struct Following {
    store: SqlStore,
    wanted: Wanted,
    changes: watch::Receiver<Cursor>,
    ready: VecDeque<(Cursor, Event)>,
}

impl Following {
    async fn next(&mut self) -> Result<(Cursor, Event)> {
        loop {
            if let Some(item) = self.ready.pop_front() {
                return Ok(item);
            }
            // Marked before the look, so that what comes during it is looked for again.
            self.changes.borrow_and_update();
            let wanted = self.wanted.clone();
            let read = self.store.shared.thread.read(async move |db| {
                let found = events::page(db, &wanted, CHUNK).await?;
                Ok((found, events::end(db).await?))
            });
            let (found, end) = read.await?;
            // Where a page is full, more may lie before the end.
            let seen =
                if found.len() < CHUNK { Some(end) } else { found.last().map(|last| last.0) };
            self.wanted.after = self.wanted.after.max(seen);
            self.ready.extend(found);
            if self.ready.is_empty() {
                changed(&mut self.changes).await?;
            }
        }
    }
}

async fn changed(changes: &mut watch::Receiver<Cursor>) -> Result<()> {
    let closed = |_| Error::new(ErrorKind::Cancelled, "the store was closed");
    changes.changed().await.map_err(closed)
}

/// What a URI means now, then each change. What it does not mean any more is an error, after which the
/// stream goes on; a store that is closed ends it.
pub(super) fn watch(store: SqlStore, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
    let changes = store.shared.thread.changes();
    let watching = Watching { store, uri, changes, last: None };
    Box::pin(stream::unfold(Some(watching), |watching| async move {
        let mut watching = watching?;
        let item = watching.next().await;
        let over = matches!(&item, Err(error) if error.kind() == ErrorKind::Cancelled);
        Some((item, if over { None } else { Some(watching) }))
    }))
}

struct Watching {
    store: SqlStore,
    uri: ModelUri,
    changes: watch::Receiver<Cursor>,
    /// What the last item said: a version, or that there is none.
    last: Option<Result<VersionId, ErrorKind>>,
}

impl Watching {
    async fn next(&mut self) -> Result<ModelVersion> {
        loop {
            self.changes.borrow_and_update();
            let uri = self.uri.clone();
            let read =
                self.store.shared.thread.read(async move |db| versions::resolve(db, &uri).await);
            let found = read.await;
            let now = match &found {
                Ok(version) => Ok(version.id.clone()),
                Err(error) => Err(error.kind()),
            };
            if self.last.replace(now.clone()) != Some(now) {
                return found;
            }
            changed(&mut self.changes).await?;
        }
    }
}

/// What happened to a model, a version or an alias.
pub(super) async fn history(store: &SqlStore, query: HistoryQuery) -> Result<Page<Event>> {
    let limit = super::tokens::limit(query.max_results, HISTORY.0, HISTORY.1)?;
    let HistoryQuery { of, kinds, after, .. } = query;
    let read = store.shared.thread.read(async move |db| {
        let model = models::id(db, &of.model).await?;
        let reach = match of.which {
            Which::Alias(alias) => Reach::Alias(model, alias.to_string()),
            Which::Version(number) => {
                Reach::Version(versions::find(db, &VersionId::new(of.model, number)).await?)
            }
            _ => Reach::Model(model),
        };
        let wanted = Wanted { after, kinds, about: Some(reach) };
        events::page(db, &wanted, limit + 1).await
    });
    let mut found = read.await?;
    let more = found.len() > limit;
    found.truncate(limit);
    // The place to read on from, as `HistoryQuery::after` takes it.
    let next = found.last().filter(|_| more).map(|(cursor, _)| cursor.0.to_string());
    Ok(Page { items: found.into_iter().map(|(_, event)| event).collect(), next })
}
