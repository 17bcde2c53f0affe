//! Aliases: moved by compare-and-swap, through gates, with a reason that stays.

use super::{State, Tx, log::About, models, versions};
use crate::{
    Error, Result, ResultExt, VersionId,
    event::{Cursor, Event, EventKind},
    registry::{AliasMove, AliasMoved, Expected, ModelVersion, MoveAlias, Unmet},
};
use serde_json::json;

/// How often gates are asked again because another moved the alias meanwhile.
pub(super) const TRIES: usize = 16;

/// What a request is about, as gates see it.
pub(super) struct Judged {
    from: Option<ModelVersion>,
    to: Option<ModelVersion>,
}

/// Finds it; a request that nothing could meet is an error.
pub(super) fn judged(state: &State, request: &MoveAlias) -> Result<Judged> {
    let held = models::get(state, &request.model)?;
    let from = held.model.aliases.get(&request.alias).copied();
    expected(state, request, from)?;
    let version = |number| versions::get(state, &VersionId::new(request.model.clone(), number));
    Ok(Judged { from: from.map(version).transpose()?, to: request.to.map(version).transpose()? })
}

fn expected(state: &State, request: &MoveAlias, found: Option<u64>) -> Result<()> {
    let as_expected = match request.from {
        Expected::Any => true,
        Expected::Absent => found.is_none(),
        Expected::Version(version) => found == Some(version),
    };
    if as_expected {
        return Ok(());
    }
    let who = last_move(state, request, |_| true)?.map(|event| &event.actor);
    let alias = format!("{}@{}", request.model, request.alias);
    Err(Error::conflict(match (found, who) {
        (Some(version), Some(who)) => {
            format!("alias {alias} points at version {version}: {who} moved it there")
        }
        (Some(version), None) => format!("alias {alias} points at version {version}"),
        (None, Some(who)) => format!("alias {alias} does not exist: {who} removed it"),
        (None, None) => format!("alias {alias} does not exist"),
    }))
}

/// The last of those moves of the alias that are wanted.
fn last_move<'a>(
    state: &'a State,
    request: &MoveAlias,
    wanted: impl Fn(&Event) -> bool,
) -> Result<Option<&'a Event>> {
    let model = Some(models::get(state, &request.model)?.number);
    let own = |about: &About| about.model == model && about.alias.as_ref() == Some(&request.alias);
    let moved = |event: &Event| event.kind == EventKind::ALIAS_MOVED && wanted(event);
    let all = state.log.after(Cursor::default(), &[]);
    let last = all.filter(|(_, event, about)| own(about) && moved(event)).last();
    Ok(last.map(|(_, event, _)| event))
}

/// Refuses to undo what is no move of the alias.
fn may_undo(state: &State, request: &MoveAlias) -> Result<()> {
    let Some(undone) = request.undoes else { return Ok(()) };
    if last_move(state, request, |event| event.id == undone)?.is_some() {
        return Ok(());
    }
    Err(Error::invalid(format!("event {undone} is no move of alias {}", request.alias)))
}

impl Judged {
    fn places(&self) -> (Option<u64>, Option<u64>) {
        let number = |version: &Option<ModelVersion>| version.as_ref().map(|own| own.id.version);
        (number(&self.from), number(&self.to))
    }

    /// Every condition that is not met. Removing an alias has none, since gates judge a candidate;
    /// nor has leaving it where it is.
    pub(super) fn unmet(&self, request: &MoveAlias) -> Result<Vec<Unmet>> {
        let (from, to) = self.places();
        let Some(candidate) = self.to.as_ref().filter(|_| from != to) else {
            return Ok(Vec::new());
        };
        let mut unmet = Vec::new();
        for gate in &request.gates {
            let found = gate.unmet(candidate, self.from.as_ref());
            unmet.extend(found.context(|| format!("gate \"{gate}\""))?);
        }
        Ok(unmet)
    }
}

/// Moves the alias, or writes down what kept it; `None` if it moved since it was judged.
pub(super) fn settle(
    tx: &mut Tx<'_>,
    request: &MoveAlias,
    judged_then: &Judged,
    unmet: &[Unmet],
) -> Result<Option<AliasMove>> {
    let (from, to) = judged(tx.state, request)?.places();
    if (from, to) != judged_then.places() {
        return Ok(None);
    }
    if from == to {
        return Ok(Some(AliasMove::Moved { from, to }));
    }
    if unmet.is_empty() {
        may_undo(tx.state, request)?;
    }
    record(tx, request, (from, to), unmet)?;
    if !unmet.is_empty() {
        return Ok(Some(AliasMove::Refused { unmet: unmet.to_vec() }));
    }
    let model = &mut models::get_mut(tx.state, &request.model)?.model;
    match to {
        Some(to) => model.aliases.insert(request.alias.clone(), to),
        None => model.aliases.remove(&request.alias),
    };
    Ok(Some(AliasMove::Moved { from, to }))
}

/// Writes down who moved what and why, or what kept it where it is.
fn record(
    tx: &mut Tx<'_>,
    request: &MoveAlias,
    (from, to): (Option<u64>, Option<u64>),
    unmet: &[Unmet],
) -> Result<()> {
    let moved = AliasMoved::new(request.alias.clone(), from, to);
    let (kind, detail) = if unmet.is_empty() {
        (EventKind::ALIAS_MOVED, json!(moved.with_undoes(request.undoes)))
    } else {
        let detail = json!({ "alias": moved.alias, "from": from, "to": to, "unmet": unmet });
        (EventKind::ALIAS_REFUSED, detail)
    };
    let event = tx.event(kind, models::subject(&request.model));
    let event = event.with_reason(request.reason.clone()).with_detail(detail);
    let model = Some(models::get(tx.state, &request.model)?.number);
    let versions = from.into_iter().chain(to).collect();
    tx.state.log.append(event, About { model, alias: Some(request.alias.clone()), versions });
    Ok(())
}
