//! One column of a profile, as tests and reports look at it.

use super::{
    Counts,
    cuts::NumericSpec,
    numeric::{Cell, NumericCounts},
    spec::{ColumnSpec, KindSpec},
};
use crate::tests::{Moments, cells::Line};
use std::{fmt, sync::Arc};

/// One column of a profile.
#[derive(Clone, Copy, Debug)]
pub struct ColumnProfile<'a> {
    spec: &'a ColumnSpec,
    counts: &'a Counts,
    /// Whether the profile counts rows that made the cells.
    own_cells: bool,
}

/// How a column is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ColumnType {
    /// Cells along a line.
    Numeric,
    /// Cells without an order.
    Categories,
}

/// One cell of a column: what it stands for, and how many rows fell there.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CellView {
    /// What it stands for.
    pub kind: CellKind,
    /// `(0.5, 1.5]`, `MA`, `missing` …
    pub label: Arc<str>,
    /// Rows.
    pub count: u64,
}

/// What a cell stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CellKind {
    /// A null, or a NaN of a numeric column: tensors carry nulls as NaN.
    Missing,
    /// A number below all of the reference.
    Below,
    /// A range of numbers, or a listed value.
    Value,
    /// A number above all of the reference.
    Above,
    /// A value that is not listed: never seen in the reference, or rare there.
    Other,
}

impl<'a> ColumnProfile<'a> {
    pub(super) fn new(spec: &'a ColumnSpec, counts: &'a Counts, own_cells: bool) -> Self {
        Self { spec, counts, own_cells }
    }

    pub(super) fn spec(&self) -> &'a ColumnSpec {
        self.spec
    }

    /// Its name.
    pub fn name(&self) -> &'a Arc<str> {
        &self.spec.name
    }

    /// How it is compared.
    pub fn column_type(&self) -> ColumnType {
        match self.spec.kind {
            KindSpec::Numeric(_) => ColumnType::Numeric,
            KindSpec::Codes(_) | KindSpec::Texts(_) => ColumnType::Categories,
        }
    }

    /// Whether its values are text, and not numbers or codes.
    pub(crate) fn counts_text(&self) -> bool {
        matches!(self.spec.kind, KindSpec::Texts(_))
    }

    /// Whether it counts rows that its cells were made from.
    pub fn made_its_cells(&self) -> bool {
        let chosen_by_others = matches!(self.counts, Counts::Categories(c) if c.chose > 0);
        self.own_cells && !chosen_by_others
    }

    /// Its cells. Numeric: missing, below, up the line, above. Categories: missing, listed values
    /// in ascending order, other.
    pub fn cells(&self) -> Vec<CellView> {
        self.coarse_cells(usize::MAX)
    }

    /// Its cells, those along a line merged with their neighbours so that at most `most` (at least
    /// one) remain between the ends, each with about as many of the rows that made the cells; the
    /// same cells are merged on both sides.
    pub fn coarse_cells(&self, most: usize) -> Vec<CellView> {
        let cell = |kind, label: String, count| CellView { kind, label: label.into(), count };
        let missing = |count| cell(CellKind::Missing, "missing".to_owned(), count);
        match (&self.spec.kind, self.counts) {
            (KindSpec::Numeric(spec), Counts::Numeric(counts)) => {
                let line = line(spec, counts, most).into_iter();
                let line = line.map(|(kind, label, count)| cell(kind, label, count));
                std::iter::once(missing(counts.missing())).chain(line).collect()
            }
            (kind, Counts::Categories(counts)) => {
                let values = value_labels(kind).into_iter().zip(&counts.values);
                let values = values.map(|(label, count)| cell(CellKind::Value, label, *count));
                let other = cell(CellKind::Other, "other".to_owned(), counts.other);
                std::iter::once(missing(counts.null)).chain(values).chain([other]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// How many rows each of its [`cells`](Self::cells) holds, which is faster than asking for
    /// those.
    pub fn counts(&self) -> Vec<u64> {
        let counts = |first, line: &mut dyn Iterator<Item = u64>| {
            std::iter::once(first).chain(line).collect()
        };
        match self.counts {
            Counts::Numeric(own) => {
                counts(own.missing(), &mut own.line.iter().map(|cell| cell.count))
            }
            Counts::Categories(own) => {
                counts(own.null, &mut own.values.iter().copied().chain([own.other]))
            }
        }
    }

    /// Its cells for arithmetic: those along a line have no labels, which take longer to write than
    /// a thousand cells to count.
    pub(crate) fn counted_cells(&self) -> Vec<CellView> {
        let Counts::Numeric(counts) = self.counts else { return self.cells() };
        let label: Arc<str> = "".into();
        let cell = |kind, count| CellView { kind, label: Arc::clone(&label), count };
        let mut cells = vec![cell(CellKind::Missing, counts.missing())];
        cells.push(cell(CellKind::Below, count_of(counts.line.first())));
        cells.extend(counts.cells().iter().map(|own| cell(CellKind::Value, own.count)));
        cells.push(cell(CellKind::Above, count_of(counts.line.last())));
        cells
    }

    /// The counts of [`coarse_cells`](Self::coarse_cells).
    pub(crate) fn coarse_counts(&self, most: usize) -> Vec<u64> {
        match (&self.spec.kind, self.counts) {
            (KindSpec::Numeric(spec), Counts::Numeric(counts)) => {
                let mut coarse = vec![counts.missing(), count_of(counts.line.first())];
                let mut start = 0;
                for end in spec.groups(most) {
                    coarse.push(counts.cells()[start..end].iter().map(|cell| cell.count).sum());
                    start = end;
                }
                coarse.push(count_of(counts.line.last()));
                coarse
            }
            (_, Counts::Categories(counts)) => {
                let values = counts.values.iter().copied();
                std::iter::once(counts.null).chain(values).chain([counts.other]).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Number, mean and variance of a numeric column's values.
    pub fn moments(&self) -> Option<Moments> {
        match (&self.spec.kind, self.counts) {
            (KindSpec::Numeric(spec), Counts::Numeric(counts)) => Some(counts.moments(spec)),
            _ => None,
        }
    }

    /// A numeric column's cells with what is kept of their values, for
    /// [distances with bounds](crate::tests::cells).
    pub fn line(&self) -> Option<Line> {
        let (KindSpec::Numeric(spec), Counts::Numeric(counts)) = (&self.spec.kind, self.counts)
        else {
            return None;
        };
        Some(counts.values(spec).collect())
    }

    /// Least and largest value of a numeric column, if it has any.
    pub fn range(&self) -> Option<(f64, f64)> {
        let Counts::Numeric(counts) = self.counts else { return None };
        let held = || counts.line.iter().filter(|cell| cell.count > 0);
        let first = held().next()?.min;
        held().next_back().map(|last| (first, last.max))
    }
}

/// The cells along the line, what they are called, and their counts.
fn line(spec: &NumericSpec, counts: &NumericCounts, most: usize) -> Vec<(CellKind, String, u64)> {
    let mut line =
        vec![(CellKind::Below, format!("< {}", Short(spec.least)), count_of(counts.line.first()))];
    let (mut start, mut open) = (0, None);
    for end in spec.groups(most) {
        let count = counts.cells()[start..end].iter().map(|cell| cell.count).sum();
        let last = spec.cuts[end - 1];
        line.push((CellKind::Value, range(spec.least, open, last), count));
        (start, open) = (end, Some(last));
    }
    let above = open.map_or_else(|| "any".to_owned(), |last| format!("> {}", Short(last)));
    line.push((CellKind::Above, above, count_of(counts.line.last())));
    line
}

fn count_of(cell: Option<&Cell>) -> u64 {
    cell.map_or(0, |cell| cell.count)
}

/// `[least, upto]` of the first cell, `(after, upto]` of others.
fn range(least: f64, after: Option<f64>, upto: f64) -> String {
    match after {
        Some(border) => format!("({}, {}]", Short(border), Short(upto)),
        None if least < upto => format!("[{}, {}]", Short(least), Short(upto)),
        None => Short(upto).to_string(),
    }
}

fn value_labels(kind: &KindSpec) -> Vec<String> {
    match kind {
        KindSpec::Codes(codes) => codes.iter().map(ToString::to_string).collect(),
        KindSpec::Texts(texts) => texts.iter().map(ToString::to_string).collect(),
        KindSpec::Numeric(_) => Vec::new(),
    }
}

/// A number to five significant digits, for people.
struct Short(f64);

impl fmt::Display for Short {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(value) = self;
        if *value == 0.0 || !value.is_finite() || (1e-4..1e15).contains(&value.abs()) {
            let rounded: f64 = format!("{value:.4e}").parse().unwrap_or(*value);
            // Whole numbers keep all their digits: codes and years are read as such.
            return if value.fract() == 0.0 {
                write!(f, "{value}")
            } else {
                write!(f, "{rounded}")
            };
        }
        write!(f, "{value:.4e}")
    }
}
