//! `mlops runs delete` and `mlops runs restore`.

use super::{
    super::{Console, record::Asked},
    status,
};
use crate::{
    Result, RunId, Tracker,
    tracker::{Lifecycle, RunChange},
};
use clap::Args;
use serde_json::json;

#[derive(Debug, Args)]
pub(in super::super) struct Chosen {
    /// The runs' identities
    #[arg(required = true)]
    runs: Vec<RunId>,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl Chosen {
    pub(super) async fn delete(&self, tracker: &dyn Tracker, console: &Console) -> Result<()> {
        self.put(Lifecycle::Deleted, tracker, console).await
    }

    pub(super) async fn restore(&self, tracker: &dyn Tracker, console: &Console) -> Result<()> {
        self.put(Lifecycle::Active, tracker, console).await
    }

    async fn put(&self, to: Lifecycle, tracker: &dyn Tracker, console: &Console) -> Result<()> {
        for id in &self.runs {
            let run = tracker.update_run(id, RunChange::default().with_lifecycle(to)).await?;
            if console.json() {
                let (lifecycle, status) = (run.lifecycle, status(&run));
                console.say_json(&json!({ "id": id, "lifecycle": lifecycle, "status": status }))?;
            } else {
                let word = if to == Lifecycle::Deleted { "deleted" } else { "restored" };
                console.say(format_args!("{word} {id}"))?;
            }
        }
        Ok(())
    }
}
