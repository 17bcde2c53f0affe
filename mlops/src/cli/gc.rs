//! `mlops gc`: what nothing refers to any more goes.

use super::{
    Answer, Console,
    record::{Record, bytes, duration},
};
use crate::Result;
use clap::Args;
use mlops_registry::store::GcOptions;
use std::time::Duration;

/// Remove artifacts that nothing refers to any more, and purge what was deleted long ago
#[derive(Debug, Args)]
#[command(
    after_help = "Safe while servers and trainings use the record. Artifacts go in two steps: a \
    first collection marks what nothing refers to, a later one removes what has been marked for long \
    enough. Bytes of registered versions never go.\n\n\
    Example:\n  mlops gc --backend-store-uri sqlite:///mlops.db --older-than 24h --purge-deleted 30d"
)]
pub(super) struct Gc {
    #[command(flatten)]
    record: Record,
    /// Remove only what has been garbage for so long
    #[arg(long, value_name = "SPAN", default_value = "24h", value_parser = duration)]
    older_than: Duration,
    /// Also remove runs, logged models and experiments for good that were deleted longer ago
    #[arg(long, value_name = "SPAN", value_parser = duration)]
    purge_deleted: Option<Duration>,
    /// Only say what would be done
    #[arg(long)]
    dry_run: bool,
    /// Write the counts as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Gc {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let mut options =
            GcOptions::default().with_older_than(self.older_than).with_dry_run(self.dry_run);
        if let Some(age) = self.purge_deleted {
            options = options.with_purge_deleted(age);
        }
        console.progress("looking for what nothing refers to");
        let done = super::block_on(async {
            let store = self.record.open().await?;
            store.collect_garbage(options).await
        })?;
        if console.json() {
            console.say_json(&done)?;
            return Ok(Answer::Yes);
        }
        let would = if self.dry_run { "would be " } else { "" };
        if self.purge_deleted.is_some() {
            console.say(format_args!(
                "{} runs, {} logged models and {} experiments {would}purged",
                done.runs, done.logged_models, done.experiments
            ))?;
        }
        console.say(format_args!(
            "{} artifacts and {} leftovers {would}removed: {}",
            done.artifacts,
            done.leftovers,
            bytes(done.bytes)
        ))?;
        if done.waiting > 0 {
            console.say(format_args!("{} artifacts wait for a later collection", done.waiting))?;
        }
        Ok(Answer::Yes)
    }
}
