//! The cells of a profile: made once from a reference, shared by every window beside it.

use super::{
    rows::Content,
    wire::{real, reals},
};
use mlops_core::{
    Error, Result,
    arrow::{
        array::{ArrowPrimitiveType, types::Float16Type},
        schema::DataType,
    },
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Which columns a profile has, and where the borders of their cells lie.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProfileSpec {
    pub(super) columns: Vec<ColumnSpec>,
}

/// One column's cells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct ColumnSpec {
    pub(super) name: Arc<str>,
    pub(super) kind: KindSpec,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum KindSpec {
    Numeric(NumericSpec),
    /// Listed codes, ascending.
    Codes(Vec<i64>),
    /// Listed texts, ascending.
    Texts(Vec<Arc<str>>),
}

/// Borders along a line, and the unit of its fixed-point sums.
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
    /// What is taken from every value before it is added up.
    #[serde(with = "real")]
    pub(super) centre: f64,
    /// Sums count units of 2^−exponent.
    pub(super) exponent: i32,
    /// How fine the reference's numbers were.
    pub(super) precision: Precision,
}

impl ProfileSpec {
    /// The names of its columns, in order.
    pub fn names(&self) -> impl Iterator<Item = &Arc<str>> {
        self.columns.iter().map(|column| &column.name)
    }

    /// Whether it could have been made by a fit.
    pub(super) fn check(&self) -> Result<()> {
        for (index, column) in self.columns.iter().enumerate() {
            if self.columns[..index].iter().any(|earlier| earlier.name == column.name) {
                return Err(Error::corrupt(format!("column {:?} appears twice", column.name)));
            }
            let sound = match &column.kind {
                KindSpec::Numeric(numeric) => numeric.is_sound(),
                KindSpec::Codes(codes) => codes.is_sorted_by(|a, b| a < b),
                KindSpec::Texts(texts) => texts.is_sorted_by(|a, b| a < b),
            };
            if !sound {
                return Err(Error::corrupt(format!(
                    "column {:?}: cells out of order",
                    column.name
                )));
            }
        }
        Ok(())
    }
}

impl KindSpec {
    /// Whether a column of this content can be counted; if not, what can.
    pub(super) fn accepts(&self, content: Content) -> Result<(), &'static str> {
        match self {
            Self::Texts(_) if matches!(content, Content::Text | Content::Null) => Ok(()),
            Self::Texts(_) => Err("text"),
            Self::Numeric(_) | Self::Codes(_) if content.is_number() => Ok(()),
            Self::Numeric(_) => Err("numbers"),
            Self::Codes(_) => Err("whole numbers"),
        }
    }
}

/// The largest exponent, either way: its power of two is an ordinary float.
const MAX_EXPONENT: i32 = 1000;
/// The reference's furthest value from the centre counts between 2³³ and 2³⁴ units.
const REFERENCE_BITS: i32 = 34;
/// Values are taken to be within this many units of the centre: a thousand times further out than
/// any of the reference. 2³⁸ rows of 2⁸⁸ squared units still fit 128 bits.
pub(super) const MAX_UNITS: i64 = 1 << 44;

impl NumericSpec {
    /// Cuts at the quantiles of these sorted values, at every value if there are at most
    /// `max_cells` different ones.
    pub(super) fn of(sorted: &[f64], max_cells: usize, precision: Precision) -> Self {
        let mut cuts = sorted.to_vec();
        cuts.dedup();
        if cuts.len() > max_cells {
            // The j-th of k quantiles is the value with rank ⌈j·n/k⌉.
            let rank = |j: usize| (j * sorted.len()).div_ceil(max_cells);
            cuts = (1..=max_cells).filter_map(|j| sorted.get(rank(j) - 1).copied()).collect();
            cuts.dedup();
        }
        let middle = cuts.get(cuts.len() / 2).copied().filter(|value| value.is_finite());
        let centre = middle.unwrap_or(0.0);
        let away = |value: &f64| (value - centre).abs();
        let furthest = sorted.iter().map(away).filter(|d| d.is_finite()).fold(0.0, f64::max);
        let unit_of = if furthest > 0.0 { furthest } else { centre.abs().max(1.0) };
        let exponent = (REFERENCE_BITS - magnitude(unit_of)).clamp(-MAX_EXPONENT, MAX_EXPONENT);
        let least = sorted.first().copied().unwrap_or(0.0);
        Self { least, cuts, centre, exponent, precision }
    }

    /// Where values of an array of this precision are cut: both sides are rounded to the coarser
    /// precision of the two, so that 0.1 falls into its cell whether it was a double in the
    /// reference and passed a tensor of singles on the way to the window, or the reverse.
    pub(super) fn borders(&self, of_array: Precision) -> Borders {
        let precision = self.precision.min(of_array);
        let cuts = self.cuts.iter().map(|cut| precision.round(*cut)).collect();
        Borders { least: precision.round(self.least), cuts, precision }
    }

    fn is_sound(&self) -> bool {
        let numbers = !self.least.is_nan() && self.centre.is_finite();
        let ordered =
            self.cuts.is_sorted_by(|a, b| a < b) && !self.cuts.iter().any(|cut| cut.is_nan());
        let first = self.cuts.first().is_none_or(|first| self.least <= *first);
        numbers && ordered && first && self.exponent.abs() <= MAX_EXPONENT
    }

    /// How many units the value lies from the centre, at most [`MAX_UNITS`] either way.
    pub(super) fn units(&self, value: f64) -> i64 {
        #[expect(clippy::cast_precision_loss, reason = "a power of two")]
        const END: f64 = MAX_UNITS as f64;
        let units = ((value - self.centre) * 2_f64.powi(self.exponent)).round_ties_even();
        #[expect(clippy::cast_possible_truncation, reason = "whole and in range")]
        let whole = units.clamp(-END, END) as i64;
        whole
    }

    /// The length of one unit.
    pub(super) fn unit(&self) -> f64 {
        2_f64.powi(-self.exponent)
    }
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
        fn any_values_make_sound_cells(mut values in prop::collection::vec(any::<f64>(), 0..300)) {
            values.retain(|value| !value.is_nan());
            values.sort_unstable_by(f64::total_cmp);
            let spec = NumericSpec::of(&values, 64, Precision::Double);
            prop_assert!(spec.is_sound() && spec.cuts.len() <= 64);
            prop_assert_eq!(spec.cuts.last(), values.last());
            for value in values {
                prop_assert!(spec.units(value).abs() <= MAX_UNITS);
            }
        }
    }

    #[test]
    fn whole_numbers_are_added_exactly() {
        let values: Vec<f64> = (0..50_000).map(f64::from).collect();
        let spec = NumericSpec::of(&values, 64, Precision::Double);
        for value in [0.0, 7.0, 49_999.0] {
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let back = spec.units(value) as f64 * spec.unit() + spec.centre;
            assert_eq!(back.to_bits(), value.to_bits());
        }
    }
}
