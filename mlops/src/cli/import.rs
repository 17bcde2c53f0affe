//! `mlops import`: what a team has in MLflow becomes part of a record.

use super::{
    Answer, Console,
    console::visible,
    home,
    record::{Record, bytes},
};
use crate::{Error, Result, home::Place};
use clap::Args;
use mlops_registry::{
    RestStore,
    store::{ImportOptions, ImportSource},
};
use std::path::PathBuf;

/// Take runs, models and artifacts from an MLflow server, its database or its folder
#[derive(Debug, Args)]
#[command(
    after_help = "Identities, numbers and times are kept; what was taken before is not taken again. \
    What is left is listed with the reason; the next import takes it, if it is there by then. No path \
    that a server names is read on this machine, unless --moved leads to it. A server is asked as MLflow's \
    clients ask it: MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or MLFLOW_TRACKING_TOKEN sign in.\n\n\
    Example:\n  mlops import --from http://127.0.0.1:5000\n  \
    mlops import --from sqlite:///mlflow.db --moved mlflow-artifacts:/=mlartifacts\n  \
    mlops import --from ./mlruns"
)]
pub(super) struct Import {
    /// http://HOST:PORT of a server, sqlite:///PATH of an MLflow database, or a folder mlruns
    #[arg(long, value_name = "SOURCE")]
    from: String,
    /// Artifacts whose place begins with OLD lie in the folder NEW
    #[arg(long, value_name = "OLD=NEW")]
    moved: Vec<String>,
    #[command(flatten)]
    record: Record,
    /// Write what was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Import {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let options = self.options()?;
        let done = super::block_on(async {
            let from = self.source().await?;
            // An import may be what a record begins with.
            let store = self.record.create().await?;
            let tell = |step: mlops_registry::store::Progress| {
                console.progress(format_args!("{} of {} runs", step.done, step.all));
            };
            store.import(&from, &options, tell).await
        })?;
        if console.json() {
            console.say_json(&done)?;
            return Ok(Answer::Yes);
        }
        console.say(format_args!(
            "{} experiments, {} runs with {} points, {} logged models, {} versions, {} artifacts of {}",
            done.experiments,
            done.runs,
            done.points,
            done.logged_models,
            done.versions,
            done.artifacts,
            bytes(done.bytes)
        ))?;
        if done.known > 0 {
            console.say(format_args!("{} were there already", done.known))?;
        }
        for left in &done.not_taken {
            console.say(format_args!("left: {}: {}", visible(&left.what), visible(&left.why)))?;
        }
        Ok(Answer::Yes)
    }

    async fn source(&self) -> Result<ImportSource> {
        if self.from.starts_with("sqlite:") {
            return home::file(&self.from).map(ImportSource::Database);
        }
        if let Ok(Place::Server(url)) = Place::of(&self.from) {
            return RestStore::connect(&url, home::rest()).await.map(ImportSource::Server);
        }
        if let Some((scheme, _)) = self.from.split_once("://") {
            return Err(Error::unsupported(format!(
                "nothing is imported from {scheme:?} URIs: give http://HOST:PORT, sqlite:///PATH or a \
                 folder mlruns"
            )));
        }
        Ok(ImportSource::Folder(PathBuf::from(&self.from)))
    }

    fn options(&self) -> Result<ImportOptions> {
        self.moved.iter().try_fold(ImportOptions::default(), |options, moved| {
            let (old, new) = moved
                .split_once('=')
                .ok_or_else(|| Error::invalid(format!("--moved {moved:?} is not OLD=NEW")))?;
            Ok(options.with_moved(old, new))
        })
    }
}
