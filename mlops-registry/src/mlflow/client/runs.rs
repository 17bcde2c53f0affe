//! Runs.

use super::{
    experiments::{self, lifecycle, most, tags, time},
    http::Session,
    request::Request,
    search::{Wanted, equals, next},
};
use crate::mlflow::wire::{
    Int, Pair, datasets, extension, reserved,
    runs::{self as wire, Metric},
};
use mlops_core::{
    Error, ErrorKind, ExperimentId, Result, RunId,
    page::{Page, Search},
    search::List,
    tracker::{CreateRun, Lifecycle, MetricPoint, Run, RunChange, RunStatus},
};
use reqwest::Method;
use std::{sync::Arc, time::Duration};

pub(super) async fn create(session: Arc<Session>, new: CreateRun) -> Result<Run> {
    unreserved(new.tags.keys())?;
    if let Some(parent) = new.parent {
        get(&session, parent).await?;
    }
    let plain_key = new.idempotency_key.as_ref().filter(|_| !session.is_ours());
    if let Some(key) = plain_key
        && let Some(run) = of_key(&session, key).await?
    {
        return Ok(run);
    }
    let mut tags: Vec<Pair> = experiments::pairs(&new.tags);
    tags.extend(plain_key.map(|key| Pair::new(reserved::KEY, &**key)));
    tags.extend(new.parent.map(|parent| Pair::new(reserved::PARENT, parent.to_string())));
    let started = new.started.unwrap_or_else(|| session.config.clock.now());
    let body = wire::CreateRun {
        experiment_id: new.experiment.to_string(),
        user_id: session.config.user.as_deref().map(str::to_owned),
        run_name: new.name.as_deref().map(str::to_owned),
        start_time: Some(Int(started.unix_millis())),
        tags,
    };
    let key = new.idempotency_key.as_ref().filter(|_| session.is_ours());
    let request = Request::post("runs/create", &body)?.with_key(key);
    let made: Result<wire::OneRun> = session.ask(&request).await;
    match made {
        Ok(made) => run(made.run),
        Err(error) => Err(refused(&session, &new.experiment, error).await),
    }
}

/// MLflow calls a deleted experiment an invalid parameter; it is one that takes no runs.
async fn refused(session: &Session, experiment: &ExperimentId, error: Error) -> Error {
    if !matches!(error.kind(), ErrorKind::Conflict | ErrorKind::InvalidInput) {
        return error;
    }
    match experiments::get(session, experiment.as_str()).await {
        Ok(found) if found.lifecycle == Lifecycle::Deleted => {
            Error::not_found(format!("experiment {experiment} is deleted")).with_source(error)
        }
        _ => error,
    }
}

/// The run that a key has made on a server that knows no keys.
async fn of_key(session: &Session, key: &str) -> Result<Option<Run>> {
    let filter = equals(&format!("tags.`{}`", reserved::KEY), key)?;
    let body = wire::SearchRuns {
        experiment_ids: experiments::all(session).await?,
        filter: Some(filter),
        run_view_type: Some("ALL".to_owned()),
        max_results: Some(Int(1)),
        order_by: vec!["start_time ASC".to_owned()],
        page_token: None,
    };
    let found: wire::Runs = session.ask(&Request::post("runs/search", &body)?.repeatable()).await?;
    found.runs.into_iter().next().map(run).transpose()
}

pub(super) async fn update(session: Arc<Session>, id: RunId, change: RunChange) -> Result<Run> {
    let own = || wire::RunId { run_id: id.to_string() };
    let before = get(&session, id).await?;
    let status = change.status.filter(|&status| status != before.status);
    if status.is_some() && before.status.is_final() && !change.reopen {
        return Err(Error::conflict(format!("run {id} ended as {}", word(before.status)?)));
    }
    if change.lifecycle == Some(Lifecycle::Active) && before.lifecycle != Lifecycle::Active {
        session.tell(&Request::post("runs/restore", &own())?.repeatable()).await?;
    }
    if status.is_some() || change.name.is_some() {
        let ended = status.filter(|status| status.is_final());
        let ended = ended.map(|_| change.ended.unwrap_or_else(|| session.config.clock.now()));
        let body = wire::UpdateRun {
            run_id: id.to_string(),
            status: status.map(word).transpose()?,
            end_time: ended.map(|time| Int(time.unix_millis())),
            run_name: change.name.as_deref().map(str::to_owned),
        };
        session.tell(&Request::post("runs/update", &body)?.repeatable()).await?;
    }
    for key in change.remove_tags {
        if before.tags.contains_key(&key) {
            let body = wire::RunTag { run_id: id.to_string(), key, value: None };
            session.tell(&Request::post("runs/delete-tag", &body)?).await?;
        }
    }
    if change.lifecycle == Some(Lifecycle::Deleted) && before.lifecycle != Lifecycle::Deleted {
        session.tell(&Request::post("runs/delete", &own())?.repeatable()).await?;
    }
    get(&session, id).await
}

pub(super) async fn find(session: Arc<Session>, search: Search) -> Result<Page<Run>> {
    let wanted = Wanted::of(&session, List::Runs, &search)?;
    let experiment_ids = match search.experiments.as_slice() {
        [] => experiments::all(&session).await?,
        some => some.iter().map(ToString::to_string).collect(),
    };
    let body = wire::SearchRuns {
        experiment_ids,
        filter: wanted.filter,
        run_view_type: Some(wanted.view.to_owned()),
        max_results: search.max_results.map(most).transpose()?,
        order_by: wanted.order_by,
        page_token: wanted.page,
    };
    let found: wire::Runs = session.ask(&Request::post("runs/search", &body)?.repeatable()).await?;
    let items = found.runs.into_iter().map(run).collect::<Result<_>>()?;
    Ok(Page { items, next: next(found.next_page_token) })
}

pub(super) async fn renew_lease(session: Arc<Session>, id: RunId, lasts: Duration) -> Result<()> {
    if !session.is_ours() {
        return Err(Error::unsupported("MLflow knows no leases: nobody there would end the run"));
    }
    let lasts_ms = Int(i64::try_from(lasts.as_millis()).unwrap_or(i64::MAX));
    let body = extension::RenewLease { run_id: id.to_string(), lasts_ms };
    let path = "api/2.0/mlops/runs/renew-lease";
    session.tell(&Request::send_at(Method::POST, path, &body)?.repeatable()).await
}

pub(super) async fn get(session: &Session, id: RunId) -> Result<Run> {
    run(wired(session, id).await?)
}

/// A run as the server describes it.
pub(super) async fn wired(session: &Session, id: RunId) -> Result<wire::Run> {
    let request = Request::get("runs/get").with("run_id", id);
    session.ask::<wire::OneRun>(&request).await.map(|found| found.run)
}

fn run(wire: wire::Run) -> Result<Run> {
    let info = wire.info;
    let foreign = |what: &str, cause: Error| {
        Error::new(ErrorKind::Unsupported, format!("a run whose {what} is none of ours: {cause}"))
    };
    let id: RunId = info.run_id.parse().map_err(|cause| foreign("id", cause))?;
    let experiment =
        ExperimentId::new(info.experiment_id).map_err(|cause| foreign("experiment", cause))?;
    let mut tags = tags(wire.data.tags);
    let name = info.run_name.or_else(|| tags.get(reserved::RUN_NAME).cloned()).unwrap_or_default();
    let mut run = Run::new(id, experiment, name, time(info.start_time));
    run.status = status(info.status.as_deref().unwrap_or_default())?;
    run.lifecycle = lifecycle(info.lifecycle_stage.as_deref().unwrap_or_default());
    let user = info.user_id.filter(|user| !user.is_empty());
    run.actor = user.or_else(|| tags.get("mlflow.user").cloned()).unwrap_or_default().into();
    run.ended = info.end_time.filter(|time| time.0 != 0).map(|millis| time(Some(millis)));
    run.params = wire.data.params.into_iter().map(|pair| (pair.key, pair.value)).collect();
    run.metrics =
        wire.data.metrics.into_iter().map(|metric| (metric.key.clone(), point(&metric))).collect();
    tags.retain(|key, _| !reserved::of_run(key));
    run.tags = tags;
    run.inputs = wire.inputs.dataset_inputs.iter().map(datasets::from_wire).collect();
    Ok(run)
}

pub(super) fn point(metric: &Metric) -> MetricPoint {
    let time = time(Some(metric.timestamp));
    MetricPoint { value: metric.value.meant(), step: metric.step.0, time }
}

/// Tags that callers do not set.
pub(super) fn unreserved<'a>(keys: impl IntoIterator<Item = &'a String>) -> Result<()> {
    match keys.into_iter().find(|key| reserved::of_run(key)) {
        Some(key) => Err(Error::invalid(format!("tag {key:?} is reserved"))),
        None => Ok(()),
    }
}

/// A status as MLflow writes it.
fn word(status: RunStatus) -> Result<String> {
    match serde_json::to_value(status) {
        Ok(serde_json::Value::String(word)) => Ok(word),
        _ => Err(Error::internal("a status is written as a word")),
    }
}

fn status(word: &str) -> Result<RunStatus> {
    serde_json::from_value(word.into())
        .map_err(|_| Error::unsupported(format!("this client does not know the status {word:?}")))
}
