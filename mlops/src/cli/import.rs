//! `mlops import`: what a team has in MLflow becomes part of a record.

use super::{
    Answer, Console,
    console::visible,
    home,
    record::{Record, bytes},
};
use crate::{Error, Result};
use clap::Args;
use mlops_registry::store::{ImportOptions, ImportSource};
use std::path::PathBuf;

/// Take runs, models and artifacts from MLflow's database or folder
#[derive(Debug, Args)]
#[command(
    after_help = "Identities, numbers and times are kept; what was taken before is not taken again. \
    What is left is listed with the reason.\n\n\
    Example:\n  mlops import --from sqlite:///mlflow.db --moved mlflow-artifacts:/=mlartifacts\n  \
    mlops import --from ./mlruns"
)]
pub(super) struct Import {
    /// sqlite:///PATH of an MLflow database, or a folder mlruns
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
        let (from, options) = (self.source()?, self.options()?);
        let done = super::block_on(async {
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

    fn source(&self) -> Result<ImportSource> {
        if self.from.starts_with("sqlite:") {
            return home::file(&self.from).map(ImportSource::Database);
        }
        if let Some((scheme, _)) = self.from.split_once("://") {
            return Err(Error::unsupported(format!(
                "nothing is imported from {scheme:?} URIs yet; give sqlite:///PATH or a folder mlruns"
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
