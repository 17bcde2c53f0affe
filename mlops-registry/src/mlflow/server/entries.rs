//! What is written into runs: metrics, parameters, tags, one by one or together.

use super::{
    args::{Args, invalid, missing},
    call::Call,
    inputs, limits,
    routes::{Route, route},
    runs::{as_invalid, id, live},
    shown::RUN_NAME,
};
use crate::store::{Entry, ModelPoint};
use mlops_core::{
    Error, Result, RunId, Timestamp, Tracker,
    tracker::{Batch, Metric, RunChange},
};
use serde_json::{Value, json};
use std::{collections::BTreeSet, sync::Arc};

/// The tag in which clients before version 3 list the models that they logged.
const MODELS: &str = "mlflow.log-model.history";

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mlflow/runs/log-batch" Write log_batch),
        route!(POST "/mlflow/runs/log-metric" Write log_metric),
        route!(POST "/mlflow/runs/log-parameter" Write log_param),
        route!(POST "/mlflow/runs/set-tag" Write set_tag),
        route!(POST "/mlflow/runs/delete-tag" Write delete_tag),
        route!(POST "/mlflow/runs/log-model" Write log_model),
    ]
}

async fn log_batch(mut call: Call) -> Result<Value> {
    let run = id(&call.args)?;
    let metrics = call.args.take_objects("metrics")?;
    let params = call.args.take_objects("params")?;
    let tags = call.args.take_objects("tags")?;
    for (what, count, most) in [
        ("metrics", metrics.len(), limits::BATCH),
        ("params", params.len(), limits::BATCH_TEXTS),
        ("tags", tags.len(), limits::BATCH_TEXTS),
        ("entries", metrics.len() + params.len() + tags.len(), limits::BATCH),
    ] {
        limits::count(what, count, most)?;
    }
    let mut entry = Entry::default();
    for (index, args) in metrics.into_iter().enumerate() {
        metric(args, run, &format!("metrics[{index}]."), &mut entry)?;
    }
    let mut keys = BTreeSet::new();
    for (index, mut args) in params.into_iter().enumerate() {
        let (key, value) = param(&mut args, &format!("params[{index}]."))?;
        if !keys.insert(key.clone()) {
            return Err(Error::invalid(format!("the parameter {key:?} is there twice")));
        }
        entry.batch.params.push((key, value));
    }
    for (index, mut args) in tags.into_iter().enumerate() {
        tag(&mut args, &format!("tags[{index}]."), &mut entry)?;
    }
    entry.batch.inputs = inputs::ours(call.args.take_objects("mlops_inputs")?)?;
    enter(&call, run, entry).await
}

async fn log_metric(mut call: Call) -> Result<Value> {
    let (run, mut entry) = (id(&call.args)?, Entry::default());
    metric(std::mem::take(&mut call.args), run, "", &mut entry)?;
    enter(&call, run, entry).await
}

async fn log_param(mut call: Call) -> Result<Value> {
    let run = id(&call.args)?;
    let param = param(&mut call.args, "")?;
    enter(&call, run, Entry { batch: Batch::new().with_params(vec![param]), ..Entry::default() })
        .await
}

async fn set_tag(mut call: Call) -> Result<Value> {
    let (run, mut entry) = (id(&call.args)?, Entry::default());
    tag(&mut call.args, "", &mut entry)?;
    enter(&call, run, entry).await
}

async fn enter(call: &Call, run: RunId, entry: Entry) -> Result<Value> {
    call.store.enter(&run, entry).await.map_err(as_invalid)?;
    Ok(json!({}))
}

/// A point of a metric, which may be one of a logged model as well; `place` is where in the call it is.
fn metric(mut args: Args, run: RunId, place: &str, entry: &mut Entry) -> Result<()> {
    let at = |name: &str| format!("{place}{name}");
    let key = required_key(&mut args, place)?;
    limits::key(&key, &at("name"))?;
    let value = args.number("value").map_err(|cause| moved(cause, "value", place))?;
    let value = value.ok_or_else(|| missing(&at("value")))?;
    let time = args.int("timestamp").map_err(|cause| moved(cause, "timestamp", place))?;
    let time = time.ok_or_else(|| missing(&at("timestamp")))?;
    if time < 0 {
        return Err(invalid(&time, &at("timestamp"), "a time after 1970 is expected"));
    }
    let step = args.int("step").map_err(|cause| moved(cause, "step", place))?.unwrap_or_default();
    let metric = Metric::new(key, value, step, Timestamp::from_unix_millis(time));
    entry.measured.extend(measured(&args, run, &metric)?);
    entry.batch.metrics.push(metric);
    Ok(())
}

/// The same point of the logged model that it was measured of, if it was.
fn measured(args: &Args, run: RunId, metric: &Metric) -> Result<Option<ModelPoint>> {
    let text = |name| Ok::<_, Error>(args.text(name)?.filter(|text| !text.is_empty()));
    let Some(model) = text("model_id")? else { return Ok(None) };
    let dataset = match (text("dataset_name")?, text("dataset_digest")?) {
        (None, None) => None,
        (name, digest) => {
            Some((Arc::from(name.unwrap_or_default()), Arc::from(digest.unwrap_or_default())))
        }
    };
    let (model, name) = (Arc::from(model), Arc::clone(&metric.name));
    Ok(Some(ModelPoint { model, metric: name, run, dataset, point: metric.point }))
}

fn param(args: &mut Args, place: &str) -> Result<(String, String)> {
    let key = required_key(args, place)?;
    limits::key(&key, &format!("{place}key"))?;
    let value = args.take_text("value").map_err(|cause| moved(cause, "value", place))?;
    Ok((key, limits::cut(value.unwrap_or_default(), limits::PARAM)))
}

/// A tag, which may be the run's name.
fn tag(args: &mut Args, place: &str, entry: &mut Entry) -> Result<()> {
    let key = required_key(args, place)?;
    limits::key(&key, &format!("{place}key"))?;
    let value = args.take_text("value").map_err(|cause| moved(cause, "value", place))?;
    let value = limits::cut(value.unwrap_or_default(), limits::TAG);
    if key != RUN_NAME {
        entry.batch.tags.push((key, value));
    } else if !value.is_empty() {
        entry.name = Some(Arc::from(value));
    }
    Ok(())
}

fn required_key(args: &mut Args, place: &str) -> Result<String> {
    let key = args.take_text("key").map_err(|cause| moved(cause, "key", place))?;
    key.filter(|key| !key.is_empty()).ok_or_else(|| missing(&format!("{place}key")))
}

/// An error about a parameter names where in the call it is.
fn moved(error: Error, name: &str, place: &str) -> Error {
    if place.is_empty() {
        return error;
    }
    let from = format!("parameter '{name}'");
    Error::invalid(error.message().replacen(&from, &format!("parameter '{place}{name}'"), 1))
}

async fn delete_tag(call: Call) -> Result<Value> {
    let key = call.args.required_text("key")?.to_owned();
    let run = live(&call).await?;
    if key == RUN_NAME {
        // The name stays the run's: there is nothing to remove.
        return Ok(json!({}));
    }
    if !run.tags.contains_key(&key) {
        let text = format!("No tag with name: {key} in run with id {}", run.id);
        return Err(Error::not_found(text));
    }
    let change = RunChange::default().with_remove_tags(vec![key]);
    call.store.update_run(&run.id, change).await?;
    Ok(json!({}))
}

async fn log_model(call: Call) -> Result<Value> {
    let text = call.args.required_text("model_json")?;
    let run = id(&call.args)?;
    let model: Value = serde_json::from_str(text)
        .map_err(|_| Error::invalid("Malformed model info: model_json is no JSON"))?;
    for name in ["artifact_path", "flavors", "utc_time_created", "run_id"] {
        if model.get(name).is_none() {
            return Err(Error::invalid(format!("model_json has no {name}")));
        }
    }
    let mut kept = json!({});
    for name in ["run_id", "utc_time_created", "artifact_path", "model_uuid"] {
        if let Some(value) = model.get(name) {
            kept[name] = value.clone();
        }
    }
    kept["flavors"] = flavors(&model["flavors"]);
    call.store.push_to_tag(&run, MODELS, kept).await.map_err(as_invalid)?;
    Ok(json!({}))
}

/// The flavors of a model without their configurations, which can be long.
fn flavors(all: &Value) -> Value {
    let Value::Object(all) = all else { return json!({}) };
    let flavor = |(name, flavor): (&String, &Value)| {
        let mut flavor = flavor.clone();
        if let Value::Object(fields) = &mut flavor {
            fields.remove("config");
        }
        (name.clone(), flavor)
    };
    Value::Object(all.iter().map(flavor).collect())
}
