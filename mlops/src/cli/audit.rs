//! `mlops audit`: whether the history is the one that was written.

use super::{Answer, Console, record::Record};
use crate::{ErrorKind, Result};
use clap::{Args, Subcommand};
use serde_json::json;

/// Check the history of a record
#[derive(Debug, Subcommand)]
pub(super) enum Audit {
    Verify(Verify),
}

/// Check that no event was changed, removed, moved or put in between
#[derive(Debug, Args)]
#[command(after_help = "Each event is bound to the one before it by a hash.\n\
    Exit code: 0 if the history is whole, 1 if it is not.\n\n\
    Example:\n  mlops audit verify --backend-store-uri sqlite:///mlops.db")]
pub(super) struct Verify {
    #[command(flatten)]
    record: Record,
    /// Write the finding as JSON
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(super) fn json(&self) -> bool {
        let Self::Verify(verify) = self;
        verify.json
    }

    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let Self::Verify(verify) = self;
        console.progress("reading every event");
        let found = super::block_on(async {
            let store = verify.record.open().await?;
            store.verify_events().await
        });
        match found {
            Ok(count) if console.json() => {
                console.say_json(&json!({ "whole": true, "events": count }))?;
            }
            Ok(count) => console.say(format_args!("{count} events, each as it was written"))?,
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                if console.json() {
                    console.say_json(&json!({ "whole": false, "why": error.to_string() }))?;
                } else {
                    console.say(&error)?;
                }
                return Ok(Answer::No);
            }
            Err(error) => return Err(error),
        }
        Ok(Answer::Yes)
    }
}
