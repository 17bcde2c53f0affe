//! What a team has in MLflow becomes part of a record: identities, times and bytes as they were.
//!
//! A source is read, never written. What was taken once is not taken again, so that an import may be
//! repeated, after it was interrupted or when there is more. What cannot be taken is reported and why.

mod database;
mod files;
mod folder;
mod found;
mod registered;
mod write;

use super::{Progress, SqlStore, thread};
use database::Database;
use folder::Folder;
use found::{FoundExperiment, FoundModel, FoundRegistered, FoundRun};
use futures_util::future::{Either, select};
use mlops_core::{Error, Result, RunId, tracker::Metric};
use serde::Serialize;
use std::{path::PathBuf, pin::pin};
use tokio::sync::mpsc;

/// Where an import comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ImportSource {
    /// The database of an MLflow server or client of 3.17.
    Database(PathBuf),
    /// A folder `mlruns` of a client without a server.
    Folder(PathBuf),
}

/// How to import.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Where artifacts lie now whose place begins with the first text: the first of these that fits counts.
    /// `mlflow-artifacts:` is what a server calls the folder that it proxies.
    pub moved: Vec<(String, PathBuf)>,
}

impl ImportOptions {
    /// Says where artifacts lie now whose place begins with this text.
    #[must_use]
    pub fn with_moved(mut self, from: impl Into<String>, to: impl Into<PathBuf>) -> Self {
        self.moved.push((from.into(), to.into()));
        self
    }
}

/// What was not taken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct NotTaken {
    /// Which thing it is.
    pub what: String,
    /// Why it was left.
    pub why: String,
}

/// What an import did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Imported {
    /// Experiments that are new; one whose name the record has already takes part under that name.
    pub experiments: u64,
    /// Runs that are new.
    pub runs: u64,
    /// Points of metrics of these runs.
    pub points: u64,
    /// Logged models that are new.
    pub logged_models: u64,
    /// Versions of registered models that are new.
    pub versions: u64,
    /// Files of runs and logged models.
    pub artifacts: u64,
    /// What these take, in bytes.
    pub bytes: u64,
    /// Runs, logged models and versions that had been taken before.
    pub known: u64,
    /// Everything that was left, and why.
    pub not_taken: Vec<NotTaken>,
}

impl Imported {
    fn left(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.not_taken.push(NotTaken { what: what.into(), why: why.into() });
    }
}

impl SqlStore {
    /// Takes what another record has into this one.
    ///
    /// # Behavior
    /// - identities of runs and logged models, numbers of versions, and all times are kept; experiments go
    ///   by their names
    /// - the same import again changes nothing
    /// - what cannot be taken is reported; the rest is taken
    /// - interrupted, it leaves what was begun as running runs; the next one goes on
    pub async fn import(
        &self,
        from: &ImportSource,
        options: &ImportOptions,
        mut progress: impl FnMut(Progress),
    ) -> Result<Imported> {
        let (tell, mut told) = mpsc::channel(1);
        let (store, from, options) = (self.clone(), from.clone(), options.clone());
        // Reading a source waits for the disk: on a thread of its own no host notices that.
        let work =
            thread::once(move || async move { store.import_here(&from, &options, tell).await });
        let mut work = pin!(work);
        loop {
            match select(work, pin!(told.recv())).await {
                Either::Left((done, _)) => return done,
                Either::Right((Some(step), rest)) => {
                    progress(step);
                    work = rest;
                }
                Either::Right((None, rest)) => return rest.await,
            }
        }
    }

    async fn import_here(
        &self,
        from: &ImportSource,
        options: &ImportOptions,
        tell: mpsc::Sender<Progress>,
    ) -> Result<Imported> {
        let mut source = Source::open(from).await?;
        // Only the latest step is of interest.
        let mut progress = |step| {
            let _ = tell.try_send(step);
        };
        let outcome = self.import_all(&mut source, options, &mut progress).await;
        let closed = source.close().await;
        let done = outcome?;
        closed.map(|()| done)
    }

    async fn import_all(
        &self,
        source: &mut Source,
        options: &ImportOptions,
        progress: &mut impl FnMut(Progress),
    ) -> Result<Imported> {
        let mut done = Imported::default();
        source.unknown(&mut done).await?;
        let experiments = source.experiments(&mut done).await?;
        let mut known = Vec::with_capacity(experiments.len());
        for found in experiments {
            let number = self.import_experiment(&found, &mut done).await?;
            known.push(Known { found, number });
        }
        let mut runs = Vec::new();
        for experiment in &known {
            let found = source.runs(&experiment.found, &mut done).await?;
            runs.extend(found.into_iter().map(|id| (experiment, id)));
        }
        let all = runs.len() as u64;
        for (at, (experiment, id)) in runs.into_iter().enumerate() {
            self.import_run(source, experiment, id, options, &mut done).await?;
            progress(Progress { done: at as u64 + 1, all });
        }
        for model in source.logged_models().await? {
            match known.iter().find(|known| known.found.key == model.experiment) {
                Some(known) => {
                    self.import_logged_model(&model, known.number, options, &mut done).await?;
                }
                None => {
                    done.left(format!("logged model {}", model.id), "its experiment is not there");
                }
            }
        }
        for model in source.registered().await? {
            self.import_registered(&model, options, &mut done).await?;
        }
        Ok(done)
    }
}

/// An experiment of a source, and the record's number of it.
struct Known {
    found: FoundExperiment,
    number: i64,
}

/// What is read.
enum Source {
    Database(Database),
    Folder(Folder),
}

impl Source {
    async fn open(from: &ImportSource) -> Result<Self> {
        match from {
            ImportSource::Database(path) => Database::open(path).await.map(Self::Database),
            ImportSource::Folder(path) => Folder::open(path).map(Self::Folder),
        }
    }

    async fn close(self) -> Result<()> {
        match self {
            Self::Database(database) => database.close().await,
            Self::Folder(_) => Ok(()),
        }
    }

    /// Reports what there is that is never taken.
    async fn unknown(&mut self, done: &mut Imported) -> Result<()> {
        match self {
            Self::Database(database) => database.unknown(done).await,
            Self::Folder(folder) => folder.unknown(done),
        }
    }

    async fn experiments(&mut self, done: &mut Imported) -> Result<Vec<FoundExperiment>> {
        match self {
            Self::Database(database) => database.experiments().await,
            Self::Folder(folder) => folder.experiments(done),
        }
    }

    async fn runs(
        &mut self,
        experiment: &FoundExperiment,
        done: &mut Imported,
    ) -> Result<Vec<RunId>> {
        match self {
            Self::Database(database) => database.runs(experiment, done).await,
            Self::Folder(folder) => folder.runs(experiment, done),
        }
    }

    async fn run(&mut self, experiment: &FoundExperiment, id: RunId) -> Result<FoundRun> {
        match self {
            Self::Database(database) => database.run(id).await,
            Self::Folder(folder) => folder.run(experiment, id),
        }
    }

    /// Some points of a run, and where the next begin; none after the last.
    async fn points(
        &mut self,
        experiment: &FoundExperiment,
        id: RunId,
        after: u64,
    ) -> Result<(Vec<Metric>, Option<u64>)> {
        match self {
            Self::Database(database) => database.points(id, after).await,
            Self::Folder(folder) => folder.points(experiment, id, after),
        }
    }

    async fn logged_models(&mut self) -> Result<Vec<FoundModel>> {
        match self {
            Self::Database(database) => database.logged_models().await,
            Self::Folder(_) => Ok(Vec::new()),
        }
    }

    async fn registered(&mut self) -> Result<Vec<FoundRegistered>> {
        match self {
            Self::Database(database) => database.registered().await,
            Self::Folder(_) => Ok(Vec::new()),
        }
    }
}

/// A status that a source knows and MLflow does not.
fn unknown_status(status: &str) -> Error {
    Error::corrupt(format!("the source: {status:?} is no status of a run"))
}
