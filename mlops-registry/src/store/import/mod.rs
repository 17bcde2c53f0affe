//! What a team has in MLflow becomes part of a record: identities, times and bytes as they were.
//!
//! A source is read, never written. What was taken once is not taken again, so that an import may be
//! repeated, after it was interrupted or when there is more. What cannot be taken is reported and why.

mod database;
mod files;
mod folder;
mod found;
mod places;
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
    Error, ErrorKind, Result, ResultExt, RunId,
    artifact::{ArtifactPath, ByteStream},
    tracker::Metric,
};
use places::Places;
use serde::Serialize;
#[cfg(feature = "mlflow")]
use server::Server;
use std::{path::PathBuf, pin::pin};
use tokio::sync::mpsc;

/// Where an import comes from.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ImportSource {
    /// The database of an MLflow server or client of 3.17. Artifacts are read where it says that they lie, or
    /// where [`ImportOptions::moved`] does.
    Database(PathBuf),
    /// A folder `mlruns` of a client without a server: experiments and runs, with the artifacts beside them.
    Folder(PathBuf),
    /// A server that speaks MLflow's API: `mlflow server` of 2.22 to 3.17, or ours. Artifacts come through
    /// its proxy; what lies elsewhere is looked for only where [`ImportOptions::moved`] says: no path that a
    /// server names is read on this machine. Deleted logged models, traces and the history of aliases do not
    /// come: a server does not show them as they were.
    #[cfg(feature = "mlflow")]
    Server(crate::RestStore),
}

/// How to import.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct ImportOptions {
    /// Where artifacts lie now whose place begins with the first text: the first of these that fits counts.
    /// What follows stays below that folder: a place with `..` there is left.
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
    /// Files of runs and logged models that are new, or other ones than before.
    pub artifacts: u64,
    /// What these take, in bytes.
    pub bytes: u64,
    /// Runs, logged models and versions that had been taken before, be it without some of their artifacts. Their
    /// artifacts that are new are counted above.
    pub known: u64,
    /// Everything that was left, and why.
    pub not_taken: Vec<NotTaken>,
}

impl Imported {
    fn left(&mut self, what: impl Into<String>, why: impl Into<String>) {
        self.not_taken.push(NotTaken { what: what.into(), why: why.into() });
    }

    /// What a source gave. What it cannot give is left, unless it may later, or does not know who asks.
    fn given<T>(&mut self, what: impl FnOnce() -> String, given: Result<T>) -> Result<Option<T>> {
        self.unless(|kind| kind.row().may_retry || kind == ErrorKind::Unauthenticated, what, given)
    }

    /// What the record did with something. What it refuses for what it is, is left; that it cannot be written
    /// is an error.
    fn kept<T>(&mut self, what: impl FnOnce() -> String, kept: Result<T>) -> Result<Option<T>> {
        use ErrorKind::{Conflict, InvalidInput, TooLarge};
        self.unless(|kind| !matches!(kind, InvalidInput | Conflict | TooLarge), what, kept)
    }

    fn unless<T>(
        &mut self,
        ends: impl FnOnce(ErrorKind) -> bool,
        what: impl FnOnce() -> String,
        outcome: Result<T>,
    ) -> Result<Option<T>> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(error) if ends(error.kind()) => Err(error).context(what),
            Err(error) => {
                self.left(what(), error.to_string());
                Ok(None)
            }
        }
    }
}

impl SqlStore {
    /// Takes what another record has into this one.
    ///
    /// # Behavior
    /// - identities of runs and logged models, numbers of versions, and all times are kept; experiments go
    ///   by their names
    /// - the same import again changes nothing
    /// - what cannot be taken is reported; the rest is taken. An error is only what may pass, and that the
    ///   record cannot be written
    /// - a run or logged model some of whose artifacts were left, be it that the folder was not there, is known
    ///   and gets them from the next import that finds them
    /// - a run that had not ended is read again, as long as nobody ends or deletes it here; so is a logged model
    ///   that was pending
    /// - a number or alias that the record has given to something else keeps its meaning, and one that was
    ///   removed here stays removed: the source's is reported
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
        let places = Places::new(options, source.is_here(), &experiments);
        let mut known = Vec::with_capacity(experiments.len());
        for found in experiments {
            let number = self.import_experiment(&found).await;
            let what = || format!("experiment {:?}", found.name);
            if let Some((number, new)) = done.kept(what, number)? {
                done.experiments += u64::from(new);
                known.push(Known { found, number });
            }
        }
        let mut runs = Vec::new();
        for experiment in &known {
            let found = source.runs(&experiment.found, &mut done).await;
            let what = || format!("runs of experiment {:?}", experiment.found.name);
            let found = done.given(what, found)?.unwrap_or_default();
            runs.extend(found.into_iter().map(|id| (experiment, id)));
        }
        let all = runs.len() as u64;
        for (at, (experiment, id)) in runs.into_iter().enumerate() {
            self.import_run(source, experiment, id, &places, &mut done).await?;
            progress(Progress { done: at as u64 + 1, all });
        }
        for model in source.logged_models(&mut done).await? {
            match known.iter().find(|known| known.found.key == model.experiment) {
                Some(known) => {
                    let (number, done) = (known.number, &mut done);
                    self.import_logged_model(source, &model, number, &places, done).await?;
                }
                None => {
                    done.left(format!("logged model {}", model.id), "its experiment is not there");
                }
            }
        }
        for model in source.registered(&mut done).await? {
            self.import_registered(source, &model, &places, &mut done).await?;
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

    /// Whether the paths that it names are of this machine.
    fn is_here(&self) -> bool {
        match self {
            Self::Database(_) | Self::Folder(_) => true,
            #[cfg(feature = "mlflow")]
            Self::Server(_) => false,
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
            Self::Database(database) => database.experiments(done).await,
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

    async fn logged_models(&mut self, done: &mut Imported) -> Result<Vec<FoundModel>> {
        match self {
            Self::Database(database) => database.logged_models(done).await,
            Self::Folder(_) => Ok(Vec::new()),
            #[cfg(feature = "mlflow")]
            Self::Server(server) => server.logged_models().await,
        }
    }

    async fn registered(&mut self, done: &mut Imported) -> Result<Vec<FoundRegistered>> {
        match self {
            Self::Database(database) => database.registered(done).await,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_and_what_keeps_the_record_from_being_written_end_an_import() {
        let mut done = Imported::default();
        let what = || "run 1".to_owned();
        for kind in ErrorKind::all() {
            let left = done.not_taken.len();
            let error = || Err::<(), _>(Error::new(kind, "no"));
            let given = done.given(what, error());
            let ends = kind.row().may_retry || kind == ErrorKind::Unauthenticated;
            assert_eq!(given.is_err(), ends, "{kind:?}");
            let kept = done.kept(what, error());
            let refused = [ErrorKind::InvalidInput, ErrorKind::Conflict, ErrorKind::TooLarge];
            assert_eq!(kept.is_ok(), refused.contains(&kind), "{kind:?}");
            let more = usize::from(given.is_ok()) + usize::from(kept.is_ok());
            assert_eq!(done.not_taken.len(), left + more);
        }
    }
}
