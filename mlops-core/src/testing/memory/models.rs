//! Registered models.

use super::{
    State, Tx,
    experiments::set,
    log::{About, Log},
};
use crate::{
    Error, ModelName, Result,
    event::{Cursor, Event, EventKind},
    page::Page,
    registry::{CreateModel, HistoryQuery, ModelChange, ModelVersion, RegisteredModel, Which},
};
use serde_json::json;
use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

/// How many events a page of a history has if nobody says, and at most.
const HISTORY: (usize, usize) = (1_000, 10_000);

/// A model and what hangs on it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    /// Tells it from others that had its name.
    pub(super) number: u64,
    pub(super) model: RegisteredModel,
    /// Without their aliases, which the model knows.
    pub(super) versions: BTreeMap<u64, ModelVersion>,
    /// The version that an idempotency key made.
    pub(super) keys: HashMap<Arc<str>, u64>,
}

pub(super) fn get<'a>(state: &'a State, name: &ModelName) -> Result<&'a Held> {
    state.models.get(name).ok_or_else(|| unknown(name))
}

pub(super) fn get_mut<'a>(state: &'a mut State, name: &ModelName) -> Result<&'a mut Held> {
    state.models.get_mut(name).ok_or_else(|| unknown(name))
}

fn unknown(name: &ModelName) -> Error {
    Error::not_found(format!("model {:?} does not exist", name.as_str()))
}

fn free(state: &State, name: &ModelName) -> Result<()> {
    if state.models.contains_key(name) {
        return Err(Error::already_exists(format!("model {:?} exists already", name.as_str())));
    }
    Ok(())
}

pub(super) fn create(tx: &mut Tx<'_>, new: CreateModel) -> Result<RegisteredModel> {
    free(tx.state, &new.name)?;
    let held = add(tx, &new.name);
    (held.model.description, held.model.tags) = (new.description, new.tags);
    Ok(held.model.clone())
}

/// The model of a name, which is made if it is not there.
pub(super) fn add<'a>(tx: &'a mut Tx<'_>, name: &ModelName) -> &'a mut Held {
    let (now, state) = (tx.now, &mut *tx.state);
    state.models.entry(name.clone()).or_insert_with(|| {
        state.models_made += 1;
        let model = RegisteredModel::new(name.clone(), now);
        let (versions, keys) = (BTreeMap::new(), HashMap::new());
        Held { number: state.models_made, model, versions, keys }
    })
}

pub(super) fn update(
    tx: &mut Tx<'_>,
    name: &ModelName,
    change: ModelChange,
) -> Result<RegisteredModel> {
    get(tx.state, name)?;
    let to = change.name.filter(|to| to != name);
    if let Some(to) = &to {
        rename(tx, name, to)?;
    }
    let now = tx.now;
    let model = &mut get_mut(tx.state, to.as_ref().unwrap_or(name))?.model;
    if to.is_some() || change.description.is_some() {
        model.updated = now;
    }
    model.description = change.description.or(model.description.take());
    set(&mut model.tags, change.tags);
    Ok(model.clone())
}

fn rename(tx: &mut Tx<'_>, from: &ModelName, to: &ModelName) -> Result<()> {
    free(tx.state, to)?;
    let kind = EventKind::of("model.renamed");
    let event = tx.event(kind, subject(to)).with_detail(json!({ "from": from, "to": to }));
    let mut held = tx.state.models.remove(from).ok_or_else(|| unknown(from))?;
    held.model.name = to.clone();
    let now = tx.now;
    for version in held.versions.values_mut() {
        (version.id.model, version.updated) = (to.clone(), now);
    }
    // The numbers go along, so that none is given twice under either name.
    let given = tx.state.numbers.get(from).copied().unwrap_or_default();
    let last = tx.state.numbers.entry(to.clone()).or_default();
    *last = given.max(*last);
    tx.state.log.append(event, About { model: Some(held.number), ..About::default() });
    tx.state.models.insert(to.clone(), held);
    Ok(())
}

/// What happened to it stays in the event log.
pub(super) fn delete(tx: &mut Tx<'_>, name: &ModelName) -> Result<()> {
    let model = Some(get(tx.state, name)?.number);
    let event = tx.event(EventKind::of("model.deleted"), subject(name));
    tx.state.models.remove(name);
    tx.state.log.append(event, About { model, ..About::default() });
    Ok(())
}

/// The subject of events about a model.
pub(super) fn subject(name: &ModelName) -> String {
    format!("model/{name}")
}

pub(super) fn history(state: &State, query: &HistoryQuery) -> Result<Page<Event>> {
    let limit = super::pages::checked(query.max_results, HISTORY.0, HISTORY.1)?;
    let held = get(state, &query.of.model)?;
    if let Which::Version(_) = query.of.which {
        super::versions::resolve(state, &query.of)?;
    }
    let wanted = |about: &About| {
        about.model == Some(held.number)
            && match &query.of.which {
                Which::Alias(alias) => about.alias.as_ref() == Some(alias),
                Which::Version(version) => about.versions.contains(version),
                Which::Latest => true,
            }
    };
    Ok(page(&state.log, query, wanted, limit))
}

fn page(
    log: &Log,
    query: &HistoryQuery,
    wanted: impl Fn(&About) -> bool,
    limit: usize,
) -> Page<Event> {
    let after = log.after(query.after.unwrap_or_default(), &query.kinds);
    let mut found: Vec<(Cursor, &Event)> = after
        .filter(|(_, _, about)| wanted(about))
        .map(|(place, event, _)| (place, event))
        .take(limit + 1)
        .collect();
    let more = found.len() > limit;
    found.truncate(limit);
    // The place to read on from, as `HistoryQuery::after` takes it.
    let next = found.last().filter(|_| more).map(|(place, _)| place.0.to_string());
    Page { items: found.into_iter().map(|(_, event)| event.clone()).collect(), next }
}
