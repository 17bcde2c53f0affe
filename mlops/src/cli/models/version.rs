//! `mlops models download` and `mlops models delete-version`.

use super::super::{
    Answer, Console,
    console::visible,
    parent_of,
    record::{Asked, bytes},
};
use crate::{ModelName, Registry, Result, VersionId, registry::ModelUri};
use clap::Args;
use serde_json::json;
use std::path::PathBuf;

/// Copy a version into a new folder, every byte verified before it appears
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops models download models:/risk@champion --to risk")]
pub(in super::super) struct Download {
    /// Which version: models:/NAME@ALIAS, models:/NAME/VERSION or models:/NAME/latest
    uri: ModelUri,
    /// The folder to make
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    pub(super) asked: Asked,
}

/// Delete a version that no alias points at; its number is never given again
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops models delete-version risk 3")]
pub(in super::super) struct Delete {
    /// The model
    name: ModelName,
    /// The number of the version
    number: u64,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl Download {
    pub(super) async fn run(&self, registry: &dyn Registry, console: &Console) -> Result<Answer> {
        let version = registry.resolve(&self.uri).await?;
        console.progress(format_args!("fetching version {}", version.id.version));
        parent_of(&self.to)?;
        let package = registry.fetch(&version.id, &self.to).await?;
        let (manifest, to) = (package.manifest(), &self.to);
        let (count, size) = (manifest.iter().len(), manifest.size());
        if console.json() {
            let (model, number) = (&version.id.model, version.id.version);
            console.say_json(&json!({
                "model": model, "version": number, "digest": manifest.digest(),
                "files": count, "bytes": size, "to": to,
            }))?;
        } else {
            let id = visible(&version.id.to_string());
            let to = visible(&to.display().to_string());
            console.say(format_args!("version {id}: {count} files of {} in {to}", bytes(size)))?;
        }
        Ok(Answer::Yes)
    }
}

impl Delete {
    pub(super) async fn run(&self, registry: &dyn Registry, console: &Console) -> Result<Answer> {
        let id = VersionId::new(self.name.clone(), self.number);
        registry.delete_version(&id).await?;
        if console.json() {
            console.say_json(&json!({ "deleted": id.to_string() }))?;
        } else {
            console.say(format_args!("deleted version {}", visible(&id.to_string())))?;
        }
        Ok(Answer::Yes)
    }
}
