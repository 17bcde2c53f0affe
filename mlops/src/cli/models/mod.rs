//! `mlops models`: which version is which, in any record that a URI names.

mod alias;
mod history;
mod inspect;
mod list;
mod promote;
mod show;
mod version;

use super::{Answer, Console, record::Asked};
use crate::{
    Alias, Error, ModelName, Registry, Result,
    registry::{Expected, ModelVersion, Which},
};
use clap::Subcommand;
use serde_json::{Map, Value, json};

/// Look at registered models and model files, move aliases, fetch versions
#[derive(Debug, Subcommand)]
pub(super) enum Models {
    List(list::List),
    Show(show::Show),
    Inspect(inspect::Inspect),
    Promote(promote::Promote),
    Rollback(alias::Rollback),
    RemoveAlias(alias::Remove),
    History(history::History),
    Download(version::Download),
    DeleteVersion(version::Delete),
}

impl Models {
    pub(super) fn json(&self) -> bool {
        self.asked().map_or_else(|inspect| inspect.json, |asked| asked.json)
    }

    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        let asked = match self.asked() {
            Ok(asked) => asked,
            Err(inspect) => return inspect.run(console),
        };
        super::block_on(async {
            let home = asked.record.connect().await?;
            let registry = home.registry().as_ref();
            match self {
                Self::Inspect(inspect) => inspect.run(console),
                Self::List(list) => list.run(registry, console).await,
                Self::Show(show) => show.run(registry, console).await,
                Self::Promote(promote) => promote.run(registry, console).await,
                Self::Rollback(rollback) => rollback.run(registry, console).await,
                Self::RemoveAlias(remove) => remove.run(registry, console).await,
                Self::History(history) => history.run(registry, console).await,
                Self::Download(download) => download.run(registry, console).await,
                Self::DeleteVersion(delete) => delete.run(registry, console).await,
            }
        })
    }

    /// The record that is asked; a file is looked at without one.
    fn asked(&self) -> Result<&Asked, &inspect::Inspect> {
        Ok(match self {
            Self::Inspect(inspect) => return Err(inspect),
            Self::List(list) => &list.asked,
            Self::Show(show) => &show.asked,
            Self::Promote(promote) => &promote.asked,
            Self::Rollback(rollback) => &rollback.asked,
            Self::RemoveAlias(remove) => &remove.asked,
            Self::History(history) => &history.asked,
            Self::Download(download) => &download.asked,
            Self::DeleteVersion(delete) => &delete.asked,
        })
    }
}

/// Where an alias is believed to point.
fn expected(text: &str) -> Result<Expected, String> {
    match text {
        "none" => Ok(Expected::Absent),
        _ => match text.parse() {
            Ok(version) => Ok(Expected::Version(version)),
            Err(_) => Err("the number of a version, or none".to_owned()),
        },
    }
}

/// Which version: its number, `@ALIAS` or `latest`.
fn which(text: &str) -> Result<Which, String> {
    if let Some(alias) = text.strip_prefix('@') {
        return Alias::new(alias).map(Which::Alias).map_err(|error| error.to_string());
    }
    match (text, text.parse()) {
        ("latest", _) => Ok(Which::Latest),
        (_, Ok(number)) => Ok(Which::Version(number)),
        (_, Err(_)) => Err("the number of a version, @ALIAS or latest".to_owned()),
    }
}

/// A version as JSON: times are RFC 3339. A manifest that nobody has described has no digest.
fn object(version: &ModelVersion) -> Value {
    let metrics = version.metrics.iter();
    let metrics = metrics.map(|(name, value)| (name.clone(), super::columns::number(*value)));
    json!({
        "model": version.id.model,
        "version": version.id.version,
        "digest": digest(version),
        "files": version.manifest.iter().len(),
        "bytes": version.manifest.size(),
        "run": version.run,
        "dataset": version.dataset,
        "metrics": metrics.collect::<Map<_, _>>(),
        "tags": version.tags,
        "created": version.created.to_string(),
        "aliases": version.aliases,
        "description": version.description,
        "source": version.source,
    })
}

/// What names a version's content, if the record says it.
fn digest(version: &ModelVersion) -> Option<String> {
    (version.manifest.iter().len() > 0).then(|| version.digest().to_string())
}

/// Refuses a model that is not there.
async fn present(
    registry: &dyn Registry,
    name: &ModelName,
) -> Result<crate::registry::RegisteredModel> {
    let mut search = crate::page::Search::new().with_filter(named(name));
    loop {
        let page = registry.models(search.clone()).await?;
        if let Some(found) = page.items.into_iter().find(|found| found.name == *name) {
            return Ok(found);
        }
        match page.next {
            Some(next) => search = search.with_page(Some(next)),
            None => {
                return Err(Error::not_found(format!("model {:?} does not exist", name.as_str())));
            }
        }
    }
}

/// A filter that finds what has a name.
fn named(name: &ModelName) -> String {
    format!("name = '{}'", name.as_str().replace('\'', "''"))
}
