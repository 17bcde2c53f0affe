//! Traces as clients before version 3 send and read them.

use super::{NAME, Places, most, shown};
use crate::{
    mlflow::server::{
        args::{Args, missing},
        call::Call,
        experiments::{experiment_id, pairs},
        routes::{Route, route},
    },
    store::{Trace, TraceSearch},
};
use mlops_core::{Result, Timestamp, tracker::Tags};
use serde_json::{Value, json};

pub(super) fn routes() -> Vec<Route> {
    vec![
        route!(GET "/mlflow/traces" Read search),
        route!(GET "/mlflow/traces/{trace_id}/info" Read info),
        route!(PATCH "/mlflow/traces/{trace_id}" Write end),
    ]
}

pub(super) async fn start(call: Call) -> Result<Value> {
    let args = &call.args;
    let mut tags = key_values(args, "tags")?;
    let trace = Trace {
        // The record gives it one.
        id: String::new(),
        experiment: experiment_id(args.required_text("experiment_id")?)?,
        started: Timestamp::from_unix_millis(args.int("timestamp_ms")?.unwrap_or_default()),
        duration: None,
        state: "IN_PROGRESS".to_owned(),
        name: tags.remove(NAME),
        client_request: None,
        request_preview: None,
        response_preview: None,
        metadata: key_values(args, "request_metadata")?,
        tags,
    };
    let made = call.store.put_trace(trace).await?;
    answer(&call, &made).await
}

async fn end(call: Call) -> Result<Value> {
    let args = &call.args;
    let ended = args.int("timestamp_ms")?.unwrap_or_default();
    let known = |state: &&str| matches!(*state, "OK" | "ERROR" | "IN_PROGRESS");
    let state = args.text("status")?.filter(known).unwrap_or("STATE_UNSPECIFIED");
    let (metadata, tags) = (key_values(args, "request_metadata")?, key_values(args, "tags")?);
    let id = call.part("trace_id")?;
    let ended = call.store.end_trace(id, ended, state.to_owned(), metadata, tags).await?;
    answer(&call, &ended).await
}

async fn info(call: Call) -> Result<Value> {
    let found = call.store.trace(call.part("trace_id")?).await?;
    answer(&call, &found).await
}

async fn search(call: Call) -> Result<Value> {
    let args = &call.args;
    args.any("experiment_ids").ok_or_else(|| missing("experiment_ids"))?;
    let ids = args.texts("experiment_ids")?.into_iter().map(experiment_id);
    let asked = TraceSearch {
        experiments: ids.collect::<Result<_>>()?,
        filter: args.text("filter")?.unwrap_or_default().to_owned(),
        order_by: args.texts("order_by")?.into_iter().map(str::to_owned).collect(),
        max_results: most(args)?,
        page: args.page_token()?,
    };
    let found = call.store.search_traces(asked).await?;
    let (mut places, mut traces) = (Places::default(), Vec::new());
    for trace in &found.items {
        traces.push(old(trace, &places.of(&call, trace).await?));
    }
    let mut answer = json!({});
    if !traces.is_empty() {
        answer["traces"] = traces.into();
    }
    if let Some(next) = found.next {
        answer["next_page_token"] = next.into();
    }
    Ok(answer)
}

fn key_values(args: &Args, name: &str) -> Result<Tags> {
    let mut tags = Tags::new();
    for pair in args.objects(name)? {
        let (key, value) = (pair.required_text("key")?, pair.text("value")?.unwrap_or_default());
        tags.insert(key.to_owned(), value.to_owned());
    }
    Ok(tags)
}

async fn answer(call: &Call, trace: &Trace) -> Result<Value> {
    let place = Places::default().of(call, trace).await?;
    Ok(json!({ "trace_info": old(trace, &place) }))
}

fn old(trace: &Trace, experiment: &str) -> Value {
    let status = match trace.state.as_str() {
        "STATE_UNSPECIFIED" => "TRACE_STATUS_UNSPECIFIED",
        state => state,
    };
    let mut shown = json!({
        "request_id": trace.id,
        "experiment_id": trace.experiment,
        "timestamp_ms": trace.started.unix_millis(),
        "execution_time_ms": trace.duration.unwrap_or_default() / 1000,
        "status": status,
        "tags": pairs(&shown::tags(trace, experiment)),
    });
    if !trace.metadata.is_empty() {
        shown["request_metadata"] = pairs(&trace.metadata).into();
    }
    shown
}
