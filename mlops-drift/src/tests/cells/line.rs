//! Two columns' cells side by side: what is known of the values along one line.

use super::super::{MAX_ROWS, real};
use mlops_core::{Error, Result};

/// What is known of the values of one side that fell into one cell.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CellValues {
    /// How many there are.
    pub count: u64,
    /// The least; meaningless in an empty cell.
    pub min: f64,
    /// The largest; meaningless in an empty cell.
    pub max: f64,
    /// What was taken from each before it was added up.
    pub anchor: f64,
    /// The sum of what was left.
    pub sum: f64,
    /// How far that sum may be from the true one; infinite if it is not known.
    pub error: f64,
}

/// A column's cells, ascending.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line(pub(super) Vec<CellValues>);

impl Line {
    /// What is known of each cell's values, ascending.
    pub(crate) fn into_cells(self) -> Vec<CellValues> {
        self.0
    }
}

impl FromIterator<CellValues> for Line {
    fn from_iter<T: IntoIterator<Item = CellValues>>(cells: T) -> Self {
        Self(cells.into_iter().collect())
    }
}

/// The cells of a reference and of a window along one line.
#[derive(Clone, Debug)]
pub struct LinePair {
    /// Rows of the reference and of the window.
    pub(super) n: u64,
    pub(super) m: u64,
    /// Ascending; their ranges do not touch.
    pub(super) segments: Vec<Segment>,
}

/// A range of the line.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Segment {
    /// Every value is known: groups of equal values, ascending.
    Known(Vec<Group>),
    /// What is known of either side.
    Sums { reference: CellValues, window: CellValues },
}

/// Equal values: how many of the reference and of the window.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Group {
    pub(super) value: f64,
    pub(super) reference: u64,
    pub(super) window: u64,
}

impl LinePair {
    /// The cells of both sides, which must be the same cells, else it is `InvalidInput`; more rows
    /// than [`MAX_ROWS`] on a side are `TooLarge`.
    ///
    /// Nothing is assumed of where cells were cut: those whose values overlap count as one.
    pub fn new(reference: &Line, window: &Line) -> Result<Self> {
        let (left, right) = (reference.0.len(), window.0.len());
        if left != right {
            return Err(Error::invalid(format!(
                "the reference has {left} cells, the window {right}: they must be the same cells"
            )));
        }
        let mut merged: Vec<(CellValues, CellValues)> = Vec::with_capacity(left);
        for (a, b) in reference.0.iter().zip(&window.0) {
            if a.count == 0 && b.count == 0 {
                continue;
            }
            let mut next = (*a, *b);
            // Cells of mixed precision may overlap their neighbours.
            while let Some(before) = merged.pop_if(|before| highest(before) >= lowest(&next)) {
                next = (before.0.and(next.0), before.1.and(next.1));
            }
            merged.push(next);
        }
        let (n, m) = (rows(reference)?, rows(window)?);
        let segments = merged.into_iter().flat_map(|(a, b)| segments(a, b)).collect();
        Ok(Self { n, m, segments })
    }

    /// Rows of the reference and of the window that hold a number.
    pub fn rows(&self) -> (u64, u64) {
        (self.n, self.m)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.n == 0 || self.m == 0
    }

    /// The segments, each with where the walk along the line stands before it.
    pub(super) fn walk(&self) -> impl Iterator<Item = (Place, &Segment)> {
        let mut at = Place { n: self.n, m: self.m, i: 0, j: 0 };
        self.segments.iter().map(move |segment| {
            let before = at;
            let (reference, window) = segment.rows();
            at = at.after(reference, window);
            (before, segment)
        })
    }

    /// The sizes of the groups of equal values, ascending, those not known taken for different.
    pub(super) fn group_sizes(&self) -> impl Iterator<Item = u64> {
        self.segments.iter().flat_map(|segment| {
            let (known, unknown) = match segment {
                Segment::Known(groups) => (groups.as_slice(), 0),
                Segment::Sums { .. } => (&[][..], segment.rows().0 + segment.rows().1),
            };
            let sizes = known.iter().map(|group| group.reference + group.window);
            sizes.chain((0..unknown).map(|_| 1))
        })
    }

    pub(super) fn all_known(&self) -> bool {
        self.segments.iter().all(|segment| matches!(segment, Segment::Known(_)))
    }
}

/// Rows of either side up to here.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place {
    pub(super) n: u64,
    pub(super) m: u64,
    pub(super) i: u64,
    pub(super) j: u64,
}

impl Place {
    pub(super) fn after(self, reference: u64, window: u64) -> Self {
        Self { i: self.i + reference, j: self.j + window, ..self }
    }

    /// i·m − j·n: the difference of the distribution functions, times n·m.
    pub(super) fn apart(self) -> i128 {
        i128::from(self.i) * i128::from(self.m) - i128::from(self.j) * i128::from(self.n)
    }

    /// The difference of the distribution functions.
    pub(super) fn difference(self) -> f64 {
        fraction(self.apart(), self.n, self.m)
    }

    /// Rows of both sides.
    pub(super) fn pooled(self) -> u64 {
        self.i + self.j
    }

    /// The least and the largest that [`apart`](Self::apart) can be on the way through so many
    /// rows.
    pub(super) fn reach(self, reference: u64, window: u64) -> (i128, i128) {
        (self.after(0, window).apart(), self.after(reference, 0).apart())
    }
}

/// A whole number over n·m.
pub(super) fn fraction(apart: i128, n: u64, m: u64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rounded once, as any quotient is")]
    let apart = apart as f64;
    apart / real(n) / real(m)
}

impl Segment {
    /// Rows of the reference and of the window.
    pub(super) fn rows(&self) -> (u64, u64) {
        match self {
            Self::Known(groups) => groups
                .iter()
                .fold((0, 0), |sum, group| (sum.0 + group.reference, sum.1 + group.window)),
            Self::Sums { reference, window } => (reference.count, window.count),
        }
    }

    /// Its least and its largest value.
    pub(super) fn range(&self) -> (f64, f64) {
        match self {
            Self::Known(groups) => {
                let value = |group: Option<&Group>| group.map_or(f64::NAN, |group| group.value);
                (value(groups.first()), value(groups.last()))
            }
            Self::Sums { reference, window } => {
                let both = (*reference, *window);
                (lowest(&both), highest(&both))
            }
        }
    }
}

impl CellValues {
    pub(super) const EMPTY: Self = Self {
        count: 0,
        min: f64::INFINITY,
        max: f64::NEG_INFINITY,
        anchor: 0.0,
        sum: 0.0,
        error: 0.0,
    };

    /// The values of both; sums move to this one's anchor.
    fn and(self, other: Self) -> Self {
        if self.count == 0 || other.count == 0 {
            return if self.count == 0 { other } else { self };
        }
        let moved = real(other.count) * (other.anchor - self.anchor);
        Self {
            count: self.count + other.count,
            min: self.min.min(other.min),
            max: self.max.max(other.max),
            anchor: self.anchor,
            sum: self.sum + other.sum + moved,
            error: self.error + other.error + 4.0 * f64::EPSILON * moved.abs(),
        }
    }

    /// All its values, where the least and the largest say what they are.
    fn known(&self) -> Option<Vec<(f64, u64)>> {
        match self.count {
            0 => Some(Vec::new()),
            _ if self.min.total_cmp(&self.max).is_eq() => Some(vec![(self.min, self.count)]),
            2 => Some(vec![(self.min, 1), (self.max, 1)]),
            _ => None,
        }
    }
}

fn lowest((a, b): &(CellValues, CellValues)) -> f64 {
    match (a.count, b.count) {
        (0, _) => b.min,
        (_, 0) => a.min,
        _ => a.min.min(b.min),
    }
}

fn highest((a, b): &(CellValues, CellValues)) -> f64 {
    match (a.count, b.count) {
        (0, _) => b.max,
        (_, 0) => a.max,
        _ => a.max.max(b.max),
    }
}

fn rows(line: &Line) -> Result<u64> {
    let total = line.0.iter().try_fold(0_u64, |sum, cell| sum.checked_add(cell.count));
    let total = total.filter(|total| *total <= MAX_ROWS);
    total.ok_or_else(|| Error::too_large(format!("the cells count over {MAX_ROWS} rows")))
}

/// A cell as one segment, or as two if one side lies below the other.
fn segments(reference: CellValues, window: CellValues) -> Vec<Segment> {
    if let (Some(a), Some(b)) = (reference.known(), window.known()) {
        return vec![Segment::Known(groups(&a, &b))];
    }
    let alone_reference = || segment(reference, CellValues::EMPTY);
    let alone_window = || segment(CellValues::EMPTY, window);
    match () {
        () if reference.count == 0 || window.count == 0 => vec![segment(reference, window)],
        () if reference.max < window.min => vec![alone_reference(), alone_window()],
        () if window.max < reference.min => vec![alone_window(), alone_reference()],
        () => vec![segment(reference, window)],
    }
}

fn segment(reference: CellValues, window: CellValues) -> Segment {
    match (reference.known(), window.known()) {
        (Some(a), Some(b)) => Segment::Known(groups(&a, &b)),
        _ => Segment::Sums { reference, window },
    }
}

/// Merges two ascending lists of values and how often each occurs.
pub(super) fn groups(reference: &[(f64, u64)], window: &[(f64, u64)]) -> Vec<Group> {
    let of = |list: &[(f64, u64)], is_reference: bool| -> Vec<Group> {
        let group = |(value, count): &(f64, u64)| Group {
            value: *value,
            reference: if is_reference { *count } else { 0 },
            window: if is_reference { 0 } else { *count },
        };
        list.iter().map(group).collect()
    };
    let mut all = of(reference, true);
    all.extend(of(window, false));
    all.sort_by(|a, b| a.value.total_cmp(&b.value));
    all.dedup_by(|next, kept| {
        let equal = next.value.total_cmp(&kept.value).is_eq();
        if equal {
            kept.reference += next.reference;
            kept.window += next.window;
        }
        equal
    });
    all
}
