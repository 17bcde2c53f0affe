//! SQLite: one file, no server. A commit is on the disk when it returns.

use super::{Mode, Sql, Value};
use mlops_core::{Error, ErrorKind, Result};
pub(super) use sqlx::sqlite::SqliteRow;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Row as _, Sqlite, SqliteConnection,
    TypeInfo as _, ValueRef as _,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// An open file.
#[derive(Debug)]
pub(in crate::store) struct Db(SqliteConnection);

impl Db {
    /// Opens a file, creating it if it is not there.
    pub(super) async fn open(path: &Path, busy_timeout: Duration) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(busy_timeout)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Where a plain fsync stops at the drive's cache, ask for more.
            .pragma("fullfsync", "on")
            .disable_statement_logging();
        let deadline = Instant::now() + busy_timeout;
        loop {
            match options.connect().await {
                Ok(connection) => return Ok(Self(connection)),
                // Changing to the write-ahead log does not wait for its turn by itself.
                Err(cause) if is_busy(&cause) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(cause) => return Err(failed(cause)),
            }
        }
    }

    pub(super) async fn execute(&mut self, sql: Sql, values: &[Value]) -> Result<u64> {
        let done = prepared(sql, values).execute(&mut self.0).await.map_err(failed)?;
        Ok(done.rows_affected())
    }

    pub(super) async fn rows(&mut self, sql: Sql, values: &[Value]) -> Result<Vec<SqliteRow>> {
        prepared(sql, values).fetch_all(&mut self.0).await.map_err(failed)
    }

    pub(super) async fn row(&mut self, sql: Sql, values: &[Value]) -> Result<Option<SqliteRow>> {
        prepared(sql, values).fetch_optional(&mut self.0).await.map_err(failed)
    }

    pub(super) async fn script(&mut self, text: &'static str) -> Result<()> {
        sqlx::raw_sql(text).execute(&mut self.0).await.map(drop).map_err(failed)
    }

    /// One that writes waits for its turn here, so that it never fails for having read too early.
    pub(super) async fn begin(&mut self, mode: Mode) -> Result<()> {
        let sql = match mode {
            Mode::Read => "begin",
            Mode::Write => "begin immediate",
        };
        self.execute(sql.into(), &[]).await.map(drop)
    }

    pub(super) async fn close(self) -> Result<()> {
        self.0.close().await.map_err(failed)
    }
}

pub(super) const HAS_TABLE: &str = "select 1 from sqlite_master where type = 'table' and name = $1";

fn prepared(sql: Sql, values: &[Value]) -> Query<'static, Sqlite, SqliteArguments> {
    let query = match sql {
        Sql::Fixed(text) => sqlx::query(text),
        Sql::Composed(text) => sqlx::query(AssertSqlSafe(text)),
    };
    values.iter().cloned().fold(query, |query, value| match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

pub(super) fn int(row: &SqliteRow, column: usize) -> sqlx::Result<Option<i64>> {
    row.try_get(column)
}

pub(super) fn text(row: &SqliteRow, column: usize) -> sqlx::Result<Option<String>> {
    row.try_get(column)
}

pub(super) fn any(row: &SqliteRow, column: usize) -> sqlx::Result<Value> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    match raw.type_info().name() {
        "INTEGER" => row.try_get(column).map(Value::Int),
        "REAL" => row.try_get(column).map(Value::Real),
        "BLOB" => row.try_get(column).map(Value::Bytes),
        _ => row.try_get(column).map(Value::Text),
    }
}

/// What [`like`](super::Dialect::like) compares with, for a pattern in which `%` is any text and `_` any
/// one character.
pub(super) fn glob(like: &str, ignore_case: bool) -> String {
    let mut glob = String::with_capacity(like.len());
    for c in like.chars() {
        match c {
            '%' => glob.push('*'),
            '_' => glob.push('?'),
            '*' | '?' | '[' => glob.extend(['[', c, ']']),
            _ if ignore_case => glob.push(c.to_ascii_lowercase()),
            _ => glob.push(c),
        }
    }
    glob
}

fn code(cause: &sqlx::Error) -> Option<i32> {
    // The low byte is the class of the error, the rest its variant.
    cause.as_database_error()?.code()?.parse::<i32>().ok().map(|code| code & 0xff)
}

fn is_busy(cause: &sqlx::Error) -> bool {
    matches!(code(cause), Some(5 | 6))
}

/// The one conversion from the database's errors. Its own text may quote a statement: it stays in the source.
fn failed(cause: sqlx::Error) -> Error {
    let (kind, words) = match code(&cause) {
        Some(5 | 6) => (ErrorKind::Unavailable, "another process keeps it busy"),
        Some(13) => (ErrorKind::Unavailable, "the disk is full"),
        Some(10) => (ErrorKind::Unavailable, "reading or writing its file failed"),
        Some(14) => (ErrorKind::Unavailable, "its file cannot be opened"),
        Some(3 | 8 | 23) => (ErrorKind::PermissionDenied, "its file may not be written"),
        Some(11 | 26) => (ErrorKind::Corrupt, "its file is damaged or no database"),
        _ if matches!(cause, sqlx::Error::WorkerCrashed) => {
            (ErrorKind::Unavailable, "its connection broke")
        }
        _ => (ErrorKind::Internal, "a statement failed"),
    };
    Error::new(kind, format!("the record: {words}")).with_source(cause)
}
