//! Groups of rows that are looked at on their own.

use crate::{Error, Result};
use arrow_array::{Array, RecordBatch, cast::AsArray, types as arrow};
use arrow_schema::DataType;
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// Ways to group the rows of an evaluation: each column gives a group to every row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Slices {
    rows: usize,
    columns: Vec<(Arc<str>, Vec<Arc<str>>)>,
}

/// A group: the rows that have one value in one column.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Slice {
    /// The column.
    pub column: Arc<str>,
    /// The value, as text.
    pub value: Arc<str>,
}

impl Slice {
    /// The rows that have this value in this column.
    pub fn new(column: impl Into<Arc<str>>, value: impl Into<Arc<str>>) -> Self {
        Self { column: column.into(), value: value.into() }
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}={}", self.column, self.value)
    }
}

impl Slices {
    /// No groups, of an evaluation of so many rows.
    pub const fn new(rows: usize) -> Self {
        Self { rows, columns: Vec::new() }
    }

    /// Groups by a value a row.
    pub fn with<S: AsRef<str>>(
        mut self,
        column: impl Into<Arc<str>>,
        values: impl IntoIterator<Item = S>,
    ) -> Result<Self> {
        let column = column.into();
        // Few values, many rows: each text is stored once.
        let mut known: BTreeMap<String, Arc<str>> = BTreeMap::new();
        let mut shared = |text: &str| match known.get(text) {
            Some(value) => Arc::clone(value),
            None => Arc::clone(known.entry(text.to_owned()).or_insert_with(|| Arc::from(text))),
        };
        let values: Vec<Arc<str>> =
            values.into_iter().map(|value| shared(value.as_ref())).collect();
        if values.len() != self.rows {
            let (given, rows) = (values.len(), self.rows);
            return Err(Error::invalid(format!(
                "slices by {column:?}: {given} values for {rows} rows"
            )));
        }
        self.columns.push((column, values));
        Ok(self)
    }

    /// Groups by columns of a batch: text, booleans, whole numbers. A null is the group `null`.
    pub fn of_batch(batch: &RecordBatch, columns: &[&str]) -> Result<Self> {
        columns.iter().try_fold(Self::new(batch.num_rows()), |slices, name| {
            let column = batch.column_by_name(name);
            let column =
                column.ok_or_else(|| Error::invalid(format!("column {name:?} is missing")))?;
            slices.with(*name, texts(name, column)?)
        })
    }

    /// Each group with its rows, in the order of columns and values.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Slice, Vec<usize>)> {
        self.columns.iter().flat_map(|(column, values)| {
            let mut groups: BTreeMap<&Arc<str>, Vec<usize>> = BTreeMap::new();
            for (row, value) in values.iter().enumerate() {
                groups.entry(value).or_default().push(row);
            }
            groups.into_iter().map(|(value, rows)| {
                (Slice { column: Arc::clone(column), value: Arc::clone(value) }, rows)
            })
        })
    }

    /// The rows that every column must cover.
    pub(super) fn check(&self, rows: usize) -> Result<()> {
        if self.rows == rows {
            return Ok(());
        }
        Err(Error::invalid(format!("slices of {} rows for an evaluation of {rows}", self.rows)))
    }
}

fn texts(name: &str, column: &dyn Array) -> Result<Vec<String>> {
    macro_rules! numbers {
        ($arrow:ty) => {{
            let array = column.as_primitive::<$arrow>();
            let text =
                |value: Option<_>| value.map_or("null".to_owned(), |value| format!("{value}"));
            Ok(array.iter().map(text).collect())
        }};
    }
    let owned = |value: Option<&str>| value.unwrap_or("null").to_owned();
    match column.data_type() {
        DataType::Utf8 => Ok(column.as_string::<i32>().iter().map(owned).collect()),
        DataType::Boolean => {
            let text =
                |value: Option<bool>| value.map_or("null".to_owned(), |value| value.to_string());
            Ok(column.as_boolean().iter().map(text).collect())
        }
        DataType::Int8 => numbers!(arrow::Int8Type),
        DataType::Int16 => numbers!(arrow::Int16Type),
        DataType::Int32 => numbers!(arrow::Int32Type),
        DataType::Int64 => numbers!(arrow::Int64Type),
        DataType::UInt8 => numbers!(arrow::UInt8Type),
        DataType::UInt16 => numbers!(arrow::UInt16Type),
        DataType::UInt32 => numbers!(arrow::UInt32Type),
        DataType::UInt64 => numbers!(arrow::UInt64Type),
        other => Err(Error::invalid(format!(
            "column {name:?} has type {other}; slices need text, booleans or whole numbers: band it first"
        ))),
    }
}
