//! What a team has in MLflow becomes part of a record: identities, times and bytes as they were.
//!
//! A source is read, never written. What was taken once is not taken again, so that an import may be
//! repeated, after it was interrupted or when there is more. What cannot be taken is reported and why.

mod database;
mod files;
mod folder;
mod found;
mod registered;
#[cfg(feature = "mlflow")]
mod server;
mod write;

use super::{Progress, SqlStore, thread};
use database::Database;
use folder::Folder;
use found::{FoundExperiment, FoundModel, FoundRegistered, FoundRun};
use futures_util::future::{Either, select};
use mlops_core::{
    Error, Result, RunId,
    artifact::{ArtifactPath, ByteStream},
    tracker::Metric,
};
use serde::Serialize;
#[cfg(feature = "mlflow")]
use server::Server;
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
    /// A server that speaks MLflow's API: `mlflow server` of 2.22 to 3.17, or ours. Artifacts come through
    /// its proxy; what lies elsewhere is looked for where [`ImportOptions::moved`] says. Deleted logged
    /// models, traces and the history of aliases do not come: a server does not show them as they were.
    #[cfg(feature = "mlflow")]
    Server(crate::RestStore),
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
        let experiments = source.experiments(&mut done).await?;
        source.unknown(&mut done).await?;
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
                    let (number, done) = (known.number, &mut done);
                    self.import_logged_model(source, &model, number, options, done).await?;
                }
                None => {
                    done.left(format!("logged model {}", model.id), "its experiment is not there");
                }
            }
        }
        for model in source.registered(&mut done).await? {
            self.import_registered(source, &model, options, &mut done).await?;
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
    #[cfg(feature = "mlflow")]
    Server(Server),
}

impl Source {
    async fn open(from: &ImportSource) -> Result<Self> {
        match from {
            ImportSource::Database(path) => Database::open(path).await.map(Self::Database),
            ImportSource::Folder(path) => Folder::open(path).map(Self::Folder),
            #[cfg(feature = "mlflow")]
            ImportSource::Server(store) => Ok(Self::Server(Server::new(store.clone()))),
        }
    }

    async fn close(self) -> Result<()> {
        match self {
            Self::Database(database) => database.close().await,
            Self::Folder(_) => Ok(()),
            #[cfg(feature = "mlflow")]
            Self::Server(_) => Ok(()),
        }
    }

    /// Reports what there is that is never taken.
    async fn unknown(&mut self, done: &mut Imported) -> Result<()> {
        match self {
            Self::Database(database) => database.unknown(done).await,
            Self::Folder(folder) => folder.unknown(done),
            #[cfg(feature = "mlflow")]
            Self::Server(server) => server.unknown(done).await,
        }
    }

    async fn experiments(&mut self, done: &mut Imported) -> Result<Vec<FoundExperiment>> {
        match self {
            Self::Database(database) => database.experiments().await,
            Self::Folder(folder) => folder.experiments(done),
            #[cfg(feature = "mlflow")]
            Self::Server(server) => server.experiments().await,
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
            #[cfg(feature = "mlflow")]
            Self::Server(server) => server.runs(experiment, done).await,
        }
    }

    async fn run(&mut self, experiment: &FoundExperiment, id: RunId) -> Result<FoundRun> {
        match self {
            Self::Database(database) => database.run(id).await,
            Self::Folder(folder) => folder.run(experiment, id),
            #[cfg(feature = "mlflow")]
            Self::Server(server) => server.run(id).await,
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
            #[cfg(feature = "mlflow")]
            Self::Server(server) => server.points(id, after).await,
        }
    }

    async fn logged_models(&mut self) -> Result<Vec<FoundModel>> {
        match self {
            Self::Database(database) => database.logged_models().await,
            Self::Folder(_) => Ok(Vec::new()),
            #[cfg(feature = "mlflow")]
            Self::Server(server) => server.logged_models().await,
        }
    }

    async fn registered(
        &mut self,
        #[cfg_attr(not(feature = "mlflow"), expect(unused_variables, reason = "a server's"))]
        done: &mut Imported,
    ) -> Result<Vec<FoundRegistered>> {
        match self {
            Self::Database(database) => database.registered().await,
            Self::Folder(_) => Ok(Vec::new()),
            #[cfg(feature = "mlflow")]
            Self::Server(server) => server.registered(done).await,
        }
    }
}

impl Source {
    /// Every file below a place that the source hands out itself; `None` where folders are looked at.
    #[cfg(feature = "mlflow")]
    async fn files(&self, place: &str) -> Result<Option<Vec<String>>> {
        match self {
            Self::Server(server) => server.files(place).await,
            _ => Ok(None),
        }
    }

    #[cfg(not(feature = "mlflow"))]
    #[expect(clippy::unused_async, reason = "a server answers later")]
    async fn files(&self, _: &str) -> Result<Option<Vec<String>>> {
        Ok(None)
    }

    /// The bytes of one of these files.
    #[cfg(feature = "mlflow")]
    async fn file(&self, place: &str, path: &ArtifactPath) -> Result<ByteStream> {
        match self {
            Self::Server(server) => server.file(place, path).await,
            _ => Err(Error::internal("a file that lies in a folder")),
        }
    }

    #[cfg(not(feature = "mlflow"))]
    #[expect(clippy::unused_async, reason = "a server answers later")]
    async fn file(&self, _: &str, _: &ArtifactPath) -> Result<ByteStream> {
        Err(Error::internal("a file that lies in a folder"))
    }
}

/// A status that a source knows and MLflow does not.
fn unknown_status(status: &str) -> Error {
    Error::corrupt(format!("the source: {status:?} is no status of a run"))
}
