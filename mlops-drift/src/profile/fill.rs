//! Counting many numbers at once.

use super::{
    along::BUCKETS,
    bins::{Bins, CROWDED, Fixed, PLACES, Table},
    cuts::{Precision, ROUNDER, smaller},
    numeric::Cell,
};
use fearless_simd::{Level, Simd, SimdBase, dispatch, f64x2};

/// Numbers that are counted together: what is made of them stays in the nearest cache.
pub(super) const CHUNK: usize = 512;
/// Rows from which it is worth to set up the slots, and to empty them.
pub(super) const WORTH: usize = 4096;
/// Units of a number in its cell, at most: further ones are counted one by one.
const NEAR: f64 = 140_737_488_355_328.0; // 2⁴⁷
/// Chunks after which the slots are emptied: 64 · 512 · 2⁴⁷ = 2⁶² fits their sums.
const CHUNKS: u32 = 64;
/// The bits of a place.
const MASK: usize = PLACES - 1;

/// Counts on their way into a column's cells, made for speed.
///
/// Each step is a loop of its own over a chunk, without a branch and with tables of a known size, so
/// that the compiler makes it of instructions over several numbers, once for each set of those that a
/// processor may have. Bounds that only far values meet are looked at once a chunk.
pub(super) struct Fill<'a> {
    many: Many<'a>,
    level: Level,
    slots: Box<[Slot; PLACES]>,
    places: Box<[u32; CHUNK]>,
    units: Box<[u64; CHUNK]>,
    squares: i128,
    chunks: u32,
}

/// Where many numbers at once fall, and what they add there.
#[derive(Clone, Copy)]
pub(super) struct Many<'a> {
    bins: &'a Bins,
    table: Table<'a>,
    /// How many units of the squares a number may be from the centre.
    reach: u64,
}

/// One cell: what its numbers add up to, in half a line of the cache, in pairs that are added to
/// with one instruction each.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct Slot {
    /// The sum of units, each with the bits of [`ROUNDER`] still on it, and the count. What does not
    /// fit the sum is lost, and comes out right when those bits are taken off.
    sums: [u64; 2],
    /// The least number, and the least of those with the other sign.
    ends: [f64; 2],
}

impl<'a> Many<'a> {
    /// `None` for more cells than that is made for, or if numbers of this precision are rounded to
    /// find theirs.
    pub(super) fn new(bins: &'a Bins, of: Precision) -> Option<Self> {
        let table = bins.table().filter(|_| bins.is_of(of))?;
        let Fixed { anchor: centre, factor: unit } = table.squares;
        // Inside, a cell is narrower than this; below and above, a number may be anywhere.
        let outside = [bins.scales().first()?, bins.scales().last()?];
        let reach = outside.map(|scale| NEAR / scale.factor - (scale.anchor - centre).abs());
        let reach = reach.into_iter().fold(f64::INFINITY, smaller) * 0.99 * unit;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        let reach = (reach as u64).min(1 << 43);
        Some(Self { bins, table, reach })
    }

    /// The place of each number along the line, and its units there with the bits of [`ROUNDER`]
    /// still on them; what all add to the squares. `None` if one is NaN or far from the reference.
    #[expect(clippy::inline_always, reason = "compiled anew for each set of instructions")]
    #[inline(always)]
    pub(super) fn place(
        &self,
        values: &[f64],
        places: &mut [u32],
        units: &mut [u64],
    ) -> Option<i128> {
        let Table { along, starts, cuts, before, scales, squares, end_of_squares } = self.table;
        let (squares, furthest) = squares.sum(values, end_of_squares);
        if furthest > self.reach {
            return None;
        }
        along.buckets(values, places);
        if locate(starts, cuts, before, values, places) {
            search(self.bins, values, places);
        }
        measure(scales, values, places, units);
        Some(squares)
    }
}

impl<'a> Fill<'a> {
    /// `None` if there are too many cells.
    pub(super) fn new(bins: &'a Bins, of: Precision) -> Option<Self> {
        let many = Many::new(bins, of)?;
        let slots = vec![Slot { sums: [0; 2], ends: [f64::INFINITY; 2] }; PLACES];
        let slots = slots.try_into().ok()?;
        let (places, units) = (Box::new([0; CHUNK]), Box::new([0; CHUNK]));
        let (level, squares, chunks) = (Level::new(), 0, 0);
        Some(Self { many, level, slots, places, units, squares, chunks })
    }

    /// Counts at most [`CHUNK`] numbers; not, and says so, if one is NaN or far from the reference.
    pub(super) fn count(&mut self, values: &[f64], line: &mut [Cell]) -> bool {
        // Of the time with 128 bits: about half with 512, 60 to 84% with 256.
        let counted = dispatch!(self.level, simd => self.count_here(simd, values));
        self.chunks += u32::from(counted);
        if self.chunks == CHUNKS {
            self.empty_into(line);
        }
        counted
    }

    #[expect(clippy::inline_always, reason = "compiled anew for each set of instructions")]
    #[inline(always)]
    fn count_here<S: Simd>(&mut self, simd: S, values: &[f64]) -> bool {
        if values.len() > CHUNK {
            return false;
        }
        let (places, units) = (&mut self.places[..values.len()], &mut self.units[..values.len()]);
        let Some(squares) = self.many.place(values, places, units) else { return false };
        self.squares += squares;
        add(simd, &mut self.slots, values, places, units);
        true
    }

    /// Adds what was counted; it starts again.
    pub(super) fn empty_into(&mut self, line: &mut [Cell]) {
        for (slot, cell) in self.slots.iter_mut().zip(line) {
            let ([sum, count], [min, opposite]) = (slot.sums, slot.ends);
            let units = sum.wrapping_sub(count.wrapping_mul(ROUNDER.to_bits()));
            // Zeros are written without their sign, so that the order of rows cannot be seen.
            let (min, max) = (min + 0.0, -opposite + 0.0);
            cell.merge(&Cell { count, min, max, sum: units.cast_signed().into() });
            // The ends stay: numbers seldom are new ones, and which was first does not matter.
            slot.sums = [0; 2];
        }
        self.chunks = 0;
    }

    /// What all numbers counted add to the squares.
    pub(super) fn squares(&self) -> i128 {
        self.squares
    }
}

// The steps take tables as arguments of their own: the compiler must know that what is written does
// not change what is looked up, or it goes number by number.

/// From buckets to places along the line; says whether some buckets are crowded, where [`CROWDED`]
/// stands in the place until it is [`search`]ed for.
#[expect(clippy::inline_always, reason = "compiled anew for each set of instructions")]
#[inline(always)]
fn locate(
    starts: &[u32; BUCKETS + 1],
    cuts: &[f64; PLACES],
    before: u32,
    values: &[f64],
    places: &mut [u32],
) -> bool {
    let mut all = 0;
    for (value, place) in values.iter().zip(places) {
        let start = starts[*place as usize & (BUCKETS - 1)];
        all |= start;
        // Cuts of later buckets are larger, so that it does no harm to look at them.
        let at = start & !CROWDED;
        let at = at + if cuts[(at + 1) as usize & MASK] < *value { 2 } else { 0 };
        let at = at + u32::from(cuts[at as usize & MASK] < *value);
        *place = before + at + (start & CROWDED);
    }
    all & CROWDED != 0
}

/// Few values of few columns: those far out, where cuts are not spread as anywhere else.
#[cold]
fn search(bins: &Bins, values: &[f64], places: &mut [u32]) {
    for (value, place) in values.iter().zip(places) {
        if *place & CROWDED != 0 {
            #[expect(clippy::cast_possible_truncation, reason = "places are few")]
            let found = bins.at(*value) as u32;
            *place = found;
        }
    }
}

/// How far each number is from its cell's anchor.
#[expect(clippy::inline_always, reason = "compiled anew for each set of instructions")]
#[inline(always)]
fn measure(scales: &[Fixed; PLACES], values: &[f64], places: &[u32], units: &mut [u64]) {
    for ((value, place), units) in values.iter().zip(places).zip(units) {
        let Fixed { anchor, factor } = scales[*place as usize & MASK];
        *units = ((value - anchor) * factor + ROUNDER).to_bits();
    }
}

/// Without a question whether a number is a new end: to write the old one again costs less than to
/// guess. All takes 12 to 39% less time with wide instructions, and 4% without. The smaller number is
/// an instruction by name: of a comparison the compiler makes a masked store, which takes as long as
/// all the rest on some processors.
#[expect(clippy::inline_always, reason = "compiled anew for each set of instructions")]
#[inline(always)]
fn add<S: Simd>(
    simd: S,
    slots: &mut [Slot; PLACES],
    values: &[f64],
    places: &[u32],
    units: &[u64],
) {
    for ((value, place), units) in values.iter().zip(places).zip(units) {
        let slot = &mut slots[*place as usize & MASK];
        let [sum, count] = slot.sums;
        slot.sums = [sum.wrapping_add(*units), count.wrapping_add(1)];
        let ends = f64x2::load_array(simd, [*value, -value]);
        ends.min(f64x2::load_array(simd, slot.ends)).store_array(&mut slot.ends);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::{cuts::NumericSpec, numeric::NumericCounts};
    use mlops_core::arrow::array::{Array, ArrayRef, Float32Array, Float64Array};
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
        #[expect(clippy::cast_possible_truncation, reason = "rounding is wanted")]
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
            let with_nulls = rows.iter().enumerate().map(|(at, value)| (at % 7 > 0).then_some(*value));
            let arrays: [ArrayRef; 3] = [
                Arc::new(with_nulls.collect::<Float64Array>()),
                Arc::new(rows.iter().map(|value| Some(*value as f32)).collect::<Float32Array>()),
                Arc::new(Float64Array::from(rows)),
            ];
            for rows in arrays {
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

    #[test]
    fn every_set_of_instructions_counts_the_same() {
        let values: Vec<f64> = (0..20_000).map(|at| (f64::from(at) * 0.37).sin().exp()).collect();
        let mut sorted = values[..9_000].to_vec();
        sorted.sort_unstable_by(f64::total_cmp);
        let spec = NumericSpec::of(&sorted, 200, Precision::Double);
        let counted = |level: Level| {
            let mut fill = Fill {
                level,
                ..Fill::new(spec.bins(Precision::Double), Precision::Double).unwrap()
            };
            let mut line = vec![Cell::EMPTY; spec.cuts.len() + 2];
            // Of each length there is a rest that fills no register.
            for chunk in values.chunks(CHUNK - 1) {
                assert!(fill.count(chunk, &mut line));
            }
            fill.empty_into(&mut line);
            (line, fill.squares())
        };
        let mut levels = vec![Level::baseline()];
        #[cfg(target_arch = "x86_64")]
        {
            levels.extend(Level::new().as_sse4_2().map(Simd::level));
            levels.extend(Level::new().as_avx2().map(Simd::level));
        }
        for level in levels {
            assert_eq!(counted(level), counted(Level::new()), "{level:?}");
        }
    }
}
