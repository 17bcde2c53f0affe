//! A run as MLflow shows it.

use super::experiments::{artifact_location, pairs, stage};
use crate::store::{ModelRole, RunModel, RunParts};
use mlops_core::{
    Principal,
    tracker::{DatasetInput, MetricPoint, Run, RunStatus},
};
use serde_json::{Map, Number, Value, json};

/// The tag that is also a run's name.
pub(super) const RUN_NAME: &str = "mlflow.runName";
/// The tag of an input that says what it was used for.
pub(super) const CONTEXT: &str = "mlflow.data.context";

/// The tag of an input that says how many rows it has: MLflow has no field for it.
pub(super) const ROWS: &str = "mlops.rows";

/// How much of a run an answer has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Detail {
    /// What was just created.
    New,
    /// One of a list: without the models that it read.
    Listed,
    Whole,
}

/// A run with all that an answer says of it.
pub(super) fn run(run: &Run, parts: &RunParts, detail: Detail) -> Value {
    let mut shown = json!({ "info": info(run, parts), "data": data(run), "inputs": {} });
    let inputs: Vec<Value> = run.inputs.iter().map(input).collect();
    put(&mut shown["inputs"], "dataset_inputs", inputs);
    let models = parts.models(run.id);
    if detail == Detail::Whole {
        let read = models.iter().filter(|model| model.role == ModelRole::Input);
        let read = read.map(|model| json!({ "model_id": model.model })).collect();
        put(&mut shown["inputs"], "model_inputs", read);
    }
    if detail != Detail::New {
        let made = models.iter().filter(|model| model.role == ModelRole::Output);
        let made =
            made.map(|RunModel { model, step, .. }| json!({ "model_id": model, "step": step }));
        shown["outputs"] = json!({});
        put(&mut shown["outputs"], "model_outputs", made.collect());
    }
    shown
}

/// The facts of a run that are not written into it.
pub(super) fn info(run: &Run, parts: &RunParts) -> Value {
    let mut info = json!({
        "run_id": run.id,
        "run_uuid": run.id,
        "experiment_id": run.experiment,
        "run_name": run.name,
        "user_id": user(run),
        "status": status(run.status),
        "start_time": run.started.unix_millis(),
        "artifact_uri": artifact_uri(run, parts),
        "lifecycle_stage": stage(run.lifecycle),
    });
    if let Some(ended) = run.ended {
        info["end_time"] = ended.unix_millis().into();
    }
    info
}

/// Where the artifacts of a run lie for its clients.
fn artifact_uri(run: &Run, parts: &RunParts) -> String {
    let place = parts.experiment(&run.experiment).map(artifact_location);
    let place = place.unwrap_or_else(|| format!("mlflow-artifacts:/{}", run.experiment));
    format!("{}/{}/artifacts", place.trim_end_matches('/'), run.id)
}

/// Who started it; nobody said so if it was the host itself.
fn user(run: &Run) -> &str {
    if run.actor == Principal::host().name { "" } else { &run.actor }
}

/// The word of MLflow.
pub(super) fn status(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Scheduled => "SCHEDULED",
        RunStatus::Finished => "FINISHED",
        RunStatus::Failed => "FAILED",
        RunStatus::Killed => "KILLED",
        _ => "RUNNING",
    }
}

/// What was written into a run. The name is a tag as well.
fn data(run: &Run) -> Value {
    let mut data = json!({});
    let metrics = run.metrics.iter().map(|(name, point)| metric(name, point).into());
    put(&mut data, "metrics", metrics.collect());
    put(&mut data, "params", pairs(&run.params));
    let mut tags = pairs(&run.tags);
    tags.push(json!({ "key": RUN_NAME, "value": run.name }));
    put(&mut data, "tags", tags);
    data
}

/// A point of a metric.
pub(super) fn metric(name: &str, point: &MetricPoint) -> Map<String, Value> {
    let mut shown = Map::new();
    shown.insert("key".to_owned(), name.into());
    shown.insert("value".to_owned(), number(point.value));
    shown.insert("timestamp".to_owned(), point.time.unix_millis().into());
    shown.insert("step".to_owned(), point.step.into());
    shown
}

/// A number as MLflow writes it: what is infinite is the greatest finite one, what is none a text.
pub(super) fn number(value: f64) -> Value {
    let finite = if value.is_infinite() { f64::MAX.copysign(value) } else { value };
    Number::from_f64(finite).map_or_else(|| "NaN".into(), Value::Number)
}

fn input(input: &DatasetInput) -> Value {
    let mut dataset = json!({
        "name": input.name,
        "digest": input.digest,
        "source_type": input.source_type.as_deref().unwrap_or_default(),
        "source": input.source.as_deref().unwrap_or_default(),
    });
    for (name, text) in [("schema", &input.schema), ("profile", &input.profile)] {
        if let Some(text) = text {
            dataset[name] = text.as_ref().into();
        }
    }
    let mut tags = pairs(&input.tags);
    if !input.context.is_empty() {
        tags.push(json!({ "key": CONTEXT, "value": input.context }));
    }
    if let Some(rows) = input.rows {
        tags.push(json!({ "key": ROWS, "value": rows.to_string() }));
    }
    let mut shown = json!({ "dataset": dataset });
    put(&mut shown, "tags", tags);
    shown
}

/// MLflow leaves out what is empty.
fn put(object: &mut Value, name: &str, items: Vec<Value>) {
    if !items.is_empty() {
        object[name] = items.into();
    }
}
