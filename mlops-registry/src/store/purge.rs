//! What was deleted long ago and is removed for good: it cannot be restored any more. That it was there
//! stays in the event log.

use super::{
    SqlStore,
    connection::{Connection, Value, values},
    events::{self, About},
    garbage::Collected,
    session::Tx,
    words::int,
};
use mlops_core::{Result, Timestamp, event::EventKind};
use std::time::Duration;

/// How many of a kind go in one transaction.
const CHUNK: u64 = 100;

const RUN_PURGED: EventKind = EventKind::of("run.purged");
const MODEL_PURGED: EventKind = EventKind::of("logged_model.purged");
const EXPERIMENT_PURGED: EventKind = EventKind::of("experiment.purged");

/// A kind of thing that can be deleted and restored.
struct Kind {
    event: EventKind,
    /// What its subjects begin with.
    subject: &'static str,
    /// Those that go: deleted before `$1`, at most `$2`.
    due: &'static str,
    /// What goes with `$1`, and itself at the end.
    delete: &'static [&'static str],
    /// Whose paths go, as [`Owner`](super::paths::Owner) writes them.
    owner: Option<&'static str>,
}

/// Deleted themselves, or with their experiment. One of which nobody knows when it was deleted stays for
/// as long as its experiment.
static RUNS: Kind = Kind {
    event: RUN_PURGED,
    subject: "run",
    due: "select run.id from runs run join experiments own on own.id = run.experiment
        where (run.lifecycle = 'deleted' and run.deleted <= $1)
        or (own.lifecycle = 'deleted' and own.updated <= $1) order by run.id limit $2",
    delete: &[
        "delete from run_params where run = $1",
        "delete from run_tags where run = $1",
        "delete from run_inputs where run = $1",
        "delete from run_models where run = $1",
        "delete from trace_runs where run = $1",
        "delete from logged_model_metrics where run = $1",
        "delete from metric_segments where id in (select segment.id from metric_series series
            join metric_segments segment on segment.id >= series.id * 16777216
            and segment.id < (series.id + 1) * 16777216 where series.run = $1)",
        "delete from metric_series where run = $1",
        "delete from runs where id = $1",
    ],
    owner: Some("run"),
};

static LOGGED_MODELS: Kind = Kind {
    event: MODEL_PURGED,
    subject: "logged_model",
    due:
        "select model.id from logged_models model join experiments own on own.id = model.experiment
        where (model.lifecycle = 'deleted' and model.updated <= $1)
        or (own.lifecycle = 'deleted' and own.updated <= $1) order by model.id limit $2",
    delete: &[
        "delete from logged_model_tags where model = $1",
        "delete from logged_model_params where model = $1",
        "delete from logged_model_metrics where model = $1",
        "delete from run_models where model = $1",
        "delete from logged_models where id = $1",
    ],
    owner: Some("model"),
};

/// They have no trash: they go with their experiment.
static TRACES: Kind = Kind {
    event: EventKind::of("trace.purged"),
    subject: "trace",
    due: "select trace.id from traces trace join experiments own on own.id = trace.experiment
        where own.lifecycle = 'deleted' and own.updated <= $1 order by trace.id limit $2",
    delete: &[
        "delete from trace_tags where trace = $1",
        "delete from trace_metadata where trace = $1",
        "delete from trace_runs where trace = $1",
        "delete from spans where trace = $1",
        "delete from traces where id = $1",
    ],
    owner: Some("trace"),
};

/// After all that was theirs. The first one, which is there from the beginning, stays.
static EXPERIMENTS: Kind = Kind {
    event: EXPERIMENT_PURGED,
    subject: "experiment",
    due: "select cast(id as text) from experiments
        where lifecycle = 'deleted' and updated <= $1 and id <> 0 order by id limit $2",
    delete: &[
        "delete from experiment_tags where experiment = cast($1 as bigint)",
        "delete from experiments where id = cast($1 as bigint)",
    ],
    owner: None,
};

/// Removes whatever was deleted longer ago than this; only counts it if `dry`.
///
/// Versions that are made of the same bytes keep them: they do not need the run that made them.
pub(super) async fn deleted(
    store: &SqlStore,
    age: Duration,
    dry: bool,
    done: &mut Collected,
) -> Result<()> {
    let before = store.shared.clock.now().minus(age);
    done.runs = all(store, &RUNS, before, dry).await?;
    done.logged_models = all(store, &LOGGED_MODELS, before, dry).await?;
    all(store, &TRACES, before, dry).await?;
    done.experiments = all(store, &EXPERIMENTS, before, dry).await?;
    Ok(())
}

async fn all(store: &SqlStore, kind: &'static Kind, before: Timestamp, dry: bool) -> Result<u64> {
    let thread = &store.shared.thread;
    if dry {
        let count = async move |db: &mut Connection| due(db, kind, before, i64::MAX).await;
        return Ok(thread.read(count).await?.len() as u64);
    }
    let (mut count, chunk) = (0, int(CHUNK)?);
    loop {
        let purge = async move |tx: &mut Tx<'_>| {
            let ids = due(tx.db, kind, before, chunk).await?;
            for id in &ids {
                one(tx, kind, id).await?;
            }
            Ok(ids.len() as u64)
        };
        let done = thread.write(&store.actor, purge).await?;
        count += done;
        if done < CHUNK {
            return Ok(count);
        }
    }
}

async fn due(
    db: &mut Connection,
    kind: &Kind,
    before: Timestamp,
    most: i64,
) -> Result<Vec<String>> {
    let rows = db.rows(kind.due, &values![before, most]).await?;
    rows.iter().map(|row| row.text(0)).collect()
}

async fn one(tx: &mut Tx<'_>, kind: &Kind, id: &str) -> Result<()> {
    let event = tx.event(kind.event.clone(), format!("{}/{id}", kind.subject));
    events::append(tx, &event, &About::default()).await?;
    if let Some(owner) = kind.owner {
        let sql = "delete from artifact_paths where owner = $1";
        tx.db.execute(sql, &values![format!("{owner}/{id}")]).await?;
    }
    for sql in kind.delete {
        tx.db.execute(*sql, &[Value::from(id)]).await?;
    }
    Ok(())
}

#[cfg(all(test, feature = "sqlite"))]
mod tests {
    use super::{super::connection::Location, super::migrate, *};

    /// Nobody else writes while it runs, and a table may have millions of rows that stay.
    #[tokio::test]
    async fn no_statement_that_removes_reads_a_whole_table() {
        let folder = tempfile::tempdir().unwrap();
        let home = Location::File(folder.path().join("mlops.db"));
        let mut db = home.open(Duration::from_secs(5)).await.unwrap();
        let now = Timestamp::default();
        migrate::prepare(&mut db, migrate::MIGRATIONS, now, &home).await.unwrap();
        for kind in [&RUNS, &LOGGED_MODELS, &TRACES, &EXPERIMENTS] {
            for sql in kind.delete {
                let sql = format!("explain query plan {sql}");
                for row in db.rows(sql.clone(), &values!["1"]).await.unwrap() {
                    let step = row.text(3).unwrap();
                    assert!(!step.starts_with("SCAN"), "{sql}: {step}");
                }
            }
        }
    }
}
