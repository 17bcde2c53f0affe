//! `mlops users`: who may call `mlops server --auth`.

use super::{Answer, Console, console::visible, record::Record};
use crate::{Error, Result, config::Secret};
use clap::{Args, Subcommand};
use mlops_registry::store::Role;
use serde_json::json;
use std::path::PathBuf;

/// Say who may call a server of this record
#[derive(Debug, Subcommand)]
pub(super) enum Users {
    Add(Add),
    Change(Change),
    Remove(Named),
    List(List),
    Token(Token),
    /// Take every token from a user
    Revoke(Named),
}

/// Where a password is read: never from the command line, which others can see
#[derive(Debug, Args)]
#[group(multiple = false)]
struct Password {
    /// Read the password from this environment variable
    #[arg(long, value_name = "NAME")]
    password_env: Option<String>,
    /// Read the password from this file
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
}

/// Add a user
#[derive(Debug, Args)]
#[command(
    after_help = "Without a password only tokens stand for the user (mlops users token).\n\n\
    Example:\n  MLOPS_PASSWORD=… mlops users add ada --role write --password-env MLOPS_PASSWORD"
)]
pub(super) struct Add {
    /// What the user logs in with
    name: String,
    /// read looks and searches, write tracks and registers, admin does everything
    #[arg(long, value_name = "ROLE", default_value = "read")]
    role: Role,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    record: Record,
    /// Write the user as JSON
    #[arg(long)]
    json: bool,
}

/// Give a user another role or password
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops users change ada --role admin")]
pub(super) struct Change {
    /// Whom
    name: String,
    /// The new role
    #[arg(long, value_name = "ROLE")]
    role: Option<Role>,
    #[command(flatten)]
    password: Password,
    #[command(flatten)]
    record: Record,
    /// Write nothing but errors, as JSON
    #[arg(long)]
    json: bool,
}

/// Remove a user with every token
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops users remove ada")]
pub(super) struct Named {
    /// Whom
    name: String,
    #[command(flatten)]
    record: Record,
    /// Write nothing but errors, as JSON
    #[arg(long)]
    json: bool,
}

/// List everybody who may call
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  mlops users list")]
pub(super) struct List {
    #[command(flatten)]
    record: Record,
    /// Write a JSON object a user
    #[arg(long)]
    json: bool,
}

/// Make a token that stands for a user; it is shown once
#[derive(Debug, Args)]
#[command(after_help = "MLflow's clients send it as MLFLOW_TRACKING_TOKEN.\n\n\
    Example:\n  mlops users token ada --note laptop")]
pub(super) struct Token {
    /// For whom
    name: String,
    /// What it is for
    #[arg(long, value_name = "TEXT", default_value = "")]
    note: String,
    #[command(flatten)]
    record: Record,
    /// Write the token as JSON
    #[arg(long)]
    json: bool,
}

impl Users {
    pub(super) fn json(&self) -> bool {
        match self {
            Self::Add(add) => add.json,
            Self::Change(change) => change.json,
            Self::Remove(named) | Self::Revoke(named) => named.json,
            Self::List(list) => list.json,
            Self::Token(token) => token.json,
        }
    }

    pub(super) fn run(&self, console: &Console) -> Result<Answer> {
        super::block_on(async {
            match self {
                Self::Add(add) => add.run(console).await,
                Self::Change(change) => change.run().await,
                Self::Remove(named) => named.record.open().await?.remove_user(&named.name).await,
                Self::Revoke(named) => {
                    named.record.open().await?.revoke_tokens(&named.name).await.map(drop)
                }
                Self::List(list) => list.run(console).await,
                Self::Token(token) => token.run(console).await,
            }
        })?;
        Ok(Answer::Yes)
    }
}

impl Password {
    fn read(&self) -> Result<Option<crate::config::Revealed>> {
        let secret = match (&self.password_env, &self.password_file) {
            (Some(name), _) => Secret::Env(name.clone()),
            (None, Some(path)) => Secret::File(path.clone()),
            (None, None) => return Ok(None),
        };
        secret.reveal().map(Some)
    }
}

impl Add {
    async fn run(&self, console: &Console) -> Result<()> {
        let password = self.password.read()?;
        let store = self.record.open().await?;
        let password = password.as_ref().map(crate::config::Revealed::expose);
        let user = store.add_user(&self.name, self.role, password).await?;
        if console.json() { console.say_json(&user) } else { Ok(()) }
    }
}

impl Change {
    async fn run(&self) -> Result<()> {
        let password = self.password.read()?;
        if self.role.is_none() && password.is_none() {
            return Err(Error::invalid("nothing to change: give --role or a password"));
        }
        let store = self.record.open().await?;
        let password = password.as_ref().map(crate::config::Revealed::expose);
        store.change_user(&self.name, self.role, password).await
    }
}

impl List {
    async fn run(&self, console: &Console) -> Result<()> {
        for user in self.record.open().await?.users().await? {
            if console.json() {
                console.say_json(&user)?;
                continue;
            }
            let (name, role, tokens) = (visible(&user.name), user.role.as_str(), user.tokens);
            console.say(format_args!(
                "{name:<24} {role:<6} {tokens} tokens, since {}",
                user.created
            ))?;
        }
        Ok(())
    }
}

impl Token {
    async fn run(&self, console: &Console) -> Result<()> {
        let token = self.record.open().await?.create_token(&self.name, &self.note).await?;
        if console.json() {
            console.say_json(&json!({ "token": token.expose() }))
        } else {
            console.say(token.expose())
        }
    }
}
