//! What of a column is compared: coarse cells, and the sets of them whose shares are tested.

use crate::{
    detector::EFFECT_CELLS,
    profile::{CellKind, ColumnProfile, ColumnType, Profile},
    tests::{Order, real},
};
use std::{collections::BTreeMap, ops::Range, sync::Arc};

/// Rows of the cells of one column.
pub(super) type Counts = Vec<u64>;

/// A column of the reference: its cells, and the sets of cells that are tested.
#[derive(Clone, Debug)]
pub(super) struct Column {
    pub(super) name: Arc<str>,
    pub(super) order: Order,
    pub(super) cells: Vec<(CellKind, Arc<str>)>,
    pub(super) sets: Vec<Set>,
    /// Rows of the reference by stratum; stratum 0 alone where there are no seasons.
    pub(super) reference: BTreeMap<u32, Counts>,
    /// The set that holds about half of the reference, by which windows are told apart.
    pub(super) half: Option<Set>,
}

/// Neighbouring cells whose share is tested.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Set {
    first: usize,
    /// One past the last.
    end: usize,
    /// Whether missing rows are left out of what it is a share of.
    among_values: bool,
}

impl Set {
    fn cell(at: usize, among_values: bool) -> Self {
        Self { first: at, end: at + 1, among_values }
    }

    /// Its cells.
    pub(super) fn cells(self) -> Range<usize> {
        self.first..self.end
    }

    /// (rows in the set, rows that it is a share of).
    pub(super) fn share(self, counts: &[u64]) -> (u64, u64) {
        let inside = counts.get(self.first..self.end).unwrap_or_default().iter().sum();
        let all = counts.get(usize::from(self.among_values)..).unwrap_or_default().iter().sum();
        (inside, all)
    }

    /// Whether it is this one cell.
    pub(super) fn only(self) -> Option<usize> {
        (self.end == self.first + 1).then_some(self.first)
    }
}

/// Missing rows by themselves; then along the line every cell, every run from either end, and every
/// middle with as many cells cut off at both ends.
fn sets(order: Order, cells: usize) -> Vec<Set> {
    if order == Order::Unordered {
        return (0..cells).map(|at| Set::cell(at, false)).collect();
    }
    let run = |first: usize, end: usize| Set { first, end, among_values: true };
    let mut sets = vec![Set::cell(0, false)];
    sets.extend((1..cells).map(|at| Set::cell(at, true)));
    // The run of all but the first cell is the first cell, seen from the other side.
    sets.extend((3..cells.saturating_sub(1)).map(|end| run(1, end)));
    let line = cells.saturating_sub(1);
    sets.extend(
        (2..line.div_ceil(2))
            .map(|cut| run(1 + cut, cells - cut))
            .filter(|set| set.end > set.first + 1),
    );
    sets
}

impl Column {
    pub(super) fn of(reference: &ColumnProfile<'_>, strata: &[(u32, &Profile)]) -> Self {
        let order = match reference.column_type() {
            ColumnType::Numeric => Order::Ordered,
            ColumnType::Categories => Order::Unordered,
        };
        let cells: Vec<_> = reference
            .coarse_cells(EFFECT_CELLS)
            .into_iter()
            .map(|cell| (cell.kind, cell.label))
            .collect();
        let of_part = |(stratum, part): &(u32, &Profile)| {
            let counts = part.column(reference.name()).map(|own| coarse(&own));
            (*stratum, counts.unwrap_or_else(|| vec![0; cells.len()]))
        };
        let counts: BTreeMap<u32, Counts> = strata.iter().map(of_part).collect();
        let sets = sets(order, cells.len());
        let whole = coarse(reference);
        let half = sets.iter().copied().min_by(|a, b| {
            let from_half = |set: &Set| {
                let (inside, all) = set.share(&whole);
                (real(inside) / real(all.max(1)) - 0.5).abs()
            };
            from_half(a).total_cmp(&from_half(b))
        });
        let name = Arc::clone(reference.name());
        Self { name, order, cells, sets, reference: counts, half }
    }

    /// The cells that the reference hardly knew: missing, not listed, below and above.
    pub(super) fn unusual(&self) -> impl Iterator<Item = (usize, CellKind)> {
        let cells = self.cells.iter().enumerate().map(|(at, (kind, _))| (at, *kind));
        cells.filter(|(_, kind)| *kind != CellKind::Value)
    }

    /// Whether no row of the reference is missing, or has a value that it does not list, if that is
    /// what the cell counts. That no row lies outside of its own range is no news.
    pub(super) fn is_novel(&self, at: usize) -> bool {
        let closed =
            |(kind, _): &(CellKind, _)| matches!(kind, CellKind::Missing | CellKind::Other);
        let empty = |counts: &Counts| counts.get(at).is_none_or(|rows| *rows == 0);
        self.cells.get(at).is_some_and(closed) && self.reference.values().all(empty)
    }

    /// The set of this cell alone.
    pub(super) fn cell_set(&self, at: usize) -> Set {
        Set::cell(at, self.order == Order::Ordered && at > 0)
    }
}

/// Counts of a column's coarse cells.
pub(super) fn coarse(column: &ColumnProfile<'_>) -> Counts {
    column.coarse_counts(EFFECT_CELLS)
}

/// Adds counts of the same cells.
pub(super) fn add(sum: &mut Counts, more: &[u64]) {
    if sum.is_empty() {
        sum.resize(more.len(), 0);
    }
    sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_of_a_line_are_told_apart() {
        // Missing, below, 16 cells, above.
        let sets = sets(Order::Ordered, 19);
        for (at, set) in sets.iter().enumerate() {
            assert!(!sets[..at].contains(set), "{set:?} twice");
            assert!(set.end <= 19 && set.first < set.end);
        }
        assert_eq!(sets.len(), 1 + 18 + 15 + 7);
        let counts: Counts = (0..19).collect();
        assert_eq!(sets[0].share(&counts), (0, 171));
        assert_eq!(sets[19].share(&counts), (1 + 2, 171));
        assert_eq!(super::sets(Order::Ordered, 3).len(), 3);
        assert_eq!(super::sets(Order::Unordered, 5).len(), 5);
    }
}
