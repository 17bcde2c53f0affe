//! Who may call a server of this record: users with a role, and the tokens that stand for them.
//!
//! A password is kept as an Argon2id hash, which takes long to compute; a token, which is random, as a plain
//! hash. Neither can be had back from the record, and no event says more than that there is one.

use super::{
    SqlStore,
    connection::{Connection, values},
    events::{self, About},
    session::Tx,
};
use crate::artifacts::blocking;
use argon2::{
    Argon2,
    password_hash::{PasswordHasher, PasswordVerifier, phc::PasswordHash},
};
use mlops_core::{Digest, Error, Principal, Result, Timestamp, event::EventKind};
use serde::{Deserialize, Serialize};
use std::{fmt, str::FromStr, sync::Arc};

/// The shortest password, in characters.
pub const SHORTEST_PASSWORD: usize = 12;
/// The longest name and password, in bytes.
const LONGEST: usize = 256;
/// What a token begins with, so that who finds one knows what it is.
const TOKEN: &str = "mlops_";

const USER_ADDED: EventKind = EventKind::of("user.added");
const USER_CHANGED: EventKind = EventKind::of("user.changed");
const USER_REMOVED: EventKind = EventKind::of("user.removed");
const TOKEN_CREATED: EventKind = EventKind::of("user.token_created");
const TOKENS_REVOKED: EventKind = EventKind::of("user.tokens_revoked");

/// What a user may do; each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Role {
    /// Look and search.
    Read,
    /// Track, register, promote.
    Write,
    /// Everything.
    Admin,
}

impl Role {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::Admin => "admin",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let found =
            [Self::Read, Self::Write, Self::Admin].into_iter().find(|role| role.as_str() == text);
        found.ok_or_else(|| Error::invalid(format!("{text:?} is none of read, write and admin")))
    }
}

/// Somebody who may call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct User {
    /// What they log in with, and what events say.
    pub name: Arc<str>,
    /// What they may do.
    pub role: Role,
    /// Since when.
    pub created: Timestamp,
    /// How many tokens stand for them.
    pub tokens: u64,
}

/// A token in clear text: there is no second chance to see it. Has no `Display`, and a `Debug` that
/// shows nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// The text, for the one who will use it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl SqlStore {
    /// Adds a user. Without a password only tokens stand for them.
    ///
    /// A name that is taken is `AlreadyExists`; one with a colon, which basic authentication cannot
    /// carry, and a password that is too short are `InvalidInput`.
    pub async fn add_user(&self, name: &str, role: Role, password: Option<&str>) -> Result<User> {
        let name = checked_name(name)?;
        let secret = hashed(password).await?;
        let add = async move |tx: &mut Tx<'_>| {
            if role_of(tx.db, &name).await?.is_some() {
                return Err(Error::already_exists(format!("user {name:?} exists already")));
            }
            let sql =
                "insert into principals (name, role, secret, created) values ($1, $2, $3, $4)";
            tx.db.execute(sql, &values![&name, role.as_str(), secret, tx.now]).await?;
            note(tx, USER_ADDED, &name, serde_json::json!({ "role": role })).await?;
            Ok(User { name: name.into(), role, created: tx.now, tokens: 0 })
        };
        self.shared.thread.write(&self.actor, add).await
    }

    /// Gives a user another role, another password, or both; what is `None` stays.
    pub async fn change_user(
        &self,
        name: &str,
        role: Option<Role>,
        password: Option<&str>,
    ) -> Result<()> {
        let name = checked_name(name)?;
        let secret = match password {
            Some(_) => Some(hashed(password).await?),
            None => None,
        };
        let change = async move |tx: &mut Tx<'_>| {
            role_of(tx.db, &name).await?.ok_or_else(|| unknown(&name))?;
            let sql = "update principals set role = coalesce($2, role),
                secret = coalesce($3, secret) where name = $1";
            let row = values![&name, role.map(Role::as_str), secret.as_deref()];
            tx.db.execute(sql, &row).await?;
            let detail = serde_json::json!({ "role": role, "password": secret.is_some() });
            note(tx, USER_CHANGED, &name, detail).await
        };
        self.shared.thread.write(&self.actor, change).await
    }

    /// Removes a user with every token; an unknown one is `NotFound`. What they did stays in the history.
    pub async fn remove_user(&self, name: &str) -> Result<()> {
        let name = checked_name(name)?;
        let remove = async move |tx: &mut Tx<'_>| {
            role_of(tx.db, &name).await?.ok_or_else(|| unknown(&name))?;
            for sql in [
                "delete from principal_tokens where principal = $1",
                "delete from principals where name = $1",
            ] {
                tx.db.execute(sql, &values![&name]).await?;
            }
            note(tx, USER_REMOVED, &name, serde_json::Value::Null).await
        };
        self.shared.thread.write(&self.actor, remove).await
    }

    /// Everybody who may call, by name.
    pub async fn users(&self) -> Result<Vec<User>> {
        let read = self.shared.thread.read(async |db| {
            let sql = "select name, role, created, (select count(*) from principal_tokens
                where principal = name) from principals order by name";
            let rows = db.rows(sql, &[]).await?;
            let user = |row: &super::connection::Row| {
                let (name, role) = (row.text(0)?.into(), row.parsed(1)?);
                Ok(User { name, role, created: row.time(2)?, tokens: row.count(3)? })
            };
            rows.iter().map(user).collect()
        });
        read.await
    }

    /// Makes a token that stands for a user from now on: 256 random bits. The note says what it is for.
    pub async fn create_token(&self, name: &str, purpose: &str) -> Result<Token> {
        let (name, purpose) = (checked_name(name)?, purpose.to_owned());
        let mut bits = [0; 32];
        getrandom::fill(&mut bits).map_err(|cause| {
            Error::unavailable("this machine gives no random numbers").with_source(cause)
        })?;
        let token = Token(format!("{TOKEN}{}", Digest::from_bytes(bits).to_hex()));
        let hash = Digest::of(token.expose()).to_hex();
        let create = async move |tx: &mut Tx<'_>| {
            role_of(tx.db, &name).await?.ok_or_else(|| unknown(&name))?;
            let sql = "insert into principal_tokens (hash, principal, note, created)
                values ($1, $2, $3, $4)";
            tx.db.execute(sql, &values![hash, &name, &purpose, tx.now]).await?;
            note(tx, TOKEN_CREATED, &name, serde_json::json!({ "note": purpose })).await
        };
        self.shared.thread.write(&self.actor, create).await?;
        Ok(token)
    }

    /// Takes every token from a user; gives how many there were.
    pub async fn revoke_tokens(&self, name: &str) -> Result<u64> {
        let name = checked_name(name)?;
        let revoke = async move |tx: &mut Tx<'_>| {
            role_of(tx.db, &name).await?.ok_or_else(|| unknown(&name))?;
            let sql = "delete from principal_tokens where principal = $1";
            let count = tx.db.execute(sql, &values![&name]).await?;
            note(tx, TOKENS_REVOKED, &name, serde_json::json!({ "tokens": count })).await?;
            Ok(count)
        };
        self.shared.thread.write(&self.actor, revoke).await
    }

    /// Who a token stands for.
    pub(crate) async fn of_token(&self, token: &str) -> Result<Option<Principal>> {
        let hash = Digest::of(token).to_hex();
        let read = self.shared.thread.read(async move |db| {
            let sql = "select own.name, own.role from principal_tokens token
                join principals own on own.name = token.principal where token.hash = $1";
            let row = db.row(sql, &values![hash]).await?;
            row.map(|row| Ok(Principal::new(row.text(0)?).with_role(row.text(1)?))).transpose()
        });
        read.await
    }

    /// A user, and what the password must fit.
    pub(crate) async fn of_name(&self, name: &str) -> Result<Option<(Principal, String)>> {
        let name = name.to_owned();
        let read = self.shared.thread.read(async move |db| {
            let sql = "select name, role, secret from principals where name = $1";
            let row = db.row(sql, &values![name]).await?;
            row.map(|row| {
                let principal = Principal::new(row.text(0)?).with_role(row.text(1)?);
                Ok((principal, row.text(2)?))
            })
            .transpose()
        });
        read.await
    }
}

/// The hash of a password; a word that nothing fits if there is none.
async fn hashed(password: Option<&str>) -> Result<String> {
    let Some(password) = password.map(str::to_owned) else { return Ok("none".to_owned()) };
    if password.chars().count() < SHORTEST_PASSWORD || password.len() > LONGEST {
        let text = format!(
            "a password has at least {SHORTEST_PASSWORD} characters and at most {LONGEST} bytes"
        );
        return Err(Error::invalid(text));
    }
    blocking::run(move || hash(&password)).await
}

/// An Argon2id hash with a salt of its own, in the form that names its parameters.
pub(crate) fn hash(password: &str) -> Result<String> {
    let hash = Argon2::default().hash_password(password.as_bytes());
    let hash = hash.map_err(|cause| {
        // Its text says nothing of the password; neither does this one.
        Error::internal("a password cannot be hashed").with_source(cause.to_string())
    })?;
    Ok(hash.to_string())
}

/// Whether a password fits a hash; takes the same time for each that could.
pub(crate) fn fits(password: &str, hash: &str) -> bool {
    let parsed = PasswordHash::new(hash);
    parsed.is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

fn checked_name(name: &str) -> Result<String> {
    let bad = name.is_empty() || name.len() > LONGEST || name.trim() != name;
    if bad || name.chars().any(|c| c == ':' || c.is_control()) {
        return Err(Error::invalid(format!(
            "{name:?} cannot be a user's name: no colon, no control characters, at most {LONGEST} bytes"
        )));
    }
    Ok(name.to_owned())
}

async fn role_of(db: &mut Connection, name: &str) -> Result<Option<Role>> {
    let row = db.row("select role from principals where name = $1", &values![name]).await?;
    row.map(|row| row.parsed(0)).transpose()
}

fn unknown(name: &str) -> Error {
    Error::not_found(format!("user {name:?} does not exist"))
}

async fn note(
    tx: &mut Tx<'_>,
    kind: EventKind,
    name: &str,
    detail: serde_json::Value,
) -> Result<()> {
    let event = tx.event(kind, format!("user/{name}")).with_detail(detail);
    events::append(tx, &event, &About::default()).await.map(drop)
}
