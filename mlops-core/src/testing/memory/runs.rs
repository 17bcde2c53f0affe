//! Runs: created, changed, ended, expired.

use super::{State, Tx, experiments, log::About};
use crate::{
    Error, Principal, Result, RunId, Timestamp,
    artifact::{ArtifactPath, ArtifactRef},
    event::{Event, EventKind},
    tracker::{CreateRun, Lifecycle, MetricPoint, Run, RunChange, RunStatus},
};
use serde_json::json;
use std::{collections::BTreeMap, sync::Arc, time::Duration};

/// The tag of a run that is part of another, as MLflow's clients know it.
const PARENT: &str = "mlflow.parentRunId";
/// The tag that says why a run failed whose process did not.
const FAILURE: &str = "mlops.failure";

/// A run and what hangs on it.
#[derive(Clone, Debug)]
pub(super) struct Held {
    pub(super) run: Run,
    /// Every point of each metric, in the order of [`MetricPoint::order`].
    pub(super) points: BTreeMap<Arc<str>, Vec<MetricPoint>>,
    pub(super) artifacts: BTreeMap<ArtifactPath, ArtifactRef>,
    /// Until when its process has promised to live.
    lease: Option<Timestamp>,
}

pub(super) fn get(state: &State, id: RunId) -> Result<&Held> {
    state.runs.get(&id).ok_or_else(|| unknown(id))
}

pub(super) fn get_mut(state: &mut State, id: RunId) -> Result<&mut Held> {
    state.runs.get_mut(&id).ok_or_else(|| unknown(id))
}

fn unknown(id: RunId) -> Error {
    Error::not_found(format!("run {id} does not exist"))
}

/// Refuses a run that is not there or deleted.
pub(super) fn live(state: &State, id: RunId) -> Result<&Held> {
    let held = get(state, id)?;
    match held.run.lifecycle {
        Lifecycle::Active => Ok(held),
        Lifecycle::Deleted => Err(Error::conflict(format!("run {id} is deleted"))),
    }
}

pub(super) fn create(tx: &mut Tx<'_>, new: CreateRun) -> Result<Run> {
    let there = new.idempotency_key.as_ref().and_then(|key| tx.state.run_keys.get(key));
    if let Some(&id) = there {
        return get(tx.state, id).map(|held| held.run.clone());
    }
    experiments::live(tx.state, &new.experiment)?;
    if let Some(parent) = new.parent {
        get(tx.state, parent)?;
    }
    let id = RunId::from_u128(tx.id());
    let name = new.name.unwrap_or_else(|| Arc::from(format!("run-{}", &id.to_string()[24..])));
    let mut run = Run::new(id, new.experiment, name, new.started.unwrap_or(tx.now));
    run.actor = Arc::clone(&tx.actor.name);
    run.tags = new.tags;
    run.tags.extend(new.parent.map(|parent| (PARENT.to_owned(), parent.to_string())));
    let detail = json!({ "experiment": run.experiment, "name": run.name });
    let event = tx.event(EventKind::RUN_CREATED, format!("run/{id}")).with_detail(detail);
    tx.state.log.append(event, About::default());
    let (points, artifacts) = (BTreeMap::new(), BTreeMap::new());
    tx.state.runs.insert(id, Held { run: run.clone(), points, artifacts, lease: None });
    tx.state.run_keys.extend(new.idempotency_key.map(|key| (key, id)));
    Ok(run)
}

pub(super) fn update(tx: &mut Tx<'_>, id: RunId, change: RunChange) -> Result<Run> {
    let now = tx.now;
    let held = get(tx.state, id)?;
    let corrects = change.reopen && change.ended.is_some() && change.ended != held.run.ended;
    let other = |status: &RunStatus| *status != held.run.status || (corrects && status.is_final());
    let status = change.status.filter(other);
    if status.is_some() && held.run.status.is_final() && !change.reopen {
        return Err(ended(&held.run));
    }
    let event = status.filter(|status| status.is_final()).map(|status| ending(tx, id, status));
    tx.state.log_all(event);
    let held = get_mut(tx.state, id)?;
    if let Some(status) = status {
        let ended = status.is_final().then(|| change.ended.unwrap_or(now));
        end(held, status, ended);
    }
    let run = &mut held.run;
    run.name = change.name.unwrap_or_else(|| Arc::clone(&run.name));
    run.lifecycle = change.lifecycle.unwrap_or(run.lifecycle);
    for key in &change.remove_tags {
        run.tags.remove(key);
    }
    Ok(run.clone())
}

fn ended(run: &Run) -> Error {
    Error::conflict(format!("run {} ended as {:?}", run.id, run.status))
}

fn end(held: &mut Held, status: RunStatus, ended: Option<Timestamp>) {
    (held.run.status, held.run.ended) = (status, ended);
    if ended.is_some() {
        // A lease is of use only while something may still come.
        held.lease = None;
    }
}

fn ending(tx: &Tx<'_>, id: RunId, status: RunStatus) -> Event {
    tx.event(EventKind::RUN_ENDED, format!("run/{id}")).with_detail(json!({ "status": status }))
}

impl State {
    fn log_all(&mut self, events: impl IntoIterator<Item = Event>) {
        for event in events {
            self.log.append(event, About::default());
        }
    }
}

pub(super) fn renew_lease(tx: &mut Tx<'_>, id: RunId, lasts: Duration) -> Result<()> {
    let until = tx.now.plus(lasts);
    let held = get_mut(tx.state, id)?;
    if held.run.status.is_final() {
        return Err(ended(&held.run));
    }
    held.lease = Some(until);
    Ok(())
}

/// Ends every run whose lease has run out: its process is gone.
pub(super) fn expire(tx: &mut Tx<'_>) {
    let over = |held: &Held| held.lease.filter(|until| *until <= tx.now);
    let expired: Vec<(RunId, Timestamp)> =
        tx.state.runs.iter().filter_map(|(id, held)| Some((*id, over(held)?))).collect();
    for (id, until) in expired {
        let reason = format!("its lease ran out at {until}");
        let mut event = ending(tx, id, RunStatus::Failed).with_reason(reason.as_str());
        // Not whoever happens to look: the record itself notes it.
        event.actor = Principal::host().name;
        tx.state.log_all([event]);
        if let Some(held) = tx.state.runs.get_mut(&id) {
            end(held, RunStatus::Failed, Some(until));
            held.run.tags.insert(FAILURE.to_owned(), reason);
        }
    }
}
