//! What a URI means now, then each change; and what has happened.

use super::{RestStore, experiments::most, http::Session, request::Request, versions};
use crate::mlflow::wire::extension::Events;
use futures_util::stream;
use mlops_core::{
    Error, ErrorKind, Result, VersionId,
    event::{BoxStream, Event},
    page::Page,
    registry::{HistoryQuery, ModelUri, ModelVersion},
};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;

/// Looks, then looks again after each pause. What a URI does not mean any more, or a server that is away,
/// is an error, after which the stream goes on.
pub(super) fn watch(store: RestStore, uri: ModelUri) -> BoxStream<'static, Result<ModelVersion>> {
    let watching = Watching { store, uri, last: None };
    Box::pin(stream::unfold(Some(watching), |watching| async move {
        let mut watching = watching?;
        let item = watching.next().await;
        let over = matches!(&item, Err(error) if error.kind() == ErrorKind::Cancelled);
        Some((item, if over { None } else { Some(watching) }))
    }))
}

struct Watching {
    store: RestStore,
    uri: ModelUri,
    /// What the last item said: a version, or that there is none.
    last: Option<Result<VersionId, ErrorKind>>,
}

impl Watching {
    async fn next(&mut self) -> Result<ModelVersion> {
        let mut first = self.last.is_none();
        loop {
            if !std::mem::take(&mut first) {
                self.pause().await?;
            }
            let uri = self.uri.clone();
            let found = self.store.call(|session| versions::resolve(session, uri)).await;
            let now = match &found {
                Ok(version) => Ok(version.id.clone()),
                Err(error) => Err(error.kind()),
            };
            if self.last.replace(now.clone()) != Some(now) {
                return found;
            }
        }
    }

    /// Waits on the client's thread, whose clock any host can use, but not in the way of its calls.
    async fn pause(&self) -> Result<()> {
        let pause = self.store.shared.session.config.poll_interval.max(Duration::from_millis(1));
        let begun = self.store.call(async move |_| {
            let (reply, over) = oneshot::channel::<()>();
            tokio::spawn(async move {
                tokio::time::sleep(pause).await;
                let _ = reply.send(());
            });
            Ok(over)
        });
        begun.await?.await.map_err(|_| super::thread::stopped())
    }
}

/// What happened to a model, a version or an alias.
pub(super) async fn history(session: Arc<Session>, query: HistoryQuery) -> Result<Page<Event>> {
    if !session.is_ours() {
        return Err(Error::unsupported("MLflow keeps no history of a model"));
    }
    let request = Request::get_at("api/2.0/mlops/events")
        .with("of", &query.of)
        .with_some("after", query.after.map(|after| after.0))
        .with_some("max_results", query.max_results.map(most).transpose()?.map(|most| most.0));
    let kinds = query.kinds.iter();
    let request = kinds.fold(request, |request, kind| request.with("kind", kind));
    let found: Events = session.ask(&request).await?;
    Ok(Page { items: found.events, next: found.next })
}
