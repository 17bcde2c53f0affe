//! `mlops runs list`.

use super::{
    super::{
        Console,
        columns::{Columns, digits, second},
        paged,
        record::Asked,
    },
    Which, object, status,
};
use crate::{
    Error, ExperimentId, Result, Tracker,
    page::{Search, View},
    tracker::Run,
};
use clap::Args;

/// List runs, the last started first
#[derive(Debug, Args)]
#[command(
    after_help = "The filter is MLflow's: metrics.auc > 0.9 AND params.model = 'mlp' AND tags.team LIKE 'risk%'.\n\
    As JSON each run is an object on a line of its own.\n\n\
    Example:\n  mlops runs list --experiment income --filter \"metrics.auc > 0.9\" \
    --order-by \"metrics.auc DESC\" --show metrics.auc,params.model"
)]
pub(in super::super) struct List {
    /// Only runs of this experiment; may be given again
    #[arg(long, value_name = "NAME")]
    experiment: Vec<String>,
    /// Only runs for which this holds
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// What to sort by, such as "metrics.auc DESC"; may be given again
    #[arg(long, value_name = "KEY")]
    order_by: Vec<String>,
    /// The most runs
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    /// Deleted runs, too, or only these
    #[arg(long, value_enum, default_value = "active")]
    view: Which,
    /// More columns: metrics.NAME, params.NAME or tags.NAME
    #[arg(long, value_name = "KEY,…", value_delimiter = ',', value_parser = column)]
    show: Vec<Column>,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl List {
    pub(super) async fn run(&self, tracker: &dyn Tracker, console: &Console) -> Result<()> {
        let (runs, more) = self.find(tracker).await?;
        if console.json() {
            for run in &runs {
                console.say_json(&object(run))?;
            }
        } else {
            self.say(&runs, console)?;
        }
        if more {
            console.note(format_args!("there are more than {}: --limit shows more", runs.len()));
        }
        Ok(())
    }

    /// The runs, and whether there are more.
    async fn find(&self, tracker: &dyn Tracker) -> Result<(Vec<Run>, bool)> {
        let mut search = Search::new().with_filter(&self.filter).with_view(self.view.into());
        search.order_by.clone_from(&self.order_by);
        for name in &self.experiment {
            search = search.with_experiment(named(tracker, name).await?);
        }
        paged::first(self.limit, search, async |search| tracker.runs(search).await).await
    }

    fn say(&self, runs: &[Run], console: &Console) -> Result<()> {
        let own = self.show.iter().map(|column| column.name.as_str());
        let head = ["run", "experiment", "status", "started", "took"].into_iter();
        let mut columns = Columns::new(head.chain(own).chain(["name"]));
        for run in runs {
            let took = run.ended.map_or_else(String::new, |ended| {
                format!("{:.1} s", ended.since(run.started).as_secs_f64())
            });
            let fixed = [run.id.to_string(), run.experiment.to_string(), status(run)];
            let fixed = fixed.into_iter().chain([second(run.started), took]);
            let own = self.show.iter().map(|column| column.of(run));
            columns.add(fixed.chain(own).chain([run.name.to_string()]));
        }
        columns.say(console)
    }
}

/// A column that was asked for.
#[derive(Clone, Debug)]
struct Column {
    name: String,
    family: Family,
    key: String,
}

#[derive(Clone, Copy, Debug)]
enum Family {
    Metric,
    Param,
    Tag,
}

fn column(text: &str) -> Result<Column, String> {
    let family = text.split_once('.').and_then(|(family, key)| {
        let family = match family {
            "metrics" | "metric" => Family::Metric,
            "params" | "param" => Family::Param,
            "tags" | "tag" => Family::Tag,
            _ => return None,
        };
        Some((family, key.to_owned()))
    });
    let (family, key) = family.ok_or("metrics.NAME, params.NAME or tags.NAME")?;
    Ok(Column { name: text.to_owned(), family, key })
}

impl Column {
    fn of(&self, run: &Run) -> String {
        let text = match self.family {
            Family::Metric => run.metrics.get(&self.key).map(|point| digits(point.value)),
            Family::Param => run.params.get(&self.key).cloned(),
            Family::Tag => run.tags.get(&self.key).cloned(),
        };
        text.unwrap_or_default()
    }
}

/// The experiment of a name, dead or alive.
async fn named(tracker: &dyn Tracker, name: &str) -> Result<ExperimentId> {
    let filter = format!("name = '{}'", name.replace('\'', "''"));
    let mut search = Search::new().with_filter(filter).with_view(View::All);
    loop {
        let page = tracker.experiments(search.clone()).await?;
        if let Some(found) = page.items.into_iter().find(|found| *found.name == *name) {
            return Ok(found.id);
        }
        match page.next {
            Some(next) => search = search.with_page(Some(next)),
            None => return Err(Error::not_found(format!("no experiment is named {name:?}"))),
        }
    }
}
