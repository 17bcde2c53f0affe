//! The Wasserstein-1 distance between bounds.

use super::{
    super::real,
    Certified, LinePair,
    line::{CellValues, Group, Place, Segment, fraction},
};

impl LinePair {
    /// The Wasserstein-1 (earth mover's) distance ∫ |F − G| in the unit of the values; `None` if
    /// either side is empty.
    ///
    /// Where the difference of the distribution functions keeps its sign inside a cell, its
    /// integral follows from the sums; elsewhere it is at least the integral's absolute value and
    /// at most what the largest and the least difference allow at that integral. Infinite if the
    /// sides have different shares of infinite values.
    pub fn wasserstein(&self) -> Option<Certified> {
        if self.is_empty() {
            return None;
        }
        let (mut low, mut high, mut decided) = (0.0, 0.0, true);
        let mut before: Option<f64> = None;
        for (at, segment) in self.walk() {
            let (first, last) = segment.range();
            let gap = before.map_or(0.0, |before| area(at, first - before));
            let inside = inside(at, segment);
            low += gap + inside.low;
            high += gap + inside.high;
            decided &= inside.exact;
            before = Some(last);
        }
        // Two infinities are equal, and their difference is not.
        let met = high <= low + ROUNDING * high;
        Some(Certified::new(low, high, decided && met))
    }

    /// Which segments have an integral that may change its sign inside, or sums too coarse for a
    /// distance as small as this.
    pub(super) fn wasserstein_undecided(&self) -> Vec<bool> {
        let bounds = self.wasserstein();
        let (least, largest) = bounds.map_or((0.0, 0.0), |bounds| (bounds.low, bounds.high));
        // Of the least that the distance may turn out to be, once the others are known.
        let share = ROUNDING * least / real(self.segments.len() as u64);
        let open = |(at, segment)| {
            let inside = inside(at, segment);
            let met = inside.high <= inside.low + share;
            !(inside.exact && met && largest.is_finite()) && matches!(segment, Segment::Sums { .. })
        };
        self.walk().map(open).collect()
    }
}

/// A stretch of the line, and what of a distance lies there.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Stretch {
    /// Where it starts.
    pub from: f64,
    /// Where it ends.
    pub to: f64,
    /// The area between the distribution functions there.
    pub area: Certified,
    /// The same with its sign: positive where the window's values are the larger ones. All of them
    /// add up to the mean of the window less that of the reference.
    pub moved: f64,
}

impl LinePair {
    /// The Wasserstein distance along the line, ascending: areas add up to
    /// [`wasserstein`](Self::wasserstein)'s bounds. `None` if either side has no value, or one that
    /// is infinite or too far out to be summed.
    pub fn wasserstein_stretches(&self) -> Option<Vec<Stretch>> {
        if self.is_empty() {
            return None;
        }
        let mut stretches = Vec::with_capacity(2 * self.segments.len());
        let mut before: Option<f64> = None;
        for (at, segment) in self.walk() {
            let (first, last) = segment.range();
            if let Some(from) = before {
                let moved = if at.apart() == 0 { 0.0 } else { at.difference() * (first - from) };
                let area = Certified::new(moved.abs(), moved.abs(), true);
                stretches.push(Stretch { from, to: first, area, moved });
            }
            let (area, moved) = (inside(at, segment), moved_inside(at, segment));
            stretches.push(Stretch { from: first, to: last, area, moved });
            before = Some(last);
        }
        let finite = |s: &Stretch| s.area.high.is_finite() && s.moved.is_finite();
        stretches.iter().all(finite).then_some(stretches)
    }
}

/// The integral of the difference of the distribution functions.
fn moved_inside(mut at: Place, segment: &Segment) -> f64 {
    match segment {
        Segment::Known(groups) => {
            let mut sum = 0.0;
            for pair in groups.windows(2) {
                at = at.after(pair[0].reference, pair[0].window);
                let width = pair[1].value - pair[0].value;
                sum += if at.apart() == 0 { 0.0 } else { at.difference() * width };
            }
            sum
        }
        Segment::Sums { reference, window } => {
            let (first, last) = segment.range();
            let (left, right) = (below(reference, last, at.n).0, below(window, last, at.m).0);
            at.difference() * (last - first) + left - right
        }
    }
}

/// Bounds so close, as a share of the distance, have met.
const ROUNDING: f64 = 1e-11;

/// The absolute difference along a width without values, which may be infinite.
fn area(at: Place, width: f64) -> f64 {
    if at.apart() == 0 { 0.0 } else { at.difference().abs() * width }
}

fn inside(at: Place, segment: &Segment) -> Certified {
    match segment {
        Segment::Known(groups) => {
            let sum = between(at, groups);
            Certified::new(sum, sum, true)
        }
        Segment::Sums { reference, window } => bounds(at, reference, window, segment.range()),
    }
}

fn between(mut at: Place, groups: &[Group]) -> f64 {
    let mut sum = 0.0;
    for pair in groups.windows(2) {
        at = at.after(pair[0].reference, pair[0].window);
        sum += area(at, pair[1].value - pair[0].value);
    }
    sum
}

fn bounds(
    at: Place,
    reference: &CellValues,
    window: &CellValues,
    (first, last): (f64, f64),
) -> Certified {
    let width = last - first;
    let known = reference.error.is_finite() && window.error.is_finite();
    if !(width.is_finite() && known) {
        return Certified::new(0.0, f64::INFINITY, false);
    }
    let (left, left_error) = below(reference, last, at.n);
    let (right, right_error) = below(window, last, at.m);
    let start = at.difference() * width;
    let integral = start + left - right;
    let error = left_error + right_error + 4.0 * f64::EPSILON * start.abs();
    let (lowest, highest) = at.reach(reference.count, window.count);
    if lowest >= 0 || highest <= 0 {
        let area = integral.abs();
        return Certified::new((area - error).max(0.0), area + error, true);
    }
    // The largest ∫ |d| of a function between `lowest` and `highest` with this integral takes on
    // nothing but those two values.
    let (lowest, highest) = (fraction(lowest, at.n, at.m), fraction(highest, at.n, at.m));
    let share = ((integral - lowest * width) / (highest - lowest)).clamp(0.0, width);
    let largest = share * highest - (width - share) * lowest;
    let largest = largest.min(width * highest.max(-lowest)) + error;
    Certified::new((integral.abs() - error).max(0.0), largest, false)
}

/// Σ (last − value) / rows, and how far that may be off.
fn below(values: &CellValues, last: f64, rows: u64) -> (f64, f64) {
    if values.count == 0 {
        return (0.0, 0.0);
    }
    let all = real(values.count) * (last - values.anchor);
    let error = values.error + 4.0 * f64::EPSILON * (all.abs() + values.sum.abs());
    ((all - values.sum) / real(rows), error / real(rows))
}
