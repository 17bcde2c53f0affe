//! A row of either database, read by column.

use super::Value;
use mlops_core::{Error, Result, Timestamp};
use serde::de::DeserializeOwned;
use std::str::FromStr;

/// A row; a column that does not hold what it should is `Corrupt`.
#[derive(Debug)]
pub(in crate::store) enum Row {
    #[cfg(feature = "sqlite")]
    Sqlite(super::sqlite::SqliteRow),
    #[cfg(feature = "postgres")]
    Postgres(super::postgres::PgRow),
}

/// Reads a column in whichever database the row comes from.
macro_rules! read {
    ($row:expr, $what:ident, $column:expr) => {
        match $row {
            #[cfg(feature = "sqlite")]
            Row::Sqlite(row) => super::sqlite::$what(row, $column)
                .map_err(|cause| unreadable($column).with_source(cause)),
            #[cfg(feature = "postgres")]
            Row::Postgres(row) => super::postgres::$what(row, $column)
                .map_err(|cause| unreadable($column).with_source(cause)),
        }
    };
}

impl Row {
    pub(in crate::store) fn optional_int(&self, column: usize) -> Result<Option<i64>> {
        read!(self, int, column)
    }

    pub(in crate::store) fn optional_text(&self, column: usize) -> Result<Option<String>> {
        read!(self, text, column)
    }

    /// Whatever a column holds.
    pub(in crate::store) fn any(&self, column: usize) -> Result<Value> {
        read!(self, any, column)
    }

    pub(in crate::store) fn int(&self, column: usize) -> Result<i64> {
        self.optional_int(column)?.ok_or_else(|| unreadable(column))
    }

    /// A count, size or number that is never negative.
    pub(in crate::store) fn count(&self, column: usize) -> Result<u64> {
        u64::try_from(self.int(column)?)
            .map_err(|_| Error::corrupt("the record: a count is negative"))
    }

    pub(in crate::store) fn time(&self, column: usize) -> Result<Timestamp> {
        self.int(column).map(Timestamp::from_unix_micros)
    }

    pub(in crate::store) fn optional_time(&self, column: usize) -> Result<Option<Timestamp>> {
        Ok(self.optional_int(column)?.map(Timestamp::from_unix_micros))
    }

    pub(in crate::store) fn text(&self, column: usize) -> Result<String> {
        self.optional_text(column)?.ok_or_else(|| unreadable(column))
    }

    pub(in crate::store) fn bytes(&self, column: usize) -> Result<Vec<u8>> {
        read!(self, bytes, column)?.ok_or_else(|| unreadable(column))
    }

    pub(in crate::store) fn parsed<T: FromStr<Err = Error>>(&self, column: usize) -> Result<T> {
        self.text(column)?.parse().map_err(|cause| corrupt(&cause))
    }

    pub(in crate::store) fn optional_parsed<T: FromStr<Err = Error>>(
        &self,
        column: usize,
    ) -> Result<Option<T>> {
        self.optional_text(column)?
            .map(|text| text.parse().map_err(|cause| corrupt(&cause)))
            .transpose()
    }

    /// A value stored as JSON.
    pub(in crate::store) fn json<T: DeserializeOwned>(&self, column: usize) -> Result<T> {
        serde_json::from_str(&self.text(column)?)
            .map_err(|cause| unreadable(column).with_source(cause))
    }
}

fn unreadable(column: usize) -> Error {
    Error::corrupt(format!("the record: column {column} of a row"))
}

fn corrupt(cause: &Error) -> Error {
    Error::corrupt(format!("the record: {cause}"))
}
