//! Which cell a number falls into, fast.

use super::{
    along::{Along, BUCKETS, FEW, ROUNDER},
    cuts::{Borders, NumericSpec, Precision, Scale, end, smaller, whole},
};
use std::{fmt, sync::OnceLock};

/// Places along the line that many numbers at once can be counted in; a power of two. More cells are
/// counted in one by one.
pub(super) const PLACES: usize = 2048;
/// Set in the start of a bucket that has more than a few cuts.
pub(super) const CROWDED: u32 = 1 << 31;

/// A column's cuts with a table that leads near the right one.
///
/// The line is divided into buckets, so that few have many cuts. A value's bucket says between which
/// cuts it lies: mostly three at most, which two comparisons tell apart.
#[derive(Debug)]
pub(super) struct Bins {
    precision: Precision,
    /// Ascending: what lies just below the least value, if anything does; the cuts; then infinite
    /// ones for comparisons beyond the end, up to [`PLACES`].
    cuts: Vec<f64>,
    /// Places along the line before the first of these: 1 where nothing can be below.
    before: u32,
    along: Along,
    /// Of each bucket, how many cuts lie in those before it, and whether it is [`CROWDED`].
    starts: Box<[u32; BUCKETS + 1]>,
    /// Of each place along the line, then empty ones up to [`PLACES`].
    scales: Vec<Fixed>,
    places: usize,
    squares: Fixed,
    /// The bounds of units in sums and in squares.
    ends: (f64, f64),
}

/// A fixed-point scale, ready to use.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fixed {
    pub(super) anchor: f64,
    pub(super) factor: f64,
}

/// Where a value falls, and what it adds there.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    /// Along the line: 0 is below, then the cells, then above.
    pub(super) at: usize,
    pub(super) units: i64,
    pub(super) from_centre: i64,
}

/// What many values at once are placed by.
#[derive(Clone, Copy)]
pub(super) struct Table<'a> {
    pub(super) along: &'a Along,
    pub(super) starts: &'a [u32; BUCKETS + 1],
    pub(super) cuts: &'a [f64; PLACES],
    pub(super) before: u32,
    pub(super) scales: &'a [Fixed; PLACES],
    pub(super) squares: Fixed,
    pub(super) end_of_squares: f64,
}

impl Bins {
    pub(super) fn new(spec: &NumericSpec, of_values: Precision) -> Self {
        let Borders { least, mut cuts, precision } = spec.borders(of_values);
        // Without cuts all is above.
        let before = u32::from(cuts.is_empty() || least == f64::NEG_INFINITY);
        if before == 0 {
            cuts.insert(0, least.next_down());
        }
        let along = Along::best(&cuts);
        let starts = packed(&along.starts(&cuts));
        cuts.resize(PLACES.max(cuts.len() + FEW as usize + 1), f64::INFINITY);
        let (scales, squares) = (spec.scales(), spec.of_squares());
        let ends = (end(scales[0].most), end(squares.most));
        let mut scales: Vec<Fixed> = scales.into_iter().map(Fixed::of).collect();
        let places = scales.len();
        scales.resize(PLACES.max(places), Fixed { anchor: 0.0, factor: 0.0 });
        let squares = Fixed::of(squares);
        Self { precision, cuts, before, along, starts, scales, places, squares, ends }
    }

    /// Where a number falls that is not NaN.
    #[inline]
    pub(super) fn place(&self, value: f64) -> Placed {
        let rounded = match self.precision {
            Precision::Double => value,
            coarser => coarser.round(value) + 0.0,
        };
        let at = self.at(rounded);
        Placed {
            at,
            units: self.scales[at].units(value, self.ends.0),
            from_centre: self.squares.units(value, self.ends.1),
        }
    }

    /// What many numbers that are not NaN are placed by; `None` for more cells than that is made for.
    pub(super) fn table(&self) -> Option<Table<'_>> {
        Some(Table {
            along: &self.along,
            starts: &self.starts,
            cuts: self.cuts.as_array()?,
            before: self.before,
            scales: self.scales.as_array()?,
            squares: self.squares,
            end_of_squares: self.ends.1,
        })
    }

    /// Whether numbers of this precision are compared as they are.
    pub(super) fn is_of(&self, precision: Precision) -> bool {
        self.precision == precision
    }

    /// Anchor and factor of each place along the line.
    pub(super) fn scales(&self) -> &[Fixed] {
        &self.scales[..self.places]
    }

    /// Which place along the line a value has.
    #[inline]
    pub(super) fn at(&self, value: f64) -> usize {
        let bucket = self.along.bucket(value);
        let start = self.starts[bucket];
        if start & CROWDED != 0 {
            return self.among_many(value, bucket);
        }
        let at = start as usize;
        // Cuts of later buckets are larger, so that it does no harm to look at them.
        let at = at + 2 * usize::from(self.cuts[at + 1] < value);
        self.before as usize + at + usize::from(self.cuts[at] < value)
    }

    #[cold]
    fn among_many(&self, value: f64, bucket: usize) -> usize {
        let [at, end] =
            [bucket, bucket + 1].map(|bucket| (self.starts[bucket] & !CROWDED) as usize);
        self.before as usize + at + self.cuts[at..end].partition_point(|cut| *cut < value)
    }
}

/// Where each bucket starts, and whether it has more than a few cuts.
fn packed(starts: &[u32]) -> Box<[u32; BUCKETS + 1]> {
    let mut packed = Box::new([0; BUCKETS + 1]);
    for (at, start) in starts.iter().enumerate() {
        let crowded = starts.get(at + 1).is_some_and(|next| next - start > FEW);
        packed[at] = start + if crowded { CROWDED } else { 0 };
    }
    packed
}

impl Fixed {
    fn of(scale: Scale) -> Self {
        Self { anchor: scale.anchor, factor: scale.factor() }
    }

    #[inline]
    fn units(self, value: f64, end: f64) -> i64 {
        whole(value - self.anchor, self.factor, end)
    }

    /// The sum of the squared [`units`](Self::units) of at most 2¹⁹ values, which are at most 2⁴⁴
    /// either way, and a number at least as large as any of those, less than twice the largest; 2⁴⁴
    /// if one is not a number.
    #[inline(always)] // Compiled anew for each set of instructions.
    pub(super) fn sum(self, values: &[f64], end: f64) -> (i128, u64) {
        const HALF: u32 = 22;
        // (h·2²² + l)² = h²·2⁴⁴ + h·l·2²³ + l²: products of 32 bits, sums of 64.
        let (mut high, mut mixed, mut low, mut furthest) = (0_u64, 0_u64, 0_u64, 0_u64);
        for value in values {
            let units = smaller(((value - self.anchor) * self.factor).abs(), end);
            let units = (units + ROUNDER).to_bits() & ((1 << (2 * HALF + 1)) - 1);
            let (h, l) = (units >> HALF, units & ((1 << HALF) - 1));
            furthest |= units;
            high += h * h;
            mixed += h * l;
            low += l * l;
        }
        let sum = (i128::from(high) << (2 * HALF)) + (i128::from(mixed) << (HALF + 1));
        (sum + i128::from(low), furthest)
    }
}

/// Bins made when they are first needed, of each precision; no part of what a column is.
#[derive(Default)]
pub(super) struct CachedBins([OnceLock<Box<Bins>>; 3]);

impl CachedBins {
    pub(super) fn of(&self, spec: &NumericSpec, of_values: Precision) -> &Bins {
        let precision = spec.precision.min(of_values);
        self.0[precision as usize].get_or_init(|| Box::new(Bins::new(spec, precision)))
    }
}

impl Clone for CachedBins {
    fn clone(&self) -> Self {
        Self::default()
    }
}

impl PartialEq for CachedBins {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl fmt::Debug for CachedBins {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CachedBins")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn values() -> impl Strategy<Value = Vec<f64>> {
        let value = prop_oneof![
            any::<f64>(),
            -1.0..1.0_f64,
            (-9_i8..9).prop_map(f64::from),
            (-9.0..9.0_f64).prop_map(f64::exp),
            Just(f64::INFINITY),
            Just(f64::NEG_INFINITY),
        ];
        prop::collection::vec(value, 0..400)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(60))]

        #[test]
        fn a_table_finds_what_a_search_finds(
            mut of in values(), others in values(), max_cells in 1_usize..300,
            precision in prop::sample::select(vec![Precision::Double, Precision::Single, Precision::Half]),
        ) {
            of.retain(|value| !value.is_nan());
            for value in &mut of {
                *value += 0.0;
            }
            of.sort_unstable_by(f64::total_cmp);
            let spec = NumericSpec::of(&of, max_cells, Precision::Double);
            let bins = Bins::new(&spec, precision);
            let Borders { least, cuts, .. } = spec.borders(precision);
            let scales = spec.scales();
            for value in of.into_iter().chain(others).filter(|value| !value.is_nan()) {
                let value = value + 0.0;
                let rounded = precision.round(value);
                let above = cuts.partition_point(|cut| *cut < rounded);
                let expected = match above {
                    at if at == cuts.len() => at + 1,
                    _ if rounded < least => 0,
                    at => at + 1,
                };
                let placed = bins.place(value);
                prop_assert_eq!(placed.at, expected, "{} in {:?}", value, cuts);
                prop_assert_eq!(placed.units, scales[expected].units(value));
                prop_assert_eq!(placed.from_centre, spec.of_squares().units(value));
            }
        }
    }
}
