//! Profiles: what a data set's columns look like, in cells, without a raw row.
//!
//! The cells are made once, from reference data, and saved with the model. A window's profile has
//! the same cells, so profiles of replicas, hours and shards add up: counts and sums are integers,
//! and merging in any order gives the same bytes.

mod along;
mod bins;
mod bytes;
mod categorical;
mod coarse;
mod column;
mod counters;
mod cuts;
mod fill;
mod fit;
mod numeric;
mod pack;
mod places;
pub(crate) mod rows;
mod segments;
mod shard;
mod spec;
mod version1;
mod version2;
mod waiting;
mod wire;

pub(crate) use coarse::Coder;
pub use column::{CellKind, CellView, ColumnProfile, ColumnType};
pub(crate) use fit::OwnRows;
pub use fit::ProfileOptions;
pub use segments::{Segments, frequent_values};
pub use shard::{ProfileShard, ShardReader, Value};
pub use spec::ProfileSpec;

use categorical::CategoryCounts;
use mlops_core::{
    Digest, Error, Result,
    arrow::{
        array::{ArrayRef, RecordBatch},
        schema::DataType,
    },
};
use numeric::NumericCounts;
use serde::{Deserialize, Serialize};
use spec::{ColumnSpec, KindSpec};
use std::sync::Arc;

/// The most rows that a profile counts; its sums then fit their integers.
pub const MAX_ROWS: u64 = crate::tests::MAX_ROWS;

/// Counts of a data set's rows, column by column, in the cells of a [`ProfileSpec`].
///
/// A column of floats, or of integers with many values, is *numeric*: cells between quantiles of
/// the reference (up to 1,024), one below and one above its range, each with count, least and
/// largest value and a fixed-point sum; nulls and NaNs are counted apart. A value so frequent that
/// it is two quantiles has a cell of its own. Text, booleans and integers with few values are
/// *categories*: a count for each listed value, one for all others, one for nulls.
/// If over one row in a hundred holds a value that is not listed, half of a fit's rows choose the
/// values and the other half are counted.
///
/// Sums count units of a power of two from the cell's lower border, fine enough for the cell to
/// span 2⁴² of them (of the reference's range, 2³⁹ outside of it); the column's squares count units
/// of which the reference's range spans 2³³, from its median. A value further out than a thousand
/// such ranges is taken to lie there. So are infinite values, which otherwise are ordinary. A
/// column that was of doubles on one side and of singles on the other is cut at single precision.
///
/// It is saved with a model as [`names::PROFILE`](mlops_core::model::names::PROFILE).
///
/// ```
/// use mlops_drift::profile::{Profile, ProfileOptions};
/// use mlops_core::arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// use std::sync::Arc;
///
/// # fn main() -> mlops_core::Result<()> {
/// let income: ArrayRef = Arc::new(Float64Array::from(vec![1.0, 2.0, 4.0]));
/// let rows = RecordBatch::try_from_iter([("income", income)]).expect("one column");
/// let reference = Profile::fit(std::slice::from_ref(&rows), &ProfileOptions::default())?;
///
/// let mut window = Profile::empty_like(&reference);
/// window.update(&rows)?;
/// assert_eq!(window.rows(), 3);
/// assert_eq!(Profile::from_bytes(&window.to_bytes()?)?, window);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Profile {
    spec: Arc<ProfileSpec>,
    /// Whether rows that made the cells are among those counted.
    own_cells: bool,
    rows: u64,
    counts: Vec<Counts>,
    source: Option<Source>,
}

/// The data set that a profile was made of, by which it can be opened again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Source {
    /// Where it lay when the profile was made.
    pub path: Arc<str>,
    /// Of its bytes, or of whatever its reader takes for its content; the reader compares it.
    pub digest: Digest,
}

/// Counts of one column.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Counts {
    Numeric(NumericCounts),
    Categories(CategoryCounts),
}

impl Profile {
    /// Makes cells from these rows, all batches of one schema, and counts them.
    ///
    /// Listed values are the most frequent ones, the smaller first where equal. A missing or
    /// repeated column, a type that no profile describes and a type that changes are
    /// `InvalidInput` and named.
    pub fn fit(batches: &[RecordBatch], options: &ProfileOptions) -> Result<Self> {
        let fitted = fit::fit(batches, options)?;
        let mut profile = Self::empty(Arc::new(fitted.spec));
        profile.own_cells = true;
        for batch in batches {
            let numbers: Vec<u64> = (profile.rows..).take(batch.num_rows()).collect();
            let chosen_by_some = &fitted.chosen_by_some;
            profile.count(batch, Some(OwnRows { chosen_by_some, numbers: &numbers }))?;
        }
        Ok(profile)
    }

    /// A profile with the same cells that counts nothing yet.
    ///
    /// Counting reference rows of their own (`empty_like`, then `update` with rows that were not
    /// used by `fit`) makes the tests on cells exact; counting the rows that made the cells makes
    /// them right for many rows: see [`made_its_cells`](Self::made_its_cells). Never count those with
    /// `update` where half of a fit's rows chose the values of a column: the values that they chose
    /// seem more frequent than they are. [`Segments::update_own`] and
    /// [`Strata`](crate::monitor::Strata) leave them out.
    pub fn empty_like(reference: &Self) -> Self {
        Self::empty(Arc::clone(&reference.spec))
    }

    fn empty(spec: Arc<ProfileSpec>) -> Self {
        let counts = spec.columns.iter().map(|column| Counts::empty(&column.kind)).collect();
        Self { spec, own_cells: false, rows: 0, counts, source: None }
    }

    /// How many rows it counts.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Its cells.
    pub fn spec(&self) -> &ProfileSpec {
        &self.spec
    }

    /// Whether it counts rows that its cells were made from.
    pub fn made_its_cells(&self) -> bool {
        self.own_cells
    }

    /// Names the data set that it was made of; stored with it, and left alone by
    /// [`merge`](Self::merge). Cells of version 1 have no place for it: `Unsupported`.
    pub fn with_source(mut self, path: impl Into<Arc<str>>, digest: Digest) -> Result<Self> {
        if self.spec.version < 2 {
            return Err(Error::unsupported(
                "a profile of version 1 names no data set: fit it anew",
            ));
        }
        self.source = Some(Source { path: path.into(), digest });
        Ok(self)
    }

    /// The data set that it was made of, if it was named.
    pub fn source(&self) -> Option<&Source> {
        self.source.as_ref()
    }

    /// Its columns, in order.
    pub fn columns(&self) -> impl ExactSizeIterator<Item = ColumnProfile<'_>> {
        let columns = self.spec.columns.iter().zip(&self.counts);
        columns.map(|(spec, counts)| ColumnProfile::new(spec, counts, self.own_cells))
    }

    /// The column of this name.
    pub fn column(&self, name: &str) -> Option<ColumnProfile<'_>> {
        self.columns().find(|column| column.name().as_ref() == name)
    }

    /// Counts rows. Columns are found by name; others are ignored.
    ///
    /// Numbers of any width, and booleans, count in a numeric column or one of codes, since a
    /// tensor may have changed their type on the way. A missing or wrongly typed column is
    /// `InvalidInput` and named, rows beyond [`MAX_ROWS`] are `TooLarge`; neither changes anything.
    pub fn update(&mut self, batch: &RecordBatch) -> Result<()> {
        self.count(batch, None)
    }

    /// Counts rows; of those that made the cells, not the ones that chose a column's values.
    pub(crate) fn count(&mut self, batch: &RecordBatch, own: Option<OwnRows<'_>>) -> Result<()> {
        let (arrays, rows) = self.accepted(batch)?;
        let columns = self.spec.columns.iter().zip(&mut self.counts).zip(arrays);
        for (at, ((spec, counts), array)) in columns.enumerate() {
            let by_some = own.filter(|own| own.chosen_by_some.get(at) == Some(&true));
            counts.update(&spec.kind, array, by_some.map(|own| own.numbers));
        }
        self.rows = rows;
        self.own_cells |= own.is_some();
        Ok(())
    }

    /// For each column, whether only some of the rows of the fit chose its values.
    pub(crate) fn chosen_by_some(&self) -> Vec<bool> {
        let by_some = |of: &Counts| matches!(of, Counts::Categories(own) if own.chose > 0);
        self.counts.iter().map(by_some).collect()
    }

    /// The columns to count, and how many rows there are with them.
    fn accepted<'a>(&self, batch: &'a RecordBatch) -> Result<(Vec<&'a ArrayRef>, u64)> {
        let columns = self.spec.columns.iter().map(|column| accepted(column, batch));
        let arrays = columns.collect::<Result<_>>()?;
        Ok((arrays, sum_of_rows(self.rows, batch.num_rows() as u64)?))
    }

    /// The columns that it counts, of these rows.
    pub(crate) fn counted(&self, batch: &RecordBatch) -> Result<RecordBatch> {
        self.accepts(batch)?;
        let schema = batch.schema_ref();
        let places = self.spec.names().map(|name| schema.index_of(name));
        let counted = places.collect::<Result<Vec<_>, _>>().and_then(|at| batch.project(&at));
        counted.map_err(|source| {
            Error::internal("columns that are there could not be told apart").with_source(source)
        })
    }

    /// Whether [`update`](Self::update) would count these rows.
    pub(crate) fn accepts(&self, batch: &RecordBatch) -> Result<()> {
        self.accepted(batch).map(|_| ())
    }

    /// Whether [`merge`](Self::merge) would add these counts.
    fn adds_up(&self, other: &Self) -> Result<()> {
        self.same_cells(other)?;
        sum_of_rows(self.rows, other.rows).map(|_| ())
    }

    /// Adds another profile's counts; its cells must be the same, else it is `InvalidInput` and
    /// changes nothing.
    pub fn merge(&mut self, other: &Self) -> Result<()> {
        self.same_cells(other)?;
        self.rows = sum_of_rows(self.rows, other.rows)?;
        self.own_cells |= other.own_cells;
        for (counts, more) in self.counts.iter_mut().zip(&other.counts) {
            counts.merge(more);
        }
        Ok(())
    }

    /// Profiles of different columns of the same rows as one, columns in the order of the parts.
    ///
    /// The bytes are those of one fit of all columns, so that a table longer than memory can be
    /// profiled a column at a time. The source is that of the first part. No part, parts of
    /// different numbers of rows and a column that appears twice are `InvalidInput`.
    pub fn join(parts: impl IntoIterator<Item = Self>) -> Result<Self> {
        let mut parts = parts.into_iter();
        let first = parts.next().ok_or_else(|| Error::invalid("no profile to join"))?;
        let (mut spec, mut joined) = (ProfileSpec::clone(&first.spec), first);
        for part in parts {
            if part.rows != joined.rows || part.spec.version != spec.version {
                return Err(Error::invalid("the profiles to join are of different rows"));
            }
            spec.columns.extend(part.spec.columns.iter().cloned());
            joined.counts.extend(part.counts);
            joined.own_cells |= part.own_cells;
        }
        spec.check().map_err(|error| Error::invalid(error.to_string()))?;
        joined.spec = Arc::new(spec);
        Ok(joined)
    }

    /// Whether both have the same columns with the same cells; the error names the first that
    /// differs.
    pub fn same_cells(&self, other: &Self) -> Result<()> {
        if Arc::ptr_eq(&self.spec, &other.spec) || self.spec.columns == other.spec.columns {
            return Ok(());
        }
        let pairs = self.spec.columns.iter().zip(&other.spec.columns);
        let differing = pairs.into_iter().find(|(own, others)| own != others);
        Err(Error::invalid(match differing {
            Some((own, _)) => format!("column {:?} has other cells in the other profile", own.name),
            None => "the profiles have different numbers of columns".to_owned(),
        }))
    }
}

/// Whether a profile describes columns of this type: numbers, booleans, text.
pub fn describes(data_type: &DataType) -> bool {
    rows::Content::of(data_type).is_some()
}

fn accepted<'a>(spec: &ColumnSpec, batch: &'a RecordBatch) -> Result<&'a ArrayRef> {
    let array = fit::column(batch, &spec.name)?;
    let content = fit::content(&spec.name, array)?;
    spec.kind.accepts(content).map_err(|wanted| {
        Error::invalid(format!(
            "column {:?} holds {content}; its profile counts {wanted}",
            spec.name
        ))
    })?;
    Ok(array)
}

fn sum_of_rows(rows: u64, more: u64) -> Result<u64> {
    let sum = rows.checked_add(more).filter(|sum| *sum <= MAX_ROWS);
    sum.ok_or_else(|| Error::too_large(format!("a profile counts at most {MAX_ROWS} rows")))
}

impl Counts {
    fn empty(kind: &KindSpec) -> Self {
        match kind {
            KindSpec::Numeric(spec) => Self::Numeric(NumericCounts::empty(spec)),
            KindSpec::Codes(listed) => Self::Categories(CategoryCounts::empty(listed.len())),
            KindSpec::Texts(listed) => Self::Categories(CategoryCounts::empty(listed.len())),
        }
    }

    fn update(&mut self, kind: &KindSpec, array: &ArrayRef, own: Option<&[u64]>) {
        match (self, kind) {
            (Self::Numeric(counts), KindSpec::Numeric(spec)) => counts.update(spec, array),
            (Self::Categories(counts), KindSpec::Codes(listed)) => {
                counts.update_codes(listed, array, own);
            }
            (Self::Categories(counts), KindSpec::Texts(listed)) => {
                counts.update_texts(listed, array, own);
            }
            _ => unmatched(),
        }
    }

    fn merge(&mut self, other: &Self) {
        match (self, other) {
            (Self::Numeric(counts), Self::Numeric(more)) => counts.merge(more),
            (Self::Categories(counts), Self::Categories(more)) => counts.merge(more),
            _ => unmatched(),
        }
    }

    /// Whether `rows` rows could have made them in these cells.
    fn check(&self, kind: &KindSpec, rows: u64) -> Result<()> {
        match (self, kind) {
            (Self::Numeric(counts), KindSpec::Numeric(spec)) => counts.check(spec, rows),
            (Self::Categories(counts), KindSpec::Codes(listed)) => counts.check(listed.len(), rows),
            (Self::Categories(counts), KindSpec::Texts(listed)) => counts.check(listed.len(), rows),
            _ => Err(Error::corrupt("counts of another kind of column")),
        }
    }
}

/// A profile's counts are made for its cells, and checked when read from bytes.
fn unmatched() {
    debug_assert!(false, "counts of another kind of column");
}
