//! `mlops models show`.

use super::{
    super::{
        Answer, Console,
        columns::{Columns, second},
        console::visible,
        paged,
        record::Asked,
    },
    digest, list, named, object, present,
};
use crate::{
    ModelName, Registry, Result,
    page::Search,
    registry::{ModelVersion, RegisteredModel},
};
use clap::Args;
use serde_json::Value;

/// Show a model: its versions with their digests, its aliases
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops models show risk --json")]
pub(in super::super) struct Show {
    /// The model
    name: ModelName,
    /// The most versions, the newest first
    #[arg(long, value_name = "N", default_value_t = 100)]
    limit: usize,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl Show {
    pub(super) async fn run(&self, registry: &dyn Registry, console: &Console) -> Result<Answer> {
        let model = present(registry, &self.name).await?;
        let (versions, more) = self.versions(registry).await?;
        if console.json() {
            let mut whole = list::object(&model);
            whole["versions"] = versions.iter().map(object).collect::<Vec<Value>>().into();
            console.say_json(&whole)?;
        } else {
            head(&model, console)?;
            say(&versions, console)?;
        }
        if more {
            let shown = versions.len();
            console.note(format_args!("there are more than {shown} versions: --limit shows more"));
        }
        Ok(Answer::Yes)
    }

    async fn versions(&self, registry: &dyn Registry) -> Result<(Vec<ModelVersion>, bool)> {
        let search = Search::new().with_filter(named(&self.name));
        let ask = async |search| {
            let mut page = registry.versions(search).await?;
            // A filter of texts may find others as well.
            page.items.retain(|found| found.id.model == self.name);
            Ok(page)
        };
        paged::first(self.limit, search, ask).await
    }
}

fn head(model: &RegisteredModel, console: &Console) -> Result<()> {
    console.say(format_args!("model    {}", visible(model.name.as_str())))?;
    if let Some(text) = model.description.as_deref().filter(|text| !text.is_empty()) {
        console.say(format_args!("about    {}", visible(text)))?;
    }
    console.say(format_args!("updated  {}", second(model.updated)))?;
    for (alias, version) in &model.aliases {
        console.say(format_args!("alias    {} -> {version}", visible(alias.as_str())))?;
    }
    for (key, value) in &model.tags {
        console.say(format_args!("tag      {} = {}", visible(key), visible(value)))?;
    }
    Ok(())
}

fn say(versions: &[ModelVersion], console: &Console) -> Result<()> {
    if versions.is_empty() {
        return console.say("no versions");
    }
    console.say("")?;
    let mut columns = Columns::new(["version", "created", "aliases", "run", "digest"]);
    for version in versions {
        let aliases: Vec<&str> = version.aliases.iter().map(crate::Alias::as_str).collect();
        let run = version.run.map(|run| run.to_string()).unwrap_or_default();
        let number = version.id.version.to_string();
        let digest = digest(version).unwrap_or_default();
        columns.add([&number, &second(version.created), &aliases.join(", "), &run, &digest]);
    }
    columns.say(console)
}
