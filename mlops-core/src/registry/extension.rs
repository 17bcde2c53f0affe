//! What people do with a registry every day, in one call each.

use super::{AliasMove, AliasMoved, Expected, Gate, HistoryQuery, ModelUri, MoveAlias, Registry};
use crate::{
    Alias, Error, EventId, ModelName, Result, VersionId,
    event::{Cursor, Event, EventKind},
};
use async_trait::async_trait;
use std::sync::Arc;

/// Conveniences over every [`Registry`].
#[async_trait]
pub trait RegistryExt: Registry {
    /// Points an alias at a version if every gate is met, wherever it points now.
    ///
    /// # Behavior
    /// - the alias moves, or the answer lists every unmet condition of every gate
    async fn promote(
        &self,
        version: &VersionId,
        alias: &Alias,
        gates: Vec<Arc<dyn Gate>>,
        reason: &str,
    ) -> Result<AliasMove> {
        let (model, number) = (version.model.clone(), version.version);
        self.move_alias(MoveAlias::new(model, alias.clone(), number, reason).with_gates(gates))
            .await
    }

    /// Takes the last move of an alias back: it points again where it did before. No gate is asked.
    /// Once more takes the move before that one back, and so on.
    ///
    /// # Behavior
    /// - two rollbacks go two back; a move that was taken back is not taken back again
    /// - the move names the one that it undoes
    /// - an alias that pointed nowhere before stays: `NotFound`; so does one whose version was deleted
    /// - if another moves the alias meanwhile it is `Conflict`, and the alias stays where that put it
    async fn rollback(&self, model: &ModelName, alias: &Alias, reason: &str) -> Result<AliasMove> {
        let last = standing(self, model, alias).await?;
        let back = last.and_then(|(event, last)| Some((event, last.from?, last.to)));
        let Some((event, to, from)) = back else {
            let text = format!("alias {model}@{alias} has nothing to go back to");
            return Err(Error::not_found(text));
        };
        let from = from.map_or(Expected::Absent, Expected::Version);
        let back = MoveAlias::new(model.clone(), alias.clone(), to, reason).with_from(from);
        self.move_alias(back.undoing(event)).await
    }
}

impl<R: Registry + ?Sized> RegistryExt for R {}

/// The last move of an alias that was not taken back.
async fn standing<R: Registry + ?Sized>(
    registry: &R,
    model: &ModelName,
    alias: &Alias,
) -> Result<Option<(EventId, AliasMoved)>> {
    let of = ModelUri::alias(model.clone(), alias.clone());
    let mut query = HistoryQuery::new(of).with_kinds(vec![EventKind::ALIAS_MOVED]);
    let mut standing = Vec::new();
    loop {
        let page = registry.history(query.clone()).await?;
        for event in page.items {
            let moved = detail(&event)?;
            match moved.undoes {
                Some(undone) => standing.retain(|(id, _)| *id != undone),
                None => standing.push((event.id, moved)),
            }
        }
        let Some(next) = page.next else { return Ok(standing.pop()) };
        let place = next.parse().map_err(|_| Error::corrupt("a page of a history has no place"))?;
        query = query.with_after(Some(Cursor(place)));
    }
}

fn detail(event: &Event) -> Result<AliasMoved> {
    serde_json::from_value(event.detail.clone()).map_err(|cause| {
        Error::corrupt(format!("the detail of event {}", event.id)).with_source(cause)
    })
}
