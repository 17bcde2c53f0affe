//! `mlops runs show`.

use super::{
    super::{
        Console,
        columns::{Columns, digits, second},
        console::visible,
        record::{Asked, bytes},
    },
    find, object, status,
};
use crate::{
    Result, RunId, Tracker,
    artifact::ArtifactPath,
    tracker::{ArtifactEntry, Lifecycle, Run, Tags},
};
use clap::Args;

/// Show a run: parameters, latest metrics, tags, the data that it read, its artifacts
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops runs show 0192f0c1a2b34c5d8e9fa0b1c2d3e4f5 --json")]
pub(in super::super) struct Show {
    /// The run's identity
    run: RunId,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl Show {
    pub(super) async fn run(&self, tracker: &dyn Tracker, console: &Console) -> Result<()> {
        let run = find(tracker, self.run).await?;
        let artifacts = tracker.artifacts(&run.id, &ArtifactPath::default()).await?.items;
        if console.json() {
            let mut object = object(&run);
            object["artifacts"] = serde_json::json!(artifacts);
            return console.say_json(&object);
        }
        head(&run, console)?;
        texts("params", &run.params, console)?;
        metrics(&run, console)?;
        texts("tags", &run.tags, console)?;
        inputs(&run, console)?;
        files(&artifacts, console)
    }
}

fn head(run: &Run, console: &Console) -> Result<()> {
    let deleted = if run.lifecycle == Lifecycle::Deleted { ", deleted" } else { "" };
    console.say(format_args!("run         {}", run.id))?;
    console.say(format_args!("name        {}", visible(&run.name)))?;
    console.say(format_args!("experiment  {}", run.experiment))?;
    console.say(format_args!("status      {}{deleted}", status(run)))?;
    console.say(format_args!("by          {}", visible(&run.actor)))?;
    console.say(format_args!("started     {}", second(run.started)))?;
    run.ended.map_or(Ok(()), |ended| console.say(format_args!("ended       {}", second(ended))))
}

fn texts(title: &str, pairs: &Tags, console: &Console) -> Result<()> {
    if pairs.is_empty() {
        return Ok(());
    }
    console.say("")?;
    let mut columns = Columns::new([title, ""]);
    for (key, value) in pairs {
        columns.add([key, value]);
    }
    columns.say(console)
}

fn metrics(run: &Run, console: &Console) -> Result<()> {
    if run.metrics.is_empty() {
        return Ok(());
    }
    console.say("")?;
    let mut columns = Columns::new(["metrics", "latest", "step", "time"]);
    for (name, point) in &run.metrics {
        let (value, step) = (digits(point.value), point.step.to_string());
        columns.add([name, &value, &step, &second(point.time)]);
    }
    columns.say(console)
}

fn inputs(run: &Run, console: &Console) -> Result<()> {
    if run.inputs.is_empty() {
        return Ok(());
    }
    console.say("")?;
    let mut columns = Columns::new(["inputs", "used for", "rows", "digest"]);
    for input in &run.inputs {
        let rows = input.rows.map(|rows| rows.to_string()).unwrap_or_default();
        columns.add([&*input.name, &*input.context, rows.as_str(), &*input.digest]);
    }
    columns.say(console)
}

fn files(artifacts: &[ArtifactEntry], console: &Console) -> Result<()> {
    if artifacts.is_empty() {
        return Ok(());
    }
    console.say("")?;
    let mut columns = Columns::new(["artifacts", ""]);
    for entry in artifacts {
        let path = entry.path.as_str();
        match entry.size {
            Some(size) => columns.add([path, bytes(size).as_str()]),
            None => columns.add([format!("{path}/").as_str(), "folder"]),
        }
    }
    columns.say(console)
}
