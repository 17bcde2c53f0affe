//! `mlops models list`.

use super::super::{
    Answer, Console,
    columns::{Columns, second},
    paged,
    record::Asked,
};
use crate::{Registry, Result, page::Search, registry::RegisteredModel};
use clap::Args;
use serde_json::json;

/// List registered models and where their aliases point
#[derive(Debug, Args)]
#[command(after_help = "The filter is MLflow's: name LIKE 'risk%' AND tags.team = 'credit'.\n\
    As JSON each model is an object on a line of its own.\n\n\
    Example:\n  mlops models list --backend-store-uri http://127.0.0.1:5000")]
pub(in super::super) struct List {
    /// Only models for which this holds
    #[arg(long, value_name = "TEXT", default_value = "")]
    filter: String,
    /// What to sort by, such as "last_updated_timestamp DESC"; may be given again
    #[arg(long, value_name = "KEY")]
    order_by: Vec<String>,
    /// The most models
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl List {
    pub(super) async fn run(&self, registry: &dyn Registry, console: &Console) -> Result<Answer> {
        let (models, more) = self.find(registry).await?;
        if console.json() {
            for model in &models {
                console.say_json(&object(model))?;
            }
        } else {
            let mut columns = Columns::new(["model", "updated", "aliases"]);
            for model in &models {
                let aliases = model.aliases.iter().map(|(alias, to)| format!("{alias} -> {to}"));
                let aliases: Vec<String> = aliases.collect();
                columns.add([model.name.as_str(), &second(model.updated), &aliases.join(", ")]);
            }
            columns.say(console)?;
        }
        if more {
            console.note(format_args!("there are more than {}: --limit shows more", models.len()));
        }
        Ok(Answer::Yes)
    }

    /// The models, and whether there are more.
    async fn find(&self, registry: &dyn Registry) -> Result<(Vec<RegisteredModel>, bool)> {
        let mut search = Search::new().with_filter(&self.filter);
        search.order_by.clone_from(&self.order_by);
        paged::first(self.limit, search, async |search| registry.models(search).await).await
    }
}

/// A model as JSON: times are RFC 3339.
pub(super) fn object(model: &RegisteredModel) -> serde_json::Value {
    json!({
        "name": model.name,
        "description": model.description,
        "tags": model.tags,
        "aliases": model.aliases,
        "created": model.created.to_string(),
        "updated": model.updated.to_string(),
    })
}
