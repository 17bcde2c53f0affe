//! `mlops runs history`.

use super::{
    super::{
        Console,
        columns::{digits, second},
        record::Asked,
    },
    find, measured,
};
use crate::{Error, Result, RunId, Tracker, tracker::MetricQuery};
use clap::Args;

/// Write every point of a metric, in the order of step and time
#[derive(Debug, Args)]
#[command(
    after_help = "A line a point: step, time, value. As JSON each point is an object on a line of its own.\n\n\
    Example:\n  mlops runs history 0192f0c1a2b34c5d8e9fa0b1c2d3e4f5 loss --json"
)]
pub(in super::super) struct History {
    /// The run's identity
    run: RunId,
    /// The metric
    metric: String,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl History {
    /// Page by page: a history may be longer than memory.
    pub(super) async fn run(&self, tracker: &dyn Tracker, console: &Console) -> Result<()> {
        let run = find(tracker, self.run).await?;
        if !run.metrics.contains_key(&self.metric) {
            let text = format!("run {} has no metric {:?}", self.run, self.metric);
            return Err(Error::not_found(text));
        }
        let mut query = MetricQuery::new(self.run, self.metric.as_str());
        loop {
            let page = tracker.metric_history(query.clone()).await?;
            let mut lines = String::new();
            for point in &page.items {
                let line = if console.json() {
                    measured(point).to_string()
                } else {
                    let (step, time) = (point.step, second(point.time));
                    format!("{step:>10}  {time}  {}", digits(point.value))
                };
                lines.push_str(&line);
                lines.push('\n');
            }
            console.write(lines.as_bytes())?;
            match page.next {
                Some(next) => query = query.with_page(Some(next)),
                None => return Ok(()),
            }
        }
    }
}
