//! Which cell a number falls into, fast.

use super::cuts::{Borders, NumericSpec, Precision, Scale, end, larger, smaller, whole};
use std::{fmt, sync::OnceLock};

/// Buckets of the table; a power of two.
const BUCKETS: usize = 2048;
/// Up to so many cuts in a bucket are compared without a branch.
const FEW: u32 = 3;

/// A column's cuts with a table that leads near the right one.
///
/// The line is divided into buckets, evenly along the values or along their bits (which is nearly
/// along their logarithms), whichever leaves fewer cuts in a bucket. A value's bucket says between
/// which cuts it lies: mostly three at most, which two comparisons tell apart.
#[derive(Debug)]
pub(super) struct Bins {
    precision: Precision,
    /// Ascending: what lies just below the least value, if anything does; the cuts; then infinite
    /// ones for comparisons beyond the end.
    cuts: Vec<f64>,
    /// Places along the line before the first of these: 1 where nothing can be below.
    before: usize,
    along: Along,
    /// Of each bucket, twice how many cuts lie in those before it; 1 more if it has more than a few.
    starts: Box<[u32; BUCKETS + 1]>,
    /// Of each place along the line.
    scales: Vec<Fixed>,
    squares: Fixed,
    /// The bounds of units in sums and in squares.
    ends: (f64, f64),
}

/// 2⁵²: added to a smaller number that is not negative, it leaves no place for a fraction, and the
/// whole number stands in the lowest bits.
const ROUNDER: f64 = 4_503_599_627_370_496.0;

/// A fixed-point scale, ready to use.
#[derive(Clone, Copy, Debug)]
struct Fixed {
    anchor: f64,
    factor: f64,
}

/// Where a value falls, and what it adds there.
#[derive(Clone, Copy)]
pub(super) struct Placed {
    /// Along the line: 0 is below, then the cells, then above.
    pub(super) at: usize,
    pub(super) units: i64,
    pub(super) from_centre: i64,
}

impl Bins {
    pub(super) fn new(spec: &NumericSpec, of_values: Precision) -> Self {
        let Borders { least, mut cuts, precision } = spec.borders(of_values);
        // Without cuts all is above.
        let before = usize::from(cuts.is_empty() || least == f64::NEG_INFINITY);
        if before == 0 {
            cuts.insert(0, least.next_down());
        }
        let along = Along::best(&cuts);
        let starts = packed(&along.starts(&cuts));
        cuts.extend([f64::INFINITY; FEW as usize + 1]);
        let (scales, squares) = (spec.scales(), spec.of_squares());
        let ends = (end(scales[0].most), end(squares.most));
        let scales = scales.into_iter().map(Fixed::of).collect();
        Self { precision, cuts, before, along, starts, scales, squares: Fixed::of(squares), ends }
    }

    /// Where a number falls that is not NaN.
    #[inline]
    pub(super) fn place(&self, value: f64) -> Placed {
        let rounded = match self.precision {
            Precision::Double => value,
            coarser => coarser.round(value) + 0.0,
        };
        let at = self.at(rounded, self.along.bucket(rounded));
        Placed {
            at,
            units: self.scales[at].units(value, self.ends.0),
            from_centre: self.squares.units(value, self.ends.1),
        }
    }

    /// The bucket of each value, in the lowest bits: of numbers as fine as the cuts.
    pub(super) fn buckets(&self, values: &[f64], buckets: &mut [u64]) {
        debug_assert_eq!(self.precision, Precision::Double);
        self.along.buckets(values, buckets);
    }

    /// Whether values are compared as they are.
    pub(super) fn is_double(&self) -> bool {
        self.precision == Precision::Double
    }

    /// Anchor and factor of each place along the line.
    pub(super) fn scales(&self) -> impl Iterator<Item = (f64, f64)> {
        self.scales.iter().map(|scale| (scale.anchor, scale.factor))
    }

    /// Where squares are counted from, and how many units are a length of 1.
    pub(super) fn centre(&self) -> (f64, f64) {
        (self.squares.anchor, self.squares.factor)
    }

    /// What a few values add to the squares, and how many units the furthest is from the centre, or
    /// a little more; 2⁴⁴ if one is not a number.
    pub(super) fn squares(&self, values: &[f64]) -> (i128, u64) {
        self.squares.sum(values, self.ends.1)
    }

    /// Which place along the line a value of this bucket has.
    #[inline]
    pub(super) fn at(&self, value: f64, bucket: u64) -> usize {
        #[expect(clippy::cast_possible_truncation, reason = "a bucket's number")]
        let bucket = bucket as usize & (BUCKETS - 1);
        let start = self.starts[bucket];
        if start & 1 == 1 {
            return self.among_many(value, bucket);
        }
        let at = (start >> 1) as usize;
        // Cuts of later buckets are larger, so that it does no harm to look at them.
        let at = at + 2 * usize::from(self.cuts[at + 1] < value);
        self.before + at + usize::from(self.cuts[at] < value)
    }

    #[cold]
    fn among_many(&self, value: f64, bucket: usize) -> usize {
        let [at, end] = [bucket, bucket + 1].map(|bucket| (self.starts[bucket] >> 1) as usize);
        self.before + at + self.cuts[at..end].partition_point(|cut| *cut < value)
    }
}

/// Where each bucket starts, twice, and whether it has more than a few cuts.
fn packed(starts: &[u32]) -> Box<[u32; BUCKETS + 1]> {
    let mut packed = Box::new([0; BUCKETS + 1]);
    for (at, start) in starts.iter().enumerate() {
        let crowded = starts.get(at + 1).is_some_and(|next| next - start > FEW);
        packed[at] = 2 * start + u32::from(crowded);
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
    /// either way, and a number at least as large as any of those, less than twice the largest.
    fn sum(self, values: &[f64], end: f64) -> (i128, u64) {
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

/// How the line is divided into buckets: a larger value never has a lower bucket.
#[derive(Clone, Copy, Debug)]
enum Along {
    Values { origin: f64, factor: f64 },
    Bits { first: i64, last: i64, shift: u32 },
}

impl Along {
    /// The division that leaves the fewest cuts together, counted as comparisons.
    fn best(cuts: &[f64]) -> Self {
        let nowhere = Self::Values { origin: 0.0, factor: 0.0 };
        let mut best = (f64::INFINITY, nowhere);
        // A few far values must not take the buckets from all others.
        for left_out in [0, cuts.len() / 64, cuts.len() / 10] {
            let middle = cuts.get(left_out..cuts.len() - left_out).unwrap_or_default();
            let Some((first, last)) = middle.first().zip(middle.last()) else { continue };
            for along in [Self::values(*first, *last), Self::bits(*first, *last)] {
                let Some(along) = along else { continue };
                let cost = along.cost(cuts);
                if cost < best.0 {
                    best = (cost, along);
                }
            }
        }
        best.1
    }

    fn values(first: f64, last: f64) -> Option<Self> {
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let factor = (BUCKETS - 1) as f64 / (last - first);
        let sound = first.is_finite() && factor.is_finite() && factor > 0.0;
        sound.then_some(Self::Values { origin: first, factor })
    }

    fn bits(first: f64, last: f64) -> Option<Self> {
        let (first, last) = (order_of(first), order_of(last));
        let range = last.checked_sub(first)?;
        let used = 64 - range.leading_zeros();
        Some(Self::Bits { first, last, shift: used.saturating_sub(BUCKETS.trailing_zeros()) })
    }

    #[inline]
    fn bucket(self, value: f64) -> u64 {
        match self {
            Self::Values { origin, factor } => along_values(value, origin, factor),
            Self::Bits { first, last, shift } => along_bits(value, first, last, shift),
        }
    }

    /// The bucket of each value, in the lowest bits.
    fn buckets(self, values: &[f64], buckets: &mut [u64]) {
        let pairs = values.iter().zip(buckets);
        match self {
            Self::Values { origin, factor } => {
                pairs.for_each(|(value, bucket)| *bucket = along_values(*value, origin, factor));
            }
            Self::Bits { first, last, shift } => {
                pairs.for_each(|(value, bucket)| *bucket = along_bits(*value, first, last, shift));
            }
        }
    }

    fn starts(self, cuts: &[f64]) -> Vec<u32> {
        let mut starts = vec![0_u32; BUCKETS + 1];
        for cut in cuts {
            #[expect(clippy::cast_possible_truncation, reason = "a bucket's number")]
            let bucket = self.bucket(*cut) as usize & (BUCKETS - 1);
            starts[bucket + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        starts
    }

    /// About how many comparisons the values of all cells take: cells hold about as many each.
    fn cost(self, cuts: &[f64]) -> f64 {
        let starts = self.starts(cuts);
        let lengths = starts.windows(2).map(|pair| f64::from(pair[1] - pair[0]));
        lengths.map(|length| length * (length + 1.0).log2()).sum()
    }
}

/// The bucket of a value in the lowest bits.
#[inline]
fn along_values(value: f64, origin: f64, factor: f64) -> u64 {
    #[expect(clippy::cast_precision_loss, reason = "small")]
    let last = (BUCKETS - 1) as f64;
    let along = smaller(larger((value - origin) * factor, 0.0), last);
    (along + ROUNDER).to_bits()
}

/// The bucket of a value.
#[inline]
fn along_bits(value: f64, first: i64, last: i64, shift: u32) -> u64 {
    (order_of(value).clamp(first, last) - first).cast_unsigned() >> shift
}

/// The bits of a float as a number of the same order.
#[inline]
fn order_of(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
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

    /// The shapes of columns that people have need at most a comparison or two.
    #[test]
    fn common_shapes_have_few_cuts_in_a_bucket() {
        let logit = |p: f64| (p / (1.0 - p)).ln();
        for name in ["even", "bell", "skewed", "outlier"] {
            let shape = |p: f64| match name {
                "even" => p,
                "skewed" => (2.0 * logit(p)).exp(),
                "outlier" if p > 0.999 => 1e9 * p,
                _ => logit(p),
            };
            let cuts: Vec<f64> =
                (0..1024).map(|at| shape((f64::from(at) + 0.5) / 1024.0)).collect();
            let cost = Along::best(&cuts).cost(&cuts) / 1024.0;
            assert!(cost < 2.0, "{name}: {cost}");
        }
    }
}
