//! Experiments.

use super::{State, Tx};
use crate::{
    Error, ExperimentId, Result, Timestamp,
    tracker::{CreateExperiment, Experiment, ExperimentChange, Lifecycle, Tags},
};
use std::collections::BTreeMap;

/// What is there from the beginning.
pub(super) fn first(now: Timestamp) -> BTreeMap<i64, Experiment> {
    BTreeMap::from([(0, Experiment::new(identity(0), "Default", now))])
}

fn identity(number: i64) -> ExperimentId {
    ExperimentId::new(number.to_string()).expect("a number counted from 0 is a decimal number")
}

/// The number of an experiment that is there.
fn number(state: &State, id: &ExperimentId) -> Result<i64> {
    let number = id.as_str().parse().ok().filter(|number| state.experiments.contains_key(number));
    number.ok_or_else(|| Error::not_found(format!("experiment {id} does not exist")))
}

/// Refuses an experiment that is not there or deleted.
pub(super) fn live(state: &State, id: &ExperimentId) -> Result<()> {
    match state.experiments[&number(state, id)?].lifecycle {
        Lifecycle::Active => Ok(()),
        Lifecycle::Deleted => Err(Error::not_found(format!("experiment {id} is deleted"))),
    }
}

pub(super) fn create(tx: &mut Tx<'_>, new: CreateExperiment) -> Result<Experiment> {
    free(tx.state, &new.name, None)?;
    let number = tx.state.experiments.keys().last().map_or(0, |last| last + 1);
    let mut experiment = Experiment::new(identity(number), new.name, tx.now);
    (experiment.tags, experiment.artifact_location) = (new.tags, new.artifact_location);
    tx.state.experiments.insert(number, experiment.clone());
    Ok(experiment)
}

pub(super) fn update(
    tx: &mut Tx<'_>,
    id: &ExperimentId,
    change: ExperimentChange,
) -> Result<Experiment> {
    let number = number(tx.state, id)?;
    let mut experiment = tx.state.experiments[&number].clone();
    if change.name.is_some() || change.lifecycle.is_some() {
        experiment.updated = tx.now;
    }
    if let Some(name) = change.name {
        free(tx.state, &name, Some(id))?;
        experiment.name = name;
    }
    experiment.lifecycle = change.lifecycle.unwrap_or(experiment.lifecycle);
    set(&mut experiment.tags, change.tags);
    tx.state.experiments.insert(number, experiment.clone());
    Ok(experiment)
}

/// A name is taken also by a deleted experiment, which could be restored.
fn free(state: &State, name: &str, own: Option<&ExperimentId>) -> Result<()> {
    if name.trim().is_empty() {
        return Err(Error::invalid("an experiment needs a name"));
    }
    let taken = |other: &Experiment| other.name.as_ref() == name && Some(&other.id) != own;
    match state.experiments.values().find(|other| taken(other)).map(|other| other.lifecycle) {
        None => Ok(()),
        Some(lifecycle) => {
            let deleted = if lifecycle == Lifecycle::Deleted { " (deleted)" } else { "" };
            Err(Error::already_exists(format!("experiment {name:?} exists already{deleted}")))
        }
    }
}

/// Sets tags and removes those without a value.
pub(super) fn set(tags: &mut Tags, changes: BTreeMap<String, Option<String>>) {
    for (key, value) in changes {
        match value {
            Some(value) => tags.insert(key, value),
            None => tags.remove(&key),
        };
    }
}
