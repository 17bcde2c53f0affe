//! Forests of small trees that only compare, laid out so that eight trees are walked in lockstep without a
//! branch: what a row holds cannot be foreseen, and a branch that is guessed wrong costs more than a step. A step is
//! five instructions: load the node, its slot, its child; compare with the slot's cell; add the carry.
//!
//! Walks alone, in µs a row (100 trees of depth 5, 30 features, rows that do not repeat, best of interleaved rounds):
//! with branches 3.2, in lockstep in the order of a heap 0.43, as here 0.35. Left after a trial: tables of the leaves
//! that each feature leaves open, `QuickScorer`'s idea, 1.1 and 1 MB; all nodes for 16 rows at once by masks over ranks,
//! 0.30, and the ranks take as much again.

mod layout;
mod node;
#[cfg(test)]
mod tests;

pub(super) use layout::Source;
pub(in super::super) use node::Ordered;

use super::{Real, Rows};
use node::SLOTS;

/// How many places a page has: a child is named in a byte, and its sibling stands after it.
const PLACES: usize = 257;

/// How many trees are walked together: as many as there are registers for.
const LANES: usize = 8;

/// A forest in pages, in the order of its trees.
#[derive(Debug)]
pub(super) struct Paged<S: Real> {
    pages: Vec<Page<S>>,
    banks: Vec<Bank>,
    /// How many features a bank holds.
    features: usize,
    targets: Targets,
}

/// For which class or target the trees speak.
#[derive(Debug)]
enum Targets {
    All(usize),
    /// One a tree.
    Each(Vec<usize>),
}

/// Nodes and leaves of some trees; both are found by their place.
///
/// Every walk in a group takes as many steps as its deepest tree has. A leaf nearer to its root is a node, too,
/// that leads back to itself.
#[derive(Debug)]
struct Page<S: Real> {
    nodes: [S::Node; PLACES],
    leaves: [S; PLACES],
    groups: Vec<Group>,
}

/// Trees that are walked together.
#[derive(Clone, Copy, Debug)]
struct Group {
    roots: [u8; LANES],
    /// 8, 4, 2 or 1 of them.
    trees: usize,
    /// The number of the first among all trees.
    first: usize,
    depth: u32,
}

/// All features as cells, one a feature, with what cannot be compared put where its node sends it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Bank {
    missing: Side,
    /// What is nearly zero, if that has a side of its own.
    zero: Option<Side>,
}

/// Below or above all numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Low,
    High,
}

impl Side {
    fn cell<S: Ordered>(self) -> u64 {
        match self {
            Self::Low => 0,
            Self::High => S::LAST,
        }
    }
}

/// A sum that trees are added to.
pub(in super::super) trait Total<S> {
    /// Where to add; asked for only if something is added.
    fn sum(&mut self) -> &mut S;
}

impl<S: Real> Total<S> for S {
    fn sum(&mut self) -> &mut S {
        self
    }
}

impl<S: Real> Paged<S> {
    /// Adds what each tree says of each row, in the order of the trees: to the totals of the row, which are
    /// `width`.
    pub(super) fn add_up<T: Total<S>>(&self, rows: Rows<'_, S>, width: usize, totals: &mut [T]) {
        let totals = &mut totals[..rows.count * width];
        if rows.count == 1 {
            let mut cells = [0; SLOTS];
            self.fill(rows.row(0), &mut cells);
            self.pages.iter().for_each(|page| self.add(page, &cells, totals));
            return;
        }
        let stride = self.cells();
        // So that behind every row, the last included, stand as many as a node can name.
        let mut cells = vec![0; rows.count * stride + SLOTS];
        for (row, cells) in (0..rows.count).zip(cells.chunks_exact_mut(stride)) {
            self.fill(rows.row(row), cells);
        }
        // Page by page, so that a large forest goes through the nearest memory once for all these rows.
        for page in &self.pages {
            for (row, totals) in totals.chunks_exact_mut(width).enumerate() {
                if let Some(cells) = cells[row * stride..].first_chunk() {
                    self.add(page, cells, totals);
                }
            }
        }
    }

    /// How many cells a row has; one at least.
    fn cells(&self) -> usize {
        (self.banks.len() * self.features).max(1)
    }

    fn fill(&self, row: &[S], cells: &mut [u64]) {
        for (bank, cells) in self.banks.iter().zip(cells.chunks_mut(self.features.max(1))) {
            let missing = bank.missing.cell::<S>();
            match bank.zero.map(Side::cell::<S>) {
                None => {
                    for (cell, &value) in cells.iter_mut().zip(row) {
                        *cell = value.cell_or(missing);
                    }
                }
                Some(zero) => {
                    for (cell, &value) in cells.iter_mut().zip(row) {
                        let number = value.cell_or(missing);
                        *cell = if value.is_nearly_zero() { zero } else { number };
                    }
                }
            }
        }
    }

    /// Adds what the trees of a page say of a row.
    fn add<T: Total<S>>(&self, page: &Page<S>, cells: &[u64; SLOTS], totals: &mut [T]) {
        match &self.targets {
            Targets::All(target) => {
                let total = totals[*target].sum();
                let mut sum = *total;
                page.visit(cells, |_, leaf| sum += leaf);
                *total = sum;
            }
            Targets::Each(targets) => {
                page.visit(cells, |tree, leaf| *totals[targets[tree]].sum() += leaf);
            }
        }
    }

    /// Memory that the pages take.
    pub(super) fn bytes(&self) -> usize {
        let targets = match &self.targets {
            Targets::All(_) => 0,
            Targets::Each(targets) => size_of_val(targets.as_slice()),
        };
        let groups = self.pages.iter().map(|page| size_of_val(page.groups.as_slice()));
        size_of_val(self.pages.as_slice()) + groups.sum::<usize>() + targets
    }
}

impl<S: Real> Page<S> {
    /// Tells the number of each tree and what it says.
    fn visit(&self, cells: &[u64; SLOTS], mut say: impl FnMut(usize, S)) {
        for group in &self.groups {
            match group.trees {
                8 => self.walk::<8>(group, cells, &mut say),
                4 => self.walk::<4>(group, cells, &mut say),
                2 => self.walk::<2>(group, cells, &mut say),
                _ => self.walk::<1>(group, cells, &mut say),
            }
        }
    }

    fn walk<const N: usize>(
        &self,
        group: &Group,
        cells: &[u64; SLOTS],
        say: &mut impl FnMut(usize, S),
    ) {
        let Some(roots) = group.roots.first_chunk::<N>() else { return };
        let mut places = roots.map(usize::from);
        for _ in 0..group.depth {
            for place in &mut places {
                *place = S::down(self.nodes[*place], cells);
            }
        }
        for (tree, place) in (group.first..).zip(places) {
            say(tree, self.leaves[place]);
        }
    }
}
