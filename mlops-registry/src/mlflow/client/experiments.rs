//! Experiments.

use super::{
    http::Session,
    request::Request,
    search::{Wanted, next},
};
use crate::mlflow::wire::{Int, Pair, experiments as wire};
use mlops_core::{
    Error, ErrorKind, ExperimentId, Result, Timestamp,
    page::{Page, Search},
    search::List,
    tracker::{CreateExperiment, Experiment, ExperimentChange, Lifecycle, Tags},
};
use std::sync::Arc;

/// How many experiments a page has if nobody says.
const PAGE: usize = 1_000;
/// The most that MLflow gives at once.
const MOST: i64 = 50_000;

pub(super) async fn create(session: Arc<Session>, new: CreateExperiment) -> Result<Experiment> {
    let body = wire::CreateExperiment {
        name: new.name.to_string(),
        tags: pairs(&new.tags),
        artifact_location: new.artifact_location.as_deref().map(str::to_owned),
    };
    let made: wire::ExperimentId =
        session.ask(&Request::post("experiments/create", &body)?).await?;
    get(&session, &made.experiment_id).await
}

pub(super) async fn update(
    session: Arc<Session>,
    id: ExperimentId,
    change: ExperimentChange,
) -> Result<Experiment> {
    let own = || wire::ExperimentId { experiment_id: id.to_string() };
    let before = get(&session, id.as_str()).await?;
    if change.lifecycle == Some(Lifecycle::Active) && before.lifecycle != Lifecycle::Active {
        session.tell(&Request::post("experiments/restore", &own())?).await?;
    }
    if let Some(name) = change.name {
        let new_name = Some(name.to_string());
        let body = wire::UpdateExperiment { experiment_id: id.to_string(), new_name };
        session.tell(&Request::post("experiments/update", &body)?.repeatable()).await?;
    }
    for (key, value) in change.tags {
        let there = before.tags.contains_key(&key);
        let experiment_id = id.to_string();
        let name = match &value {
            Some(_) => "experiments/set-experiment-tag",
            None if there => "experiments/delete-experiment-tag",
            None => continue,
        };
        let body = wire::ExperimentTag { experiment_id, key, value };
        session.tell(&Request::post(name, &body)?.repeatable()).await?;
    }
    if change.lifecycle == Some(Lifecycle::Deleted) && before.lifecycle != Lifecycle::Deleted {
        session.tell(&Request::post("experiments/delete", &own())?).await?;
    }
    get(&session, id.as_str()).await
}

pub(super) async fn get(session: &Session, id: &str) -> Result<Experiment> {
    let request = Request::get("experiments/get").with("experiment_id", id);
    let found: wire::OneExperiment = session.ask(&request).await?;
    experiment(found.experiment)
}

pub(super) async fn find(session: Arc<Session>, search: Search) -> Result<Page<Experiment>> {
    let wanted = Wanted::of(&session, List::Experiments, &search)?;
    let max_results = search.max_results.unwrap_or(PAGE);
    let body = wire::SearchExperiments {
        max_results: Some(most(max_results)?),
        page_token: wanted.page,
        filter: wanted.filter,
        order_by: wanted.order_by,
        view_type: Some(wanted.view.to_owned()),
    };
    let request = Request::post("experiments/search", &body)?.repeatable();
    let found: wire::Experiments = session.ask(&request).await?;
    let items = found.experiments.into_iter().map(experiment).collect::<Result<_>>()?;
    Ok(Page { items, next: next(found.next_page_token) })
}

/// Every experiment, dead or alive: MLflow searches runs only in experiments that are named.
pub(super) async fn all(session: &Session) -> Result<Vec<String>> {
    let (mut ids, mut page_token) = (Vec::new(), None);
    loop {
        let body = wire::SearchExperiments {
            max_results: Some(Int(MOST)),
            page_token,
            view_type: Some("ALL".to_owned()),
            ..Default::default()
        };
        let request = Request::post("experiments/search", &body)?.repeatable();
        let found: wire::Experiments = session.ask(&request).await?;
        ids.extend(found.experiments.into_iter().map(|experiment| experiment.experiment_id));
        page_token = next(found.next_page_token);
        if page_token.is_none() {
            return Ok(ids);
        }
    }
}

fn experiment(wire: wire::Experiment) -> Result<Experiment> {
    let id = ExperimentId::new(wire.experiment_id).map_err(|cause| {
        Error::new(ErrorKind::Unsupported, "an experiment whose id is no number").with_source(cause)
    })?;
    let created = time(wire.creation_time);
    let mut experiment = Experiment::new(id, wire.name, created);
    experiment.updated = wire.last_update_time.map_or(created, |updated| time(Some(updated)));
    experiment.lifecycle = lifecycle(&wire.lifecycle_stage);
    experiment.tags = tags(wire.tags);
    let with_the_record = format!("mlflow-artifacts:/{}", experiment.id);
    let elsewhere = Some(wire.artifact_location).filter(|place| *place != with_the_record);
    experiment.artifact_location = elsewhere.filter(|place| !place.is_empty()).map(Arc::from);
    Ok(experiment)
}

pub(super) fn lifecycle(stage: &str) -> Lifecycle {
    if stage == "deleted" { Lifecycle::Deleted } else { Lifecycle::Active }
}

/// Milliseconds; the beginning of time if nobody noted it.
pub(super) fn time(millis: Option<Int>) -> Timestamp {
    Timestamp::from_unix_millis(millis.unwrap_or_default().0)
}

pub(super) fn pairs(tags: &Tags) -> Vec<Pair> {
    tags.iter().map(|(key, value)| Pair::new(key, value)).collect()
}

pub(super) fn tags(pairs: Vec<Pair>) -> Tags {
    pairs.into_iter().map(|pair| (pair.key, pair.value)).collect()
}

/// How many items of a list.
pub(super) fn most(max_results: usize) -> Result<Int> {
    if max_results == 0 {
        return Err(Error::invalid("a page holds at least one item"));
    }
    Ok(Int(i64::try_from(max_results).unwrap_or(i64::MAX)))
}
