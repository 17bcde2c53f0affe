//! `mlops runs`: what was tried, in any record that a URI names.

mod change;
mod compare;
mod download;
mod history;
mod list;
mod show;

use super::{Answer, Console, columns::number, record::Asked};
use crate::{
    Error, Result, RunId, Tracker,
    page::{Search, View},
    tracker::{MetricPoint, Run},
};
use clap::{Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

/// Look at runs, compare them, fetch their files
#[derive(Debug, Subcommand)]
pub(super) enum Runs {
    List(list::List),
    Show(show::Show),
    History(history::History),
    Compare(compare::Compare),
    #[command(after_help = "Example:\n  mlops runs delete 0192f0c1a2b34c5d8e9fa0b1c2d3e4f5")]
    /// Delete runs; they can be restored until the garbage is collected (mlops gc --purge-deleted)
    Delete(change::Chosen),
    #[command(after_help = "Example:\n  mlops runs restore 0192f0c1a2b34c5d8e9fa0b1c2d3e4f5")]
    /// Restore runs that were deleted
    Restore(change::Chosen),
    Download(download::Download),
}

impl Runs {
    pub(super) fn json(&self) -> bool {
        self.asked().json
    }

    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        super::block_on(async {
            let home = self.asked().record.connect().await?;
            let tracker = home.tracker().as_ref();
            match self {
                Self::List(list) => list.run(tracker, console).await,
                Self::Show(show) => show.run(tracker, console).await,
                Self::History(history) => history.run(tracker, console).await,
                Self::Compare(compare) => compare.run(tracker, console).await,
                Self::Delete(chosen) => chosen.delete(tracker, console).await,
                Self::Restore(chosen) => chosen.restore(tracker, console).await,
                Self::Download(download) => download.run(tracker, console).await,
            }
        })?;
        Ok(Answer::Yes)
    }

    fn asked(&self) -> &Asked {
        match self {
            Self::List(list) => &list.asked,
            Self::Show(show) => &show.asked,
            Self::History(history) => &history.asked,
            Self::Compare(compare) => &compare.asked,
            Self::Delete(chosen) | Self::Restore(chosen) => &chosen.asked,
            Self::Download(download) => &download.asked,
        }
    }
}

/// Dead or alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Which {
    Active,
    Deleted,
    All,
}

impl From<Which> for View {
    fn from(which: Which) -> Self {
        match which {
            Which::Active => Self::Active,
            Which::Deleted => Self::Deleted,
            Which::All => Self::All,
        }
    }
}

/// The run of an identity, dead or alive.
async fn find(tracker: &dyn Tracker, id: RunId) -> Result<Run> {
    let search = Search::new()
        .with_filter(format!("attributes.run_id = '{id}'"))
        .with_view(View::All)
        .with_max_results(1);
    let found = tracker.runs(search).await?.items.pop();
    found.ok_or_else(|| Error::not_found(format!("run {id} does not exist")))
}

/// A run as JSON: times are RFC 3339, and what is no number in JSON is its name.
fn object(run: &Run) -> Value {
    let metrics = run.metrics.iter().map(|(name, point)| (name.clone(), measured(point)));
    json!({
        "id": run.id,
        "experiment": run.experiment,
        "name": run.name,
        "status": run.status,
        "lifecycle": run.lifecycle,
        "actor": run.actor,
        "started": run.started.to_string(),
        "ended": run.ended.map(|time| time.to_string()),
        "params": run.params,
        "metrics": metrics.collect::<Map<_, _>>(),
        "tags": run.tags,
        "inputs": run.inputs,
    })
}

/// A point of a metric as JSON.
fn measured(point: &MetricPoint) -> Value {
    json!({ "value": number(point.value), "step": point.step, "time": point.time.to_string() })
}

/// The status in MLflow's word.
fn status(run: &Run) -> String {
    match serde_json::to_value(run.status) {
        Ok(Value::String(word)) => word,
        _ => format!("{:?}", run.status),
    }
}
