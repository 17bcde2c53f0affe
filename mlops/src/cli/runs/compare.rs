//! `mlops runs compare`.

use super::{
    super::{
        Console,
        columns::{Columns, digits, number},
        record::Asked,
    },
    find, status,
};
use crate::{Result, RunId, Tracker, tracker::Run};
use clap::Args;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// Show in what runs differ
#[derive(Debug, Args)]
#[command(after_help = "Tags that begin with mlflow. are left out, but with --all.\n\n\
    Example:\n  mlops runs compare 0192f0c1a2b34c5d8e9fa0b1c2d3e4f5 0192f0c1a2b34c5d8e9fa0b1c2d3e4f6")]
pub(in super::super) struct Compare {
    /// The runs' identities
    #[arg(num_args = 2.., required = true)]
    runs: Vec<RunId>,
    /// Show what they have in common, too
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl Compare {
    pub(super) async fn run(&self, tracker: &dyn Tracker, console: &Console) -> Result<()> {
        let mut runs = Vec::with_capacity(self.runs.len());
        for &id in &self.runs {
            runs.push(find(tracker, id).await?);
        }
        let rows = self.rows(&runs);
        if console.json() {
            let rows = rows.iter().map(|(what, cells)| {
                let values = cells.iter().map(|cell| cell.as_ref().map(Cell::json));
                json!({ "what": what, "values": values.collect::<Vec<_>>() })
            });
            let rows: Vec<Value> = rows.collect();
            return console.say_json(&json!({ "runs": self.runs, "rows": rows }));
        }
        if rows.is_empty() {
            return console.say("no difference");
        }
        let ids = runs.iter().map(|run| run.id.to_string());
        let mut columns = Columns::new(std::iter::once(String::new()).chain(ids));
        for (what, cells) in rows {
            let cells = cells.iter().map(|cell| cell.as_ref().map_or_else(String::new, Cell::text));
            columns.add(std::iter::once(what).chain(cells));
        }
        columns.say(console)
    }

    /// What is shown: a row for each thing, a cell for each run.
    fn rows(&self, runs: &[Run]) -> Vec<(String, Vec<Option<Cell>>)> {
        let mut rows: BTreeMap<(u8, String), Vec<Option<Cell>>> = BTreeMap::new();
        for (at, run) in runs.iter().enumerate() {
            let tags = run.tags.iter().filter(|(key, _)| self.all || !key.starts_with("mlflow."));
            let own = [(0, "name".to_owned(), Cell::Text(run.name.to_string()))].into_iter();
            let own =
                own.chain([(0, "status".to_owned(), Cell::Text(status(run)))])
                    .chain([(0, "experiment".to_owned(), Cell::Text(run.experiment.to_string()))])
                    .chain(run.params.iter().map(|(key, value)| cell(1, "params", key, value)))
                    .chain(run.metrics.iter().map(|(key, point)| {
                        (2, format!("metrics.{key}"), Cell::Number(point.value))
                    }))
                    .chain(run.inputs.iter().map(|input| {
                        let name = format!("{} ({})", input.name, input.context);
                        cell(3, "inputs", &name, &input.digest)
                    }))
                    .chain(tags.map(|(key, value)| cell(4, "tags", key, value)));
            for (family, what, cell) in own {
                let cells = rows.entry((family, what)).or_insert_with(|| vec![None; runs.len()]);
                cells[at] = Some(cell);
            }
        }
        let rows = rows.into_iter().map(|((_, what), cells)| (what, cells));
        rows.filter(|(_, cells)| self.all || cells.windows(2).any(|two| two[0] != two[1])).collect()
    }
}

fn cell(family: u8, word: &str, key: &str, value: &str) -> (u8, String, Cell) {
    (family, format!("{word}.{key}"), Cell::Text(value.to_owned()))
}

#[derive(Clone, Debug)]
enum Cell {
    Text(String),
    Number(f64),
}

impl PartialEq for Cell {
    /// Not a number is what it is: two runs that both measured it do not differ.
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Text(left), Self::Text(right)) => left == right,
            (Self::Number(left), Self::Number(right)) => left.total_cmp(right).is_eq(),
            _ => false,
        }
    }
}

impl Cell {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(value) => digits(*value),
        }
    }

    fn json(&self) -> Value {
        match self {
            Self::Text(text) => json!(text),
            Self::Number(value) => number(*value),
        }
    }
}
