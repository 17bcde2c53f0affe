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
        words::{case, int, ordered_bits, word},
    },
    Imported, Known, Source,
    files::Wanted,
    found::{FoundExperiment, FoundModel, FoundRun},
    places::Places,
};
use mlops_core::{
    Result, RunId,
    event::EventKind,
    tracker::{Batch, CreateExperiment, Lifecycle, RunStatus, Tags},
};
use serde_json::json;

/// The tag of what was taken: `true`, or how far it came.
pub(super) const IMPORTED: &str = "mlops.imported";
/// It was interrupted, or its points cannot be read.
const BEGUN: &str = "begun";
/// Some of its artifacts were left.
const INCOMPLETE: &str = "incomplete";

const RUN_IMPORTED: EventKind = EventKind::of("run.imported");

impl SqlStore {
    /// The number of an experiment of this name, and whether it is new because there was none.
    pub(super) async fn import_experiment(&self, found: &FoundExperiment) -> Result<(i64, bool)> {
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
        self.shared.thread.write(&self.actor, write).await
    }

    /// A run with all that it has, its end last: one that was begun is begun again.
    pub(super) async fn import_run(
        &self,
        source: &mut Source,
        experiment: &Known,
        id: RunId,
        places: &Places,
        done: &mut Imported,
    ) -> Result<()> {
        let thread = &self.shared.thread;
        let standing = thread.read(async move |db| standing_of_run(db, id).await).await?;
        if standing == Standing::Whole {
            done.known += 1;
            return Ok(());
        }
        let found = source.run(&experiment.found, id).await;
        let Some(found) = done.given(|| format!("run {id}"), found)? else { return Ok(()) };
        let keep = standing == Standing::Incomplete;
        if !keep && !self.import_all_but_files(source, experiment, &found, standing, done).await? {
            return Ok(());
        }
        let wanted = Wanted { owner: &Owner::Run(id), place: &found.place, keep };
        let whole = self.import_files(source, &wanted, places, done).await?;
        let end = async move |tx: &mut Tx<'_>| end_run(tx, found, standing, whole).await;
        thread.write(&self.actor, end).await?;
        done.count(standing, |done| &mut done.runs);
        Ok(())
    }

    /// What is written of a run before its files; whether it could be.
    async fn import_all_but_files(
        &self,
        source: &mut Source,
        experiment: &Known,
        found: &FoundRun,
        standing: Standing,
        done: &mut Imported,
    ) -> Result<bool> {
        let (thread, id) = (&self.shared.thread, found.id);
        let what = || format!("run {id}");
        let (own, number) = (found.clone(), experiment.number);
        let begin = async move |tx: &mut Tx<'_>| begin_run(tx, own, number, standing).await;
        if done.kept(what, thread.write(&self.actor, begin).await)?.is_none() {
            return Ok(false);
        }
        let (mut after, mut count) = (0, 0);
        loop {
            let some = source.points(&experiment.found, id, after).await;
            let Some((points, next)) = done.given(what, some)? else { return Ok(false) };
            count += points.len() as u64;
            let log = async move |tx: &mut Tx<'_>| {
                let batch = Parts::new(Batch::new().with_metrics(points))?;
                batch::log(tx, id, batch).await
            };
            if done.kept(what, thread.write(&self.actor, log).await)?.is_none() {
                return Ok(false);
            }
            let Some(next) = next else { break };
            after = next;
        }
        if standing == Standing::New {
            done.points += count;
        }
        Ok(true)
    }

    /// A logged model with its files; one that is there is left as it is.
    pub(super) async fn import_logged_model(
        &self,
        source: &Source,
        found: &FoundModel,
        number: i64,
        places: &Places,
        done: &mut Imported,
    ) -> Result<()> {
        let thread = &self.shared.thread;
        let id = found.id.clone();
        let standing = thread.read(async move |db| standing_of_model(db, &id).await).await?;
        if standing == Standing::Whole {
            done.known += 1;
            return Ok(());
        }
        let keep = standing == Standing::Incomplete;
        if !keep {
            let own = found.clone();
            let begun = async move |tx: &mut Tx<'_>| begin_model(tx, own, number).await;
            let begun = thread.write(&self.actor, begun).await;
            if done.kept(|| format!("logged model {}", found.id), begun)?.is_none() {
                return Ok(());
            }
        }
        let owner = Owner::Model(found.id.as_str().into());
        let wanted = Wanted { owner: &owner, place: &found.place, keep };
        let whole = self.import_files(source, &wanted, places, done).await?;
        let ended = found.clone();
        let end = async move |tx: &mut Tx<'_>| end_model(tx, ended, standing, whole).await;
        thread.write(&self.actor, end).await?;
        done.count(standing, |done| &mut done.logged_models);
        Ok(())
    }
}

impl Imported {
    /// Counts what was taken now, or was there and is read again.
    fn count(&mut self, standing: Standing, new: impl FnOnce(&mut Self) -> &mut u64) {
        *(if standing == Standing::New { new(self) } else { &mut self.known }) += 1;
    }
}

/// How far an import has come with a run or logged model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// Not there, or interrupted: all of it is taken.
    New,
    /// It had not ended when it was taken: all of it is taken again.
    Open,
    /// Only artifacts are wanting.
    Incomplete,
    /// Nothing is wanting, or it is none of an import's.
    Whole,
}

const MODEL_TAGS: TagTable = TagTable { name: "logged_model_tags", owner: "model" };
const MODEL_PARAMS: TagTable = TagTable { name: "logged_model_params", owner: "model" };

fn lifecycle(deleted: bool) -> Result<String> {
    word(if deleted { &Lifecycle::Deleted } else { &Lifecycle::Active })
}

async fn standing_of_run(db: &mut Connection, id: RunId) -> Result<Standing> {
    let key = id.to_string();
    let row = db.row("select status, lifecycle from runs where id = $1", &values![&key]).await?;
    let Some(row) = row else { return Ok(Standing::New) };
    let tag = tags::RUN.get(db, &key.into(), IMPORTED).await?;
    let open = !case::<RunStatus>(&row.text(0)?)?.is_final();
    Ok(match tag.as_deref() {
        Some(BEGUN) => Standing::New,
        Some(_) if open && lives(&row.text(1)?)? => Standing::Open,
        Some(INCOMPLETE) => Standing::Incomplete,
        _ => Standing::Whole,
    })
}

async fn standing_of_model(db: &mut Connection, id: &str) -> Result<Standing> {
    let sql = "select status, lifecycle from logged_models where id = $1";
    let Some(row) = db.row(sql, &values![id]).await? else { return Ok(Standing::New) };
    let tag = MODEL_TAGS.get(db, &id.into(), IMPORTED).await?;
    Ok(match tag.as_deref() {
        None => Standing::New,
        Some(_) if row.text(0)? == "PENDING" && lives(&row.text(1)?)? => Standing::Open,
        Some(INCOMPLETE) => Standing::Incomplete,
        _ => Standing::Whole,
    })
}

fn lives(stage: &str) -> Result<bool> {
    Ok(stage == lifecycle(false)?)
}

/// Whether nothing is wanting of what has files: what was left is not all that it has.
pub(super) async fn is_whole(db: &mut Connection, owner: &Owner) -> Result<bool> {
    let tag = match owner {
        Owner::Run(id) => tags::RUN.get(db, &id.to_string().into(), IMPORTED).await?,
        Owner::Model(id) => MODEL_TAGS.get(db, &Value::from(&**id), IMPORTED).await?,
        _ => None,
    };
    Ok(!matches!(tag.as_deref(), Some(BEGUN | INCOMPLETE)))
}

/// How what was taken is marked.
fn mark(whole: bool) -> &'static str {
    if whole { "true" } else { INCOMPLETE }
}

async fn begin_run(
    tx: &mut Tx<'_>,
    found: FoundRun,
    experiment: i64,
    standing: Standing,
) -> Result<()> {
    let key = Value::from(found.id.to_string());
    let sql = "insert into runs (id, experiment, name, status, lifecycle, actor, started)
        values ($1, $2, $3, $4, $5, $6, $7) on conflict (id) do nothing";
    let (status, live) = (word(&RunStatus::Running)?, lifecycle(false)?);
    let row =
        values![key.clone(), experiment, &found.name, status, live, &found.actor, found.started];
    tx.db.execute(sql, &row).await?;
    if standing == Standing::New {
        tags::RUN.set(tx.db, &key, IMPORTED, BEGUN).await?;
    }
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

async fn end_run(tx: &mut Tx<'_>, found: FoundRun, standing: Standing, whole: bool) -> Result<()> {
    let key = Value::from(found.id.to_string());
    tags::RUN.set(tx.db, &key, IMPORTED, mark(whole)).await?;
    if standing == Standing::Incomplete {
        return Ok(());
    }
    let sql = "update runs set status = $2, ended = $3, lifecycle = $4, deleted = $5 where id = $1";
    let (status, stage) = (word(&found.status)?, lifecycle(found.deleted)?);
    // Whoever does not know when is not to have it purged at once.
    let deleted = found.deleted.then(|| found.deleted_at.unwrap_or(tx.now));
    let row = values![key, status, found.ended, stage, deleted];
    tx.db.execute(sql, &row).await?;
    if standing == Standing::Open && !found.status.is_final() {
        return Ok(());
    }
    let detail = json!({ "name": found.name, "status": found.status });
    let event = tx.event(RUN_IMPORTED, format!("run/{}", found.id)).with_detail(detail);
    events::append(tx, &event, &About::default()).await.map(drop)
}

async fn end_model(
    tx: &mut Tx<'_>,
    found: FoundModel,
    standing: Standing,
    whole: bool,
) -> Result<()> {
    if standing != Standing::Incomplete {
        let sql =
            "update logged_models set status = $2, lifecycle = $3, updated = $4 where id = $1";
        let row = values![&found.id, found.status, lifecycle(found.deleted)?, found.updated];
        tx.db.execute(sql, &row).await?;
    }
    MODEL_TAGS.set(tx.db, &Value::from(&found.id), IMPORTED, mark(whole)).await
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
