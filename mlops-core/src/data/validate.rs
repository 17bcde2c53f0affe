//! Whether data still is what it was: every difference has a name, a size and an example row.

use super::{
    category::{Positions, label},
    column::{Cell, ColumnType},
    content::Fingerprints,
    dataset::{Dataset, Part},
    schema::{ColumnSchema, DataSchema},
};
use crate::{
    Error, Result,
    setters::setters,
    stats::{Interval, wilson},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet, HashSet},
    fmt,
    sync::Arc,
};

/// Fewer equal values than this say nothing about a column being constant.
const CONSTANT_VALUES: usize = 30;
/// Unseen values shown, and the characters shown of each.
const SHOWN: (usize, usize) = (5, 40);

/// What can be wrong with data.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum AnomalyKind {
    /// A column is not there.
    MissingColumn,
    /// A column was not there before.
    NewColumn,
    /// A column has another type; from number to number is a warning, and values are still checked.
    TypeChanged,
    /// A column that had no nulls has some.
    NullsNotAllowed,
    /// Surely more nulls than before: the interval of their share lies above it by the margin.
    TooManyNulls,
    /// Numbers, days or times below the least or above the greatest one before.
    OutOfRange,
    /// A category has values that it did not have before.
    UnseenValue,
    /// A column that had no NaN has some.
    NotANumber,
    /// A column that had no infinite number has some.
    Infinite,
    /// A column that had values has only nulls.
    EmptyColumn,
    /// A column that had several values has only one, in 30 rows or more.
    ConstantColumn,
    /// Fewer rows than asked for.
    TooFewRows,
    /// More rows that repeat an earlier one than asked for; looked for only if a limit is given.
    DuplicateRows,
}

impl AnomalyKind {
    /// How bad it is unless the options say otherwise.
    pub fn severity(self) -> Severity {
        match self {
            Self::NewColumn
            | Self::TooManyNulls
            | Self::OutOfRange
            | Self::UnseenValue
            | Self::ConstantColumn
            | Self::DuplicateRows => Severity::Warning,
            _ => Severity::Error,
        }
    }
}

/// How bad an anomaly is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Severity {
    /// Worth a look; the data can be used.
    Warning,
    /// The data must not be used as it is.
    Error,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Anomaly {
    /// What it is.
    pub kind: AnomalyKind,
    /// How bad it is.
    pub severity: Severity,
    /// The column that it is about, if it is about one.
    pub column: Option<Arc<str>>,
    /// The number of rows that show it; 0 where rows are not the matter.
    pub count: usize,
    /// Where the share of such rows lies, by Wilson's interval of 95%; `None` where rows are not
    /// the matter.
    pub share: Option<Interval>,
    /// The first row that shows it, from 0.
    pub row: Option<usize>,
    /// Some of the values of [`AnomalyKind::UnseenValue`]: the only values that are ever shown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// A sentence for a person.
    pub message: String,
}

/// What is asked of data beside its schema.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct ValidationOptions {
    /// The least number of rows.
    pub min_rows: usize,
    /// How much greater the share of nulls may surely be than before, between 0 and 1.
    pub null_margin: f64,
    /// How far numbers may lie outside their range, as a share of its width.
    pub range_margin: f64,
    /// The greatest share of rows that repeat an earlier one; not looked for if `None`.
    pub max_duplicates: Option<f64>,
    /// Columns that are not looked at, as a label that serving does not know yet.
    pub ignored: BTreeSet<Arc<str>>,
    /// How bad each kind is, where not as usual; `None` does not report it.
    pub severities: BTreeMap<AnomalyKind, Option<Severity>>,
}

impl Default for ValidationOptions {
    fn default() -> Self {
        Self {
            min_rows: 1,
            null_margin: 0.05,
            range_margin: 0.0,
            max_duplicates: None,
            ignored: BTreeSet::new(),
            severities: BTreeMap::new(),
        }
    }
}

impl ValidationOptions {
    /// One row or more, nulls at most five points above before, numbers within their range.
    pub fn new() -> Self {
        Self::default()
    }

    /// Does not look at a column.
    #[must_use]
    pub fn without_column(mut self, name: impl Into<Arc<str>>) -> Self {
        self.ignored.insert(name.into());
        self
    }

    /// Says how bad a kind is; `None` does not report it.
    #[must_use]
    pub fn with_severity(mut self, kind: AnomalyKind, is: impl Into<Option<Severity>>) -> Self {
        self.severities.insert(kind, is.into());
        self
    }
}

setters!(ValidationOptions {
    /// Sets the least number of rows.
    with_min_rows => min_rows: usize,
    /// Sets how much greater the share of nulls may surely be.
    with_null_margin => null_margin: f64,
    /// Sets how far numbers may lie outside their range, as a share of its width.
    with_range_margin => range_margin: f64,
    /// Sets the greatest share of rows that repeat an earlier one.
    with_max_duplicates => max_duplicates: Option<f64>,
});

/// What was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Validation {
    /// The number of rows looked at.
    pub rows: usize,
    /// Everything that is wrong: first what is about the whole, then column by column.
    pub anomalies: Vec<Anomaly>,
}

impl Validation {
    /// Whether nothing forbids to use the data; there may be warnings.
    pub fn is_ok(&self) -> bool {
        self.errors().next().is_none()
    }

    /// What forbids to use the data.
    pub fn errors(&self) -> impl Iterator<Item = &Anomaly> {
        self.anomalies.iter().filter(|anomaly| anomaly.severity == Severity::Error)
    }

    /// `InvalidInput` that names all errors, if there are any.
    pub fn into_result(self) -> Result<()> {
        if self.is_ok() {
            return Ok(());
        }
        let messages: Vec<&str> = self.errors().map(|anomaly| anomaly.message.as_str()).collect();
        Err(Error::invalid(format!("the data is not valid: {}", messages.join("; "))))
    }
}

impl fmt::Display for Validation {
    /// One line an anomaly.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.anomalies.is_empty() {
            return write!(f, "{} rows, nothing wrong", self.rows);
        }
        write!(f, "{} rows", self.rows)?;
        for anomaly in &self.anomalies {
            let severity = if anomaly.severity == Severity::Error { "error" } else { "warning" };
            write!(f, "\n{severity}: {}", anomaly.message)?;
            if let Some(row) = anomaly.row {
                write!(f, " (first in row {row})")?;
            }
        }
        Ok(())
    }
}

impl DataSchema {
    /// Looks for everything in a dataset that the data of this schema did not have. No value is
    /// shown, but for those of categories.
    pub fn validate<S: Part>(
        &self,
        dataset: &Dataset<S>,
        options: &ValidationOptions,
    ) -> Validation {
        let mut report = Report { options, rows: dataset.rows(), anomalies: Vec::new() };
        report.whole(dataset);
        for column in &self.columns {
            report.column(self, column, dataset);
        }
        for name in dataset.columns().filter(|name| self.column(name).is_none()) {
            report.push(AnomalyKind::NewColumn, name, Found::default(), "is new");
        }
        Validation { rows: report.rows, anomalies: report.anomalies }
    }
}

/// A validation in the making.
struct Report<'a> {
    options: &'a ValidationOptions,
    rows: usize,
    anomalies: Vec<Anomaly>,
}

/// Rows that show something.
#[derive(Clone, Copy, Default)]
struct Found {
    count: usize,
    row: Option<usize>,
}

impl Found {
    fn see(&mut self, row: usize) {
        self.count += 1;
        self.row.get_or_insert(row);
    }

    fn and(self, other: Self) -> Self {
        let row = self.row.into_iter().chain(other.row).min();
        Self { count: self.count + other.count, row }
    }
}

impl Report<'_> {
    fn whole<S: Part>(&mut self, dataset: &Dataset<S>) {
        let (rows, wanted) = (self.rows, self.options.min_rows);
        if rows < wanted {
            let text = format!("there are {rows} rows, at least {wanted} are needed");
            self.add(AnomalyKind::TooFewRows, None, Found::default(), text);
        }
        let Some(limit) = self.options.max_duplicates else { return };
        let found = duplicates(dataset);
        if share(found.count, rows) > limit {
            let text = format!("{} of {rows} rows repeat an earlier row", found.count);
            self.add(AnomalyKind::DuplicateRows, None, found, text);
        }
    }

    fn column<S: Part>(&mut self, schema: &DataSchema, column: &ColumnSchema, data: &Dataset<S>) {
        let name = &column.name;
        let (Ok(at), Ok(kind)) = (data.position(name), data.column_type(name)) else {
            let nothing = Found::default();
            return self.push(AnomalyKind::MissingColumn, name, nothing, "is missing");
        };
        // A column of nulls has whatever type its reader fell back to: that says nothing.
        let empty = self.rows > 0 && data.nulls(at) == self.rows;
        if !empty && kind != column.kind && !self.type_changed(column, &kind) {
            return;
        }
        let seen = Seen::of(column, data.cells(at), self.options.range_margin);
        self.nulls(schema, column, &seen);
        self.numbers(column, &seen);
        self.categories(column, seen);
    }

    /// Reports it and says whether values can still be compared.
    fn type_changed(&mut self, column: &ColumnSchema, kind: &ColumnType) -> bool {
        let numbers = kind.is_number() && column.kind.is_number();
        let text = format!("has type {kind}, {} is expected", column.kind);
        let before = self.anomalies.len();
        self.push(AnomalyKind::TypeChanged, &column.name, Found::default(), text);
        let own = self.options.severities.contains_key(&AnomalyKind::TypeChanged);
        if let Some(anomaly) = self.anomalies.get_mut(before).filter(|_| numbers && !own) {
            anomaly.severity = Severity::Warning;
        }
        numbers
    }

    fn nulls(&mut self, schema: &DataSchema, column: &ColumnSchema, seen: &Seen<'_>) {
        let (rows, nulls, name) = (self.rows, seen.nulls, &column.name);
        if nulls.count == 0 {
            return;
        }
        if nulls.count == rows {
            if column.nulls < schema.rows {
                self.push(AnomalyKind::EmptyColumn, name, nulls, "holds only nulls");
            }
            return;
        }
        let text = format!("{} of {rows} rows are null", nulls.count);
        if column.nulls == 0 && schema.rows > 0 {
            let text = format!("{text}, none was before");
            return self.push(AnomalyKind::NullsNotAllowed, name, nulls, text);
        }
        let before = share(column.nulls, schema.rows);
        let low = interval(nulls.count, rows).map_or(0.0, |interval| interval.low);
        if low > before + self.options.null_margin {
            let text = format!("{text}, {:.1}% were before", before * 100.0);
            self.push(AnomalyKind::TooManyNulls, name, nulls, text);
        }
    }

    fn numbers(&mut self, column: &ColumnSchema, seen: &Seen<'_>) {
        let (rows, name) = (self.rows, &column.name);
        if seen.nans.count > 0 && column.nans == 0 {
            let text = format!("{} of {rows} rows are NaN, none was before", seen.nans.count);
            self.push(AnomalyKind::NotANumber, name, seen.nans, text);
        }
        if seen.infinities.count > 0 && column.infinities == 0 {
            let count = seen.infinities.count;
            let text = format!("{count} of {rows} rows are infinite, none was before");
            self.push(AnomalyKind::Infinite, name, seen.infinities, text);
        }
        let outside = seen.below.and(seen.above);
        if outside.count > 0 {
            let (below, above) = (seen.below.count, seen.above.count);
            let text = format!(
                "{} of {rows} rows lie outside what was there before: {below} below, {above} above",
                outside.count
            );
            self.push(AnomalyKind::OutOfRange, name, outside, text);
        }
        if seen.same && seen.values >= CONSTANT_VALUES && column.is_constant() == Some(false) {
            let text = "holds only one value, there were several before".to_owned();
            self.push(AnomalyKind::ConstantColumn, name, Found::default(), text);
        }
    }

    fn categories(&mut self, column: &ColumnSchema, seen: Seen<'_>) {
        if seen.unseen.count == 0 {
            return;
        }
        let (count, rows, labels) = (seen.unseen.count, self.rows, seen.labels);
        let shown: Vec<String> = labels.iter().take(SHOWN.0).map(|text| cut(text)).collect();
        let more = labels.len() - shown.len();
        let mut text = format!("{count} of {rows} rows hold values that were not there before");
        if !shown.is_empty() {
            let quoted: Vec<String> = shown.iter().map(|value| format!("{value:?}")).collect();
            text = format!("{text}: {}", quoted.join(", "));
        }
        if more > 0 {
            text = format!("{text} and {more} more");
        }
        let before = self.anomalies.len();
        self.push(AnomalyKind::UnseenValue, &column.name, seen.unseen, text);
        if let Some(anomaly) = self.anomalies.get_mut(before) {
            anomaly.values = shown;
        }
    }

    /// Adds an anomaly of a column, unless it is ignored.
    fn push(&mut self, kind: AnomalyKind, column: &str, found: Found, text: impl AsRef<str>) {
        if !self.options.ignored.contains(column) {
            let text = text.as_ref();
            let separator = if text.starts_with(|c: char| c.is_ascii_digit()) { ":" } else { "" };
            let text = format!("column {column:?}{separator} {text}");
            self.add(kind, Some(column.into()), found, text);
        }
    }

    fn add(&mut self, kind: AnomalyKind, column: Option<Arc<str>>, found: Found, message: String) {
        let severity = self.options.severities.get(&kind).copied();
        let Some(severity) = severity.unwrap_or(Some(kind.severity())) else { return };
        let Found { count, row } = found;
        let share = if count > 0 { interval(count, self.rows) } else { None };
        let values = Vec::new();
        self.anomalies.push(Anomaly { kind, severity, column, count, share, row, values, message });
    }
}

/// What one pass over a column's cells sees.
struct Seen<'a> {
    nulls: Found,
    nans: Found,
    infinities: Found,
    below: Found,
    above: Found,
    unseen: Found,
    labels: BTreeSet<String>,
    /// Cells that are not null, the first of them, and whether all are like it.
    values: usize,
    first: Option<Cell<'a>>,
    same: bool,
}

impl<'a> Seen<'a> {
    fn of(column: &ColumnSchema, cells: impl Iterator<Item = Cell<'a>>, margin: f64) -> Self {
        let nothing = Found::default();
        let mut seen = Self {
            nulls: nothing,
            nans: nothing,
            infinities: nothing,
            below: nothing,
            above: nothing,
            unseen: nothing,
            labels: BTreeSet::new(),
            values: 0,
            first: None,
            same: true,
        };
        let known = column.categories.as_ref().and_then(|categories| {
            let labels = categories.iter().map(|category| category.value.as_str());
            Positions::new(column.category_kind(), labels).ok()
        });
        let range = column.range.filter(|_| known.is_none()).map(|range| {
            let slack = (range.max - range.min) * margin;
            (range.min - slack, range.max + slack)
        });
        for (row, cell) in cells.enumerate() {
            seen.cell(row, cell, range, known.as_ref());
        }
        seen
    }

    fn cell(
        &mut self,
        row: usize,
        cell: Cell<'a>,
        range: Option<(f64, f64)>,
        known: Option<&Positions>,
    ) {
        if cell == Cell::Null {
            return self.nulls.see(row);
        }
        self.values += 1;
        self.same &= *self.first.get_or_insert(cell) == cell;
        let number = cell.number();
        match number {
            Some(number) if number.is_nan() => return self.nans.see(row),
            Some(number) if number.is_infinite() => return self.infinities.see(row),
            _ => {}
        }
        if known.is_some_and(|known| known.find(cell).is_none()) {
            self.unseen.see(row);
            self.labels.extend(label(cell));
        }
        match (number, range) {
            (Some(number), Some((min, _))) if number < min => self.below.see(row),
            (Some(number), Some((_, max))) if number > max => self.above.see(row),
            _ => {}
        }
    }
}

/// Rows that repeat an earlier one.
fn duplicates<S: Part>(dataset: &Dataset<S>) -> Found {
    let columns: Vec<usize> = (0..dataset.columns().len()).collect();
    let (mut known, mut found, mut row) = (HashSet::new(), Found::default(), 0);
    for batch in dataset.batches() {
        let mut prints = Fingerprints::new(batch, &columns);
        for local in 0..batch.num_rows() {
            if !known.insert(prints.of(local)) {
                found.see(row);
            }
            row += 1;
        }
    }
    found
}

#[expect(clippy::cast_precision_loss, reason = "counts of rows are far below 2^53")]
fn share(count: usize, rows: usize) -> f64 {
    if rows == 0 { 0.0 } else { count as f64 / rows as f64 }
}

/// `None` where there are no rows to have a share of.
fn interval(count: usize, rows: usize) -> Option<Interval> {
    wilson(u64::try_from(count).ok()?, u64::try_from(rows).ok()?, 0.95).ok()
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(SHOWN.1) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
