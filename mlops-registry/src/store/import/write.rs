//! Experiments, runs and logged models into the record.

use super::{
    super::{
        SqlStore,
        batch::{self, Parts},
        connection::{Connection, Value, values},
        events::{self, About},
        experiments,
        paths::Owner,
        session::Tx,
        tags::{self, TagTable},
        words::{int, ordered_bits, word},
    },
    ImportOptions, Imported, Known, Source,
    found::{FoundExperiment, FoundModel, FoundRun},
};
use mlops_core::{
    Result, RunId,
    event::EventKind,
    tracker::{Batch, CreateExperiment, Lifecycle, RunStatus, Tags},
};
use serde_json::json;

/// The tag of what was taken to its end.
pub(super) const IMPORTED: &str = "mlops.imported";

const RUN_IMPORTED: EventKind = EventKind::of("run.imported");

impl SqlStore {
    /// The number of an experiment of this name, which is new if there was none.
    pub(super) async fn import_experiment(
        &self,
        found: &FoundExperiment,
        done: &mut Imported,
    ) -> Result<i64> {
        let found = found.clone();
        let write = async move |tx: &mut Tx<'_>| {
            let sql = "select id from experiments where name = $1";
            if let Some(row) = tx.db.row(sql, &values![&found.name]).await? {
                return Ok((row.int(0)?, false));
            }
            let new = CreateExperiment::new(found.name.as_str()).with_tags(found.tags);
            let id = experiments::number(&experiments::create(tx, new).await?.id)?;
            let sql =
                "update experiments set lifecycle = $2, created = $3, updated = $4 where id = $1";
            let row = values![id, lifecycle(found.deleted)?, found.created, found.updated];
            tx.db.execute(sql, &row).await?;
            Ok((id, true))
        };
        let (id, new) = self.shared.thread.write(&self.actor, write).await?;
        done.experiments += u64::from(new);
        Ok(id)
    }

    /// A run with all that it has, its end last: one that was begun is begun again.
    pub(super) async fn import_run(
        &self,
        source: &mut Source,
        experiment: &Known,
        id: RunId,
        options: &ImportOptions,
        done: &mut Imported,
    ) -> Result<()> {
        let thread = &self.shared.thread;
        if thread.read(async move |db| is_whole(db, id).await).await? {
            done.known += 1;
            return Ok(());
        }
        let found = source.run(&experiment.found, id).await?;
        let (begun, number) = (found.clone(), experiment.number);
        thread.write(&self.actor, async move |tx| begin_run(tx, begun, number).await).await?;
        let mut after = 0;
        loop {
            let (points, next) = source.points(&experiment.found, id, after).await?;
            done.points += points.len() as u64;
            let batch = Parts::new(Batch::new().with_metrics(points))?;
            thread.write(&self.actor, async move |tx| batch::log(tx, id, batch).await).await?;
            match next {
                Some(next) => after = next,
                None => break,
            }
        }
        self.import_files(source, &Owner::Run(id), &found.place, options, done).await?;
        thread.write(&self.actor, async move |tx| end_run(tx, found).await).await?;
        done.runs += 1;
        Ok(())
    }

    /// A logged model with its files; one that is there is left as it is.
    pub(super) async fn import_logged_model(
        &self,
        source: &Source,
        found: &FoundModel,
        number: i64,
        options: &ImportOptions,
        done: &mut Imported,
    ) -> Result<()> {
        let thread = &self.shared.thread;
        let id = found.id.clone();
        let there = thread.read(async move |db| {
            let sql = "select 1 from logged_model_tags where model = $1 and key = $2";
            Ok(db.row(sql, &values![id, IMPORTED]).await?.is_some())
        });
        if there.await? {
            done.known += 1;
            return Ok(());
        }
        let begun = found.clone();
        thread.write(&self.actor, async move |tx| begin_model(tx, begun, number).await).await?;
        let owner = Owner::Model(found.id.as_str().into());
        self.import_files(source, &owner, &found.place, options, done).await?;
        let ended = found.clone();
        let end = async move |tx: &mut Tx<'_>| {
            let sql =
                "update logged_models set status = $2, lifecycle = $3, updated = $4 where id = $1";
            let row = values![&ended.id, ended.status, lifecycle(ended.deleted)?, ended.updated];
            tx.db.execute(sql, &row).await?;
            MODEL_TAGS.set(tx.db, &Value::from(&ended.id), IMPORTED, "true").await
        };
        thread.write(&self.actor, end).await?;
        done.logged_models += 1;
        Ok(())
    }
}

const MODEL_TAGS: TagTable = TagTable { name: "logged_model_tags", owner: "model" };
const MODEL_PARAMS: TagTable = TagTable { name: "logged_model_params", owner: "model" };

fn lifecycle(deleted: bool) -> Result<String> {
    word(if deleted { &Lifecycle::Deleted } else { &Lifecycle::Active })
}

/// Whether a run is there and was not left in the middle of an import.
async fn is_whole(db: &mut Connection, id: RunId) -> Result<bool> {
    let key = id.to_string();
    let there = db.row("select 1 from runs where id = $1", &values![&key]).await?.is_some();
    let begun = tags::RUN.get(db, &key.into(), IMPORTED).await?;
    Ok(there && begun.as_deref() != Some("begun"))
}

async fn begin_run(tx: &mut Tx<'_>, found: FoundRun, experiment: i64) -> Result<()> {
    let key = Value::from(found.id.to_string());
    let sql = "insert into runs (id, experiment, name, status, lifecycle, actor, started)
        values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing";
    let (status, live) = (word(&RunStatus::Running)?, lifecycle(false)?);
    let row =
        values![key.clone(), experiment, &found.name, status, live, &found.actor, found.started];
    tx.db.execute(sql, &row).await?;
    tags::RUN.set(tx.db, &key, IMPORTED, "begun").await?;
    let batch = Batch::new()
        .with_params(pairs(found.params))
        .with_tags(pairs(found.tags))
        .with_inputs(found.inputs);
    batch::log(tx, found.id, Parts::new(batch)?).await?;
    for (position, (output, model, step)) in found.models.iter().enumerate() {
        let role = if *output { "output" } else { "input" };
        let sql = "insert into run_models (run, model, role, step, position)
            values ($1, $2, $3, $4, $5) on conflict (run, role, model, step) do nothing";
        let row = values![key.clone(), model, role, *step, int(position as u64)?];
        tx.db.execute(sql, &row).await?;
    }
    Ok(())
}

fn pairs(tags: Tags) -> Vec<(String, String)> {
    tags.into_iter().collect()
}

async fn end_run(tx: &mut Tx<'_>, found: FoundRun) -> Result<()> {
    let key = Value::from(found.id.to_string());
    let sql = "update runs set status = $2, ended = $3, lifecycle = $4, deleted = $5 where id = $1";
    let (status, stage) = (word(&found.status)?, lifecycle(found.deleted.is_some())?);
    let row = values![key.clone(), status, found.ended, stage, found.deleted];
    tx.db.execute(sql, &row).await?;
    tags::RUN.set(tx.db, &key, IMPORTED, "true").await?;
    let detail = json!({ "name": found.name, "status": found.status });
    let event = tx.event(RUN_IMPORTED, format!("run/{}", found.id)).with_detail(detail);
    events::append(tx, &event, &About::default()).await.map(drop)
}

async fn begin_model(tx: &mut Tx<'_>, found: FoundModel, experiment: i64) -> Result<()> {
    let sql = "insert into logged_models (id, experiment, name, model_type, status, status_message,
        source_run, lifecycle, created, updated)
        values ($1, $2, $3, $4, 'PENDING', $5, $6, 'active', $7, $8) on conflict (id) do nothing";
    let row = values![
        &found.id,
        experiment,
        &found.name,
        found.model_type.as_ref(),
        found.status_message.as_ref(),
        found.source_run.as_ref(),
        found.created,
        found.updated,
    ];
    tx.db.execute(sql, &row).await?;
    let key = Value::from(&found.id);
    MODEL_TAGS.set_all(tx.db, &key, &found.tags).await?;
    MODEL_PARAMS.set_all(tx.db, &key, &found.params).await?;
    for point in &found.metrics {
        let sql = "insert into logged_model_metrics
            (model, metric, run, dataset_name, dataset_digest, step, time, value, number)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing";
        let (name, digest) = &point.dataset;
        let (bits, number) = (ordered_bits(point.value), Some(point.value).filter(|v| !v.is_nan()));
        let row = values![
            &found.id,
            &point.metric,
            &point.run,
            name,
            digest,
            point.step,
            point.time,
            bits,
            number
        ];
        tx.db.execute(sql, &row).await?;
    }
    Ok(())
}
