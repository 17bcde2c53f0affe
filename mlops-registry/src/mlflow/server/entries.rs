//! What is written into runs: metrics, parameters, tags, one by one or together.

use super::{
    args::{Args, invalid, missing},
    call::Call,
    inputs, limits, points,
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
        route!(POST "/mlflow/runs/log-batch" Write log_batch).taking_the_body(),
        route!(POST "/mlflow/runs/log-metric" Write log_metric),
        route!(POST "/mlflow/runs/log-parameter" Write log_param),
        route!(POST "/mlflow/runs/set-tag" Write set_tag),
        route!(POST "/mlflow/runs/delete-tag" Write delete_tag),
        route!(POST "/mlflow/runs/log-model" Write log_model),
    ]
}

async fn log_batch(call: Call) -> Result<Value> {
    let (run, entry) = match points::read(&call.body) {
        Some(points) => points,
        None => batch(Args::from_json(&call.body)?)?,
    };
    enter(&call, run, entry).await
}

/// The run that a batch is for, and all of it.
fn batch(mut args: Args) -> Result<(RunId, Entry)> {
    let run = id(&args)?;
    let metrics = args.take_objects("metrics")?;
    let params = args.take_objects("params")?;
    let tags = args.take_objects("tags")?;
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
    entry.batch.inputs = inputs::ours(args.take_objects("mlops_inputs")?)?;
    Ok((run, entry))
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Bodies that are nearly what clients send.
    fn body() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            json!("loss"),
            json!("a\u{e9}\n"),
            json!("../x"),
            json!(""),
            json!(1),
        ]);
        let number = prop::sample::select(vec![
            json!(0),
            json!(-0.0),
            json!(0.1),
            json!(1e300),
            json!(u64::MAX),
            json!(7.0),
            json!("NaN"),
            json!("3"),
            json!(-1),
            json!(null),
            json!(true),
        ]);
        let point = (key, [number.clone(), number.clone(), number]).prop_map(|(key, [value, time, step])| {
            json!({ "key": key, "value": value, "timestamp": time, "step": step })
        });
        let good = (any::<i32>(), 0..9_i64).prop_map(|(value, step)| {
            json!({ "key": "loss", "value": value, "timestamp": step, "step": step })
        });
        let less = (
            prop_oneof![3 => good, 1 => point],
            prop::sample::select(vec!["", "step", "value", "key"]),
        )
            .prop_map(|(mut point, name)| {
                point.as_object_mut().map(|fields| fields.remove(name));
                point
            });
        let run = prop::sample::select(vec![json!("0".repeat(32)), json!("x"), json!(null)]);
        let more =
            prop::sample::select(vec![json!([]), json!(null), json!([{"key": "k", "value": "v"}])]);
        let other = prop::sample::select(vec!["params", "tags", "more", "run_uuid"]);
        let points = prop::collection::vec(less, 0..4);
        (run, points, more, other).prop_map(
            |(run, points, more, other)| json!({ "run_id": run, "metrics": points, other: more }),
        )
    }

    proptest! {
        #[test]
        fn points_read_straight_are_those_of_the_arguments(body in body()) {
            let body = body.to_string();
            if let Some(points) = points::read(body.as_bytes()) {
                let args = Args::from_json(body.as_bytes()).unwrap();
                prop_assert_eq!(format!("{points:?}"), format!("{:?}", batch(args).unwrap()));
            }
        }
    }

    #[test]
    fn what_clients_send_is_read_straight() {
        let run = "0".repeat(32);
        let points = json!([{ "key": "loss", "value": 1, "timestamp": 2, "step": 3 }]);
        for body in [
            json!({ "run_id": run, "metrics": points }),
            json!({ "run_id": run, "metrics": points, "params": [], "tags": [] }),
        ] {
            assert!(points::read(body.to_string().as_bytes()).is_some(), "{body}");
        }
    }
}
