//! Processes at one database tell each other that the event log grew.

use super::Server;
use mlops_core::event::Cursor;
use sqlx::postgres::{PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::sync::watch;

const CHANNEL: &str = "mlops_events";
/// Sent by the commit of the transaction that it is part of. Another schema is another record.
pub(super) const TELL: &str =
    "select pg_notify('mlops_events', $1 || ' ' || coalesce(current_schema(), ''))";

impl Server {
    /// Announces the end of the event log whenever a process appends, for ever. A connection that breaks
    /// is opened again after a pause.
    pub(in crate::store::connection) async fn listen(
        self,
        announce: watch::Sender<Cursor>,
        pause: Duration,
    ) {
        loop {
            // The store looks for itself from time to time; what is heard is only sooner.
            let _ = self.hear(&announce).await;
            tokio::time::sleep(pause).await;
        }
    }

    async fn hear(&self, announce: &watch::Sender<Cursor>) -> Result<(), sqlx::Error> {
        let pool = PgPoolOptions::new().max_connections(1).max_lifetime(None).idle_timeout(None);
        let pool = pool.connect_with(self.options().clone()).await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.eager_reconnect(false);
        listener.listen(CHANNEL).await?;
        let schema = sqlx::query_scalar("select coalesce(current_schema()::text, '')");
        let schema: String = schema.fetch_one(&mut listener).await?;
        // What was said before anybody listened.
        announce.send_modify(|_| {});
        while let Some(told) = listener.try_recv().await? {
            if let Some(end) = end(told.payload(), &schema) {
                announce.send_if_modified(|seen| {
                    let news = end > *seen;
                    if news {
                        *seen = end;
                    }
                    news
                });
            }
        }
        Ok(())
    }
}

fn end(payload: &str, schema: &str) -> Option<Cursor> {
    let (end, told) = payload.split_once(' ')?;
    if told == schema { end.parse().ok().map(Cursor) } else { None }
}
