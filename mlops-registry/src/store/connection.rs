//! The only file that names sqlx: statements and values in, rows and our own errors out.
//!
//! Statements are written once, with `$1` placeholders, for every database that will stand behind this.

use futures_util::TryStreamExt;
use mlops_core::{Error, ErrorKind, Result, Timestamp};
use serde::de::DeserializeOwned;
use sqlx::{
    AssertSqlSafe, ConnectOptions, Connection as _, Either, Executor, Row as _, Sqlite,
    SqliteConnection, TypeInfo as _, ValueRef as _,
    query::Query,
    sqlite::{
        SqliteArguments, SqliteConnectOptions, SqliteJournalMode, SqliteRow, SqliteSynchronous,
    },
};
use std::{
    fmt::Write as _,
    path::Path,
    str::FromStr,
    sync::Arc,
    time::{Duration, Instant},
};

/// What a statement is given.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    Null,
    Int(i64),
    Real(f64),
    Text(String),
    Bytes(Vec<u8>),
}

/// `values![id, name, …]`: what a statement is given, in the order of its placeholders.
macro_rules! values {
    ($($value:expr),* $(,)?) => { [$($crate::store::connection::Value::from($value)),*] };
}
pub(super) use values;

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}
impl From<f64> for Value {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}
impl From<Timestamp> for Value {
    fn from(time: Timestamp) -> Self {
        Self::Int(time.unix_micros())
    }
}
impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}
impl From<Vec<u8>> for Value {
    fn from(bytes: Vec<u8>) -> Self {
        Self::Bytes(bytes)
    }
}
impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}
impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(text.clone())
    }
}
impl From<&Arc<str>> for Value {
    fn from(text: &Arc<str>) -> Self {
        Self::Text(text.as_ref().to_owned())
    }
}
impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// A statement: ours as it stands, or put together from our own words and placeholders, never from a
/// caller's text.
#[derive(Debug)]
pub(super) enum Sql {
    Fixed(&'static str),
    Composed(String),
}

impl Sql {
    fn is(&self, text: &str) -> bool {
        matches!(self, Self::Fixed(own) if *own == text)
    }
}

impl From<&'static str> for Sql {
    fn from(text: &'static str) -> Self {
        Self::Fixed(text)
    }
}
impl From<String> for Sql {
    fn from(text: String) -> Self {
        Self::Composed(text)
    }
}

/// Whether a transaction may write. One that may waits for its turn when it begins, so that it never
/// fails for having read too early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    Read,
    Write,
}

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

/// One open database connection. A second database becomes a second kind of connection here.
#[derive(Debug)]
pub(super) struct Connection {
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

impl Connection {
    /// Opens a SQLite file, creating it if it is not there. Every commit waits for the disk.
    pub(super) async fn open_sqlite(path: &Path, busy_timeout: Duration) -> Result<Self> {
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
    pub(super) async fn execute(&mut self, sql: impl Into<Sql>, values: &[Value]) -> Result<u64> {
        Ok(self.run(sql.into(), values.to_vec()).await?.0)
    }

    /// Runs a statement by the next one or the commit, whose failure its own then is.
    pub(super) fn later(&mut self, sql: impl Into<Sql>, values: Vec<Value>) {
        self.ahead.push((sql.into(), values));
    }

    /// Every row that a statement gives.
    pub(super) async fn rows(&mut self, sql: impl Into<Sql>, values: &[Value]) -> Result<Vec<Row>> {
        Ok(self.run(sql.into(), values.to_vec()).await?.1)
    }

    /// The first row, if there is one.
    pub(super) async fn row(
        &mut self,
        sql: impl Into<Sql>,
        values: &[Value],
    ) -> Result<Option<Row>> {
        let others = self.leaves_of_others();
        let query = self.together(sql.into(), values.to_vec()).await?;
        let row = query.fetch_optional(&mut self.inner).await;
        self.ran(row, others).map(|row| row.map(Row))
    }

    /// Runs what was left for later and a statement; gives how many rows that one changed, and its rows.
    async fn run(&mut self, sql: Sql, values: Vec<Value>) -> Result<(u64, Vec<Row>)> {
        let others = self.leaves_of_others();
        let query = self.together(sql, values).await?;
        let ran = async {
            let (mut changed, mut rows) = (0, Vec::new());
            let mut answers = self.inner.fetch_many(query);
            while let Some(answer) = answers.try_next().await? {
                match answer {
                    Either::Left(done) => changed = done.rows_affected(),
                    Either::Right(row) => rows.push(Row(row)),
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

    /// Whether a table is there.
    pub(super) async fn has_table(&mut self, name: &str) -> Result<bool> {
        let sql = "select 1 from sqlite_master where type = 'table' and name = $1";
        Ok(self.row(sql, &values![name]).await?.is_some())
    }

    /// Begins a transaction, by its first statement.
    pub(super) fn begin(&mut self, mode: Mode) {
        let sql = match mode {
            Mode::Read => "begin",
            Mode::Write => "begin immediate",
        };
        self.began = Began::Asked;
        self.later(sql, Vec::new());
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
        self.execute("commit", &[]).await?;
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
                let _ = self.execute("rollback", &[]).await;
                return Ok(());
            }
            Began::Yes => self.execute("rollback", &[]).await,
        };
        undone.map(drop)
    }

    /// Begins a part of the open transaction that can be undone alone; ends the part before it.
    pub(super) fn begin_part(&mut self, first: bool) {
        if !first {
            self.later(END_PART, Vec::new());
        }
        self.later(BEGIN_PART, Vec::new());
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
        self.execute("rollback to part", &[]).await.map(drop)
    }

    pub(super) async fn close(self) -> Result<()> {
        self.inner.close().await.map_err(failed)
    }
}

const BEGIN_PART: &str = "savepoint part";
const END_PART: &str = "release part";

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

/// A row; a column that does not hold what it should is `Corrupt`.
#[derive(Debug)]
pub(super) struct Row(SqliteRow);

impl Row {
    fn value<'r, T: sqlx::Decode<'r, Sqlite> + sqlx::Type<Sqlite>>(
        &'r self,
        column: usize,
    ) -> Result<T> {
        self.0.try_get(column).map_err(|cause| {
            Error::corrupt(format!("the record: column {column} of a row")).with_source(cause)
        })
    }

    pub(super) fn int(&self, column: usize) -> Result<i64> {
        self.value(column)
    }

    /// A count, size or number that is never negative.
    pub(super) fn count(&self, column: usize) -> Result<u64> {
        u64::try_from(self.int(column)?)
            .map_err(|_| Error::corrupt("the record: a count is negative"))
    }

    /// Whatever a column holds.
    pub(super) fn any(&self, column: usize) -> Result<Value> {
        let raw = self.0.try_get_raw(column).map_err(|cause| {
            Error::internal("a row has fewer columns than were asked for").with_source(cause)
        })?;
        if raw.is_null() {
            return Ok(Value::Null);
        }
        match raw.type_info().name() {
            "INTEGER" => self.value(column).map(Value::Int),
            "REAL" => self.value(column).map(Value::Real),
            _ => self.value(column).map(Value::Text),
        }
    }

    pub(super) fn optional_int(&self, column: usize) -> Result<Option<i64>> {
        self.value(column)
    }

    pub(super) fn time(&self, column: usize) -> Result<Timestamp> {
        self.int(column).map(Timestamp::from_unix_micros)
    }

    pub(super) fn optional_time(&self, column: usize) -> Result<Option<Timestamp>> {
        Ok(self.optional_int(column)?.map(Timestamp::from_unix_micros))
    }

    pub(super) fn text(&self, column: usize) -> Result<String> {
        self.value(column)
    }

    pub(super) fn bytes(&self, column: usize) -> Result<Vec<u8>> {
        self.value(column)
    }

    pub(super) fn optional_text(&self, column: usize) -> Result<Option<String>> {
        self.value(column)
    }

    pub(super) fn parsed<T: FromStr<Err = Error>>(&self, column: usize) -> Result<T> {
        self.text(column)?.parse().map_err(|cause| corrupt(&cause))
    }

    pub(super) fn optional_parsed<T: FromStr<Err = Error>>(
        &self,
        column: usize,
    ) -> Result<Option<T>> {
        self.optional_text(column)?
            .map(|text| text.parse().map_err(|cause| corrupt(&cause)))
            .transpose()
    }

    /// A value stored as JSON.
    pub(super) fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T> {
        serde_json::from_str(&self.text(column)?).map_err(|cause| {
            Error::corrupt(format!("the record: column {column} of a row")).with_source(cause)
        })
    }
}

fn corrupt(cause: &Error) -> Error {
    Error::corrupt(format!("the record: {cause}"))
}

/// `$3, $4, $5`: so many placeholders, the first with this number.
pub(super) fn placeholders(first: usize, count: usize) -> String {
    let names: Vec<String> = (first..first + count).map(|number| format!("${number}")).collect();
    names.join(", ")
}

/// Whether a column is like a [`pattern`] that a placeholder holds. `LIKE` would ignore case here always.
pub(super) fn like(column: &str, placeholder: &str, ignore_case: bool) -> String {
    // `lower` takes ASCII letters only.
    let column = if ignore_case { format!("lower({column})") } else { column.to_owned() };
    format!("{column} glob {placeholder}")
}

/// What [`like`] compares with, for a pattern in which `%` is any text and `_` any one character.
pub(super) fn pattern(like: &str, ignore_case: bool) -> String {
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
