//! The rows that are most typical of the window and least of the reference.

use super::cells::CellPair;
use crate::{detector::EFFECT_CELLS, profile::Profile, tests::real};
use mlops_core::{Error, Result, arrow::array::RecordBatch};
use serde::Serialize;
use std::{cmp::Ordering, collections::BTreeSet, sync::Arc};

/// Looks through the window's rows for those whose cells moved most, in memory for the best ones.
///
/// A row's weight is the sum over columns of ln(q/p), p and q being its cell's shares of reference
/// and window (smoothed by half a row a cell): how much likelier the row is in the window than in
/// the reference if columns were independent. Averaged over the window, a column's weight is its
/// Kullback–Leibler divergence. Over columns that did not move it is noise, so name those that did.
///
/// ```
/// use mlops_core::arrow::array::{ArrayRef, Float64Array, RecordBatch};
/// use mlops_drift::{Profile, ProfileOptions, why::HeaviestRows};
/// use std::sync::Arc;
///
/// # fn main() -> mlops_core::Result<()> {
/// let rows = |values: Vec<f64>| {
///     let age: ArrayRef = Arc::new(Float64Array::from(values));
///     RecordBatch::try_from_iter([("age", age)]).expect("one column")
/// };
/// let reference = Profile::fit(&[rows((0..100).map(f64::from).collect())], &ProfileOptions::default())?;
/// let now = rows(vec![7.0, 8.0, 999.0, 950.0, 9.0]);
/// let mut window = Profile::empty_like(&reference);
/// window.update(&now)?;
///
/// let mut heaviest = HeaviestRows::new(&reference, &window, ["age"], 2)?;
/// heaviest.look(&now)?;
/// let rows: Vec<u64> = heaviest.finish().iter().map(|row| row.row).collect();
/// assert_eq!(rows, [2, 3]);
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct HeaviestRows {
    reference: Profile,
    columns: Vec<Weights>,
    most: usize,
    /// Rows looked at.
    seen: u64,
    best: BTreeSet<Kept>,
}

/// A row of the window.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct WeighedRow {
    /// Its number among the rows looked at, from 0.
    pub row: u64,
    /// How much likelier it is in the window, as a natural logarithm.
    pub weight: f64,
    /// The cells it lies in, the heaviest first.
    pub cells: Vec<RowCell>,
}

/// What one column adds to a row's weight.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct RowCell {
    /// The column.
    pub column: Arc<str>,
    /// The cell that the row's value lies in.
    pub label: Arc<str>,
    /// What it adds.
    pub weight: f64,
}

/// A column's cells.
#[derive(Clone, Debug)]
struct Weights {
    column: Arc<str>,
    labels: Vec<Arc<str>>,
    /// Of a row in each cell.
    cells: Vec<f64>,
}

/// A row that may be among the heaviest: the worst one first.
#[derive(Clone, Debug, PartialEq)]
struct Kept {
    weight: f64,
    row: u64,
    places: Vec<usize>,
}

impl HeaviestRows {
    /// Will keep the `most` heaviest rows by these columns.
    ///
    /// Profiles with different cells, a column that they have not, and one that is named twice are
    /// `InvalidInput`.
    pub fn new<S: AsRef<str>>(
        reference: &Profile,
        window: &Profile,
        columns: impl IntoIterator<Item = S>,
        most: usize,
    ) -> Result<Self> {
        reference.same_cells(window)?;
        let mut weighed: Vec<Weights> = Vec::new();
        for name in columns {
            let name = name.as_ref();
            if weighed.iter().any(|own| own.column.as_ref() == name) {
                return Err(Error::invalid(format!("column {name:?} is named twice")));
            }
            weighed.push(Weights::of(reference, window, name)?);
        }
        let reference = Profile::empty_like(reference);
        Ok(Self { reference, columns: weighed, most, seen: 0, best: BTreeSet::new() })
    }

    /// Looks at rows of the window; errors as of [`Profile::update`], and nothing is changed then.
    pub fn look(&mut self, batch: &RecordBatch) -> Result<()> {
        let mut places = Vec::with_capacity(self.columns.len());
        for own in &self.columns {
            let column = self.reference.column(&own.column);
            let column = column.ok_or_else(|| Error::internal("a column that was there is not"))?;
            places.push(column.places(batch, EFFECT_CELLS)?);
        }
        for at in 0..batch.num_rows() {
            let weights = self.columns.iter().zip(&places);
            let weight: f64 = weights.map(|(own, places)| own.cells[places[at]]).sum();
            let row = self.seen + at as u64;
            let better = |worst: &Kept| weight.total_cmp(&worst.weight).is_gt();
            if self.best.len() < self.most || self.best.first().is_some_and(better) {
                let places = places.iter().map(|places| places[at]).collect();
                self.best.insert(Kept { weight, row, places });
            }
            if self.best.len() > self.most {
                self.best.pop_first();
            }
        }
        self.seen += batch.num_rows() as u64;
        Ok(())
    }

    /// The heaviest rows, the heaviest first; of equal ones the first.
    pub fn finish(self) -> Vec<WeighedRow> {
        let row = |kept: Kept| {
            let cells = self.columns.iter().zip(&kept.places).map(|(own, place)| RowCell {
                column: Arc::clone(&own.column),
                label: Arc::clone(&own.labels[*place]),
                weight: own.cells[*place],
            });
            let mut cells: Vec<RowCell> = cells.collect();
            cells.sort_by(|a, b| b.weight.total_cmp(&a.weight));
            WeighedRow { row: kept.row, weight: kept.weight, cells }
        };
        self.best.into_iter().rev().map(row).collect()
    }
}

impl Weights {
    fn of(reference: &Profile, window: &Profile, name: &str) -> Result<Self> {
        let columns = reference.column(name).zip(window.column(name));
        let Some((before, now)) = columns else {
            return Err(Error::invalid(format!("the profiles have no column {name:?}")));
        };
        let pair = CellPair::of(&before, &now);
        let held = pair.reference.iter().zip(&pair.window).filter(|(a, b)| **a + **b > 0).count();
        let rows = |counts: &[u64]| real(counts.iter().sum()) + 0.5 * real(held as u64);
        let (n, m) = (rows(&pair.reference), rows(&pair.window));
        let weight = |(a, b): (&u64, &u64)| {
            if a + b == 0 { 0.0 } else { ((real(*b) + 0.5) / m).ln() - ((real(*a) + 0.5) / n).ln() }
        };
        let cells = pair.reference.iter().zip(&pair.window).map(weight).collect();
        let labels = pair.cells.into_iter().map(|cell| cell.label).collect();
        Ok(Self { column: Arc::clone(before.name()), labels, cells })
    }
}

impl Eq for Kept {}

impl Ord for Kept {
    fn cmp(&self, other: &Self) -> Ordering {
        self.weight.total_cmp(&other.weight).then_with(|| other.row.cmp(&self.row))
    }
}

impl PartialOrd for Kept {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
