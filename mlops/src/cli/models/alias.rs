//! `mlops models rollback` and `mlops models remove-alias`.

use super::{
    super::{Answer, Console, console::visible, record::Asked},
    expected,
};
use crate::{
    Alias, ModelName, Registry, Result,
    registry::{AliasMove, Expected, MoveAlias, RegistryExt},
};
use clap::Args;

/// Take the last move of an alias back
#[derive(Debug, Args)]
#[command(
    after_help = "Once more takes the move before that one back, and so on. No condition is asked.\n\n\
    Example:\n  mlops models rollback risk champion --reason \"complaint 4711\""
)]
pub(in super::super) struct Rollback {
    /// The model
    name: ModelName,
    /// The alias
    alias: Alias,
    /// Why, for the model's history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pub(super) asked: Asked,
}

/// Remove an alias; what it pointed at stays
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops models remove-alias risk challenger --reason \"lost\"")]
pub(in super::super) struct Remove {
    /// The model
    name: ModelName,
    /// The alias
    alias: Alias,
    /// Remove it only if it points at this version now
    #[arg(long, value_name = "VERSION", value_parser = expected)]
    expect: Option<Expected>,
    /// Why, for the model's history
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    pub(super) asked: Asked,
}

impl Rollback {
    pub(super) async fn run(&self, registry: &dyn Registry, console: &Console) -> Result<Answer> {
        let moved = registry.rollback(&self.name, &self.alias, &self.reason).await?;
        told(&visible(&format!("{}@{}", self.name, self.alias)), &moved, console)
    }
}

impl Remove {
    pub(super) async fn run(&self, registry: &dyn Registry, console: &Console) -> Result<Answer> {
        let (name, reason) = (self.name.clone(), self.reason.as_str());
        let request = MoveAlias::new(name, self.alias.clone(), 0, reason).removing();
        let request = request.with_from(self.expect.unwrap_or_default());
        let moved = registry.move_alias(request).await?;
        told(&visible(&format!("{}@{}", self.name, self.alias)), &moved, console)
    }
}

/// Says what came of a move. Being refused is an answer.
pub(super) fn told(what: &str, moved: &AliasMove, console: &Console) -> Result<Answer> {
    let answer = if matches!(moved, AliasMove::Moved { .. }) { Answer::Yes } else { Answer::No };
    if console.json() {
        console.say_json(moved)?;
        return Ok(answer);
    }
    let place = |version: &Option<u64>| {
        version.map_or_else(|| "nowhere".to_owned(), |version| version.to_string())
    };
    match moved {
        AliasMove::Moved { from, to } => {
            console.say(format_args!("{what} {} -> {}", place(from), place(to)))?;
        }
        AliasMove::Waiting { approvals } => {
            console.say(format_args!("{what} waits for {approvals} approvals"))?;
        }
        AliasMove::Refused { unmet } => {
            console.say(format_args!("{what} stays where it is:"))?;
            for gap in unmet {
                console.say(format_args!("  {}", visible(&gap.to_string())))?;
            }
        }
        _ => console.say(format_args!("{what}: an answer that this program does not know"))?,
    }
    Ok(answer)
}
