//! [`EventLog`] of the store.

use super::{SqlStore, events, follow};
use async_trait::async_trait;
use mlops_core::{
    EventLog, Result,
    event::{BoxStream, Cursor, Event, EventKind},
};

#[async_trait]
impl EventLog for SqlStore {
    async fn append(&self, events: &[Event]) -> Result<Cursor> {
        events::may_append(&self.actor, events)?;
        let own = events.to_vec();
        let append =
            async move |tx: &mut super::session::Tx<'_>| events::append_all(tx, &own).await;
        self.shared.thread.write(&self.actor, append).await
    }

    fn follow(
        &self,
        after: Option<Cursor>,
        kinds: Vec<EventKind>,
    ) -> BoxStream<'static, Result<(Cursor, Event)>> {
        follow::follow(self.clone(), after, kinds)
    }
}
