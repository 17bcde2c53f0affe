//! Rows of features.

/// How many rows are scored together: what they say and what they hold stays in the nearest memory.
pub(in super::super) const BLOCK: usize = 64;

/// Some rows of a tensor.
#[derive(Clone, Copy, Debug)]
pub(in super::super) struct Rows<'a, S> {
    pub(in super::super) values: &'a [S],
    pub(in super::super) columns: usize,
    pub(in super::super) count: usize,
}

impl<'a, S> Rows<'a, S> {
    pub(in super::super) fn row(&self, at: usize) -> &'a [S] {
        &self.values[at * self.columns..(at + 1) * self.columns]
    }

    /// Pieces of so many rows at most, with the place of their first.
    pub(in super::super) fn blocks(self) -> impl Iterator<Item = (usize, Self)> {
        (0..self.count).step_by(BLOCK).map(move |first| {
            let count = BLOCK.min(self.count - first);
            let values = &self.values[first * self.columns..(first + count) * self.columns];
            (first, Rows { values, columns: self.columns, count })
        })
    }
}
