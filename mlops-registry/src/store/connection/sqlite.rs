//! SQLite: one file, no server. A commit is on the disk when it returns.

use super::{BEGIN_PART, END_PART, Mode, ROLLBACK_TO_PART, Sql, Value};
use futures_util::TryStreamExt;
use mlops_core::{Error, ErrorKind, Result};
pub(super) use sqlx::sqlite::SqliteRow;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Either, Executor, Row as _, Sqlite,
    SqliteConnection, TypeInfo as _, ValueRef as _,
    query::Query,
    sqlite::{SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteSynchronous},
};
use std::{
    fmt::Write as _,
    path::Path,
    time::{Duration, Instant},
};

/// How many statements are sent to the database's thread at once, at most: few, so that the texts that are
/// put together so are few, too, and are found prepared.
const TOGETHER: usize = 6;
/// How many prepared statements are kept.
const PREPARED: usize = 256;
/// How many pages the log holds before they are moved into the file: 16 MiB. More are written to the
/// file less often, and take longer to read after a kill.
const LOG_PAGES: &str = "4000";
/// KiB of pages that are kept in memory.
const CACHE: &str = "-16384";

/// An open file.
#[derive(Debug)]
pub(in crate::store) struct Db {
    inner: SqliteConnection,
    /// What is sent together with the next statement, since nobody waits for its answer: a way to the
    /// database's thread and back costs more than most statements do.
    ahead: Vec<(Sql, Vec<Value>)>,
    began: Began,
    /// Whether something that another part of the transaction had left for later has failed.
    broken: bool,
}

/// Whether a transaction is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Began {
    No,
    /// Begins with the next statement.
    Asked,
    /// That statement failed, or the beginning.
    Unsure,
    Yes,
}

impl Db {
    /// Opens a SQLite file, creating it if it is not there. Every commit waits for the disk.
    pub(super) async fn open(path: &Path, busy_timeout: Duration) -> Result<Self> {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .foreign_keys(true)
            .busy_timeout(busy_timeout)
            .statement_cache_capacity(PREPARED)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            // Where a plain fsync stops at the drive's cache, ask for more.
            .pragma("fullfsync", "on")
            .pragma("wal_autocheckpoint", LOG_PAGES)
            .pragma("cache_size", CACHE)
            .disable_statement_logging();
        let deadline = Instant::now() + busy_timeout;
        loop {
            match options.connect().await {
                Ok(inner) => {
                    let (ahead, began) = (Vec::new(), Began::No);
                    return Ok(Self { inner, ahead, began, broken: false });
                }
                // Changing to the write-ahead log does not wait for its turn by itself.
                Err(cause) if is_busy(&cause) && Instant::now() < deadline => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(cause) => return Err(failed(cause)),
            }
        }
    }

    /// Runs a statement; gives how many rows it changed.
    pub(super) async fn execute(&mut self, sql: Sql, values: &[Value]) -> Result<u64> {
        Ok(self.run(sql, values.to_vec()).await?.0)
    }

    /// Runs a statement by the next one or the commit, whose failure its own then is.
    pub(super) fn later(&mut self, sql: Sql, values: Vec<Value>) {
        self.ahead.push((sql, values));
    }

    /// Every row that a statement gives.
    pub(super) async fn rows(&mut self, sql: Sql, values: &[Value]) -> Result<Vec<SqliteRow>> {
        Ok(self.run(sql, values.to_vec()).await?.1)
    }

    /// The first row, if there is one.
    pub(super) async fn row(&mut self, sql: Sql, values: &[Value]) -> Result<Option<SqliteRow>> {
        let others = self.leaves_of_others();
        let query = self.together(sql, values.to_vec()).await?;
        let row = query.fetch_optional(&mut self.inner).await;
        self.ran(row, others)
    }

    /// Runs what was left for later and a statement; gives how many rows that one changed, and its rows.
    async fn run(&mut self, sql: Sql, values: Vec<Value>) -> Result<(u64, Vec<SqliteRow>)> {
        let others = self.leaves_of_others();
        let query = self.together(sql, values).await?;
        let ran = async {
            let (mut changed, mut rows) = (0, Vec::new());
            let mut answers = self.inner.fetch_many(query);
            while let Some(answer) = answers.try_next().await? {
                match answer {
                    Either::Left(done) => changed = done.rows_affected(),
                    Either::Right(row) => rows.push(row),
                }
            }
            Ok((changed, rows))
        };
        let ran = ran.await;
        self.ran(ran, others)
    }

    /// One query of a statement and what was left for later.
    async fn together(&mut self, sql: Sql, values: Vec<Value>) -> Result<Statement> {
        let others = self.leaves_of_others();
        let mut ahead = std::mem::take(&mut self.ahead);
        ahead.push((sql, values));
        while ahead.len() > TOGETHER {
            let rest = ahead.split_off(TOGETHER);
            let query = prepared(std::mem::replace(&mut ahead, rest));
            let ran = query.execute(&mut self.inner).await;
            self.ran(ran, others)?;
        }
        Ok(prepared(ahead))
    }

    /// Whether what was left for later belongs to other parts of the transaction than the last.
    fn leaves_of_others(&self) -> bool {
        let part = self.ahead.iter().rposition(|(sql, _)| sql.is(BEGIN_PART));
        part.is_some_and(|part| self.ahead[..part].iter().any(|(sql, _)| !sql.is(END_PART)))
    }

    /// Notes whether the transaction that was asked for is open, and whether it is one still.
    fn ran<T>(&mut self, outcome: sqlx::Result<T>, others: bool) -> Result<T> {
        self.broken |= others && outcome.is_err();
        if self.began == Began::Asked {
            self.began = if outcome.is_ok() { Began::Yes } else { Began::Unsure };
        }
        outcome.map_err(failed)
    }

    /// Several statements without values: a migration.
    pub(super) async fn script(&mut self, text: &'static str) -> Result<()> {
        self.begun().await?;
        // Here the number of a row is where it lies only if its type has this very name.
        let text = text.replace("bigint primary key", "integer primary key");
        sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.inner).await.map(drop).map_err(failed)
    }

    /// Begins a transaction, by its first statement.
    pub(super) fn begin(&mut self, mode: Mode) {
        let sql = match mode {
            Mode::Read => "begin",
            Mode::Write => "begin immediate",
        };
        self.began = Began::Asked;
        self.later(sql.into(), Vec::new());
    }

    /// The transaction has begun when it returns: its turn to write has come.
    pub(super) async fn begun(&mut self) -> Result<()> {
        match self.ahead.pop() {
            Some((sql, values)) => self.run(sql, values).await.map(drop),
            None => Ok(()),
        }
    }

    /// The changes are on the disk when it returns.
    pub(super) async fn commit(&mut self) -> Result<()> {
        if self.began == Began::Asked && self.ahead.len() <= 1 {
            return self.rollback().await;
        }
        self.execute("commit".into(), &[]).await?;
        self.began = Began::No;
        Ok(())
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        self.ahead.clear();
        self.broken = false;
        let undone = match std::mem::replace(&mut self.began, Began::No) {
            Began::No | Began::Asked => return Ok(()),
            Began::Unsure => {
                // Fails if nothing was begun.
                let _ = self.execute("rollback".into(), &[]).await;
                return Ok(());
            }
            Began::Yes => self.execute("rollback".into(), &[]).await,
        };
        undone.map(drop)
    }

    /// Begins a part of the open transaction that can be undone alone; ends the part before it.
    pub(super) fn begin_part(&mut self, first: bool) {
        if !first {
            self.later(END_PART.into(), Vec::new());
        }
        self.later(BEGIN_PART.into(), Vec::new());
    }

    /// Undoes the part that was begun last; fails if the others are no longer whole.
    pub(super) async fn undo_part(&mut self) -> Result<()> {
        if self.broken {
            return Err(Error::unavailable("the record: a write beside this one failed"));
        }
        if let Some(at) = self.ahead.iter().rposition(|(sql, _)| sql.is(BEGIN_PART)) {
            // It never came to the database.
            self.ahead.truncate(at + 1);
            return Ok(());
        }
        self.ahead.clear();
        self.execute(ROLLBACK_TO_PART.into(), &[]).await.map(drop)
    }

    pub(super) async fn close(self) -> Result<()> {
        self.inner.close().await.map_err(failed)
    }
}

pub(super) const HAS_TABLE: &str = "select 1 from sqlite_master where type = 'table' and name = $1";

type Statement = Query<'static, Sqlite, SqliteArguments>;

/// One query of several statements, one after the other. The placeholders of each count from `$1`.
fn prepared(statements: Vec<(Sql, Vec<Value>)>) -> Statement {
    let (mut text, mut values) = (String::new(), Vec::new());
    if let [(Sql::Fixed(only), _)] = statements[..] {
        let own = statements.into_iter().flat_map(|(_, values)| values);
        return own.fold(sqlx::query(only), bound);
    }
    for (sql, own) in statements {
        let sql = match &sql {
            Sql::Fixed(text) => text,
            Sql::Composed(text) => text.as_str(),
        };
        if !text.is_empty() {
            text.push_str("; ");
        }
        append_renumbered(&mut text, sql, values.len());
        values.extend(own);
    }
    values.into_iter().fold(sqlx::query(AssertSqlSafe(text)), bound)
}

fn bound(query: Statement, value: Value) -> Statement {
    match value {
        Value::Null => query.bind(None::<i64>),
        Value::Int(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    }
}

/// Adds a statement whose `$1` is the value after so many others. Our statements have no other `$`.
fn append_renumbered(text: &mut String, sql: &str, by: usize) {
    let mut pieces = sql.split('$');
    text.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        let digits = piece.find(|c: char| !c.is_ascii_digit()).unwrap_or(piece.len());
        let number = piece[..digits].parse::<usize>().unwrap_or_default() + by;
        // Writing to a String cannot fail.
        let _ = write!(text, "${number}{}", &piece[digits..]);
    }
}

pub(super) fn int(row: &SqliteRow, column: usize) -> sqlx::Result<Option<i64>> {
    row.try_get(column)
}

pub(super) fn text(row: &SqliteRow, column: usize) -> sqlx::Result<Option<String>> {
    row.try_get(column)
}

pub(super) fn bytes(row: &SqliteRow, column: usize) -> sqlx::Result<Option<Vec<u8>>> {
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

#[cfg(test)]
mod tests {
    use super::super::{Connection, values};
    use super::*;

    async fn open(folder: &tempfile::TempDir) -> Connection {
        let path = folder.path().join("mlops.db");
        let mut db = Connection::open_sqlite(&path, Duration::from_secs(5)).await.unwrap();
        db.execute("create table t (a bigint unique, b text)", &[]).await.unwrap();
        db
    }

    const INSERT: &str = "insert into t (a, b) values ($1, $2)";
    const COUNT: &str = "select count(*) from t where a < $1";

    async fn count(db: &mut Connection) -> i64 {
        db.row(COUNT, &values![99_i64]).await.unwrap().unwrap().int(0).unwrap()
    }

    #[tokio::test]
    async fn what_is_left_for_later_comes_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = open(&folder).await;
        db.begin(Mode::Write);
        for number in 0..20_i64 {
            db.later(INSERT, values![number, "x"].to_vec());
        }
        assert_eq!(
            db.execute("update t set b = $2 where a < $1", &values![7_i64, "y"]).await.unwrap(),
            7
        );
        db.begin_part(true);
        db.later(INSERT, values![50_i64, "undone"].to_vec());
        db.undo_part().await.unwrap();
        db.begin_part(false);
        db.execute(INSERT, &values![51_i64, "undone"]).await.unwrap();
        db.undo_part().await.unwrap();
        db.later(INSERT, values![52_i64, "kept"].to_vec());
        db.commit().await.unwrap();
        assert_eq!(count(&mut open_again(&folder).await).await, 21);
    }

    async fn open_again(folder: &tempfile::TempDir) -> Connection {
        let path = folder.path().join("mlops.db");
        Connection::open_sqlite(&path, Duration::from_secs(5)).await.unwrap()
    }

    #[tokio::test]
    async fn a_part_whose_leaves_fail_with_another_ends_all() {
        let folder = tempfile::tempdir().unwrap();
        let mut db = open(&folder).await;
        db.begin(Mode::Write);
        db.execute(INSERT, &values![1_i64, "first"]).await.unwrap();
        db.begin_part(true);
        db.later(INSERT, values![1_i64, "fails later"].to_vec());
        db.begin_part(false);
        db.rows(COUNT, &values![9_i64]).await.unwrap_err();
        db.undo_part().await.unwrap_err();
        db.rollback().await.unwrap();
        assert_eq!(count(&mut db).await, 0);
    }
}
