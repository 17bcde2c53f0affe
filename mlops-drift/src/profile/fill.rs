//! Counting many numbers at once.

use super::{
    bins::Bins,
    cuts::{ROUNDER, smaller},
    numeric::Cell,
};

/// Numbers that are counted together: what is made of them stays in the nearest cache.
pub(super) const CHUNK: usize = 512;
/// Rows from which it is worth to set up the slots, and to empty them.
pub(super) const WORTH: usize = 4096;
/// Units of a number in its cell, at most: further ones are counted one by one.
const NEAR: f64 = 140_737_488_355_328.0; // 2⁴⁷
/// Chunks after which the slots are emptied: 64 · 512 · 2⁴⁷ = 2⁶² fits their sums.
const CHUNKS: u32 = 64;

/// Counts on their way into a column's cells, made for speed.
///
/// What is the same for every number is done in loops over a chunk that the compiler turns into
/// instructions over several numbers. What depends on the number's cell is done one by one, in a loop
/// for each step. Bounds that only far values meet are looked at once a chunk.
pub(super) struct Fill<'a> {
    bins: &'a Bins,
    slots: Vec<Slot>,
    /// What is taken from the numbers of each cell, and how many units a length of 1 is then.
    scales: Vec<(f64, f64)>,
    /// The bucket of each number, then its place along the line.
    buckets: Box<[u64; CHUNK]>,
    units: Box<[u64; CHUNK]>,
    squares: i128,
    chunks: u32,
    /// How many units of the squares a number may be from the centre.
    reach: u64,
}

/// One cell: what its numbers add up to, in half a line of the cache.
#[derive(Clone)]
#[repr(align(32))]
struct Slot {
    /// Of units, each with the bits of [`ROUNDER`] still on it; what does not fit is lost, and comes
    /// out right when those are taken off.
    sum: u64,
    min: f64,
    max: f64,
    count: u64,
}

impl<'a> Fill<'a> {
    pub(super) fn new(bins: &'a Bins) -> Self {
        let Cell { min, max, .. } = Cell::EMPTY;
        let scales: Vec<(f64, f64)> = bins.scales().collect();
        let slots = vec![Slot { sum: 0, min, max, count: 0 }; scales.len()];
        let (centre, unit) = bins.centre();
        // Inside, a cell is narrower than this; below and above, a number may be anywhere.
        let outside = bins.scales().next().into_iter().chain(bins.scales().last());
        let reach = outside.map(|(anchor, factor)| NEAR / factor - (anchor - centre).abs());
        let reach = reach.fold(f64::INFINITY, smaller) * 0.99 * unit;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let reach = (reach as u64).min(1 << 43);
        let [buckets, units] = [(); 2].map(|()| Box::new([0; CHUNK]));
        Self { bins, slots, scales, buckets, units, squares: 0, chunks: 0, reach }
    }

    /// Counts at most [`CHUNK`] numbers; not, and says so, if one is NaN or far from the reference.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "places along the line, which lie in memory"
    )]
    pub(super) fn count(&mut self, values: &[f64], line: &mut [Cell]) -> bool {
        let (squares, furthest) = self.bins.squares(values);
        if furthest > self.reach || values.len() > CHUNK {
            return false;
        }
        self.squares += squares;
        let buckets = &mut self.buckets[..values.len()];
        self.bins.buckets(values, buckets);
        // Loop by loop, so that no number waits for what is written of the one before it.
        for (value, bucket) in values.iter().zip(&mut *buckets) {
            *bucket = self.bins.at(*value, *bucket) as u64;
        }
        let units = &mut self.units[..values.len()];
        for ((value, at), units) in values.iter().zip(&*buckets).zip(&mut *units) {
            let (anchor, factor) = self.scales[*at as usize];
            *units = ((value - anchor) * factor + ROUNDER).to_bits();
        }
        for ((value, at), units) in values.iter().zip(&*buckets).zip(&*units) {
            let slot = &mut self.slots[*at as usize];
            slot.count += 1;
            slot.sum = slot.sum.wrapping_add(*units);
            // Seldom true. Zeros are written without their sign, so that the order of rows cannot be seen.
            if *value < slot.min {
                slot.min = value + 0.0;
            }
            if *value > slot.max {
                slot.max = value + 0.0;
            }
        }
        self.chunks += 1;
        if self.chunks == CHUNKS {
            self.empty_into(line);
        }
        true
    }

    /// Adds what was counted; it starts again.
    pub(super) fn empty_into(&mut self, line: &mut [Cell]) {
        for (slot, cell) in self.slots.iter_mut().zip(line) {
            let count = slot.count;
            let units = slot.sum.wrapping_sub(count.wrapping_mul(ROUNDER.to_bits()));
            let sum = units.cast_signed().into();
            cell.merge(&Cell { count, min: slot.min, max: slot.max, sum });
            // The ends stay: numbers seldom are new ones, and which was first does not matter.
            (slot.sum, slot.count) = (0, 0);
        }
        self.chunks = 0;
    }

    /// What all numbers counted add to the squares.
    pub(super) fn squares(&self) -> i128 {
        self.squares
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{
        cuts::{NumericSpec, Precision},
        numeric::NumericCounts,
    };
    use mlops_core::arrow::array::{Array, ArrayRef, Float64Array};
    use proptest::prelude::*;
    use std::sync::Arc;

    /// Ordinary numbers, with some that are not.
    fn values() -> impl Strategy<Value = Vec<f64>> {
        let ordinary = prop_oneof![-1.0..1.0_f64, (-9_i8..9).prop_map(f64::from), Just(-0.0)];
        let others = prop_oneof![8 => (-9.0..9.0_f64).prop_map(f64::exp), 1 => any::<f64>()];
        prop_oneof![
            prop::collection::vec(ordinary, 1..300),
            prop::collection::vec(others, 1..300),
            Just(vec![1e-6; 3]),
            Just(vec![f64::NEG_INFINITY, 0.0, f64::INFINITY]),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn many_at_once_are_counted_as_one_by_one(
            mut of in values(), near in values(), shift in prop_oneof![Just(0.0), -9.0..9.0_f64],
            special in prop::collection::vec((0_usize..40_000, any::<f64>()), 0..3),
        ) {
            of.retain(|value| !value.is_nan());
            for value in &mut of {
                *value += 0.0;
            }
            of.sort_unstable_by(f64::total_cmp);
            let spec = NumericSpec::of(&of, 64, Precision::Double);
            let near = of.iter().chain(&near).map(|value| value + shift);
            let mut rows: Vec<f64> = near.cycle().take(CHUNK * CHUNKS as usize + WORTH).collect();
            for (at, value) in special {
                if let Some(row) = rows.get_mut(at) {
                    *row = value;
                }
            }
            let rows: ArrayRef = Arc::new(Float64Array::from(rows));
            let (mut at_once, mut one_by_one) = (NumericCounts::empty(&spec), NumericCounts::empty(&spec));
            at_once.update(&spec, &rows);
            for first in (0..rows.len()).step_by(1000) {
                one_by_one.update(&spec, &rows.slice(first, 1000.min(rows.len() - first)));
            }
            // As text, which tells the zeros apart.
            prop_assert_eq!(format!("{:?}", at_once), format!("{:?}", one_by_one));
        }
    }
}
