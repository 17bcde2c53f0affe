//! Spans: kept as clients read them, and what a trace learns from them.

use super::whole::{Trace, get};
use crate::store::{
    connection::{Connection, Value as Bound, placeholders, values},
    experiments,
    session::Tx,
    tags,
    words::json,
};
use mlops_core::{
    Error, ExperimentId, Result, Timestamp,
    tracker::{Lifecycle, Tags},
};
use serde_json::Value;
use std::collections::{BTreeMap, HashMap};

/// The tag that tells clients to ask the server for spans, and its value.
const SPANS_LOCATION: (&str, &str) = ("mlflow.trace.spansLocation", "TRACKING_STORE");

/// A part of a trace.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    pub(crate) trace: String,
    /// 16 hexadecimal digits.
    pub(crate) id: String,
    pub(crate) parent: Option<String>,
    /// Nanoseconds since 1970.
    pub(crate) started: i64,
    /// The same; `None` while it goes on.
    pub(crate) ended: Option<i64>,
    pub(crate) failed: bool,
    /// The span as clients read it.
    pub(crate) content: Value,
    /// What a root says about its whole trace.
    pub(crate) inputs: Option<String>,
    pub(crate) outputs: Option<String>,
    pub(crate) tags: Tags,
    pub(crate) name: Option<String>,
}

/// Adds spans; a trace that nobody has announced begins with them.
pub(super) async fn log(tx: &mut Tx<'_>, experiment: &ExperimentId, spans: &[Span]) -> Result<()> {
    let mut traces = BTreeMap::<&str, Vec<&Span>>::new();
    for span in spans {
        traces.entry(&span.trace).or_default().push(span);
    }
    for (id, spans) in traces {
        let known = match get(tx.db, id).await {
            Ok(trace) => Some(trace),
            Err(error) if error.kind() == mlops_core::ErrorKind::NotFound => None,
            Err(error) => return Err(error),
        };
        let number = if let Some(trace) = &known {
            experiments::number(&trace.experiment)?
        } else {
            let number = experiments::number(experiment)?;
            if experiments::get(tx.db, number).await?.lifecycle != Lifecycle::Active {
                return Err(Error::invalid(format!("experiment {number} is deleted")));
            }
            number
        };
        learned(known, id, experiment, &spans).put(tx.db, number).await?;
        for span in spans {
            put(tx.db, span).await?;
        }
    }
    Ok(())
}

async fn put(db: &mut Connection, span: &Span) -> Result<()> {
    let sql = "insert into spans (trace, id, parent, started, content) values ($1, $2, $3, $4, $5)
        on conflict (trace, id) do update
        set parent = excluded.parent, started = excluded.started, content = excluded.content";
    let content = json(&span.content)?;
    let row = values![&span.trace, &span.id, span.parent.as_ref(), span.started, content];
    db.execute(sql, &row).await.map(drop)
}

/// The trace with what these spans say of it: it lasts from the first start to the last end, and its
/// root knows how it went, unless its client has said so itself.
fn learned(known: Option<Trace>, id: &str, experiment: &ExperimentId, spans: &[&Span]) -> Trace {
    let begun = spans.iter().map(|span| span.started / 1000).min().unwrap_or_default();
    let ended = spans.iter().filter_map(|span| span.ended).map(|ended| ended / 1000).max();
    // Clients count in milliseconds.
    let (begun, ended) = (whole(begun), ended.map(whole));
    let mut trace = known.unwrap_or_else(|| Trace {
        id: id.to_owned(),
        experiment: experiment.clone(),
        started: Timestamp::from_unix_micros(begun),
        duration: None,
        state: "IN_PROGRESS".to_owned(),
        name: None,
        client_request: None,
        request_preview: None,
        response_preview: None,
        metadata: Tags::new(),
        tags: Tags::new(),
    });
    let before = trace.started.unix_micros();
    let until = trace.duration.map(|duration| before.saturating_add(duration)).max(ended);
    let since = before.min(begun);
    trace.started = Timestamp::from_unix_micros(since);
    trace.duration = until.map(|until| until.saturating_sub(since));
    trace.tags = BTreeMap::from([(SPANS_LOCATION.0.to_owned(), SPANS_LOCATION.1.to_owned())]);
    trace.metadata.clear();
    for span in spans {
        trace.tags.extend(span.tags.clone());
    }
    if let Some(root) = spans.iter().find(|span| span.parent.is_none()) {
        if matches!(trace.state.as_str(), "IN_PROGRESS" | "STATE_UNSPECIFIED") {
            trace.state = String::from(if root.failed { "ERROR" } else { "OK" });
        }
        trace.request_preview = trace.request_preview.or_else(|| root.inputs.clone());
        trace.response_preview = trace.response_preview.or_else(|| root.outputs.clone());
        trace.name = root.name.clone().or(trace.name);
    }
    trace
}

fn whole(micros: i64) -> i64 {
    micros.div_euclid(1000) * 1000
}

/// The spans of traces, by trace: roots first, then by their start.
pub(super) async fn of(
    db: &mut Connection,
    traces: &[String],
) -> Result<HashMap<String, Vec<Value>>> {
    let mut found = HashMap::<String, Vec<Value>>::new();
    for some in traces.chunks(500) {
        let keys: Vec<_> = some.iter().map(Bound::from).collect();
        let list = placeholders(1, keys.len());
        let sql = format!(
            "select trace, content from spans where trace in ({list})
             order by trace, case when parent is null then 0 else 1 end, started, id"
        );
        for row in db.rows(sql, &keys).await? {
            found.entry(row.text(0)?).or_default().push(row.json(1)?);
        }
    }
    Ok(found)
}

/// Removes everything about traces that a statement of ours chooses; gives how many there were.
pub(super) async fn remove(db: &mut Connection, chosen: &str, values: &[Bound]) -> Result<u64> {
    for parts in [
        "spans where trace in",
        "trace_runs where trace in",
        "trace_tags where trace in",
        "trace_metadata where trace in",
    ] {
        db.execute(format!("delete from {parts} ({chosen})"), values).await?;
    }
    let files = format!(
        "delete from artifact_paths where owner in (select 'trace/' || id from ({chosen}) item)"
    );
    db.execute(files, values).await?;
    db.execute(format!("delete from traces where id in ({chosen})"), values).await
}

/// Removes a tag; one that is not there is `NotFound`.
pub(super) async fn untag(db: &mut Connection, id: &str, key: &str) -> Result<()> {
    let owner = id.into();
    if tags::TRACE.get(db, &owner, key).await?.is_none() {
        let text = format!("No trace tag with key '{key}' for trace with ID '{id}'");
        return Err(Error::not_found(text));
    }
    tags::TRACE.remove(db, &owner, key).await
}
