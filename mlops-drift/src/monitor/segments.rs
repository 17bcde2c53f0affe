//! Where a change comes from: rows told apart by a column's values.

use super::{
    MonitorConfig,
    cells::{Column, Set},
};
use crate::{
    detector::EFFECT_CELLS,
    profile::{Coder, ColumnType, Profile, Value},
    tests::real,
};
use mlops_core::{Error, Result, arrow::array::RecordBatch, drift::Contribution};
use std::sync::Arc;

/// Values of a column that are told apart; all others are one segment.
const MOST: usize = 32;
/// The least part of a change that is worth a name.
const WORTH: f64 = 0.1;
/// How many deviations of its noise it must be.
const SURE: f64 = 3.0;

/// How rows are told apart, and where their counts lie.
#[derive(Debug)]
pub(super) struct Segments {
    coder: Coder,
    splits: Vec<Split>,
    /// Where each column's cells begin in a segment's counts, and where they all end.
    begins: Vec<usize>,
    rows: usize,
}

/// One column whose values tell rows apart.
#[derive(Debug)]
struct Split {
    column: usize,
    /// The segment of each of its cells.
    of_cell: Vec<usize>,
    /// `state=TX`; the last one is the rest.
    names: Vec<Arc<str>>,
    /// Their shares of the reference.
    shares: Vec<f64>,
    /// Segments before these, of other splits.
    first: usize,
}

/// Rows by segment, column and coarse cell. A segment takes memory from its first row on.
#[derive(Clone, Debug, Default)]
pub(super) struct Joint(Vec<Vec<u64>>);

impl Segments {
    /// `None` without segments. A column that the reference does not have, or that is no category,
    /// is `InvalidInput` and named.
    pub(super) fn new(reference: &Profile, config: &MonitorConfig) -> Result<Option<Arc<Self>>> {
        if config.segments.is_empty() {
            return Ok(None);
        }
        let mut begins = vec![0];
        for column in reference.columns() {
            begins.push(begins[begins.len() - 1] + column.coarse_counts(EFFECT_CELLS).len());
        }
        let (mut splits, mut rows) = (Vec::new(), 0);
        for by in &config.segments {
            let split = Split::new(reference, by, rows)?;
            rows += split.names.len();
            splits.push(split);
        }
        let coder = Coder::new(reference, EFFECT_CELLS);
        Ok(Some(Arc::new(Self { coder, splits, begins, rows })))
    }

    fn width(&self) -> usize {
        self.begins[self.begins.len() - 1]
    }

    fn columns(&self) -> usize {
        self.begins.len() - 1
    }

    fn count_cells(&self, joint: &mut Joint, cells: impl Fn(usize) -> usize) {
        joint.0.resize(self.rows, Vec::new());
        for split in &self.splits {
            let own = split.of_cell.get(cells(split.column)).copied().unwrap_or(0);
            let Some(counts) = joint.0.get_mut(split.first + own) else { continue };
            counts.resize(self.width(), 0);
            for (column, begin) in self.begins[..self.columns()].iter().enumerate() {
                if let Some(count) = counts.get_mut(begin + cells(column)) {
                    *count += 1;
                }
            }
        }
    }

    /// Counts one row, which has a value for each column.
    pub(super) fn count(&self, joint: &mut Joint, row: &[Value<'_>]) {
        let cell = |column: usize| row.get(column).map_or(0, |v| self.coder.cell(column, *v));
        self.count_cells(joint, cell);
    }

    /// Counts rows that the reference's profile has taken.
    pub(super) fn update(&self, joint: &mut Joint, reference: &Profile, rows: &RecordBatch) {
        let names = reference.spec().names().enumerate();
        let cells = names.map(|(at, name)| {
            rows.column_by_name(name).map_or_else(Vec::new, |array| self.coder.cells(at, array))
        });
        let cells: Vec<Vec<usize>> = cells.collect();
        for row in 0..rows.num_rows() {
            self.count_cells(joint, |column| cells[column].get(row).copied().unwrap_or(0));
        }
    }

    /// What each segment adds to the change of a set's share: 1 is all of it. Before are the rows of
    /// earlier windows, or as many as segments that do not matter would have.
    pub(super) fn explain(
        &self,
        at: usize,
        column: &Column,
        set: Set,
        (before, now): (&Joint, &Joint),
        reference: (u64, u64),
    ) -> Vec<Contribution> {
        let mut found = Vec::new();
        for split in self.splits.iter().filter(|split| split.column != at) {
            let rows = |joint: &Joint| -> Vec<(f64, f64)> {
                let of = |own: usize| self.share(joint, split.first + own, at, column, set);
                (0..split.names.len()).map(of).collect()
            };
            let (then, now) = (rows(before), rows(now));
            let all = |rows: &[(f64, f64)]| rows.iter().map(|(_, of)| of).sum::<f64>();
            let (all_then, all_now) = (all(&then), all(&now));
            if all_now == 0.0 {
                continue;
            }
            let expected = real(reference.0) / real(reference.1.max(1));
            let usual = |own: usize| match then.get(own) {
                Some((inside, of)) if all_then > 0.0 => (inside / all_then, of / all_then),
                _ => (split.shares[own] * expected, split.shares[own]),
            };
            let parts: Vec<f64> = now
                .iter()
                .enumerate()
                .map(|(own, (inside, _))| inside / all_now - usual(own).0)
                .collect();
            let change: f64 = parts.iter().sum();
            let noise = |own: usize| {
                let of_then = if all_then > 0.0 { all_then } else { real(reference.1.max(1)) };
                let variance = |share: f64, of: f64| share * (1.0 - share) / of;
                let after = variance(now[own].0 / all_now, all_now);
                (variance(usual(own).0, of_then) + after).max(0.0).sqrt()
            };
            for (own, part) in parts.iter().enumerate() {
                let (value, share) = (part / change, now[own].1 / all_now);
                let sure = value >= WORTH && part.abs() > SURE * noise(own);
                if value.is_finite() && sure && own + 1 < split.names.len() {
                    let name = split.names[own].clone();
                    found.push(Contribution::new(name, usual(own).1, share, value));
                }
            }
        }
        found.sort_by(|a, b| b.value.total_cmp(&a.value));
        found
    }

    /// (rows of a segment in the set, rows that they are a share of).
    fn share(&self, joint: &Joint, own: usize, at: usize, column: &Column, set: Set) -> (f64, f64) {
        let start = self.begins[at];
        let counts = joint.0.get(own).map_or(&[][..], Vec::as_slice);
        let counts = counts.get(start..start + column.cells.len()).unwrap_or_default();
        let (inside, of) = set.share(counts);
        (real(inside), real(of))
    }
}

impl Split {
    fn new(reference: &Profile, by: &Arc<str>, first: usize) -> Result<Self> {
        let found = reference.columns().enumerate().find(|(_, column)| column.name() == by);
        let (column, own) =
            found.filter(|(_, c)| c.column_type() == ColumnType::Categories).ok_or_else(|| {
                Error::invalid(format!(
                    "segments by {by:?}: no column of categories in the reference"
                ))
            })?;
        let cells = own.cells();
        let mut frequent: Vec<usize> = (0..cells.len()).filter(|at| cells[*at].count > 0).collect();
        frequent.sort_by_key(|at| std::cmp::Reverse(cells[*at].count));
        frequent.truncate(MOST);
        let rest = frequent.len();
        let mut of_cell = vec![rest; cells.len()];
        for (segment, cell) in frequent.iter().enumerate() {
            of_cell[*cell] = segment;
        }
        let all = real(cells.iter().map(|cell| cell.count).sum::<u64>().max(1));
        let share = |cell: &usize| real(cells[*cell].count) / all;
        let mut shares: Vec<f64> = frequent.iter().map(share).collect();
        shares.push((1.0 - shares.iter().sum::<f64>()).max(0.0));
        let name = |cell: &usize| format!("{by}={}", cells[*cell].label).into();
        let mut names: Vec<Arc<str>> = frequent.iter().map(name).collect();
        names.push(format!("another {by}").into());
        Ok(Self { column, of_cell, names, shares, first })
    }
}

impl Joint {
    pub(super) fn add(&mut self, more: &Self) {
        if self.0.len() < more.0.len() {
            self.0.resize(more.0.len(), Vec::new());
        }
        for (sum, more) in self.0.iter_mut().zip(&more.0) {
            if sum.len() < more.len() {
                sum.resize(more.len(), 0);
            }
            sum.iter_mut().zip(more).for_each(|(sum, more)| *sum += more);
        }
    }

    /// Begins anew in the memory that it has.
    pub(super) fn clear(&mut self) {
        self.0.iter_mut().for_each(|counts| counts.fill(0));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProfileOptions, monitor::testing::texts};

    #[test]
    fn a_segment_takes_memory_from_its_first_row_on() {
        let reference = texts(&["a", "b", "c", "d"], 50);
        let reference = Profile::fit(&[reference], &ProfileOptions::default()).unwrap();
        let config = MonitorConfig::default().with_segment("c");
        let segments = Segments::new(&reference, &config).unwrap().unwrap();
        let mut joint = Joint::default();
        (0..3).for_each(|_| segments.count(&mut joint, &[Value::Text("b")]));
        let held = |joint: &Joint| joint.0.iter().filter(|counts| !counts.is_empty()).count();
        assert_eq!((joint.0.len(), held(&joint)), (5, 1));
        let mut sum = Joint::default();
        sum.add(&joint);
        joint.clear();
        segments.count(&mut joint, &[Value::Text("never seen")]);
        sum.add(&joint);
        let rows: Vec<u64> = sum.0.iter().map(|counts| counts.iter().sum()).collect();
        assert_eq!((rows.iter().sum::<u64>(), rows[4], held(&sum)), (4, 1, 2));
    }
}
