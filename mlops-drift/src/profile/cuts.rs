//! The cells of a numeric column: where they are cut, and the units of their sums.

use super::{
    bins::{Bins, CachedBins},
    wire::{real, reals},
};
use mlops_core::arrow::{
    array::{ArrowPrimitiveType, types::Float16Type},
    schema::DataType,
};
use serde::{Deserialize, Serialize};

/// Borders along a line, and the units of its fixed-point sums.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct NumericSpec {
    /// The reference's least value; meaningless without cuts.
    #[serde(with = "real")]
    pub(super) least: f64,
    /// Cell `i` holds the values up to and including `cuts[i]`; strictly ascending; the last is
    /// the reference's largest value.
    #[serde(with = "reals")]
    pub(super) cuts: Vec<f64>,
    /// What is taken from every value before its square is added up.
    #[serde(with = "real")]
    pub(super) centre: f64,
    /// Squares count units of 2^−exponent.
    pub(super) exponent: i32,
    /// How fine the reference's numbers were.
    pub(super) precision: Precision,
    /// How many of the values that made the cells lie at or below each cut. Empty in cells of
    /// version 1, which did not know it and whose sums are in the unit of the squares.
    #[serde(skip)]
    pub(super) ranks: Vec<u64>,
    #[serde(skip)]
    pub(super) cached: CachedBins,
}

/// The largest exponent, either way: its power of two is an ordinary float.
const MAX_EXPONENT: i32 = 1000;
/// The reference's furthest value from the centre counts between 2³³ and 2³⁴ units.
const REFERENCE_BITS: i32 = 34;
/// In squares, values are taken to be within this many units of the centre: a thousand times
/// further out than any of the reference. 2³⁸ rows of 2⁸⁸ squared units still fit 128 bits.
pub(super) const MAX_UNITS: i64 = 1 << 44;
/// A cell of version 2 is between 2⁴² and 2⁴³ units wide: its sum is as good as one of floats.
const CELL_BITS: i32 = 43;
/// Below and above the reference, its whole range is between 2³⁹ and 2⁴⁰ units.
const OUTSIDE_BITS: i32 = 40;
/// In sums, values are taken to be within this many units of their cell's anchor: outside of the
/// reference a thousand of its ranges. 2³⁸ rows of them fit 128 bits.
pub(super) const MAX_SUM_UNITS: i64 = 1 << 50;

/// Where a cell's sum starts from, and its unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) anchor: f64,
    pub(super) exponent: i32,
    /// At most so many units from the anchor, either way.
    pub(super) most: i64,
}

impl NumericSpec {
    /// Cuts at the quantiles of these sorted values, at every value if there are at most
    /// `max_cells` different ones. A value that is two quantiles at once has a cell of its own.
    pub(super) fn of(sorted: &[f64], max_cells: usize, precision: Precision) -> Self {
        let mut cuts = sorted.to_vec();
        cuts.dedup();
        if cuts.len() > max_cells {
            cuts = quantiles(sorted, max_cells);
        }
        let middle = sorted.get(sorted.len() / 2).copied().filter(|value| value.is_finite());
        let centre = middle.unwrap_or(0.0);
        let away = |value: &f64| (value - centre).abs();
        let furthest = sorted.iter().map(away).filter(|d| d.is_finite()).fold(0.0, f64::max);
        let unit_of = if furthest > 0.0 { furthest } else { centre.abs().max(1.0) };
        let exponent = bounded(REFERENCE_BITS - magnitude(unit_of));
        let least = sorted.first().copied().unwrap_or(0.0);
        let rank = |cut: &f64| sorted.partition_point(|value| value <= cut) as u64;
        let ranks = cuts.iter().map(rank).collect();
        Self { least, cuts, centre, exponent, precision, ranks, cached: CachedBins::default() }
    }

    /// Where values of an array of this precision are cut: both sides are rounded to the coarser
    /// precision of the two, so that 0.1 falls into its cell whether it was a double in the
    /// reference and passed a tensor of singles on the way to the window, or the reverse.
    pub(super) fn borders(&self, of_array: Precision) -> Borders {
        let precision = self.precision.min(of_array);
        let cuts = self.cuts.iter().map(|cut| precision.round(*cut)).collect();
        Borders { least: precision.round(self.least), cuts, precision }
    }

    /// What finds the cell of a value of an array of this precision.
    pub(super) fn bins(&self, of_array: Precision) -> &Bins {
        self.cached.of(self, of_array)
    }

    /// Whether it could have been made by a fit.
    pub(super) fn is_sound(&self) -> bool {
        let numbers = !self.least.is_nan() && self.centre.is_finite();
        let ordered =
            self.cuts.is_sorted_by(|a, b| a < b) && !self.cuts.iter().any(|cut| cut.is_nan());
        let first = self.cuts.first().is_none_or(|first| self.least <= *first);
        let ranked = self.ranks.is_empty() || self.ranks.len() == self.cuts.len();
        let ranked = ranked && self.ranks.is_sorted_by(|a, b| a < b);
        numbers
            && ordered
            && first
            && ranked
            && (-MAX_EXPONENT..=MAX_EXPONENT).contains(&self.exponent)
    }

    /// The scale of the sums of each cell along the line: below, the cells, above. All have one
    /// bound of units.
    pub(super) fn scales(&self) -> Vec<Scale> {
        let known = self.cuts.last().filter(|_| !self.ranks.is_empty());
        let Some(last) = known else {
            return vec![self.of_squares(); self.cuts.len() + 2];
        };
        let mut scales = Vec::with_capacity(self.cuts.len() + 2);
        let outside = |anchor| self.scale(anchor, last - self.least, OUTSIDE_BITS);
        scales.push(outside(self.least));
        let mut lower = self.least;
        for cut in &self.cuts {
            scales.push(self.scale(lower, cut - lower, CELL_BITS));
            lower = *cut;
        }
        scales.push(outside(*last));
        scales
    }

    /// A scale in which a width is of so many bits; that of the squares where there is none.
    fn scale(&self, anchor: f64, width: f64, bits: i32) -> Scale {
        if !(anchor.is_finite() && width.is_finite()) {
            return Scale { most: MAX_SUM_UNITS, ..self.of_squares() };
        }
        // A cell of one value may hold its neighbours at a coarser precision.
        let one = if anchor == 0.0 { 1.0 } else { anchor.abs() };
        let width = if width > 0.0 { width } else { one };
        let exponent = bounded(bits - magnitude(width));
        Scale { anchor, exponent, most: MAX_SUM_UNITS }
    }

    pub(super) fn of_squares(&self) -> Scale {
        Scale { anchor: self.centre, exponent: self.exponent, most: MAX_UNITS }
    }

    /// Which cells make up `most` groups of about as many of the reference's values each: the ends
    /// of the groups. By the cells' number where the cells do not know their ranks.
    pub(super) fn groups(&self, most: usize) -> Vec<usize> {
        let (cells, most) = (self.cuts.len(), most.max(1));
        if cells <= most {
            return (1..=cells).collect();
        }
        let Some(values) = self.ranks.last() else {
            return (1..=most).map(|group| group * cells / most).collect();
        };
        let end = |group: usize| {
            let share = u128::from(*values) * group as u128;
            self.ranks.partition_point(|rank| u128::from(*rank) * (most as u128) < share) + 1
        };
        let mut ends: Vec<usize> = (1..=most).map(end).collect();
        ends.dedup();
        ends
    }
}

/// At most so many cuts: quantiles, and what lies just before a value that is two of them.
fn quantiles(sorted: &[f64], max_cells: usize) -> Vec<f64> {
    // The j-th of k quantiles is the value with rank ⌈j·n/k⌉.
    let rank = |j: usize| (j * sorted.len()).div_ceil(max_cells);
    let all = (1..=max_cells).filter_map(|j| sorted.get(rank(j) - 1).copied());
    let mut cuts: Vec<f64> = Vec::with_capacity(max_cells);
    let mut apart = None;
    for value in all {
        if cuts.last() != Some(&value) {
            cuts.push(value);
        } else if apart != Some(value) {
            // The second quantile at this value; its cut takes the place that it leaves.
            apart = Some(value);
            let before = sorted.partition_point(|other| *other < value).checked_sub(1);
            let before = before.and_then(|at| sorted.get(at)).copied();
            let at = cuts.len() - 1;
            if let Some(before) = before.filter(|before| at == 0 || cuts[at - 1] < *before) {
                cuts.insert(at, before);
            }
        }
    }
    cuts
}

impl Scale {
    /// Units in a length of 1.
    pub(super) fn factor(self) -> f64 {
        power_of_two(self.exponent)
    }

    /// The length of one unit.
    pub(super) fn unit(self) -> f64 {
        power_of_two(-self.exponent)
    }

    /// How many units the value lies from the anchor, at most `most` either way; ties to even.
    #[cfg(test)]
    pub(super) fn units(self, value: f64) -> i64 {
        whole(value - self.anchor, self.factor(), end(self.most))
    }
}

/// A bound of units as a float, which holds it exactly.
pub(super) fn end(most: i64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a power of two")]
    let end = most as f64;
    end
}

/// 1.5·2⁵²: added to a smaller number, it leaves no place for a fraction, and the whole number stands
/// in the lowest bits. This needs no instruction beyond a plain addition.
pub(super) const ROUNDER: f64 = 6_755_399_441_055_744.0;

/// `distance · factor` as a whole number, at most `end` either way, which is under 2⁵¹; ties to
/// even. Anchors are finite, so `distance` is never NaN.
#[inline]
pub(super) fn whole(distance: f64, factor: f64, end: f64) -> i64 {
    let bounded = smaller(larger(distance * factor, -end), end);
    (bounded + ROUNDER).to_bits().cast_signed() - ROUNDER.to_bits().cast_signed()
}

/// The larger of two numbers, the second if there is a NaN: one instruction, unlike `f64::max`.
#[inline]
pub(super) fn larger(a: f64, b: f64) -> f64 {
    if a > b { a } else { b }
}

/// The smaller of two numbers, the second if there is a NaN.
#[inline]
pub(super) fn smaller(a: f64, b: f64) -> f64 {
    if a < b { a } else { b }
}

fn bounded(exponent: i32) -> i32 {
    exponent.clamp(-MAX_EXPONENT, MAX_EXPONENT)
}

/// 2^exponent, from the bits: the same on every machine. The exponent is within
/// [`MAX_EXPONENT`].
fn power_of_two(exponent: i32) -> f64 {
    f64::from_bits(u64::try_from(1023 + exponent).map_or(0, |biased| biased << 52))
}

/// A column's borders as values of one precision meet them.
pub(super) struct Borders {
    pub(super) least: f64,
    /// Ascending; rounding may have made neighbours equal.
    pub(super) cuts: Vec<f64>,
    pub(super) precision: Precision,
}

/// How fine numbers are, coarsest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Precision {
    Half,
    Single,
    Double,
}

impl Precision {
    pub(super) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Float16 => Self::Half,
            DataType::Float32 => Self::Single,
            _ => Self::Double,
        }
    }

    pub(super) fn round(self, value: f64) -> f64 {
        type Half = <Float16Type as ArrowPrimitiveType>::Native;
        #[expect(clippy::cast_possible_truncation, reason = "rounding is what it is for")]
        match self {
            Self::Half => Half::from_f64(value).to_f64(),
            Self::Single => f64::from(value as f32),
            Self::Double => value,
        }
    }
}

/// The least `e` with |value| < 2^e, from the bits: the same on every machine.
fn magnitude(value: f64) -> i32 {
    let biased = (value.to_bits() >> 52) & 0x7ff;
    i32::try_from(biased).map_or(0, |biased| biased - 1022)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_values_make_sound_cells(
            mut values in prop::collection::vec(prop_oneof![any::<f64>(), (-9_i8..9).prop_map(f64::from)], 0..300),
            max_cells in 1_usize..80,
        ) {
            values.retain(|value| !value.is_nan());
            for value in &mut values {
                *value += 0.0;
            }
            values.sort_unstable_by(f64::total_cmp);
            let spec = NumericSpec::of(&values, max_cells, Precision::Double);
            prop_assert!(spec.is_sound() && spec.cuts.len() <= max_cells, "{spec:?}");
            prop_assert_eq!(spec.cuts.last(), values.last());
            prop_assert_eq!(spec.ranks.last().copied().unwrap_or(0), values.len() as u64);
            let scales = spec.scales();
            prop_assert_eq!(scales.len(), spec.cuts.len() + 2);
            for value in values {
                for scale in scales.iter().chain([&spec.of_squares()]) {
                    prop_assert!(scale.units(value).abs() <= scale.most);
                }
            }
            let groups = spec.groups(5);
            prop_assert!(groups.is_sorted_by(|a, b| a < b) && groups.len() <= 5);
            prop_assert_eq!(groups.last().copied().unwrap_or(0), spec.cuts.len());
        }

        #[test]
        fn whole_numbers_are_rounded_as_floats_are(value in -1e12_f64..1e12, exponent in -4_i32..4) {
            let factor = power_of_two(exponent);
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let ours = whole(value, factor, end(MAX_SUM_UNITS)) as f64;
            let theirs = (value * 2_f64.powi(exponent)).round_ties_even();
            prop_assert_eq!(ours.to_bits(), (theirs + 0.0).to_bits());
        }
    }

    #[test]
    fn a_frequent_value_has_a_cell_of_its_own() {
        // Half of the values are 3.
        let mut values: Vec<f64> = (0..1000).map(|at| f64::from(at) / 100.0).collect();
        values.extend([3.0; 1000]);
        values.sort_unstable_by(f64::total_cmp);
        let spec = NumericSpec::of(&values, 64, Precision::Double);
        let at = spec.cuts.iter().position(|cut| (*cut - 3.0).abs() < 1e-9).unwrap();
        assert!((spec.cuts[at - 1] - 2.99).abs() < 1e-12, "{:?}", spec.cuts);
        assert_eq!(spec.ranks[at] - spec.ranks[at - 1], 1001);
        // Of four quarters two end in the frequent value.
        assert_eq!(spec.groups(4).len(), 3);
    }

    #[test]
    fn whole_numbers_are_added_exactly() {
        let values: Vec<f64> = (0..50_000).map(f64::from).collect();
        let spec = NumericSpec::of(&values, 64, Precision::Double);
        for scale in spec.scales() {
            for value in [0.0, 7.0, 49_999.0] {
                #[expect(clippy::cast_precision_loss, reason = "small")]
                let back = scale.units(value) as f64 * scale.unit() + scale.anchor;
                let near = (value - scale.anchor).abs() < 1000.0;
                assert!(!near || back.to_bits() == value.to_bits(), "{value} {scale:?}");
            }
        }
    }
}
