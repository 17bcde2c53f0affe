//! `mlops backup` and `mlops restore`: a record at one point in time, and back.

use super::{
    Answer, Console, home,
    record::{Artifacts, Record, bytes},
};
use crate::{Error, ErrorKind, Result};
use clap::Args;
use mlops_registry::{
    SqlStore,
    store::{BackupNote, Progress},
};
use std::path::PathBuf;

/// Copy a record with its artifacts, at one point in time, while it is in use
#[derive(Debug, Args)]
#[command(
    after_help = "Into a folder that holds a backup of the same record already only what is new is \
    copied; any other folder must be new or empty. Garbage is not collected meanwhile.\n\n\
    Example:\n  mlops backup --backend-store-uri sqlite:///mlops.db --to /backups/mlops"
)]
pub(super) struct Backup {
    #[command(flatten)]
    record: Record,
    /// The folder that becomes the backup
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    /// Write what was done as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Backup {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let done = super::block_on(async {
            let store = self.record.open().await?;
            store.backup(&self.to, |step| steps(console, step)).await
        })?;
        if console.json() {
            console.say_json(&done)?;
            return Ok(Answer::Yes);
        }
        console.say(format_args!("{}: {}", self.to.display(), described(&done.note)))?;
        console.say(format_args!("{} artifacts were new", done.copied))?;
        Ok(Answer::Yes)
    }
}

/// Make a record from a backup, after verifying every byte and every event of it
#[derive(Debug, Args)]
#[command(
    after_help = "A record that is there is never replaced: move it away first, its file together with those \
    beside it (mlops.db, mlops.db-wal, mlops.db-shm, mlops.db-journal): what is left of them would be \
    written into the restored one.\n\n\
    Example:\n  mlops restore --from /backups/mlops --to sqlite:///mlops.db"
)]
pub(super) struct Restore {
    /// The folder of the backup
    #[arg(long, value_name = "DIR")]
    from: PathBuf,
    /// The record that is made
    #[arg(long, value_name = "URI")]
    to: String,
    #[command(flatten)]
    artifacts: Artifacts,
    /// Write what was restored as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Restore {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let (config, to) = (self.artifacts.config()?, home::file(&self.to)?);
        let (heard, steps_in) = std::sync::mpsc::sync_channel(1);
        let restored = std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let tell = move |step| {
                    // Only the latest step is of interest.
                    let _ = heard.try_send(step);
                };
                super::block_on(SqlStore::restore(&self.from, &to, config, tell))
            });
            for step in steps_in {
                steps(console, step);
            }
            work.join()
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "restoring panicked")))
        });
        let note = restored?;
        if console.json() {
            console.say_json(&note)?;
        } else {
            console.say(format_args!("{}: {}", to.display(), described(&note)))?;
        }
        Ok(Answer::Yes)
    }
}

fn steps(console: &Console, step: Progress) {
    console.progress(format_args!("{} of {} artifacts", step.done, step.all));
}

fn described(note: &BackupNote) -> String {
    format!(
        "the record of {}, schema {}, {} events, {} artifacts of {}",
        note.made,
        note.schema,
        note.events,
        note.artifacts,
        bytes(note.bytes)
    )
}
