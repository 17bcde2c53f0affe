//! `mlops migrate`: a record of an older release becomes one of this.

use super::{Answer, Console, home, record::Record};
use crate::{Error, Result};
use clap::Args;
use mlops_registry::SqliteStore;
use serde_json::json;

/// Bring a record up to the schema of this build
#[derive(Debug, Args)]
#[command(
    after_help = "In one transaction: it is done, or nothing has changed. Make a copy first \
    (mlops backup). The change log of a release says if the one before it cannot work with its schema.\n\n\
    Example:\n  mlops migrate --backend-store-uri sqlite:///mlops.db"
)]
pub(super) struct Migrate {
    #[command(flatten)]
    record: Record,
    /// Write the schema's versions as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Migrate {
    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let path = home::path(&self.record.backend_store_uri)?;
        if !path.exists() {
            return Err(Error::unavailable(format!("there is no record at {}", path.display())));
        }
        let done = super::block_on(SqliteStore::migrate(&path, self.record.config()))?;
        if console.json() {
            console.say_json(&json!({ "from": done.from, "to": done.to }))?;
        } else if done.from == done.to {
            console.say(format_args!("schema {}: nothing to do", done.to))?;
        } else {
            console.say(format_args!("schema {} became schema {}", done.from, done.to))?;
        }
        Ok(Answer::Yes)
    }
}
