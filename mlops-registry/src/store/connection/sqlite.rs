//! SQLite: one file, no server. A commit is on the disk when it returns.
//!
//! Statements run on the thread that asks, which is one of the store's own and never a host's: the way
//! to another thread and back would take longer than most statements.

use super::{BEGIN_PART, END_PART, Mode, ROLLBACK_TO_PART, Sql, Value};
use mlops_core::{Error, ErrorKind, Result};
use rusqlite::{
    Connection, OpenFlags, Statement, ToSql,
    config::DbConfig,
    types::{ToSqlOutput, ValueRef},
};
use std::{
    path::Path,
    time::{Duration, Instant},
};

/// How many prepared statements are kept.
const PREPARED: usize = 256;
/// Waits for the disk with every commit, and, where a plain fsync stops at the drive's cache, for more.
/// The log holds 16 MiB of pages before they are moved into the file: more are written there less often,
/// and take longer to read after a kill. 16 MiB of pages are kept in memory.
const SETTINGS: &str = "pragma synchronous = full; pragma fullfsync = on; pragma foreign_keys = on;
    pragma wal_autocheckpoint = 4000; pragma cache_size = -16384";
/// The first pause of who waits for another process, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(1), Duration::from_millis(20));

/// Whether a file has something in it and no schema of ours, which comes into an empty one as a whole.
const IS_FOREIGN: &str = "select exists (select 1 from sqlite_master) and not exists (
    select 1 from sqlite_master
    where type = 'table' and name = 'schema_version' and instr(sql, 'oldest') > 0)";

pub(super) const HAS_TABLE: &str = "select 1 from sqlite_master where type = 'table' and name = $1";

/// An open file.
#[derive(Debug)]
pub(in crate::store) struct Db {
    inner: Connection,
    busy_timeout: Duration,
    /// What nobody waits for the answer of; it is run before the next statement.
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
    Asked(Mode),
    Yes,
}

/// What a row holds.
pub(super) type SqliteRow = Vec<Value>;

impl Db {
    /// Opens a SQLite file, creating it if it is not there. Every commit waits for the disk. The database
    /// of another program is `Unsupported`, and stays as it is.
    pub(super) async fn open(path: &Path, busy_timeout: Duration) -> Result<Self> {
        // One thread at a time has it, and a path is no URI.
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE
            | OpenFlags::SQLITE_OPEN_CREATE
            | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let inner = Connection::open_with_flags(path, flags).map_err(failed)?;
        inner.busy_timeout(busy_timeout).map_err(failed)?;
        inner.set_prepared_statement_cache_capacity(PREPARED);
        let mut foreign = false;
        let ask = || {
            foreign = inner.query_row(IS_FOREIGN, [], |row| row.get(0))?;
            Ok(())
        };
        patiently(busy_timeout, ask).await?;
        if foreign {
            return Err(refused(path, &inner));
        }
        // Changing to the write-ahead log does not wait for its turn by itself.
        patiently(busy_timeout, || inner.pragma_update(None, "journal_mode", "wal")).await?;
        inner.execute_batch(SETTINGS).map_err(failed)?;
        Ok(Self { inner, busy_timeout, ahead: Vec::new(), began: Began::No, broken: false })
    }

    /// Runs a statement; gives how many rows it changed.
    pub(super) async fn execute(&mut self, sql: Sql, values: &[Value]) -> Result<u64> {
        self.begun().await?;
        self.step(&sql, values, usize::MAX)?;
        Ok(self.inner.changes())
    }

    /// Runs a statement by the next one or the commit, whose failure its own then is.
    pub(super) fn later(&mut self, sql: Sql, values: Vec<Value>) {
        self.ahead.push((sql, values));
    }

    /// Every row that a statement gives.
    pub(super) async fn rows(&mut self, sql: Sql, values: &[Value]) -> Result<Vec<SqliteRow>> {
        self.begun().await?;
        self.step(&sql, values, usize::MAX)
    }

    /// The first row, if there is one.
    pub(super) async fn row(&mut self, sql: Sql, values: &[Value]) -> Result<Option<SqliteRow>> {
        self.begun().await?;
        Ok(self.step(&sql, values, 1)?.pop())
    }

    /// Runs one statement; gives so many of its rows at most.
    fn step(&self, sql: &Sql, values: &[Value], most: usize) -> Result<Vec<SqliteRow>> {
        if self.began == Began::Yes && self.inner.is_autocommit() {
            // Some failures end it: nothing may be written as if it were still there.
            return Err(Error::unavailable("the record: a failure has ended the transaction"));
        }
        let mut statement = self.inner.prepare_cached(sql.text()).map_err(failed)?;
        bind(&mut statement, values)?;
        let columns = statement.column_count();
        let (mut rows, mut found) = (statement.raw_query(), Vec::new());
        while found.len() < most
            && let Some(row) = rows.next().map_err(failed)?
        {
            let read = |column| row.get_ref(column).map_err(failed).and_then(owned);
            found.push((0..columns).map(read).collect::<Result<_>>()?);
        }
        Ok(found)
    }

    /// Several statements without values: a migration.
    pub(super) async fn script(&mut self, text: &'static str) -> Result<()> {
        self.begun().await?;
        // Here the number of a row is where it lies only if its type has this very name.
        let text = text.replace("bigint primary key", "integer primary key");
        self.inner.execute_batch(&text).map_err(failed)
    }

    /// Begins a transaction, by its first statement.
    pub(super) fn begin(&mut self, mode: Mode) {
        self.began = Began::Asked(mode);
    }

    /// The transaction has begun when it returns, and what was left for later is done: its turn to write
    /// has come.
    pub(super) async fn begun(&mut self) -> Result<()> {
        if let Began::Asked(mode) = self.began {
            match mode {
                Mode::Read => prepared(&self.inner, "begin").map_err(failed)?,
                Mode::Write => self.begin_write().await?,
            }
            self.began = Began::Yes;
        }
        let ahead = std::mem::take(&mut self.ahead);
        let own = ahead.iter().rposition(|(sql, _)| sql.is(BEGIN_PART)).unwrap_or(0);
        for (at, (sql, values)) in ahead.iter().enumerate() {
            let ran = self.step(sql, values, usize::MAX);
            self.broken |= ran.is_err() && at < own;
            ran?;
        }
        Ok(())
    }

    /// Waits here, and not in SQLite, while another process writes: artifacts go on meanwhile.
    async fn begin_write(&self) -> Result<()> {
        self.inner.busy_timeout(Duration::ZERO).map_err(failed)?;
        let began = patiently(self.busy_timeout, || prepared(&self.inner, "begin immediate")).await;
        self.inner.busy_timeout(self.busy_timeout).map_err(failed)?;
        began
    }

    /// The changes are on the disk when it returns.
    pub(super) async fn commit(&mut self) -> Result<()> {
        if matches!(self.began, Began::Asked(_)) && self.ahead.is_empty() {
            return self.rollback().await;
        }
        self.execute("commit".into(), &[]).await?;
        self.began = Began::No;
        Ok(())
    }

    #[expect(clippy::unused_async, reason = "as the other database does it")]
    pub(super) async fn rollback(&mut self) -> Result<()> {
        self.ahead.clear();
        self.broken = false;
        self.began = Began::No;
        // Some failures have ended it already.
        if self.inner.is_autocommit() {
            return Ok(());
        }
        self.inner.execute_batch("rollback").map_err(failed)
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

    #[expect(clippy::unused_async, reason = "as the other database does it")]
    pub(super) async fn close(self) -> Result<()> {
        self.inner.close().map_err(|(_, cause)| failed(cause))
    }
}

/// Runs a statement without values that is not parsed each time.
fn prepared(db: &Connection, sql: &str) -> rusqlite::Result<()> {
    db.prepare_cached(sql)?.execute([]).map(drop)
}

/// What is not ours is closed as it was found.
fn refused(path: &Path, db: &Connection) -> Error {
    // The last to close a file would write its log into it.
    if let Err(cause) = db.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
        return failed(cause);
    }
    let path = path.display();
    let text = format!("{path} is the database of another program, no record");
    Error::unsupported(format!("{text}; what MLflow's hold is taken by `mlops import`"))
}

/// Asks again while another process keeps the file busy, until its time is over.
async fn patiently(most: Duration, mut ask: impl FnMut() -> rusqlite::Result<()>) -> Result<()> {
    let (deadline, (mut pause, longest)) = (Instant::now() + most, PAUSES);
    loop {
        match ask() {
            Err(cause) if is_busy(&cause) && Instant::now() < deadline => {
                tokio::time::sleep(pause).await;
                pause = longest.min(pause * 2);
            }
            other => return other.map_err(failed),
        }
    }
}

/// Gives each placeholder the value of its number, in whatever order they stand.
fn bind(statement: &mut Statement<'_>, values: &[Value]) -> Result<()> {
    for index in 1..=statement.parameter_count() {
        let name = statement.parameter_name(index).and_then(|name| name.strip_prefix('$'));
        let number = name.and_then(|number| number.parse::<usize>().ok());
        let value = number.and_then(|number| values.get(number.checked_sub(1)?));
        let value = value.ok_or_else(|| Error::internal("a statement wants another value"))?;
        statement.raw_bind_parameter(index, value).map_err(failed)?;
    }
    Ok(())
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(value) => ValueRef::Integer(*value),
            Self::Real(value) => ValueRef::Real(*value),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

fn owned(value: ValueRef<'_>) -> Result<Value> {
    Ok(match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(value) => Value::Int(value),
        ValueRef::Real(value) => Value::Real(value),
        ValueRef::Text(text) => {
            let text = std::str::from_utf8(text).map_err(|cause| {
                Error::corrupt("the record: a text is not UTF-8").with_source(cause)
            })?;
            Value::Text(text.to_owned())
        }
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
    })
}

pub(super) fn int(row: &SqliteRow, column: usize) -> Result<Option<i64>> {
    match row.get(column) {
        Some(Value::Int(value)) => Ok(Some(*value)),
        other => absent(other, "a whole number"),
    }
}

pub(super) fn text(row: &SqliteRow, column: usize) -> Result<Option<String>> {
    match row.get(column) {
        Some(Value::Text(text)) => Ok(Some(text.clone())),
        other => absent(other, "a text"),
    }
}

pub(super) fn bytes(row: &SqliteRow, column: usize) -> Result<Option<Vec<u8>>> {
    match row.get(column) {
        Some(Value::Bytes(bytes)) => Ok(Some(bytes.clone())),
        other => absent(other, "bytes"),
    }
}

pub(super) fn any(row: &SqliteRow, column: usize) -> Result<Value> {
    row.get(column).cloned().ok_or_else(|| Error::internal("a row has fewer columns"))
}

/// Nothing, if that is what there is.
fn absent<T>(value: Option<&Value>, wanted: &str) -> Result<Option<T>> {
    match value {
        Some(Value::Null) => Ok(None),
        _ => Err(Error::corrupt(format!("holds no {wanted}"))),
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

fn code(cause: &rusqlite::Error) -> Option<i32> {
    // The low byte is the class of the error, the rest its variant.
    cause.sqlite_error().map(|error| error.extended_code & 0xff)
}

fn is_busy(cause: &rusqlite::Error) -> bool {
    matches!(code(cause), Some(5 | 6))
}

/// The one conversion from the database's errors. Its own text may quote a statement: it stays in the source.
fn failed(cause: rusqlite::Error) -> Error {
    let (kind, words) = match code(&cause) {
        Some(5 | 6) => (ErrorKind::Unavailable, "another process keeps it busy"),
        Some(13) => (ErrorKind::Unavailable, "the disk is full"),
        Some(10) => (ErrorKind::Unavailable, "reading or writing its file failed"),
        Some(14) => (ErrorKind::Unavailable, "its file cannot be opened"),
        Some(3 | 8 | 23) => (ErrorKind::PermissionDenied, "its file may not be written"),
        Some(11 | 26) => (ErrorKind::Corrupt, "its file is damaged or no database"),
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
        // Without it the file would be another program's.
        db.script("create table schema_version (oldest bigint)").await.unwrap();
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

    /// Also what its program has not moved from its log into the file yet.
    #[tokio::test]
    async fn the_file_of_another_program_keeps_its_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let (path, log) = (folder.path().join("a.db"), folder.path().join("a.db-wal"));
        let other = rusqlite::Connection::open(&path).unwrap();
        other.pragma_update(None, "journal_mode", "wal").unwrap();
        other.execute_batch("create table schema_version (version text)").unwrap();
        other.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).unwrap();
        drop(other);
        let before = [&path, &log].map(|file| std::fs::read(file).unwrap());
        assert!(before.iter().all(|bytes| !bytes.is_empty()));
        let error = Connection::open_sqlite(&path, Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
        assert!([&path, &log].map(|file| std::fs::read(file).unwrap()) == before);
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
