//! Counts of a numeric column.

use super::{
    bins::Bins,
    cuts::{MAX_SUM_UNITS, MAX_UNITS, NumericSpec, Precision, Scale, end},
    fill::{CHUNK, Fill, WORTH},
    rows::{numbers, plain_doubles},
    wire::{Real, whole},
};
use crate::tests::{Moments, cells::CellValues, real};
use mlops_core::{Error, Result, arrow::array::ArrayRef};
use serde::{Deserialize, Serialize};

/// What is kept of the values that fell into one cell.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "CellForm", into = "CellForm")]
pub(super) struct Cell {
    pub(super) count: u64,
    /// +∞ of an empty cell.
    pub(super) min: f64,
    /// −∞ of an empty cell.
    pub(super) max: f64,
    /// In units from the anchor of its [`Scale`].
    pub(super) sum: i128,
}

/// `[count, min, max, "sum"]`.
#[derive(Serialize, Deserialize)]
struct CellForm(u64, Real, Real, #[serde(with = "whole")] i128);

/// Counts of a numeric column: every value falls into one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "CountsForm", into = "CountsForm")]
pub(super) struct NumericCounts {
    pub(super) null: u64,
    pub(super) nan: u64,
    /// Below the reference's least value, the cells, above its largest.
    pub(super) line: Vec<Cell>,
    /// Sum of squared units from the centre.
    pub(super) squares: i128,
}

/// As version 1 writes it.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CountsForm {
    null: u64,
    nan: u64,
    below: Cell,
    cells: Vec<Cell>,
    above: Cell,
    #[serde(with = "whole")]
    squares: i128,
}

impl NumericCounts {
    pub(super) fn empty(spec: &NumericSpec) -> Self {
        Self { null: 0, nan: 0, line: vec![Cell::EMPTY; spec.cuts.len() + 2], squares: 0 }
    }

    pub(super) fn update(&mut self, spec: &NumericSpec, array: &ArrayRef) {
        let precision = Precision::of(array.data_type());
        let bins = spec.bins(precision);
        let many = (array.len() >= WORTH).then(|| Fill::new(bins, precision)).flatten();
        let Some(mut fill) = many else {
            return numbers(array, |value| self.add(bins, value));
        };
        if let Some(values) = plain_doubles(array) {
            values.chunks(CHUNK).for_each(|chunk| self.add_chunk(&mut fill, bins, chunk));
        } else {
            let mut chunk = Vec::with_capacity(CHUNK);
            numbers(array, |value| match value.filter(|value| !value.is_nan()) {
                None => self.add(bins, value),
                Some(value) => {
                    chunk.push(value);
                    if chunk.len() == CHUNK {
                        self.add_chunk(&mut fill, bins, &chunk);
                        chunk.clear();
                    }
                }
            });
            self.add_chunk(&mut fill, bins, &chunk);
        }
        fill.empty_into(&mut self.line);
        self.squares += fill.squares();
    }

    fn add_chunk(&mut self, fill: &mut Fill<'_>, bins: &Bins, chunk: &[f64]) {
        if !fill.count(chunk, &mut self.line) {
            for value in chunk {
                self.add(bins, Some(*value));
            }
        }
    }

    #[inline]
    fn add(&mut self, bins: &Bins, value: Option<f64>) {
        match value {
            None => self.null += 1,
            Some(value) if value.is_nan() => self.nan += 1,
            Some(value) => {
                let placed = bins.place(value);
                self.squares += i128::from(placed.from_centre) * i128::from(placed.from_centre);
                self.line[placed.at].add(value, placed.units);
            }
        }
    }

    /// Sums cannot overflow: rows are bounded, and so is what a row adds.
    pub(super) fn merge(&mut self, other: &Self) {
        self.null += other.null;
        self.nan += other.nan;
        self.squares += other.squares;
        for (cell, more) in self.line.iter_mut().zip(&other.line) {
            cell.merge(more);
        }
    }

    /// The cells between below and above.
    pub(super) fn cells(&self) -> &[Cell] {
        self.line.get(1..self.line.len() - 1).unwrap_or_default()
    }

    /// What is known of the values of each cell along the line.
    pub(super) fn values(&self, spec: &NumericSpec) -> impl Iterator<Item = CellValues> {
        self.line.iter().zip(spec.scales()).map(|(cell, scale)| {
            let (unit, anchor) = (scale.unit(), scale.anchor);
            // Each value was rounded to half a unit, and by the float that took it from the anchor.
            let error = real(cell.count) * 0.51 * unit;
            // Values that are too far away count as if they were at the end.
            let far = 0.99 * end(scale.most) * unit;
            let near = |value: f64| (value - anchor).abs() <= far;
            // Nothing is known to be nothing.
            let known = cell.count == 0 || near(cell.min) && near(cell.max);
            let error = if known { error } else { f64::INFINITY };
            let sum = if known { float(cell.sum) * unit } else { 0.0 };
            CellValues { count: cell.count, min: cell.min, max: cell.max, anchor, sum, error }
        })
    }

    pub(super) fn missing(&self) -> u64 {
        self.null + self.nan
    }

    /// Number, mean and variance of the values.
    pub(super) fn moments(&self, spec: &NumericSpec) -> Moments {
        let count: u64 = self.line.iter().map(|cell| cell.count).sum();
        let (n, centred) = (real(count), spec.of_squares());
        let about = if spec.ranks.is_empty() {
            let sum: i128 = self.line.iter().map(|cell| cell.sum).sum();
            float(sum) / n
        } else {
            let from_centre = |(cell, scale): (&Cell, Scale)| {
                real(cell.count) * (scale.anchor - spec.centre) + float(cell.sum) * scale.unit()
            };
            let sum: f64 = self.line.iter().zip(spec.scales()).map(from_centre).sum();
            sum / n * centred.factor()
        };
        let squares = float(self.squares) - n * about * about;
        let variance = (squares / (n - 1.0)).max(0.0) * centred.unit() * centred.unit();
        Moments { count, mean: spec.centre + about * centred.unit(), variance }
    }

    /// Whether `rows` rows could have made these counts.
    pub(super) fn check(&self, spec: &NumericSpec, rows: u64) -> Result<()> {
        let counts = self.line.iter().map(|cell| cell.count).chain([self.null, self.nan]);
        let total = counts.map(u128::from).sum::<u128>();
        let most = i128::from(rows) * i128::from(MAX_UNITS) * i128::from(MAX_UNITS);
        let sound = total == u128::from(rows)
            && self.line.len() == spec.cuts.len() + 2
            && self.line.iter().all(Cell::is_sound)
            && (0..=most).contains(&self.squares);
        if sound { Ok(()) } else { Err(Error::corrupt("counts that no rows could have made")) }
    }
}

impl Cell {
    pub(super) const EMPTY: Self =
        Self { count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0 };

    #[inline]
    fn add(&mut self, value: f64, units: i64) {
        self.count += 1;
        // Seldom true. Zeros are written without their sign, so that the order of rows cannot be seen.
        if value < self.min {
            self.min = value + 0.0;
        }
        if value > self.max {
            self.max = value + 0.0;
        }
        self.sum += i128::from(units);
    }

    pub(super) fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
    }

    fn is_sound(&self) -> bool {
        if self.count == 0 {
            return *self == Self::EMPTY;
        }
        let most = u128::from(self.count).checked_mul(u128::from(MAX_SUM_UNITS.unsigned_abs()));
        self.min <= self.max && most.is_some_and(|most| self.sum.unsigned_abs() <= most)
    }
}

#[expect(clippy::cast_precision_loss, reason = "rounded once")]
fn float(sum: i128) -> f64 {
    sum as f64
}

impl From<Cell> for CellForm {
    fn from(cell: Cell) -> Self {
        Self(cell.count, Real(cell.min), Real(cell.max), cell.sum)
    }
}

impl From<CellForm> for Cell {
    fn from(CellForm(count, Real(min), Real(max), sum): CellForm) -> Self {
        Self { count, min, max, sum }
    }
}

impl From<NumericCounts> for CountsForm {
    fn from(counts: NumericCounts) -> Self {
        let NumericCounts { null, nan, squares, .. } = counts;
        let end = |cell: Option<&Cell>| cell.copied().unwrap_or(Cell::EMPTY);
        let (below, above) = (end(counts.line.first()), end(counts.line.last()));
        Self { null, nan, below, cells: counts.cells().to_vec(), above, squares }
    }
}

impl From<CountsForm> for NumericCounts {
    fn from(form: CountsForm) -> Self {
        let CountsForm { null, nan, below, cells, above, squares } = form;
        let line = std::iter::once(below).chain(cells).chain([above]).collect();
        Self { null, nan, line, squares }
    }
}
