//! Where the middle half of a column lies: what one far value cannot move.

use crate::{
    profile::ColumnProfile,
    tests::{cells::CellValues, real},
};

/// The quartiles of a column's numbers, interpolated within cells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Quartiles {
    pub(super) low: f64,
    pub(super) median: f64,
    pub(super) high: f64,
}

impl Quartiles {
    /// `None` for other columns, for one without values, and where a quartile is infinite.
    pub(super) fn of(column: &ColumnProfile<'_>) -> Option<Self> {
        let cells = column.line()?.into_cells();
        let at = |share| quantile(&cells, share).filter(|value| value.is_finite());
        Some(Self { low: at(0.25)?, median: at(0.5)?, high: at(0.75)? })
    }

    /// The width of the middle half.
    pub(super) fn width(self) -> f64 {
        self.high - self.low
    }

    /// The factor that makes these of the others, if one does and is no small one: all three
    /// quartiles lie within a twentieth of the middle half of where it puts them.
    pub(super) fn factor_to(self, now: Self) -> Option<f64> {
        // About 0 a factor cannot be told from a change of spread.
        let far = self.median.abs() > self.width() / 2.0 && self.width() > 0.0;
        let factor = now.median / self.median;
        let near =
            |before: f64, now_at: f64| (before * factor - now_at).abs() <= 0.05 * now.width();
        let fits = near(self.low, now.low) && near(self.high, now.high);
        (far && fits && factor > 0.0 && !(0.8..=1.25).contains(&factor)).then_some(factor)
    }
}

/// The value below which this share of the values lies, its cell's values taken to be spread evenly.
fn quantile(cells: &[CellValues], share: f64) -> Option<f64> {
    let rows: u64 = cells.iter().map(|cell| cell.count).sum();
    let mut left = share * real(rows);
    let held = || cells.iter().filter(|cell| cell.count > 0);
    for cell in held() {
        let count = real(cell.count);
        if left <= count {
            return Some(cell.min + (cell.max - cell.min) * (left / count).clamp(0.0, 1.0));
        }
        left -= count;
    }
    held().next_back().map(|cell| cell.max)
}
