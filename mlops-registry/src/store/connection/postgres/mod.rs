//! Postgres: many processes on many machines at one record.
//!
//! One writes at a time, in any process: a transaction that writes begins by taking a lock of the
//! database's schema and lets go of it with its end. What a writer reads is therefore what the one before
//! it wrote, as in SQLite, and no statement needs to know of the others. Reading takes no lock.

mod error;
mod listen;
mod server;
mod words;

pub(super) use server::Server;
pub(super) use sqlx::postgres::PgRow;

use super::{BEGIN_PART, END_PART, Mode, ROLLBACK_TO_PART, Sql, Value};
use error::{breaks, failed};
use mlops_core::{Error, Result, event::Cursor};
use sqlx::{
    AssertSqlSafe, Connection as _, Encode, PgConnection, Postgres, Row as _, Type, TypeInfo as _,
    ValueRef as _,
    encode::IsNull,
    error::BoxDynError,
    postgres::{PgArgumentBuffer, PgArguments, PgTypeInfo, types::Oid},
    query::Query,
};
use std::{io, time::Duration};

/// In the schema that the record lives in; others may have tables of the same name.
pub(super) const HAS_TABLE: &str =
    "select 1 from pg_catalog.pg_tables where schemaname = current_schema() and tablename = $1";
/// Waits until nobody else writes. The first number is ours, the second the schema's.
const BEGIN_WRITE: &str = "begin isolation level read committed read write;
    select pg_advisory_xact_lock(1835822191, hashtext(current_schema()))";
/// How long a statement may work. A server that vanished says nothing, not even that.
const LONGEST_WORK: Duration = Duration::from_mins(5);
const BEGIN_READ: &str = "begin isolation level repeatable read read only";

/// An open connection and what is known about its state.
#[derive(Debug)]
pub(in crate::store) struct Db {
    server: Server,
    busy_timeout: Duration,
    connection: PgConnection,
    /// What nobody waits for the answer of; it is run before the next statement.
    ahead: Vec<(Sql, Vec<Value>)>,
    began: Began,
    /// Whether a statement failed: until it is undone, nothing of the transaction can be kept.
    failed: bool,
    /// Whether something that another part of the transaction had left for later has failed.
    lost: bool,
    broken: bool,
}

/// Whether a transaction is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Began {
    No,
    /// Begins with the next statement.
    Asked(Mode),
    Yes(Mode),
    /// Its turn did not come: nothing may run in its name.
    Never,
}

impl Db {
    pub(super) async fn execute(&mut self, sql: Sql, values: &[Value]) -> Result<u64> {
        self.ready().await?;
        self.run(sql, values).await
    }

    pub(super) async fn rows(&mut self, sql: Sql, values: &[Value]) -> Result<Vec<PgRow>> {
        self.ready().await?;
        let limit = self.limit();
        let rows = answered(limit, prepared(sql, values).fetch_all(&mut self.connection)).await;
        rows.map_err(|cause| self.note(cause))
    }

    pub(super) async fn row(&mut self, sql: Sql, values: &[Value]) -> Result<Option<PgRow>> {
        self.ready().await?;
        let limit = self.limit();
        let row = answered(limit, prepared(sql, values).fetch_optional(&mut self.connection)).await;
        row.map_err(|cause| self.note(cause))
    }

    pub(super) fn later(&mut self, sql: Sql, values: Vec<Value>) {
        self.ahead.push((sql, values));
    }

    /// Several statements, in the words of this database.
    pub(super) async fn script(&mut self, text: &'static str) -> Result<()> {
        self.ready().await?;
        self.raw(AssertSqlSafe(words::translated(text))).await
    }

    pub(super) fn begin(&mut self, mode: Mode) {
        self.began = Began::Asked(mode);
        self.failed = false;
    }

    /// Begins what was asked for. A connection that broke while nothing was under way is opened again.
    pub(super) async fn begun(&mut self) -> Result<()> {
        let mode = match self.began {
            Began::No | Began::Yes(_) => return Ok(()),
            Began::Never => return Err(Error::unavailable("the record: no transaction began")),
            Began::Asked(mode) => mode,
        };
        self.began = Began::Never;
        let sql = match mode {
            Mode::Read => BEGIN_READ,
            Mode::Write => BEGIN_WRITE,
        };
        let mut begun = self.raw(sql).await;
        if self.broken {
            let fresh = self.server.open(self.busy_timeout).await?;
            (self.connection, self.broken) = (fresh.connection, false);
            begun = self.raw(sql).await;
        }
        if begun.is_err() && !self.broken {
            // The transaction is open, but its turn did not come. The error that led here is the one to tell.
            let _ = self.raw("rollback").await;
        }
        begun?;
        (self.began, self.failed) = (Began::Yes(mode), false);
        Ok(())
    }

    /// Begins what was asked for, and runs what was left for later.
    async fn ready(&mut self) -> Result<()> {
        self.begun().await?;
        let mut ahead = std::mem::take(&mut self.ahead).into_iter();
        while let Some((sql, values)) = ahead.next() {
            if let Err(error) = self.run(sql, &values).await {
                self.lost |= ahead.any(|(sql, _)| sql.is(BEGIN_PART));
                return Err(error);
            }
        }
        Ok(())
    }

    async fn run(&mut self, sql: Sql, values: &[Value]) -> Result<u64> {
        let limit = self.limit();
        let done = answered(limit, prepared(sql, values).execute(&mut self.connection)).await;
        Ok(done.map_err(|cause| self.note(cause))?.rows_affected())
    }

    /// Ends the transaction; what it wrote is on the disk when this returns. After an error that left the
    /// connection [broken](Self::is_broken) it may have been written or not.
    pub(super) async fn commit(&mut self) -> Result<()> {
        let mode = match self.began {
            // Nothing came of it.
            Began::Asked(_) if self.ahead.is_empty() => return self.rollback().await,
            Began::Asked(mode) | Began::Yes(mode) => mode,
            Began::No | Began::Never => {
                self.began = Began::No;
                return Err(Error::unavailable(
                    "the record: a transaction ended before its commit",
                ));
            }
        };
        self.ready().await?;
        if self.failed {
            // Postgres would answer such a commit with a rollback, and call it done.
            self.rollback().await?;
            return match mode {
                Mode::Read => Ok(()),
                Mode::Write => Err(Error::unavailable("the record: a statement failed beside")),
            };
        }
        self.began = Began::No;
        match self.raw("commit").await {
            Err(cause) if self.broken => Err(Error::unavailable(
                "the record: its connection broke during a commit; whether it was written is not known",
            )
            .with_source(cause)),
            done => done,
        }
    }

    pub(super) async fn rollback(&mut self) -> Result<()> {
        self.ahead.clear();
        let began = std::mem::replace(&mut self.began, Began::No);
        if let Began::Yes(_) = began {
            self.raw("rollback").await?;
        }
        (self.failed, self.lost) = (false, false);
        Ok(())
    }

    pub(super) fn begin_part(&mut self, first: bool) {
        if !first {
            self.later(END_PART.into(), Vec::new());
        }
        self.later(BEGIN_PART.into(), Vec::new());
    }

    pub(super) async fn undo_part(&mut self) -> Result<()> {
        if self.lost {
            return Err(Error::unavailable("the record: a write beside this one failed"));
        }
        if let Some(at) = self.ahead.iter().rposition(|(sql, _)| sql.is(BEGIN_PART)) {
            // It never came to the database.
            self.ahead.truncate(at + 1);
            return Ok(());
        }
        self.ahead.clear();
        self.run(ROLLBACK_TO_PART.into(), &[]).await?;
        self.failed = false;
        Ok(())
    }

    pub(super) fn tell(&mut self, end: Cursor) {
        let Cursor(end) = end;
        self.later(listen::TELL.into(), vec![end.to_string().into()]);
    }

    pub(super) fn is_broken(&self) -> bool {
        self.broken
    }

    pub(super) async fn close(self) -> Result<()> {
        let closed = if self.broken {
            // Nobody is there to say farewell to.
            self.connection.close_hard().await
        } else {
            self.connection.close().await
        };
        closed.map_err(failed)
    }

    async fn raw(&mut self, sql: impl sqlx::SqlSafeStr) -> Result<()> {
        let limit = self.limit();
        let done = answered(limit, sqlx::raw_sql(sql).execute(&mut self.connection)).await;
        done.map(drop).map_err(|cause| self.note(cause))
    }

    /// The longest that a statement may take: its turn, and more than any of ours works.
    fn limit(&self) -> Duration {
        self.busy_timeout.saturating_add(LONGEST_WORK)
    }

    fn note(&mut self, cause: sqlx::Error) -> Error {
        self.failed = true;
        self.broken |= breaks(&cause);
        failed(cause)
    }
}

/// No answer within this time is a connection that broke.
async fn answered<T>(
    limit: Duration,
    statement: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    tokio::time::timeout(limit, statement).await.unwrap_or_else(|_| {
        Err(sqlx::Error::Io(io::Error::new(io::ErrorKind::TimedOut, "it does not answer")))
    })
}

fn prepared(sql: Sql, values: &[Value]) -> Query<'static, Postgres, PgArguments> {
    let query = match sql {
        Sql::Fixed(text) => sqlx::query(text),
        Sql::Composed(text) => sqlx::query(AssertSqlSafe(text)),
    };
    values.iter().cloned().fold(query, |query, value| match value {
        Value::Null => query.bind(Untyped),
        Value::Int(value) => query.bind(value),
        Value::Real(value) => query.bind(value),
        Value::Text(value) => query.bind(value),
        Value::Bytes(value) => query.bind(value),
    })
}

/// A null whose type the statement says.
struct Untyped;

impl Type<Postgres> for Untyped {
    fn type_info() -> PgTypeInfo {
        // No type has this number: the server finds out.
        PgTypeInfo::with_oid(Oid(0))
    }
}

impl Encode<'_, Postgres> for Untyped {
    fn encode_by_ref(&self, _: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Ok(IsNull::Yes)
    }
}

/// A whole number, however wide: literals are narrower than columns.
pub(super) fn int(row: &PgRow, column: usize) -> sqlx::Result<Option<i64>> {
    match row.try_get_raw(column)?.type_info().name() {
        "INT4" => Ok(row.try_get::<Option<i32>, _>(column)?.map(i64::from)),
        "INT2" => Ok(row.try_get::<Option<i16>, _>(column)?.map(i64::from)),
        "BOOL" => Ok(row.try_get::<Option<bool>, _>(column)?.map(i64::from)),
        _ => row.try_get(column),
    }
}

pub(super) fn text(row: &PgRow, column: usize) -> sqlx::Result<Option<String>> {
    row.try_get(column)
}

pub(super) fn bytes(row: &PgRow, column: usize) -> sqlx::Result<Option<Vec<u8>>> {
    row.try_get(column)
}

pub(super) fn any(row: &PgRow, column: usize) -> sqlx::Result<Value> {
    let raw = row.try_get_raw(column)?;
    if raw.is_null() {
        return Ok(Value::Null);
    }
    match raw.type_info().name() {
        "INT8" | "INT4" | "INT2" | "BOOL" => Ok(int(row, column)?.into()),
        "FLOAT8" => row.try_get(column).map(Value::Real),
        "BYTEA" => row.try_get(column).map(Value::Bytes),
        _ => row.try_get(column).map(Value::Text),
    }
}
