//! `mlops models promote`.

use super::{
    super::{Answer, Console, console::visible, record::Asked},
    alias::told,
    expected, which,
};
use crate::{
    Alias, ModelName, Registry, Result,
    registry::{Expected, ModelUri, MoveAlias, Which},
};
use clap::Args;
use mlops_registry::MetricGate;

/// Point an alias at a version
#[derive(Debug, Args)]
#[command(
    after_help = "Exit code: 0 if it moved, 1 if a condition is not met (each is listed, and the alias \
    stays), 75 if it points elsewhere than --expect says.\n\n\
    Example:\n  mlops models promote risk 7 champion --expect 6 --at-least roc_auc=0.82 --reason \"Q4 retrain\"\n  \
    mlops models promote risk @challenger champion --reason \"the canary won\""
)]
pub(in super::super) struct Promote {
    /// The model
    name: ModelName,
    /// The version: its number, @ALIAS or latest
    #[arg(value_name = "VERSION|@ALIAS", value_parser = which)]
    chosen: Which,
    /// The alias to move
    alias: Alias,
    /// Move only if it points at this version now, or nowhere: a number, or none
    #[arg(long, value_name = "VERSION|none", value_parser = expected)]
    expect: Option<Expected>,
    /// Move only if the version measured at least so much; may be given again
    #[arg(long, value_name = "METRIC=NUMBER", value_parser = bound)]
    at_least: Vec<(String, f64)>,
    /// Move only if the version measured at most so much; may be given again
    #[arg(long, value_name = "METRIC=NUMBER", value_parser = bound)]
    at_most: Vec<(String, f64)>,
    /// Why, for the model's history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl Promote {
    pub(super) async fn run(&self, registry: &dyn Registry, console: &Console) -> Result<Answer> {
        let uri = ModelUri { model: self.name.clone(), which: self.chosen.clone() };
        let version = registry.resolve(&uri).await?.id.version;
        let (name, reason) = (self.name.clone(), self.reason.as_str());
        let mut request = MoveAlias::new(name, self.alias.clone(), version, reason);
        if let Some(from) = self.expect {
            request = request.with_from(from);
        }
        for (metric, least) in &self.at_least {
            request = request.with_gate(MetricGate::at_least(metric.as_str(), *least));
        }
        for (metric, most) in &self.at_most {
            request = request.with_gate(MetricGate::at_most(metric.as_str(), *most));
        }
        let what = format!("{}@{}", self.name, self.alias);
        told(&visible(&what), &registry.move_alias(request).await?, console)
    }
}

/// `roc_auc=0.82`; a name may hold an equals sign, a number none.
fn bound(text: &str) -> Result<(String, f64), String> {
    let (metric, number) = text.rsplit_once('=').ok_or("METRIC=NUMBER")?;
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok((metric.to_owned(), number)),
        _ => Err(format!("{number:?} is no finite number")),
    }
}
