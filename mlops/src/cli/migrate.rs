//! `mlops migrate`: a record of an older release becomes one of this.

use super::{Answer, Console, home, record::Record};
use crate::{Error, Result, home::Place};
use clap::Args;
use mlops_registry::{SqlStore, store::Migrated};
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
        home::present(&self.record.backend_store_uri)?;
        let done = super::block_on(self.migrate())?;
        if console.json() {
            console.say_json(&json!({ "from": done.from, "to": done.to }))?;
        } else if done.from == done.to {
            console.say(format_args!("schema {}: nothing to do", done.to))?;
        } else {
            console.say(format_args!("schema {} became schema {}", done.from, done.to))?;
        }
        Ok(Answer::Yes)
    }

    async fn migrate(&self) -> Result<Migrated> {
        let config = self.record.config()?;
        match Place::of(&self.record.backend_store_uri)? {
            Place::File(path) => SqlStore::migrate(path, config).await,
            #[cfg(feature = "postgres")]
            Place::Database(url) => SqlStore::migrate_url(&url, config).await,
            _ => Err(Error::unsupported(
                "a record is migrated where it is, by a build that opens its database",
            )),
        }
    }
}
