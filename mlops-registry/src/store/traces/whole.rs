//! A trace without its spans.

use crate::store::{
    connection::{Connection, Row, Value, placeholders, values},
    tags,
};
use mlops_core::{ExperimentId, Result, Timestamp, tracker::Tags};
use std::collections::HashMap;

/// How many traces are read at once.
const CHUNK: usize = 500;
const COLUMNS: &str = "id, experiment, started, duration, state, name, client_request,
    request_preview, response_preview";

/// What clients say about a trace.
#[derive(Clone, Debug)]
pub(crate) struct Trace {
    pub(crate) id: String,
    pub(crate) experiment: ExperimentId,
    pub(crate) started: Timestamp,
    /// In microseconds; `None` while it goes on.
    pub(crate) duration: Option<i64>,
    /// `OK`, `ERROR`, `IN_PROGRESS` or `STATE_UNSPECIFIED`.
    pub(crate) state: String,
    pub(crate) name: Option<String>,
    pub(crate) client_request: Option<String>,
    pub(crate) request_preview: Option<String>,
    pub(crate) response_preview: Option<String>,
    pub(crate) metadata: Tags,
    /// Without the name and the place of its artifacts.
    pub(crate) tags: Tags,
}

impl Trace {
    /// Writes the trace itself; what it replaces was there or not.
    pub(super) async fn put(&self, db: &mut Connection, experiment: i64) -> Result<()> {
        let sql = "insert into traces (id, experiment, started, duration, state, name,
                client_request, request_preview, response_preview)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
            on conflict (id) do update set experiment = excluded.experiment,
                started = excluded.started, duration = excluded.duration, state = excluded.state,
                name = coalesce(excluded.name, traces.name),
                client_request = excluded.client_request,
                request_preview = coalesce(excluded.request_preview, traces.request_preview),
                response_preview = coalesce(excluded.response_preview, traces.response_preview)";
        let row = values![
            &self.id,
            experiment,
            self.started,
            self.duration,
            &self.state,
            self.name.as_ref(),
            self.client_request.as_ref(),
            self.request_preview.as_ref(),
            self.response_preview.as_ref(),
        ];
        db.execute(sql, &row).await?;
        let id = Value::from(&self.id);
        tags::TRACE.set_all(db, &id, &self.tags).await?;
        tags::TRACE_METADATA.set_all(db, &id, &self.metadata).await
    }
}

/// One trace; an unknown one is `NotFound`.
pub(super) async fn get(db: &mut Connection, id: &str) -> Result<Trace> {
    load(db, &values![id]).await?.pop().ok_or_else(|| super::unknown(id))
}

/// Traces in the order asked for; those that are not there are left out.
pub(super) async fn load(db: &mut Connection, ids: &[Value]) -> Result<Vec<Trace>> {
    let mut traces = Vec::with_capacity(ids.len());
    for some in ids.chunks(CHUNK) {
        let list = placeholders(1, some.len());
        let sql = format!("select {COLUMNS} from traces where id in ({list})");
        let mut found = HashMap::with_capacity(some.len());
        for row in db.rows(sql, some).await? {
            found.insert(row.text(0)?, trace(&row)?);
        }
        for (id, tags) in tags::TRACE.of(db, some).await? {
            found.entry(id).and_modify(|trace| trace.tags = tags);
        }
        for (id, metadata) in tags::TRACE_METADATA.of(db, some).await? {
            found.entry(id).and_modify(|trace| trace.metadata = metadata);
        }
        traces.extend(some.iter().filter_map(|id| match id {
            Value::Text(id) => found.remove(id),
            _ => None,
        }));
    }
    Ok(traces)
}

fn trace(row: &Row) -> Result<Trace> {
    Ok(Trace {
        id: row.text(0)?,
        experiment: ExperimentId::new(row.int(1)?.to_string())?,
        started: row.time(2)?,
        duration: row.optional_int(3)?,
        state: row.text(4)?,
        name: row.optional_text(5)?,
        client_request: row.optional_text(6)?,
        request_preview: row.optional_text(7)?,
        response_preview: row.optional_text(8)?,
        metadata: Tags::new(),
        tags: Tags::new(),
    })
}
