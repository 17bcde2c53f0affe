//! Counts of a numeric column.

use super::{
    rows::numbers,
    spec::{Borders, MAX_UNITS, NumericSpec, Precision},
    wire::{Real, whole},
};
use crate::tests::{Moments, real};
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
    /// In units from the centre.
    pub(super) sum: i128,
}

/// `[count, min, max, "sum"]`.
#[derive(Serialize, Deserialize)]
struct CellForm(u64, Real, Real, #[serde(with = "whole")] i128);

/// Counts of a numeric column: every value falls into one cell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumericCounts {
    pub(super) null: u64,
    pub(super) nan: u64,
    /// Below the reference's least value.
    pub(super) below: Cell,
    pub(super) cells: Vec<Cell>,
    /// Above the reference's largest value.
    pub(super) above: Cell,
    /// Sum of squared units from the centre.
    #[serde(with = "whole")]
    pub(super) squares: i128,
}

impl NumericCounts {
    pub(super) fn empty(spec: &NumericSpec) -> Self {
        let cells = vec![Cell::EMPTY; spec.cuts.len()];
        Self { null: 0, nan: 0, below: Cell::EMPTY, cells, above: Cell::EMPTY, squares: 0 }
    }

    pub(super) fn update(&mut self, spec: &NumericSpec, array: &ArrayRef) {
        let borders = spec.borders(Precision::of(array.data_type()));
        numbers(array, |value| match value {
            None => self.null += 1,
            Some(value) if value.is_nan() => self.nan += 1,
            // Makes −0 a 0, so that the order of rows cannot be seen.
            Some(value) => self.add(spec, &borders, value + 0.0),
        });
    }

    fn add(&mut self, spec: &NumericSpec, borders: &Borders, value: f64) {
        let units = i128::from(spec.units(value));
        self.squares += units * units;
        let rounded = borders.precision.round(value);
        let at = borders.cuts.partition_point(|cut| *cut < rounded);
        let cell = match self.cells.get_mut(at) {
            None => &mut self.above,
            Some(_) if rounded < borders.least => &mut self.below,
            Some(cell) => cell,
        };
        cell.merge(&Cell { count: 1, min: value, max: value, sum: units });
    }

    /// Sums cannot overflow: rows are bounded, and so is what a row adds.
    pub(super) fn merge(&mut self, other: &Self) {
        self.null += other.null;
        self.nan += other.nan;
        self.squares += other.squares;
        self.below.merge(&other.below);
        self.above.merge(&other.above);
        for (cell, more) in self.cells.iter_mut().zip(&other.cells) {
            cell.merge(more);
        }
    }

    /// All cells along the line, from below to above.
    pub(super) fn line(&self) -> impl Iterator<Item = &Cell> {
        std::iter::once(&self.below).chain(&self.cells).chain(std::iter::once(&self.above))
    }

    pub(super) fn missing(&self) -> u64 {
        self.null + self.nan
    }

    /// Number, mean and variance of the values.
    pub(super) fn moments(&self, spec: &NumericSpec) -> Moments {
        let count: u64 = self.line().map(|cell| cell.count).sum();
        let sum: i128 = self.line().map(|cell| cell.sum).sum();
        #[expect(clippy::cast_precision_loss, reason = "rounded once")]
        let (sum, squares, n) = (sum as f64, self.squares as f64, real(count));
        let about = sum / n;
        let variance = ((squares - sum * about) / (n - 1.0)).max(0.0) * spec.unit() * spec.unit();
        Moments { count, mean: spec.centre + about * spec.unit(), variance }
    }

    /// Whether `rows` rows could have made these counts.
    pub(super) fn check(&self, spec: &NumericSpec, rows: u64) -> Result<()> {
        let counts = self.line().map(|cell| cell.count).chain([self.null, self.nan]);
        let total = counts.map(u128::from).sum::<u128>();
        let most = i128::from(rows) * i128::from(MAX_UNITS) * i128::from(MAX_UNITS);
        let sound = total == u128::from(rows)
            && self.cells.len() == spec.cuts.len()
            && self.line().all(Cell::is_sound)
            && (0..=most).contains(&self.squares);
        if sound { Ok(()) } else { Err(Error::corrupt("counts that no rows could have made")) }
    }
}

impl Cell {
    const EMPTY: Self = Self { count: 0, min: f64::INFINITY, max: f64::NEG_INFINITY, sum: 0 };

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
        self.sum += other.sum;
    }

    fn is_sound(&self) -> bool {
        if self.count == 0 {
            return *self == Self::EMPTY;
        }
        let most = u128::from(self.count).checked_mul(u128::from(MAX_UNITS.unsigned_abs()));
        self.min <= self.max && most.is_some_and(|most| self.sum.unsigned_abs() <= most)
    }
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
