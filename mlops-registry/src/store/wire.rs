//! What MLflow's wire asks of the record: what one call writes in one transaction, and what belongs to
//! runs and is not in them.

use super::{
    SqlStore, batch,
    connection::{Connection, Value, placeholders, values},
    experiments,
    logged_models::{self, ModelPoint},
    run_models::{self, RunModel},
    runs, tags,
    words::word,
};
use mlops_core::{
    Error, ExperimentId, Result, RunId,
    tracker::{Batch, CreateRun, Experiment, ExperimentChange, Lifecycle, Run},
};
use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// How many runs are asked about at once.
const CHUNK: usize = 500;
/// The most summaries of data that one call gives, MLflow's number.
const SUMMARIES: i64 = 1000;

/// What one call of a client's writes into a run: all of it or nothing.
#[derive(Debug, Default)]
pub(crate) struct Entry {
    pub(crate) batch: Batch,
    /// A new name.
    pub(crate) name: Option<Arc<str>>,
    /// Logged models that it read or made.
    pub(crate) models: Vec<RunModel>,
    /// What it measured of logged models.
    pub(crate) measured: Vec<ModelPoint>,
}

/// What belongs to runs and is not in them.
#[derive(Debug, Default)]
pub(crate) struct RunParts {
    experiments: HashMap<ExperimentId, Experiment>,
    models: HashMap<RunId, Vec<RunModel>>,
}

impl RunParts {
    /// Of a run that was just created.
    pub(crate) fn of_experiment(experiment: Experiment) -> Self {
        let experiments = HashMap::from([(experiment.id.clone(), experiment)]);
        Self { experiments, models: HashMap::new() }
    }

    pub(crate) fn experiment(&self, id: &ExperimentId) -> Option<&Experiment> {
        self.experiments.get(id)
    }

    pub(crate) fn models(&self, id: RunId) -> &[RunModel] {
        self.models.get(&id).map(Vec::as_slice).unwrap_or_default()
    }
}

/// Data that runs of an experiment read.
#[derive(Clone, Debug)]
pub(crate) struct DatasetSummary {
    pub(crate) experiment: i64,
    pub(crate) name: String,
    pub(crate) digest: String,
    pub(crate) context: String,
}

impl SqlStore {
    /// A new run, and the experiment that it is in; a deleted one is `Invalid`.
    pub(crate) async fn create_run_in_experiment(
        &self,
        new: CreateRun,
    ) -> Result<(Run, Experiment)> {
        let (thread, number) = (&self.shared.thread, experiments::number(&new.experiment)?);
        let write = thread.write(&self.actor, async move |tx| {
            let experiment = experiments::get(tx.db, number).await?;
            if experiment.lifecycle == Lifecycle::Deleted {
                return Err(Error::invalid(format!("experiment {} is deleted", experiment.id)));
            }
            Ok((runs::create_in(tx, &experiment, new).await?, experiment))
        });
        write.await
    }

    /// Deletes or restores an experiment together with its runs, as MLflow's clients expect.
    pub(crate) async fn set_experiment_life(&self, id: &ExperimentId, to: Lifecycle) -> Result<()> {
        let (thread, number) = (&self.shared.thread, experiments::number(id)?);
        let write = thread.write(&self.actor, async move |tx| {
            let change = ExperimentChange::default().with_lifecycle(to);
            experiments::update(tx, number, change).await?;
            // A run that was deleted alone before keeps its own time: it is purged by that.
            let deleted = matches!(to, Lifecycle::Deleted).then_some(tx.now);
            let sql = "update runs set lifecycle = $2, deleted = $3
                where experiment = $1 and lifecycle <> $2";
            tx.db.execute(sql, &values![number, word(&to)?, deleted]).await.map(drop)
        });
        write.await
    }

    /// Writes into a run; a deleted one is `Conflict`.
    pub(crate) async fn enter(&self, id: &RunId, entry: Entry) -> Result<()> {
        let (thread, id) = (&self.shared.thread, *id);
        let Entry { batch, name, models, measured } = entry;
        let parts = batch::Parts::new(batch)?;
        let write = thread.write(&self.actor, async move |tx| {
            batch::log(tx, id, parts).await?;
            let run = Value::from(id.to_string());
            if let Some(name) = name {
                let sql = "update runs set name = $2 where id = $1";
                tx.db.execute(sql, &values![run.clone(), &name]).await?;
            }
            run_models::add(tx.db, &run, &models).await?;
            logged_models::log_metrics(tx, &measured).await
        });
        write.await
    }

    /// Adds an item to the JSON list that a tag of a run holds.
    pub(crate) async fn push_to_tag(
        &self,
        id: &RunId,
        key: &'static str,
        item: serde_json::Value,
    ) -> Result<()> {
        let (thread, id) = (&self.shared.thread, *id);
        let write = thread.write(&self.actor, async move |tx| {
            // Refuses a run that is not there or deleted.
            batch::log(tx, id, batch::Parts::new(Batch::new())?).await?;
            let run = Value::from(id.to_string());
            let before = tags::RUN.get(tx.db, &run, key).await?;
            let mut items: Vec<serde_json::Value> = match before {
                Some(text) => serde_json::from_str(&text)
                    .map_err(|_| Error::invalid(format!("the tag {key:?} holds no list")))?,
                None => Vec::new(),
            };
            items.push(item);
            let text = serde_json::Value::from(items).to_string();
            tags::RUN.set(tx.db, &run, key, &text).await
        });
        write.await
    }

    /// What belongs to runs and is not in them.
    pub(crate) async fn run_parts(&self, runs: &[Run]) -> Result<RunParts> {
        let ids: Vec<RunId> = runs.iter().map(|run| run.id).collect();
        let experiments: BTreeSet<&ExperimentId> = runs.iter().map(|run| &run.experiment).collect();
        let numbers: Vec<Value> = experiments
            .into_iter()
            .map(|id| experiments::number(id).map(Value::from))
            .collect::<Result<_>>()?;
        self.shared.thread.read(async move |db| parts(db, &ids, &numbers).await).await
    }

    /// The data that runs of these experiments read.
    pub(crate) async fn dataset_summaries(
        &self,
        experiments: &[ExperimentId],
    ) -> Result<Vec<DatasetSummary>> {
        let numbers = experiments.iter().map(|id| experiments::number(id).map(Value::from));
        let numbers = numbers.collect::<Result<Vec<_>>>()?;
        self.shared.thread.read(async move |db| summaries(db, numbers).await).await
    }
}

async fn parts(db: &mut Connection, ids: &[RunId], numbers: &[Value]) -> Result<RunParts> {
    let experiments = experiments::load(db, numbers).await?;
    let experiments = experiments.into_iter().map(|one| (one.id.clone(), one)).collect();
    let mut models = HashMap::new();
    for some in ids.chunks(CHUNK) {
        let keys: Vec<Value> = some.iter().map(|id| Value::from(id.to_string())).collect();
        for (run, found) in run_models::of(db, &keys).await? {
            models.insert(run.parse()?, found);
        }
    }
    Ok(RunParts { experiments, models })
}

async fn summaries(db: &mut Connection, mut values: Vec<Value>) -> Result<Vec<DatasetSummary>> {
    let list = placeholders(1, values.len());
    let limit = values.len() + 1;
    values.push(SUMMARIES.into());
    let sql = format!(
        "select distinct run.experiment, part.name, part.digest, part.context
         from run_inputs part join runs run on run.id = part.run
         where run.experiment in ({list})
         order by run.experiment, part.name, part.digest, part.context limit ${limit}"
    );
    let rows = db.rows(sql, &values).await?;
    let summary = rows.iter().map(|row| {
        Ok(DatasetSummary {
            experiment: row.int(0)?,
            name: row.text(1)?,
            digest: row.text(2)?,
            context: row.text(3)?,
        })
    });
    summary.collect()
}
