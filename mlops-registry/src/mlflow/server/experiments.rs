//! Experiments.

use super::{
    args::{Args, invalid, missing},
    call::Call,
    limits,
    routes::{Route, route},
};
use mlops_core::{
    Error, ExperimentId, Result, Tracker,
    page::{Page, Search, View},
    tracker::{CreateExperiment, Experiment, ExperimentChange, Lifecycle, Tags},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The most experiments of a page.
const MOST: usize = 50_000;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mlflow/experiments/create" Write create),
        route!(GET "/mlflow/experiments/get" Read get),
        route!(GET "/mlflow/experiments/get-by-name" Read get_by_name),
        route!(POST "/mlflow/experiments/search" Read search),
        route!(GET "/mlflow/experiments/search" Read search),
        route!(POST "/mlflow/experiments/update" Write update),
        route!(POST "/mlflow/experiments/delete" Write delete),
        route!(POST "/mlflow/experiments/restore" Write restore),
        route!(POST "/mlflow/experiments/set-experiment-tag" Write set_tag),
        route!(POST "/mlflow/experiments/delete-experiment-tag" Write delete_tag),
    ]
}

async fn create(call: Call) -> Result<Value> {
    let args = &call.args;
    let name = args.required_text("name")?;
    limits::within(name, "name", limits::EXPERIMENT)?;
    let place = args.text("artifact_location")?.filter(|place| !place.is_empty());
    if place.is_some_and(|place| place.contains(['#', ';'])) {
        return Err(Error::invalid("'artifact_location' can have no fragment and no params"));
    }
    let tags = tags(args)?;
    tags.iter().try_for_each(|(key, value)| tag(key, value))?;
    let new =
        CreateExperiment::new(name).with_tags(tags).with_artifact_location(place.map(Arc::from));
    let made = call.store.create_experiment(new).await?;
    Ok(json!({ "experiment_id": made.id }))
}

/// Refuses a tag that MLflow refuses.
fn tag(key: &str, value: &str) -> Result<()> {
    limits::key(key, "key")?;
    limits::within(value, "value", limits::EXPERIMENT_TAG)
}

async fn get(call: Call) -> Result<Value> {
    let id = id(&call.args)?;
    Ok(json!({ "experiment": shown(&one(&call, &id).await?) }))
}

async fn get_by_name(call: Call) -> Result<Value> {
    let name = call.args.required_text("experiment_name")?;
    let found = call.store.experiment_named(name).await?;
    let missing = || Error::not_found(format!("Could not find experiment with name '{name}'"));
    Ok(json!({ "experiment": shown(&found.ok_or_else(missing)?) }))
}

async fn search(call: Call) -> Result<Value> {
    let args = &call.args;
    // MLflow takes a size that is not given for 0.
    let size = args.page_size(MOST)?;
    let size = size.ok_or_else(|| invalid(&0, "max_results", "a number above 0 is expected"))?;
    let mut search = Search::new()
        .with_filter(args.text("filter")?.unwrap_or_default())
        .with_view(view(args, "view_type")?)
        .with_max_results(size)
        .with_page(args.page_token()?);
    for key in args.texts("order_by")? {
        search = search.with_order_by(key);
    }
    let found = call.store.experiments(search).await?;
    Ok(page("experiments", found, shown))
}

async fn update(call: Call) -> Result<Value> {
    let name = call.args.text("new_name")?.filter(|name| !name.is_empty());
    let name = name.ok_or_else(|| missing("new_name"))?;
    limits::within(name, "name", limits::EXPERIMENT)?;
    let id = id(&call.args)?;
    if one(&call, &id).await?.lifecycle == Lifecycle::Deleted {
        return Err(Error::invalid(format!("experiment {id} is deleted and keeps its name")));
    }
    change(&call, ExperimentChange::default().with_name(Arc::from(name))).await
}

async fn delete(call: Call) -> Result<Value> {
    life(&call, Lifecycle::Active, Lifecycle::Deleted).await
}

async fn restore(call: Call) -> Result<Value> {
    life(&call, Lifecycle::Deleted, Lifecycle::Active).await
}

/// An experiment that is not in the state to leave does not exist for this call.
async fn life(call: &Call, from: Lifecycle, to: Lifecycle) -> Result<Value> {
    let id = id(&call.args)?;
    if one(call, &id).await?.lifecycle != from {
        let word = if from == Lifecycle::Active { "active" } else { "deleted" };
        return Err(Error::not_found(format!("no {word} experiment has the id {id}")));
    }
    call.store.set_experiment_life(&id, to).await?;
    Ok(json!({}))
}

async fn set_tag(call: Call) -> Result<Value> {
    let key = call.args.required_text("key")?;
    let value = call.args.text("value")?.unwrap_or_default();
    tag(key, value)?;
    live(&call).await?;
    let mut tagged = ExperimentChange::default();
    tagged.tags.insert(key.to_owned(), Some(value.to_owned()));
    change(&call, tagged).await
}

async fn delete_tag(call: Call) -> Result<Value> {
    let key = call.args.required_text("key")?;
    let there = live(&call).await?;
    if !there.tags.contains_key(key) {
        return Err(Error::not_found(format!("experiment {} has no tag {key:?}", there.id)));
    }
    let mut tagged = ExperimentChange::default();
    tagged.tags.insert(key.to_owned(), None);
    change(&call, tagged).await
}

async fn change(call: &Call, change: ExperimentChange) -> Result<Value> {
    call.store.update_experiment(&id(&call.args)?, change).await?;
    Ok(json!({}))
}

/// The experiment of a call that tags it, which must be live.
async fn live(call: &Call) -> Result<Experiment> {
    let found = one(call, &id(&call.args)?).await?;
    match found.lifecycle {
        Lifecycle::Active => Ok(found),
        _ => Err(Error::invalid(format!("experiment {} is deleted", found.id))),
    }
}

async fn one(call: &Call, id: &ExperimentId) -> Result<Experiment> {
    call.store.experiment(id).await
}

/// The experiment that a call is about; one that is no number is one that nobody has.
pub(super) fn id(args: &Args) -> Result<ExperimentId> {
    experiment_id(args.required_text("experiment_id")?)
}

pub(super) fn experiment_id(text: &str) -> Result<ExperimentId> {
    ExperimentId::new(text).map_err(|_| {
        let shown: String = text.chars().take(64).collect();
        Error::invalid(format!("Invalid experiment ID {shown:?}: a whole number is expected"))
    })
}

/// Which of live and deleted things a call asks for.
pub(super) fn view(args: &Args, name: &str) -> Result<View> {
    match args.any(name) {
        None => Ok(View::Active),
        Some(word) => match word.as_str() {
            Some("ACTIVE_ONLY" | "1") => Ok(View::Active),
            Some("DELETED_ONLY" | "2") => Ok(View::Deleted),
            Some("ALL" | "3") => Ok(View::All),
            _ => Err(invalid(word, name, "ACTIVE_ONLY, DELETED_ONLY or ALL is expected")),
        },
    }
}

/// The key-value pairs of a call.
pub(super) fn tags(args: &Args) -> Result<Tags> {
    let mut tags = Tags::new();
    for tag in args.objects("tags")? {
        let value = tag.text("value")?.unwrap_or_default();
        tags.insert(tag.text("key")?.unwrap_or_default().to_owned(), value.to_owned());
    }
    Ok(tags)
}

/// Key-value pairs as MLflow shows them.
pub(super) fn pairs(tags: &Tags) -> Vec<Value> {
    tags.iter().map(|(key, value)| json!({ "key": key, "value": value })).collect()
}

/// A page of a list: MLflow leaves out what is empty.
pub(super) fn page<T>(name: &str, page: Page<T>, shown: impl Fn(&T) -> Value) -> Value {
    let mut answer = json!({});
    if !page.items.is_empty() {
        answer[name] = page.items.iter().map(shown).collect();
    }
    if let Some(next) = page.next {
        answer["next_page_token"] = next.into();
    }
    answer
}

/// The word of a lifecycle.
pub(super) fn stage(lifecycle: Lifecycle) -> &'static str {
    if lifecycle == Lifecycle::Deleted { "deleted" } else { "active" }
}

/// Where the artifacts of an experiment lie for its clients.
pub(super) fn artifact_location(experiment: &Experiment) -> String {
    let own = || format!("mlflow-artifacts:/{}", experiment.id);
    experiment.artifact_location.as_deref().map_or_else(own, str::to_owned)
}

fn shown(experiment: &Experiment) -> Value {
    let mut shown = json!({
        "experiment_id": experiment.id,
        "name": experiment.name,
        "artifact_location": artifact_location(experiment),
        "lifecycle_stage": stage(experiment.lifecycle),
        "last_update_time": experiment.updated.unix_millis(),
        "creation_time": experiment.created.unix_millis(),
        // The only one there is.
        "workspace": "default",
    });
    if !experiment.tags.is_empty() {
        shown["tags"] = pairs(&experiment.tags).into();
    }
    shown
}
