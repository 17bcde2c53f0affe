//! Models that runs made.

use super::{
    args::{Args, invalid, missing},
    artifacts::{checked, shown_files},
    call::Call,
    experiments::{artifact_location, experiment_id, pairs, tags},
    routes::{Route, route},
};
use crate::store::{
    LoggedModel, LoggedModelOrder, LoggedModelSearch, ModelPoint, NewLoggedModel, Owner, Place,
    Status,
};
use mlops_core::{Error, Result, tracker::Tags};
use serde_json::{Value, json};
use std::{collections::BTreeMap, sync::Arc};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mlflow/logged-models" Write create),
        route!(POST "/mlflow/logged-models/search" Read search),
        route!(GET "/mlflow/logged-models/{model_id}" Read get),
        route!(PATCH "/mlflow/logged-models/{model_id}" Write finalize),
        route!(DELETE "/mlflow/logged-models/{model_id}" Write delete),
        route!(PATCH "/mlflow/logged-models/{model_id}/tags" Write set_tags),
        route!(DELETE "/mlflow/logged-models/{model_id}/tags/{tag_key}" Write delete_tag),
        route!(POST "/mlflow/logged-models/{model_id}/params" Write add_params),
        route!(GET "/mlflow/logged-models/{model_id}/artifacts/directories" Read files),
    ]
}

async fn create(call: Call) -> Result<Value> {
    let args = &call.args;
    let optional = |name| Ok::<_, Error>(args.text(name)?.filter(|text| !text.is_empty()));
    let new = NewLoggedModel {
        experiment: experiment_id(args.required_text("experiment_id")?)?,
        name: optional("name")?.map(named).transpose()?,
        model_type: optional("model_type")?.map(Arc::from),
        source_run: optional("source_run_id")?.map(Arc::from),
        params: params(args)?,
        tags: tags(args)?,
    };
    let made = call.store.create_logged_model(new).await?;
    model(&call, &made).await
}

/// A name that can stand in a path and in `models:/NAME/…`.
fn named(name: &str) -> Result<Arc<str>> {
    let bad = ['/', ':', '.', '%', '"', '\''];
    if name.contains(bad) {
        let text = format!("Invalid model name ({name:?}) provided: it holds one of {bad:?}");
        return Err(Error::invalid(text));
    }
    Ok(name.into())
}

async fn get(call: Call) -> Result<Value> {
    let also_deleted =
        call.args.text("allow_deleted")?.is_some_and(|text| text.eq_ignore_ascii_case("true"));
    let found = call.store.logged_model(call.part("model_id")?, also_deleted).await?;
    model(&call, &found).await
}

async fn finalize(call: Call) -> Result<Value> {
    let id = call.args.required_text("model_id")?;
    let status = match call.args.any("status").ok_or_else(|| missing("status"))? {
        Value::String(word) => match word.as_str() {
            "LOGGED_MODEL_PENDING" | "1" => Status::Pending,
            "LOGGED_MODEL_READY" | "2" => Status::Ready,
            "LOGGED_MODEL_UPLOAD_FAILED" | "3" => Status::Failed,
            // Clients of another release may know more words than this one.
            _ => Status::Unspecified,
        },
        Value::Number(number) => match number.as_i64() {
            Some(0) => Status::Unspecified,
            Some(1) => Status::Pending,
            Some(2) => Status::Ready,
            Some(3) => Status::Failed,
            _ => return Err(invalid(number, "status", "0 to 3 is expected")),
        },
        other => return Err(invalid(other, "status", "a status is expected")),
    };
    let found = call.store.finalize_logged_model(id, status).await?;
    model(&call, &found).await
}

async fn delete(call: Call) -> Result<Value> {
    call.store.delete_logged_model(call.part("model_id")?).await?;
    Ok(json!({}))
}

async fn set_tags(call: Call) -> Result<Value> {
    call.store.tag_logged_model(call.part("model_id")?, tags(&call.args)?).await?;
    Ok(json!({}))
}

async fn delete_tag(call: Call) -> Result<Value> {
    call.store.untag_logged_model(call.part("model_id")?, call.part("tag_key")?).await?;
    Ok(json!({}))
}

async fn add_params(call: Call) -> Result<Value> {
    let id = call.args.required_text("model_id")?;
    call.store.add_logged_model_params(id, params(&call.args)?).await?;
    Ok(json!({}))
}

fn params(args: &Args) -> Result<Tags> {
    let mut params = Tags::new();
    for param in args.objects("params")? {
        let value = param.text("value")?.unwrap_or_default();
        params.insert(param.required_text("key")?.to_owned(), value.to_owned());
    }
    Ok(params)
}

async fn search(call: Call) -> Result<Value> {
    let args = &call.args;
    args.any("experiment_ids").ok_or_else(|| missing("experiment_ids"))?;
    let ids = args.texts("experiment_ids")?.into_iter().map(experiment_id);
    let text = |args: &Args, name| Ok::<_, Error>(args.text(name)?.unwrap_or_default().to_owned());
    let mut asked = LoggedModelSearch {
        experiments: ids.collect::<Result<_>>()?,
        filter: text(args, "filter")?,
        max_results: args.max_results()?.filter(|count| *count > 0),
        page: args.page_token()?,
        ..LoggedModelSearch::default()
    };
    for dataset in args.objects("datasets")? {
        let name = dataset.text("dataset_name")?.filter(|name| !name.is_empty());
        let unnamed = "`dataset_name` in the `datasets` clause must be specified.";
        let name = name.ok_or_else(|| Error::invalid(unnamed))?;
        asked.datasets.push((name.to_owned(), text(&dataset, "dataset_digest")?));
    }
    for key in args.objects("order_by")? {
        asked.order_by.push(LoggedModelOrder {
            field: key.required_text("field_name")?.to_owned(),
            descending: !key.flag("ascending")?.unwrap_or(true),
            dataset: (text(&key, "dataset_name")?, text(&key, "dataset_digest")?),
        });
    }
    let found = call.store.logged_models(asked).await?;
    let mut places = BTreeMap::new();
    for model in &found.items {
        if !places.contains_key(model.experiment.as_str()) {
            let experiment = call.store.experiment(&model.experiment).await?;
            places.insert(model.experiment.as_str().to_owned(), artifact_location(&experiment));
        }
    }
    let mut answer = json!({});
    if !found.items.is_empty() {
        let place = |model: &LoggedModel| places.get(model.experiment.as_str()).cloned();
        let all = found.items.iter().map(|model| shown(model, &place(model).unwrap_or_default()));
        answer["models"] = all.collect();
    }
    if let Some(next) = found.next {
        answer["next_page_token"] = next.into();
    }
    Ok(answer)
}

async fn files(call: Call) -> Result<Value> {
    let found = call.store.logged_model(call.part("model_id")?, false).await?;
    let path = checked(call.args.text("artifact_directory_path")?.unwrap_or_default())?;
    let place = Place { owner: Owner::Model(Arc::clone(&found.id)), path };
    let files = call.store.list_place(place).await?;
    let experiment = call.store.experiment(&found.experiment).await?;
    Ok(shown_files(&artifact_uri(&found, &artifact_location(&experiment)), &files))
}

async fn model(call: &Call, model: &LoggedModel) -> Result<Value> {
    let experiment = call.store.experiment(&model.experiment).await?;
    Ok(json!({ "model": shown(model, &artifact_location(&experiment)) }))
}

fn artifact_uri(model: &LoggedModel, experiment: &str) -> String {
    format!("{}/models/{}/artifacts", experiment.trim_end_matches('/'), model.id)
}

fn shown(model: &LoggedModel, experiment: &str) -> Value {
    let status = match model.status {
        Status::Unspecified => "LOGGED_MODEL_STATUS_UNSPECIFIED",
        Status::Pending => "LOGGED_MODEL_PENDING",
        Status::Ready => "LOGGED_MODEL_READY",
        Status::Failed => "LOGGED_MODEL_UPLOAD_FAILED",
    };
    let mut info = json!({
        "model_id": model.id,
        "experiment_id": model.experiment,
        "name": model.name,
        "creation_timestamp_ms": model.created.unix_millis(),
        "last_updated_timestamp_ms": model.updated.unix_millis(),
        "artifact_uri": artifact_uri(model, experiment),
        "status": status,
        "model_type": model.model_type.as_deref().unwrap_or_default(),
        "source_run_id": model.source_run.as_deref().unwrap_or_default(),
    });
    if let Some(message) = &model.status_message {
        info["status_message"] = message.as_ref().into();
    }
    if !model.tags.is_empty() {
        info["tags"] = pairs(&model.tags).into();
    }
    let mut data = json!({});
    if !model.params.is_empty() {
        data["params"] = pairs(&model.params).into();
    }
    if !model.metrics.is_empty() {
        data["metrics"] = model.metrics.iter().map(metric).collect();
    }
    json!({ "info": info, "data": data })
}

fn metric(point: &ModelPoint) -> Value {
    let value = point.point.value;
    // JSON has no word for it; clients read this one.
    let value = if value.is_nan() { json!("NaN") } else { json!(value.clamp(f64::MIN, f64::MAX)) };
    let mut shown = json!({
        "key": point.metric,
        "value": value,
        "timestamp": point.point.time.unix_millis(),
        "step": point.point.step,
        "model_id": point.model,
        "run_id": point.run,
    });
    if let Some((name, digest)) = &point.dataset {
        shown["dataset_name"] = name.as_ref().into();
        shown["dataset_digest"] = digest.as_ref().into();
    }
    shown
}
