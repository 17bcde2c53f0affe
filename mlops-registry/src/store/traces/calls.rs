//! What the server asks of traces.

use super::{
    Span, TraceSearch, known, search, spans,
    whole::{Trace, get, load},
};
use crate::store::{
    SqlStore,
    connection::{Value, placeholders, values},
    experiments, runs,
    session::Tx,
    tags,
};
use mlops_core::{
    Error, ExperimentId, Result, RunId,
    page::Page,
    tracker::{Lifecycle, Tags},
};
use std::collections::HashMap;

/// The tag under which clients look for a trace's name.
const NAME: &str = "mlflow.traceName";
/// How many traces one statement names.
const CHUNK: usize = 500;

/// Which traces of an experiment are deleted: the oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct DeleteTraces {
    /// Only those that began at this time or before, in milliseconds since 1970.
    pub(crate) until: Option<i64>,
    /// Only so many.
    pub(crate) most: Option<i64>,
    /// Only these, if any are named.
    pub(crate) ids: Vec<String>,
}

impl SqlStore {
    /// Notes a trace; what was known of it before is changed by what is said now. One without an identity
    /// gets one.
    pub(crate) async fn put_trace(&self, mut trace: Trace) -> Result<Trace> {
        let thread = &self.shared.thread;
        let write = thread.write(&self.actor, async move |tx| {
            let number = experiments::number(&trace.experiment)?;
            if experiments::get(tx.db, number).await?.lifecycle != Lifecycle::Active {
                return Err(Error::invalid(format!("experiment {number} is deleted")));
            }
            if trace.id.is_empty() {
                trace.id = format!("{:032x}", tx.id());
            }
            trace.put(tx.db, number).await?;
            get(tx.db, &trace.id).await
        });
        write.await
    }

    /// As clients before version 3 end a trace.
    pub(crate) async fn end_trace(
        &self,
        id: &str,
        ended_millis: i64,
        state: String,
        metadata: Tags,
        new_tags: Tags,
    ) -> Result<Trace> {
        let (thread, id) = (&self.shared.thread, id.to_owned());
        let write = thread.write(&self.actor, async move |tx| {
            let mut trace = get(tx.db, &id).await?;
            let lasted = ended_millis.saturating_sub(trace.started.unix_millis());
            trace.duration = Some(lasted.saturating_mul(1000));
            (trace.state, trace.metadata, trace.tags) = (state, metadata, new_tags);
            trace.name = trace.tags.remove(NAME).or(trace.name);
            let number = experiments::number(&trace.experiment)?;
            trace.put(tx.db, number).await?;
            get(tx.db, &id).await
        });
        write.await
    }

    /// Adds spans, all of them or none.
    pub(crate) async fn log_spans(&self, experiment: &ExperimentId, new: Vec<Span>) -> Result<()> {
        let (thread, experiment) = (&self.shared.thread, experiment.clone());
        thread.write(&self.actor, async move |tx| spans::log(tx, &experiment, &new).await).await
    }

    /// Traces in the order asked for; those that are not there are left out.
    pub(crate) async fn traces(&self, ids: Vec<String>) -> Result<Vec<Trace>> {
        let read = self.shared.thread.read(async move |db| {
            let ids: Vec<_> = ids.iter().map(Value::from).collect();
            load(db, &ids).await
        });
        read.await
    }

    /// A trace; an unknown one is `NotFound`.
    pub(crate) async fn trace(&self, id: &str) -> Result<Trace> {
        let id = id.to_owned();
        self.shared.thread.read(async move |db| get(db, &id).await).await
    }

    /// The spans of traces as clients read them, by trace.
    pub(crate) async fn spans(
        &self,
        traces: Vec<String>,
    ) -> Result<HashMap<String, Vec<serde_json::Value>>> {
        self.shared.thread.read(async move |db| spans::of(db, &traces).await).await
    }

    /// The traces that a search finds.
    pub(crate) async fn search_traces(&self, asked: TraceSearch) -> Result<Page<Trace>> {
        let read = self.shared.thread.read(async move |db| {
            let Page { items, next } = search::find(db, &asked).await?;
            Ok(Page { items: load(db, &items).await?, next })
        });
        read.await
    }

    /// Sets a tag; that of the name is the name.
    pub(crate) async fn tag_trace(&self, id: &str, key: &str, value: &str) -> Result<()> {
        let (id, key, value) = (id.to_owned(), key.to_owned(), value.to_owned());
        let write = self.shared.thread.write(&self.actor, async move |tx| {
            known(tx.db, &id).await?;
            if key == NAME {
                let sql = "update traces set name = $2 where id = $1";
                return tx.db.execute(sql, &values![&id, &value]).await.map(drop);
            }
            tags::TRACE.set(tx.db, &id.as_str().into(), &key, &value).await
        });
        write.await
    }

    /// Removes a tag; one that is not there is `NotFound`.
    pub(crate) async fn untag_trace(&self, id: &str, key: &str) -> Result<()> {
        let (id, key) = (id.to_owned(), key.to_owned());
        let write = self.shared.thread.write(&self.actor, async move |tx| {
            known(tx.db, &id).await?;
            if key == NAME {
                let sql = "update traces set name = null where id = $1";
                return tx.db.execute(sql, &values![&id]).await.map(drop);
            }
            spans::untag(tx.db, &id, &key).await
        });
        write.await
    }

    /// Says that traces belong to a run; those that are not there are left out.
    pub(crate) async fn link_traces(&self, traces: Vec<String>, run: RunId) -> Result<()> {
        let write = self.shared.thread.write(&self.actor, async move |tx| {
            runs::get(tx.db, run).await?;
            for trace in traces {
                let sql = "insert into trace_runs (trace, run)
                    select id, $2 from traces where id = $1 on conflict (trace, run) do nothing";
                tx.db.execute(sql, &values![trace, run.to_string()]).await?;
            }
            Ok(())
        });
        write.await
    }

    /// Deletes traces with all that belongs to them; gives how many.
    pub(crate) async fn delete_traces(
        &self,
        experiment: &ExperimentId,
        which: DeleteTraces,
    ) -> Result<u64> {
        let number = experiments::number(experiment)?;
        let thread = &self.shared.thread;
        thread.write(&self.actor, async move |tx| delete(tx, number, which).await).await
    }
}

async fn delete(tx: &mut Tx<'_>, experiment: i64, which: DeleteTraces) -> Result<u64> {
    let most = which.most.unwrap_or(i64::MAX);
    let until = which.until.unwrap_or(i64::MAX / 1000).saturating_mul(1000).saturating_add(999);
    if which.ids.is_empty() {
        let chosen = "select id from traces where experiment = $1 and started <= $2
            order by started, id limit $3";
        return spans::remove(tx.db, chosen, &values![experiment, until, most]).await;
    }
    let mut deleted = 0;
    for some in which.ids.chunks(CHUNK) {
        let list = placeholders(2, some.len());
        let chosen = format!("select id from traces where experiment = $1 and id in ({list})");
        let mut row = vec![Value::from(experiment)];
        row.extend(some.iter().map(Value::from));
        deleted += spans::remove(tx.db, &chosen, &row).await?;
    }
    Ok(deleted)
}
