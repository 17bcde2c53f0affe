//! What happened to a column, as a person would say it.

use super::{Attribution, CellPart, quartiles::Quartiles};
use crate::{
    profile::{CellKind, ColumnProfile},
    tests::superiority,
};
use mlops_core::Result;
use serde::Serialize;
use std::sync::Arc;

/// What happened to a column.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Cause {
    /// Nothing beyond the margin.
    Unmoved,
    /// The share of missing values accounts for at least half of the change.
    Missing {
        /// Of the reference's rows.
        before: f64,
        /// Of the window's rows.
        now: f64,
    },
    /// So do values that the reference did not have, or too rarely to be listed.
    NotListed {
        /// Of the reference's rows.
        before: f64,
        /// Of the window's rows.
        now: f64,
    },
    /// So do numbers below or above all of the reference.
    OutOfRange {
        /// What lies there is called: `> 82`.
        cell: Arc<str>,
        /// Of the reference's rows.
        before: f64,
        /// Of the window's rows.
        now: f64,
    },
    /// The quartiles were multiplied by a factor: another unit, another currency.
    Scaled {
        /// The window's median over the reference's.
        factor: f64,
    },
    /// Values tend to be larger, or smaller.
    Shifted {
        /// The reference's median.
        before: f64,
        /// The window's median.
        now: f64,
        /// The chance that a value of the window exceeds one of the reference, ties half.
        superiority: f64,
    },
    /// Values lie further apart, or closer together, about the same middle.
    Spread {
        /// The width of the window's middle half over that of the reference's.
        factor: f64,
    },
    /// Some values became more frequent at the cost of others.
    Shares {
        /// What gained most.
        gained: Option<ShareChange>,
        /// What lost most.
        lost: Option<ShareChange>,
    },
}

/// How the share of one cell changed.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ShareChange {
    /// The cell.
    pub cell: Arc<str>,
    /// Of the reference's rows.
    pub before: f64,
    /// Of the window's rows.
    pub now: f64,
}

/// Half of a change that goes one way is what one cell must account for to be the cause.
const MAIN: f64 = 0.5;
/// A chance of superiority so far from a half is a shift.
const SHIFT: f64 = 0.05;
/// A middle half that changed by so much is a spread.
const SPREAD: f64 = 1.15;

impl Cause {
    /// What made up this attribution of total variation.
    pub(super) fn of(
        moved: &Attribution,
        reference: &ColumnProfile<'_>,
        window: &ColumnProfile<'_>,
    ) -> Result<Self> {
        let main = |kind| {
            let cell = moved.cells.iter().find(|cell| cell.kind == kind)?;
            (cell.value.abs() >= MAIN * moved.value / 2.0 && moved.value > 0.0).then_some(cell)
        };
        let gain = |kind| main(kind).filter(|cell| cell.value > 0.0);
        if let Some(CellPart { reference: before, window: now, .. }) = main(CellKind::Missing) {
            return Ok(Self::Missing { before: *before, now: *now });
        }
        let quartiles = Quartiles::of(reference).zip(Quartiles::of(window));
        let factor = quartiles.and_then(|(before, now)| before.factor_to(now));
        if let Some(factor) = factor.or_else(|| factor_of_moments(reference, window)) {
            return Ok(Self::Scaled { factor });
        }
        if let Some(CellPart { reference: before, window: now, .. }) = gain(CellKind::Other) {
            return Ok(Self::NotListed { before: *before, now: *now });
        }
        if let Some(cell) = gain(CellKind::Above).or_else(|| gain(CellKind::Below)) {
            let (before, now) = (cell.reference, cell.window);
            return Ok(Self::OutOfRange { cell: Arc::clone(&cell.label), before, now });
        }
        if let Some((before, now)) = quartiles
            && let Some(along) = Self::along(before, now, reference, window)?
        {
            return Ok(along);
        }
        Ok(Self::novel(moved).unwrap_or_else(|| Self::shares(moved)))
    }

    /// What no row of the reference has, however rare it is.
    fn novel(moved: &Attribution) -> Option<Self> {
        let new = |kind| {
            let new = |cell: &&CellPart| cell.kind == kind && cell.reference == 0.0;
            moved.cells.iter().find(new).filter(|cell| cell.window > 0.0)
        };
        let missing = new(CellKind::Missing);
        let missing = missing.map(|cell| Self::Missing { before: 0.0, now: cell.window });
        let other = || new(CellKind::Other);
        missing.or_else(|| other().map(|cell| Self::NotListed { before: 0.0, now: cell.window }))
    }

    fn along(
        before: Quartiles,
        now: Quartiles,
        reference: &ColumnProfile<'_>,
        window: &ColumnProfile<'_>,
    ) -> Result<Option<Self>> {
        let counts = |column: &ColumnProfile<'_>| -> Vec<u64> {
            // The first cell holds what is missing.
            column.counted_cells().into_iter().skip(1).map(|cell| cell.count).collect()
        };
        let above = superiority(&counts(reference), &counts(window), 0.95)?;
        if let Some(above) = above.filter(|above| (above.value - 0.5).abs() >= SHIFT) {
            let (before, now) = (before.median, now.median);
            return Ok(Some(Self::Shifted { before, now, superiority: above.value }));
        }
        let factor = now.width() / before.width();
        let spread = factor.is_finite() && !(1.0 / SPREAD..=SPREAD).contains(&factor);
        Ok(spread.then_some(Self::Spread { factor }))
    }

    fn shares(moved: &Attribution) -> Self {
        let largest = |sign: f64| {
            let cells = moved.cells.iter().filter(|cell| cell.value * sign > 0.0);
            let cell = cells.max_by(|a, b| a.value.abs().total_cmp(&b.value.abs()))?;
            let (before, now) = (cell.reference, cell.window);
            Some(ShareChange { cell: Arc::clone(&cell.label), before, now })
        };
        Self::Shares { gained: largest(1.0), lost: largest(-1.0) }
    }
}

/// The factor of mean and deviation, where both have one: values beyond the reference's range lie in
/// one cell, in which quartiles are only guessed.
fn factor_of_moments(reference: &ColumnProfile<'_>, window: &ColumnProfile<'_>) -> Option<f64> {
    let (before, now) = reference.moments().zip(window.moments())?;
    let (deviation, wider) = (before.variance.sqrt(), now.variance.sqrt());
    let factor = now.mean / before.mean;
    let fits = (wider / deviation / factor - 1.0).abs() < 0.1;
    let far = before.mean.abs() > deviation / 2.0 && deviation > 0.0;
    (far && fits && factor.is_finite() && !(0.8..=1.25).contains(&factor)).then_some(factor)
}
