//! [`EventLog`] of the store.

use super::{
    MemoryStore, State,
    log::{About, Following},
};
use crate::{
    EventLog, ModelName, Result,
    event::{BoxStream, Cursor, Event, EventKind},
};
use async_trait::async_trait;

#[async_trait]
impl EventLog for MemoryStore {
    async fn append(&self, events: &[Event]) -> Result<Cursor> {
        Ok(self.write(|tx| {
            let mut last = tx.state.log.end();
            for event in events {
                let about = about(tx.state, &event.subject);
                last = tx.state.log.append(event.clone(), about);
            }
            last
        }))
    }

    fn follow(
        &self,
        after: Option<Cursor>,
        kinds: Vec<EventKind>,
    ) -> BoxStream<'static, Result<(Cursor, Event)>> {
        Box::pin(Following::new(self, after, kinds))
    }
}

/// What a subject names: `model/NAME` or `model/NAME/NUMBER`. Others belong to no model.
fn about(state: &State, subject: &str) -> About {
    let found = subject.strip_prefix("model/").and_then(|name| {
        let (name, number) = match name.split_once('/') {
            Some((name, number)) => (name, number.parse().ok()),
            None => (name, None),
        };
        let model = state.models.get(&ModelName::new(name).ok()?)?;
        Some(About {
            model: Some(model.number),
            alias: None,
            versions: number.into_iter().collect(),
        })
    });
    found.unwrap_or_default()
}
