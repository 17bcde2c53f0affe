//! `mlops export`: the record in a form that any program reads.

use super::{
    Answer, Console,
    console::visible,
    record::{Record, bytes},
};
use crate::Result;
use clap::Args;
use std::path::PathBuf;

/// Write the record as JSON Lines and files, for other programs
#[derive(Debug, Args)]
#[command(
    after_help = "One file for each kind (experiments.jsonl, runs.jsonl, metrics.jsonl, versions.jsonl, \
    events.jsonl …), the artifacts under their digests, and export.json, written last: a folder without \
    it is no export.\n\n\
    Example:\n  mlops export --to export --backend-store-uri sqlite:///mlops.db"
)]
pub(super) struct Export {
    /// A folder that is new or empty
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    record: Record,
    /// Write the note of the export as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Export {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let note = super::block_on(async {
            let store = self.record.open().await?;
            let tell = |step: mlops_registry::store::Progress| {
                console.progress(format_args!("{} of {} files", step.done, step.all));
            };
            store.export(&self.to, tell).await
        })?;
        if console.json() {
            console.say_json(&note)?;
            return Ok(Answer::Yes);
        }
        for (name, file) in &note.files {
            console.say(format_args!("{name}: {} lines, {}", file.lines, bytes(file.bytes)))?;
        }
        console.say(format_args!(
            "{} artifacts of {} in {}",
            note.artifacts,
            bytes(note.artifact_bytes),
            visible(&self.to.display().to_string())
        ))?;
        Ok(Answer::Yes)
    }
}
