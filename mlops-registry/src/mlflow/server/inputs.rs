//! What runs read and made: data and logged models.

use super::{
    args::{Args, invalid, missing},
    call::Call,
    experiments::experiment_id,
    limits,
    routes::{Route, route},
    runs::{as_invalid, id},
    shown::{CONTEXT, ROWS},
};
use crate::store::{DatasetSummary, Entry, ModelRole, RunModel};
use mlops_core::{
    Error, Result,
    tracker::{Batch, DatasetInput},
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The longest text of each field of a dataset, in characters.
const LENGTHS: [(&str, usize); 6] = [
    ("name", 500),
    ("digest", 36),
    ("source", 65_535),
    ("source_type", 500),
    ("schema", 1_048_575),
    ("profile", 16_777_215),
];
/// The longest key and value of a tag of an input.
const TAG: (usize, usize) = (255, 500);
/// The tag in which our client sends a whole digest.
const DIGEST: &str = "mlops.digest";
/// The most datasets or models of one call.
const MOST: usize = 1000;
/// The most experiments whose data one call asks for.
const EXPERIMENTS: usize = 20;

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(POST "/mlflow/runs/log-inputs" Write log_inputs),
        route!(POST "/mlflow/runs/outputs" Write log_outputs),
        route!(POST "/mlflow/experiments/search-datasets" Read search_datasets),
    ]
}

async fn log_inputs(mut call: Call) -> Result<Value> {
    let run = id(&call.args)?;
    let (datasets, models) =
        (call.args.take_objects("datasets")?, call.args.take_objects("models")?);
    limits::count("datasets", datasets.len(), MOST)?;
    limits::count("models", models.len(), MOST)?;
    let inputs = datasets.iter().map(dataset).collect::<Result<Vec<_>>>()?;
    let models = models.into_iter().map(|args| model(&args, ModelRole::Input));
    let models = models.collect::<Result<_>>()?;
    let entry = Entry { batch: Batch::new().with_inputs(inputs), models, ..Entry::default() };
    call.store.enter(&run, entry).await.map_err(as_invalid)?;
    Ok(json!({}))
}

async fn log_outputs(mut call: Call) -> Result<Value> {
    let run = id(&call.args)?;
    if call.args.any("models").is_none() {
        return Err(missing("models"));
    }
    let models = call.args.take_objects("models")?;
    limits::count("models", models.len(), MOST)?;
    let models = models.into_iter().map(|args| model(&args, ModelRole::Output));
    let entry = Entry { models: models.collect::<Result<_>>()?, ..Entry::default() };
    call.store.enter(&run, entry).await.map_err(as_invalid)?;
    Ok(json!({}))
}

fn model(args: &Args, role: ModelRole) -> Result<RunModel> {
    let model = Arc::from(args.required_text("model_id")?);
    let step = match role {
        ModelRole::Input => 0,
        ModelRole::Output => args.int("step")?.unwrap_or_default(),
    };
    Ok(RunModel { role, model, step })
}

fn dataset(args: &Args) -> Result<DatasetInput> {
    let fields = args.object("dataset")?.ok_or_else(|| missing("dataset"))?;
    for (name, most) in LENGTHS {
        limits::within(fields.text(name)?.unwrap_or_default(), name, most)?;
    }
    let required = |name| Ok::<_, Error>(fields.text(name)?.unwrap_or_default().to_owned());
    let optional = |name| Ok::<_, Error>(fields.text(name)?.map(Arc::from));
    let mut input = DatasetInput::new(required("name")?, required("digest")?, "");
    input.source = optional("source")?;
    input.source_type = optional("source_type")?;
    input.schema = optional("schema")?;
    input.profile = optional("profile")?;
    for tag in args.objects("tags")? {
        let (key, value) = (tag.required_text("key")?, tag.text("value")?.unwrap_or_default());
        limits::within(key, "key", TAG.0)?;
        limits::within(value, "value", TAG.1)?;
        if key == CONTEXT {
            input.context = Arc::from(value);
        } else {
            input.tags.insert(key.to_owned(), value.to_owned());
        }
    }
    Ok(input)
}

/// Data as our client sends it with a batch: what MLflow has no room for is in tags.
pub(super) fn ours(inputs: Vec<Args>) -> Result<Vec<DatasetInput>> {
    limits::count("mlops_inputs", inputs.len(), MOST)?;
    let whole = |args: Args| {
        let mut input = dataset(&args)?;
        if let Some(digest) = input.tags.remove(DIGEST) {
            input.digest = Arc::from(digest);
        }
        if let Some(rows) = input.tags.remove(ROWS) {
            let count = rows.parse().map_err(|_| invalid(&rows, ROWS, "a number is expected"))?;
            input.rows = Some(count);
        }
        Ok(input)
    };
    inputs.into_iter().map(whole).collect()
}

async fn search_datasets(call: Call) -> Result<Value> {
    let ids = call.args.texts("experiment_ids")?;
    if ids.is_empty() || ids.len() > EXPERIMENTS {
        let text = format!("between 1 and {EXPERIMENTS} experiment_ids are expected");
        return Err(Error::invalid(text));
    }
    let ids = ids.into_iter().map(experiment_id).collect::<Result<Vec<_>>>()?;
    let found = call.store.dataset_summaries(&ids).await?;
    if found.is_empty() {
        return Ok(json!({}));
    }
    Ok(json!({ "dataset_summaries": found.iter().map(summary).collect::<Vec<_>>() }))
}

fn summary(summary: &DatasetSummary) -> Value {
    let DatasetSummary { experiment, name, digest, context } = summary;
    let mut shown =
        json!({ "experiment_id": experiment.to_string(), "name": name, "digest": digest });
    if !context.is_empty() {
        shown["context"] = context.as_str().into();
    }
    shown
}
