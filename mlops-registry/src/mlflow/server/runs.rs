//! Runs: created, changed, shown, searched. What is written into them is in `entries`.

use super::{
    args::{Args, invalid, missing},
    call::Call,
    experiments::{experiment_id, page, tags, view},
    routes::{Route, route},
    shown::{self, Detail, RUN_NAME},
};
use crate::store::RunParts;
use mlops_core::{
    Error, ErrorKind, Result, RunId, Timestamp, Tracker,
    page::Search,
    search::{Filter, List, Order},
    tracker::{CreateRun, Lifecycle, Run, RunChange, RunStatus, Tags},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The most runs of a page.
const MOST: usize = 50_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mlflow/runs/create" Write create),
        route!(GET "/mlflow/runs/get" Read get),
        route!(POST "/mlflow/runs/update" Write update),
        route!(POST "/mlflow/runs/delete" Write delete),
        route!(POST "/mlflow/runs/restore" Write restore),
        route!(POST "/mlflow/runs/search" Read search),
    ]
}

async fn create(call: Call) -> Result<Value> {
    let args = &call.args;
    let experiment = experiment_id(args.required_text("experiment_id")?)?;
    let mut tags = tags(args)?;
    // MLflow's clients always say when; who does not gets what MLflow gives.
    let started = Timestamp::from_unix_millis(args.int("start_time")?.unwrap_or_default());
    let mut new = CreateRun::new(experiment).with_started(started);
    if let Some(name) = name(args, &mut tags)? {
        new = new.with_name(name);
    }
    if let Some(key) = &call.key {
        new = new.with_idempotency_key(Arc::clone(key));
    }
    let store = call.store_as(args.text("user_id")?);
    let (run, experiment) = store.create_run_in_experiment(new.with_tags(tags)).await?;
    let parts = RunParts::of_experiment(experiment);
    Ok(json!({ "run": shown::run(&run, &parts, Detail::New) }))
}

/// The name of a new run, given as such or as a tag; both must agree.
fn name(args: &Args, tags: &mut Tags) -> Result<Option<Arc<str>>> {
    let own = args.text("run_name")?.filter(|name| !name.is_empty());
    let tag = tags.remove(RUN_NAME).filter(|name| !name.is_empty());
    match (own, tag) {
        (Some(own), Some(tag)) if own != tag => Err(Error::invalid(format!(
            "the run is named {own:?}, and {tag:?} by its tag {RUN_NAME:?}"
        ))),
        (own, tag) => Ok(own.map(Arc::from).or_else(|| tag.map(Arc::from))),
    }
}

async fn get(call: Call) -> Result<Value> {
    let run = one(&call).await?;
    let parts = call.store.run_parts(std::slice::from_ref(&run)).await?;
    Ok(json!({ "run": shown::run(&run, &parts, Detail::Whole) }))
}

async fn update(call: Call) -> Result<Value> {
    let args = &call.args;
    // Somebody may go on with a run that ended, or correct how it did.
    let mut change = RunChange::default().with_reopen(true);
    if let Some(status) = status(args)? {
        change = change.with_status(status);
    }
    if let Some(ended) = args.int("end_time")? {
        change = change.with_ended(Timestamp::from_unix_millis(ended));
    }
    if let Some(name) = args.text("run_name")?.filter(|name| !name.is_empty()) {
        change = change.with_name(Arc::from(name));
    }
    let run = live(&call).await?;
    let run = call.store.update_run(&run.id, change).await?;
    let parts = call.store.run_parts(std::slice::from_ref(&run)).await?;
    Ok(json!({ "run_info": shown::info(&run, &parts) }))
}

/// The status of a call, by its word or by MLflow's number.
fn status(args: &Args) -> Result<Option<RunStatus>> {
    let Some(given) = args.any("status") else { return Ok(None) };
    let all = [
        RunStatus::Running,
        RunStatus::Scheduled,
        RunStatus::Finished,
        RunStatus::Failed,
        RunStatus::Killed,
    ];
    let mut numbered = (1..).zip(all);
    let same = |(number, status): &(u64, RunStatus)| {
        given.as_u64() == Some(*number) || given.as_str() == Some(shown::status(*status))
    };
    let known = numbered.find(same).map(|(_, status)| status);
    let why = "RUNNING, SCHEDULED, FINISHED, FAILED or KILLED is expected";
    known.map(Some).ok_or_else(|| invalid(given, "status", why))
}

async fn delete(call: Call) -> Result<Value> {
    life(&call, Lifecycle::Deleted).await
}

async fn restore(call: Call) -> Result<Value> {
    life(&call, Lifecycle::Active).await
}

async fn life(call: &Call, to: Lifecycle) -> Result<Value> {
    let change = RunChange::default().with_lifecycle(to);
    call.store.update_run(&id(&call.args)?, change).await?;
    Ok(json!({}))
}

async fn search(call: Call) -> Result<Value> {
    let args = &call.args;
    let (filter, order) = (args.text("filter")?.unwrap_or_default(), args.texts("order_by")?);
    let mut search = Search::new()
        .with_filter(filter)
        .with_view(view(args, "run_view_type")?)
        .with_max_results(args.page_size(MOST)?.unwrap_or(1000))
        .with_page(args.page_token()?);
    for key in &order {
        search = search.with_order_by(*key);
    }
    for id in args.texts("experiment_ids")? {
        search = search.with_experiment(experiment_id(id)?);
    }
    if search.experiments.is_empty() {
        // Of no experiments there are no runs; what is wrong with the search is said all the same.
        Filter::parse(List::Runs, filter)?;
        Order::parse(List::Runs, &order)?;
        return Ok(json!({}));
    }
    let found = call.store.runs(search).await?;
    let parts = call.store.run_parts(&found.items).await?;
    Ok(page("runs", found, |run| shown::run(run, &parts, Detail::Listed)))
}

/// The run that a call is about; an identity that is none of ours is one that no run has.
pub(super) fn id(args: &Args) -> Result<RunId> {
    let given = |name| Ok::<_, Error>(args.text(name)?.filter(|id| !id.is_empty()));
    let text = given("run_id")?.or(given("run_uuid")?).ok_or_else(|| missing("run_id"))?;
    run_id(text)
}

pub(super) fn run_id(text: &str) -> Result<RunId> {
    let unknown = || {
        let shown: String = text.chars().take(64).collect();
        Error::not_found(format!("Run with id={shown} not found"))
    };
    text.parse().map_err(|_: Error| unknown())
}

async fn one(call: &Call) -> Result<Run> {
    call.store.run(&id(&call.args)?).await
}

/// A run that may be written to.
pub(super) async fn live(call: &Call) -> Result<Run> {
    let run = one(call).await?;
    if run.lifecycle == Lifecycle::Deleted {
        return Err(deleted(run.id));
    }
    Ok(run)
}

fn deleted(id: RunId) -> Error {
    Error::invalid(format!("The run {id} must be in the 'active' state: it is deleted"))
}

/// MLflow knows no conflict of what is written: it is an invalid parameter.
pub(super) fn as_invalid(error: Error) -> Error {
    match error.kind() {
        ErrorKind::Conflict => Error::invalid(error.message().to_owned()).with_source(error),
        _ => error,
    }
}
