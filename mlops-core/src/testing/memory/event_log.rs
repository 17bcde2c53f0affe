//! [`EventLog`] of the store.

use super::{
    MemoryStore, State,
    log::{About, Following},
};
use crate::{
    Error, ErrorKind, EventLog, ModelName, Principal, Result,
    event::{BoxStream, Cursor, Event, EventKind},
};
use async_trait::async_trait;

#[async_trait]
impl EventLog for MemoryStore {
    async fn append(&self, events: &[Event]) -> Result<Cursor> {
        may_append(&self.actor, events)?;
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

/// Refuses events that say that another acted than who does. The host speaks for all whom it serves.
fn may_append(actor: &Principal, events: &[Event]) -> Result<()> {
    if *actor == Principal::host() {
        return Ok(());
    }
    match events.iter().find(|event| event.actor != actor.name) {
        None => Ok(()),
        Some(event) => {
            let text = format!("{actor} may not append an event of {}", event.actor);
            Err(Error::new(ErrorKind::PermissionDenied, text))
        }
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
