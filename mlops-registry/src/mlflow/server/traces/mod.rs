//! Traces of single calls: what clients' tracing needs. Analytics over many traces, and judgements of
//! them, are not served.

mod old;
mod otlp;
mod proto;
mod shown;

use super::{
    Shared,
    args::{Args, invalid, missing},
    artifacts::file_of_trace,
    call::Call,
    experiments::{artifact_location, experiment_id},
    routes::{Route, route},
};
use crate::store::{DeleteTraces, Trace, TraceSearch};
use axum::{
    Router,
    routing::{get, post},
};
use mlops_core::{Error, Result, RunId, Timestamp, tracker::Tags};
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc};

/// The tag that is a trace's name, and the note that its client has said all about it.
const NAME: &str = "mlflow.traceName";
const FINALIZED: &str = "mlflow.trace.infoFinalized";
/// Where a client notes how many spans its trace has.
const SIZES: &str = "mlflow.trace.sizeStats";
/// How many traces one call links to a run, at most: MLflow's.
const LINKS: usize = 100;
/// How many traces a page has at most: MLflow's.
const PAGE: usize = 500;

pub(super) fn routes() -> Vec<Route> {
    let mut routes = vec![
        route!(POST "/mlflow/traces" Write start),
        route!(POST "/mlflow/traces/search" Read search),
        route!(GET "/mlflow/traces/{trace_id}" Read info),
        route!(GET "/mlflow/traces/get" Read whole),
        route!(GET "/mlflow/traces/batchGet" Read wholes),
        route!(POST "/mlflow/traces/batchGetInfos" Read infos),
        route!(PATCH "/mlflow/traces/{trace_id}/tags" Write set_tag),
        route!(DELETE "/mlflow/traces/{trace_id}/tags" Write delete_tag),
        route!(POST "/mlflow/traces/delete-traces" Write delete),
        route!(POST "/mlflow/traces/link-to-run" Write link),
    ];
    routes.extend(old::routes());
    routes
}

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/traces", post(otlp::spans))
        .route("/ajax-api/2.0/mlflow/get-trace-artifact", get(file_of_trace))
        .route("/ajax-api/3.0/mlflow/get-trace-artifact", get(file_of_trace))
}

/// Clients before version 3 send the parts of a trace where later ones send it as a whole.
async fn start(call: Call) -> Result<Value> {
    if call.args.any("experiment_id").is_some() {
        return old::start(call).await;
    }
    let trace = call.args.object("trace")?.ok_or_else(|| missing("trace"))?;
    let info = trace.object("trace_info")?.ok_or_else(|| missing("trace_info"))?;
    let made = call.store.put_trace(read(&info)?).await?;
    Ok(json!({ "trace": { "trace_info": Places::default().shown(&call, &made).await? } }))
}

fn read(info: &Args) -> Result<Trace> {
    let place = info.object("trace_location")?.unwrap_or_default();
    let place = place.object("mlflow_experiment")?.ok_or_else(|| missing("mlflow_experiment"))?;
    let text = |name| Ok::<_, Error>(info.text(name)?.map(str::to_owned));
    let mut tags = map(info, "tags")?;
    let mut metadata = map(info, "trace_metadata")?;
    metadata.insert(FINALIZED.to_owned(), "true".to_owned());
    Ok(Trace {
        id: info.required_text("trace_id")?.to_owned(),
        experiment: experiment_id(place.required_text("experiment_id")?)?,
        started: info.required_text("request_time")?.parse::<Timestamp>()?,
        duration: info.text("execution_duration")?.map(shown::read_duration).transpose()?,
        state: text("state")?.unwrap_or_else(|| "STATE_UNSPECIFIED".to_owned()),
        name: tags.remove(NAME),
        client_request: text("client_request_id")?,
        request_preview: text("request_preview")?,
        response_preview: text("response_preview")?,
        metadata,
        tags,
    })
}

fn map(args: &Args, name: &str) -> Result<Tags> {
    let mut tags = Tags::new();
    if let Some(Value::Object(fields)) = args.any(name) {
        for (key, value) in fields {
            let text = value.as_str().ok_or_else(|| invalid(value, name, "a text is expected"))?;
            tags.insert(key.clone(), text.to_owned());
        }
    }
    Ok(tags)
}

async fn search(call: Call) -> Result<Value> {
    let args = &call.args;
    args.any("locations").ok_or_else(|| missing("locations"))?;
    let mut asked = TraceSearch { max_results: most(args)?, ..TraceSearch::default() };
    for place in args.objects("locations")? {
        if let Some(place) = place.object("mlflow_experiment")? {
            asked.experiments.push(experiment_id(place.required_text("experiment_id")?)?);
        }
    }
    asked.filter = args.text("filter")?.unwrap_or_default().to_owned();
    asked.order_by = args.texts("order_by")?.into_iter().map(str::to_owned).collect();
    asked.page = args.page_token()?;
    let found = call.store.search_traces(asked).await?;
    let mut answer = json!({});
    if !found.items.is_empty() {
        answer["traces"] = shown_all(&call, &found.items).await?.into();
    }
    if let Some(next) = found.next {
        answer["next_page_token"] = next.into();
    }
    Ok(answer)
}

fn most(args: &Args) -> Result<Option<usize>> {
    let most = args.max_results()?;
    match most.filter(|most| !(1..=PAGE).contains(most)) {
        Some(wrong) => Err(invalid(&wrong, "max_results", "1 to 500 is expected")),
        None => Ok(most),
    }
}

async fn info(call: Call) -> Result<Value> {
    let found = call.store.trace(call.part("trace_id")?).await?;
    Ok(json!({ "trace": { "trace_info": Places::default().shown(&call, &found).await? } }))
}

async fn infos(call: Call) -> Result<Value> {
    let found = call.store.traces(trace_ids(&call.args)?).await?;
    Ok(json!({ "trace_infos": shown_all(&call, &found).await? }))
}

fn trace_ids(args: &Args) -> Result<Vec<String>> {
    args.any("trace_ids").ok_or_else(|| missing("trace_ids"))?;
    Ok(args.texts("trace_ids")?.into_iter().map(str::to_owned).collect())
}

async fn whole(call: Call) -> Result<Value> {
    let id = call.args.required_text("trace_id")?.to_owned();
    let partly = call.args.flag("allow_partial")?.unwrap_or(false);
    let trace = call.store.trace(&id).await?;
    let spans = call.store.spans(vec![id.clone()]).await?.remove(&id).unwrap_or_default();
    if !partly && !complete(&trace, &spans) {
        let text = format!("Trace with ID {id} is not fully exported yet, please try again later.");
        return Err(Error::not_found(text));
    }
    let info = Places::default().shown(&call, &trace).await?;
    Ok(json!({ "trace": { "trace_info": info, "spans": spans } }))
}

/// Only what is complete: clients take what comes for all there is.
async fn wholes(call: Call) -> Result<Value> {
    let found = call.store.traces(trace_ids(&call.args)?).await?;
    let ids = found.iter().map(|trace| trace.id.clone()).collect();
    let mut spans = call.store.spans(ids).await?;
    let (mut places, mut traces) = (Places::default(), Vec::new());
    for trace in &found {
        let spans = spans.remove(&trace.id).unwrap_or_default();
        if complete(trace, &spans) {
            let info = places.shown(&call, trace).await?;
            traces.push(json!({ "trace_info": info, "spans": spans }));
        }
    }
    Ok(if traces.is_empty() { json!({}) } else { json!({ "traces": traces }) })
}

/// Whether as many spans are there as the client says that there are.
fn complete(trace: &Trace, spans: &[Value]) -> bool {
    let sizes = trace.metadata.get(SIZES).and_then(|text| serde_json::from_str::<Value>(text).ok());
    let said = sizes.as_ref().and_then(|sizes| sizes["num_spans"].as_u64()).unwrap_or(1);
    !spans.is_empty() && spans.len() as u64 >= said
}

async fn set_tag(call: Call) -> Result<Value> {
    let key = call.args.required_text("key")?;
    let value = call.args.text("value")?.unwrap_or_default();
    call.store.tag_trace(call.part("trace_id")?, key, value).await?;
    Ok(json!({}))
}

async fn delete_tag(call: Call) -> Result<Value> {
    call.store.untag_trace(call.part("trace_id")?, call.args.required_text("key")?).await?;
    Ok(json!({}))
}

async fn delete(call: Call) -> Result<Value> {
    let args = &call.args;
    let experiment = experiment_id(args.required_text("experiment_id")?)?;
    let ids: Vec<String> = args.texts("request_ids")?.into_iter().map(str::to_owned).collect();
    let (until, most) = (args.int("max_timestamp_millis")?, args.int("max_traces")?);
    let wrong = match (until, ids.is_empty(), most) {
        (None, true, _) => Some("max_timestamp_millis or request_ids is needed"),
        (Some(_), false, _) => Some("max_timestamp_millis and request_ids exclude each other"),
        (None, false, Some(_)) => Some("max_traces and request_ids exclude each other"),
        (_, _, Some(most)) if most <= 0 => Some("max_traces must be more than 0"),
        _ => None,
    };
    if let Some(wrong) = wrong {
        return Err(Error::invalid(wrong));
    }
    let which = DeleteTraces { until, most, ids };
    let deleted = call.store.delete_traces(&experiment, which).await?;
    Ok(json!({ "traces_deleted": deleted }))
}

async fn link(call: Call) -> Result<Value> {
    let traces = trace_ids(&call.args)?;
    let id = call.args.required_text("run_id")?;
    if traces.len() > LINKS {
        let text = format!("Cannot link more than {LINKS} traces to a run in a single request.");
        return Err(Error::invalid(text));
    }
    let unknown = |_| Error::not_found(format!("Run with id={id} not found"));
    call.store.link_traces(traces, id.parse::<RunId>().map_err(unknown)?).await?;
    Ok(json!({}))
}

async fn shown_all(call: &Call, traces: &[Trace]) -> Result<Vec<Value>> {
    let (mut places, mut all) = (Places::default(), Vec::with_capacity(traces.len()));
    for trace in traces {
        all.push(places.shown(call, trace).await?);
    }
    Ok(all)
}

/// Where the artifacts of experiments lie, each looked up once.
#[derive(Default)]
struct Places(HashMap<String, String>);

impl Places {
    async fn shown(&mut self, call: &Call, trace: &Trace) -> Result<Value> {
        let place = self.of(call, trace).await?;
        Ok(shown::info(trace, &place))
    }

    async fn of(&mut self, call: &Call, trace: &Trace) -> Result<String> {
        let id = trace.experiment.as_str();
        if let Some(place) = self.0.get(id) {
            return Ok(place.clone());
        }
        let place = artifact_location(&call.store.experiment(&trace.experiment).await?);
        self.0.insert(id.to_owned(), place.clone());
        Ok(place)
    }
}
