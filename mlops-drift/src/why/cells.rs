//! What a column's difference is made of, cell by cell.

use crate::{
    detector::EFFECT_CELLS,
    profile::{CellKind, CellView, ColumnProfile, ColumnType},
    tests::{
        Order,
        cells::{LinePair, Stretch, jensen_shannon},
        psi, real, total_variation,
    },
};
use mlops_core::Result;
use serde::Serialize;
use std::sync::Arc;

/// What a difference is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Measure {
    /// The share of rows that lie elsewhere, freed from noise: the effect of a
    /// [`ProfileDetector`](crate::ProfileDetector).
    TotalVariation,
    /// The population stability index, noise included: [`psi`].
    Psi,
    /// The Jensen–Shannon divergence in nats, noise included: [`jensen_shannon`].
    JensenShannon,
    /// How far values moved on average, in the column's unit, noise included; numbers only, the
    /// missing left out: [`LinePair::wasserstein`].
    Wasserstein,
}

impl Measure {
    /// All of them.
    pub const ALL: [Self; 4] =
        [Self::TotalVariation, Self::Psi, Self::JensenShannon, Self::Wasserstein];

    /// `total_variation`, `psi`, `jensen_shannon` or `wasserstein`, as reports write it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TotalVariation => "total_variation",
            Self::Psi => "psi",
            Self::JensenShannon => "jensen_shannon",
            Self::Wasserstein => "wasserstein",
        }
    }
}

/// A measured difference and the cells that it is made of.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Attribution {
    /// What is measured.
    pub measure: Measure,
    /// The sum of the parts' absolute values.
    pub value: f64,
    /// What `value` is on average without drift; 0 where it was taken off, none where it is not
    /// known.
    pub noise_floor: Option<f64>,
    /// Whether `value` is what it says but for rounding: false for a Wasserstein distance between
    /// bounds that did not meet, of which `value` and the parts are the middle.
    pub exact: bool,
    /// The parts in the order of [`ColumnProfile::coarse_cells`]; cells without rows are left out.
    pub cells: Vec<CellPart>,
}

/// What one cell adds.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CellPart {
    /// Its place among the column's [`coarse_cells`](ColumnProfile::coarse_cells): labels may be
    /// alike, as those of the value `other` and of all other values.
    #[serde(skip)]
    pub at: usize,
    /// What the cell is called.
    pub label: Arc<str>,
    /// What it stands for.
    #[serde(skip)]
    pub kind: CellKind,
    /// Its share of the reference's rows.
    pub reference: f64,
    /// Its share of the window's rows.
    pub window: f64,
    /// What it adds to the measure, with a sign: positive where the window has more rows; along the
    /// line (Wasserstein), where values moved up.
    pub value: f64,
}

impl Attribution {
    /// The cells that add most, the largest first.
    pub fn largest(&self) -> Vec<&CellPart> {
        let mut cells: Vec<&CellPart> = self.cells.iter().collect();
        cells.sort_by(|a, b| b.value.abs().total_cmp(&a.value.abs()));
        cells
    }
}

/// What a column's difference is made of: signed parts, one a cell (up to 16 along a line), whose
/// absolute values add up to the measure.
///
/// `None` if either side counts nothing, and of [`Measure::Wasserstein`] if the column is not of
/// numbers or holds some that cannot be summed. Columns with different cells are `InvalidInput`.
pub fn attribution(
    reference: &ColumnProfile<'_>,
    window: &ColumnProfile<'_>,
    measure: Measure,
) -> Result<Option<Attribution>> {
    let pair = CellPair::of(reference, window);
    let (before, now) = (&pair.reference, &pair.window);
    let numeric = reference.column_type() == ColumnType::Numeric;
    let found = match measure {
        Measure::TotalVariation => {
            let order = if numeric { Order::Ordered } else { Order::Unordered };
            let moved = total_variation(before, now, order, 0.95)?;
            moved.map(|moved| (moved.contributions, Some(0.0), true))
        }
        Measure::Psi => {
            psi(before, now)?.map(|index| (index.contributions, Some(index.noise_floor), true))
        }
        Measure::JensenShannon => jensen_shannon(before, now)?
            .map(|distance| (distance.contributions, Some(distance.noise_floor), true)),
        Measure::Wasserstein => {
            let Some((left, right)) = reference.line().zip(window.line()) else { return Ok(None) };
            let pair = LinePair::new(&left, &right)?;
            let exact = pair.wasserstein().is_some_and(|distance| distance.exact);
            let along = pair.wasserstein_stretches();
            along.map(|along| (by_cell(&along, &reference.borders(EFFECT_CELLS)), None, exact))
        }
    };
    Ok(found.map(|(parts, noise_floor, exact)| {
        let cells = pair.parts(&parts, measure == Measure::Wasserstein);
        let value = cells.iter().map(|cell| cell.value.abs()).sum();
        Attribution { measure, value, noise_floor, exact, cells }
    }))
}

/// The same coarse cells of both sides.
pub(super) struct CellPair {
    pub(super) cells: Vec<CellView>,
    pub(super) reference: Vec<u64>,
    pub(super) window: Vec<u64>,
}

impl CellPair {
    pub(super) fn of(reference: &ColumnProfile<'_>, window: &ColumnProfile<'_>) -> Self {
        let cells = reference.coarse_cells(EFFECT_CELLS);
        let counts = |cells: &[CellView]| cells.iter().map(|cell| cell.count).collect();
        let now = window.coarse_cells(EFFECT_CELLS);
        Self { reference: counts(&cells), window: counts(&now), cells }
    }

    /// The parts with their cells; those that have a sign of their own keep it.
    fn parts(&self, parts: &[f64], signed: bool) -> Vec<CellPart> {
        let share = |count: u64, of: &[u64]| real(count) / real(of.iter().sum::<u64>().max(1));
        let mut all = Vec::new();
        for (at, (cell, part)) in self.cells.iter().zip(parts).enumerate() {
            let (before, now) = (self.reference[at], self.window[at]);
            if before + now == 0 && *part == 0.0 {
                continue;
            }
            let (reference, window) = (share(before, &self.reference), share(now, &self.window));
            let value = if signed { *part } else { part.abs().copysign(window - reference) };
            let (label, kind) = (Arc::clone(&cell.label), cell.kind);
            all.push(CellPart { at, label, kind, reference, window, value });
        }
        all
    }
}

/// The stretches of a line divided among the cells that they cross: missing, below, up the line,
/// above. A part is the middle of its bounds, with the sign of the way that values went.
fn by_cell(stretches: &[Stretch], borders: &[f64]) -> Vec<f64> {
    let (mut areas, mut moved) = (vec![0.0; borders.len() + 2], vec![0.0; borders.len() + 2]);
    for stretch in stretches {
        let area = f64::midpoint(stretch.area.low, stretch.area.high);
        let width = stretch.to - stretch.from;
        let first = borders.partition_point(|border| *border <= stretch.from);
        let last = borders.partition_point(|border| *border < stretch.to).max(first);
        let mut from = stretch.from;
        for at in first..=last {
            let to = borders.get(at).filter(|_| at < last).copied().unwrap_or(stretch.to);
            let share = if first == last { 1.0 } else { (to - from) / width };
            areas[at + 1] += area * share;
            moved[at + 1] += stretch.moved * share;
            from = to;
        }
    }
    areas.iter().zip(moved).map(|(area, moved): (&f64, f64)| area.copysign(moved)).collect()
}
