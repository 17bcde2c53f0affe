//! The only room that names a database's library: statements and values in, rows and our own errors out.
//!
//! Statements are written once, with `$1` placeholders, for every database that stands behind this.

mod location;
#[cfg(feature = "postgres")]
mod postgres;
mod row;
#[cfg(feature = "sqlite")]
mod sqlite;
mod value;

pub(super) use location::Location;
#[cfg(feature = "sqlite")]
pub(super) use location::folder_of;
pub(super) use row::Row;
pub(super) use value::{Sql, Value, placeholders, values};

use mlops_core::{Error, Result, event::Cursor};
#[cfg(feature = "sqlite")]
use std::{path::Path, time::Duration};

/// SQLite's limit.
const LONGEST_PATTERN: usize = 50_000;
/// What fits into an index of Postgres beside the beginning of a value: 250 characters of any alphabet.
#[cfg(feature = "postgres")]
const LONGEST_KEY: usize = 1000;
const BEGIN_PART: &str = "savepoint part";
const END_PART: &str = "release part";
const ROLLBACK_TO_PART: &str = "rollback to part";

/// Whether a transaction may write. One that may waits for its turn when it begins, so that it never
/// fails for having read too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// Everything in one snapshot.
    Read,
    /// The only one that writes, in any process; what the one before it wrote is seen.
    Write,
}

/// One open database connection.
#[derive(Debug)]
pub(super) enum Connection {
    #[cfg(feature = "sqlite")]
    Sqlite(sqlite::Db),
    #[cfg(feature = "postgres")]
    Postgres(Box<postgres::Db>),
}

/// Asks whichever database it is.
macro_rules! ask {
    ($connection:expr, $db:ident => $asked:expr) => {
        match $connection {
            #[cfg(feature = "sqlite")]
            Connection::Sqlite($db) => $asked,
            #[cfg(feature = "postgres")]
            Connection::Postgres($db) => $asked,
        }
    };
}

impl Connection {
    /// Opens a SQLite file, creating it if it is not there. Every commit waits for the disk.
    #[cfg(feature = "sqlite")]
    pub(super) async fn open_sqlite(path: &Path, busy_timeout: Duration) -> Result<Self> {
        sqlite::Db::open(path, busy_timeout).await.map(Self::Sqlite)
    }

    /// Runs a statement; gives how many rows it changed.
    pub(super) async fn execute(&mut self, sql: impl Into<Sql>, values: &[Value]) -> Result<u64> {
        ask!(self, db => db.execute(sql.into(), values).await)
    }

    /// Every row that a statement gives.
    pub(super) async fn rows(&mut self, sql: impl Into<Sql>, values: &[Value]) -> Result<Vec<Row>> {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => {
                let rows = db.rows(sql.into(), values).await?;
                Ok(rows.into_iter().map(Row::Sqlite).collect())
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => {
                let rows = db.rows(sql.into(), values).await?;
                Ok(rows.into_iter().map(Row::Postgres).collect())
            }
        }
    }

    /// The first row, if there is one.
    pub(super) async fn row(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value],
    ) -> Result<Option<Row>> {
        Ok(match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(db) => db.row(sql.into(), values).await?.map(Row::Sqlite),
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => db.row(sql.into(), values).await?.map(Row::Postgres),
        })
    }

    /// Several statements without values: a migration, in words that both databases take.
    pub(super) async fn script(&mut self, text: &'static str) -> Result<()> {
        ask!(self, db => db.script(text).await)
    }

    /// Whether a table is there.
    pub(super) async fn has_table(&mut self, name: &str) -> Result<bool> {
        let sql = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => sqlite::HAS_TABLE,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => postgres::HAS_TABLE,
        };
        Ok(self.row(sql, &values![name]).await?.is_some())
    }

    /// Runs a statement by the next one or the commit, whose failure its own then is.
    pub(super) fn later(&mut self, sql: impl Into<Sql>, values: Vec<Value>) {
        ask!(self, db => db.later(sql.into(), values));
    }

    /// Begins a transaction, by its first statement.
    pub(super) fn begin(&mut self, mode: Mode) {
        ask!(self, db => db.begin(mode));
    }

    /// The transaction has begun when it returns: its turn to write has come.
    pub(super) async fn begun(&mut self) -> Result<()> {
        ask!(self, db => db.begun().await)
    }

    /// The changes are on the disk when it returns.
    pub(super) async fn commit(&mut self) -> Result<()> {
        ask!(self, db => db.commit().await)
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        ask!(self, db => db.rollback().await)
    }

    /// Begins a part of the open transaction that can be undone alone; ends the part before it.
    pub(super) fn begin_part(&mut self, first: bool) {
        ask!(self, db => db.begin_part(first));
    }

    /// Undoes the part that was begun last; fails if the others are no longer whole.
    pub(super) async fn undo_part(&mut self) -> Result<()> {
        ask!(self, db => db.undo_part().await)
    }

    /// Tells other processes, once the open transaction is committed, that the event log ends here now.
    /// Those at a SQLite file look for themselves.
    pub(super) fn tell(&mut self, end: Cursor) {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => {
                let _ = end;
            }
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => db.tell(end),
        }
    }

    /// Whether nothing can come of it any more.
    pub(super) fn is_broken(&self) -> bool {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => false,
            #[cfg(feature = "postgres")]
            Self::Postgres(db) => db.is_broken(),
        }
    }

    /// How its SQL says what the two databases say differently.
    pub(super) fn dialect(&self) -> Dialect {
        match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite(_) => Dialect::Sqlite,
            #[cfg(feature = "postgres")]
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    pub(super) async fn close(self) -> Result<()> {
        ask!(self, db => db.close().await)
    }
}

/// What the two databases say differently, and mean the same by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    #[cfg(feature = "sqlite")]
    Sqlite,
    #[cfg(feature = "postgres")]
    Postgres,
}

impl Dialect {
    /// Whether the database keeps this text.
    #[cfg_attr(not(feature = "postgres"), allow(unused_variables, reason = "SQLite keeps any"))]
    #[cfg_attr(
        not(feature = "postgres"),
        expect(clippy::unnecessary_wraps, reason = "Postgres does not take all")
    )]
    pub(super) fn takes(self, text: &str) -> Result<()> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres if text.contains('\0') => {
                Err(Error::invalid("a text with a NUL, which Postgres does not keep"))
            }
            _ => Ok(()),
        }
    }

    /// Whether it keeps this name of a value, which lies in indexes.
    pub(super) fn takes_key(self, key: &str) -> Result<()> {
        match self {
            #[cfg(feature = "postgres")]
            Self::Postgres if key.len() > LONGEST_KEY => Err(Error::too_large(format!(
                "a name of {} bytes; Postgres takes {LONGEST_KEY}",
                key.len()
            ))),
            _ => self.takes(key),
        }
    }

    /// Whether a column is like a [`pattern`](Self::pattern) that a placeholder holds.
    pub(super) fn like(self, column: &str, placeholder: &str, ignore_case: bool) -> String {
        // `lower` takes ASCII letters only, in Postgres because of the columns' collation.
        let column = if ignore_case { format!("lower({column})") } else { column.to_owned() };
        match self {
            // `LIKE` would ignore case here always.
            #[cfg(feature = "sqlite")]
            Self::Sqlite => format!("{column} glob {placeholder}"),
            #[cfg(feature = "postgres")]
            Self::Postgres => format!("{column} like {placeholder} escape ''"),
        }
    }

    /// What [`like`](Self::like) compares with, for a pattern in which `%` is any text and `_` any one
    /// character.
    pub(super) fn pattern(self, like: &str, ignore_case: bool) -> Result<String> {
        let pattern = match self {
            #[cfg(feature = "sqlite")]
            Self::Sqlite => sqlite::glob(like, ignore_case),
            #[cfg(feature = "postgres")]
            Self::Postgres if ignore_case => like.to_ascii_lowercase(),
            #[cfg(feature = "postgres")]
            Self::Postgres => like.to_owned(),
        };
        if pattern.len() > LONGEST_PATTERN {
            let text = format!("a pattern of LIKE with more than {LONGEST_PATTERN} bytes");
            return Err(Error::too_large(text));
        }
        Ok(pattern)
    }
}
