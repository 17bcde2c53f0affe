//! How the line of a column's values is divided into buckets.

use super::cuts::{larger, smaller};

/// Buckets of a table; a power of two.
pub(super) const BUCKETS: usize = 2048;
/// Up to so many cuts in a bucket are compared without a branch.
pub(super) const FEW: u32 = 3;
/// 2⁵²: added to a smaller number that is not negative, it leaves no place for a fraction, and the
/// whole number stands in the lowest bits.
pub(super) const ROUNDER: f64 = 4_503_599_627_370_496.0;

/// How the line is divided into buckets: a larger value never has a lower bucket.
///
/// Evenly along the values; evenly in each of three parts of them, so that long tails do not take
/// the buckets from the middle; or evenly along their bits, which is nearly along their logarithms.
#[derive(Clone, Copy, Debug)]
pub(super) enum Along {
    Values(Ramp),
    Parts([Ramp; 3]),
    Bits { first: i64, last: i64, shift: u32 },
}

/// Rises evenly from 0 to `end` along a part of the line; level before and after it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ramp {
    origin: f64,
    factor: f64,
    end: f64,
}

/// The last bucket.
#[expect(clippy::cast_precision_loss, reason = "small")]
const LAST: f64 = (BUCKETS - 1) as f64;

/// Where the middle one of three parts begins and ends, in 32nds of the cuts: both tails long, one, a
/// hump on one side. Parts instead of searches in crowded buckets: a sixth less time for all.
const MIDDLES: [(usize, usize); 7] =
    [(1, 31), (4, 28), (16, 28), (4, 16), (24, 31), (1, 8), (10, 22)];

impl Along {
    /// The division by which a value is found soonest.
    pub(super) fn best(cuts: &[f64]) -> Self {
        let nowhere = Self::Values(Ramp { origin: 0.0, factor: 0.0, end: 0.0 });
        // A few far values must not take the buckets from all others.
        let values = [0, 1, cuts.len() / 64].map(|left_out| Self::values(cuts, left_out));
        let parts = MIDDLES.map(|middle| Self::parts(cuts, middle));
        let all = values.into_iter().chain(parts).chain([Self::bits(cuts)]).flatten();
        let costs = all.map(|along| (along.cost(cuts), along));
        costs.fold((f64::INFINITY, nowhere), |a, b| if b.0 < a.0 { b } else { a }).1
    }

    fn values(cuts: &[f64], left_out: usize) -> Option<Self> {
        let middle = cuts.get(left_out..cuts.len().checked_sub(left_out)?)?;
        Ramp::new(*middle.first()?, *middle.last()?, LAST).map(Self::Values)
    }

    /// The first and the last cut, which may lie far out, are left to the ends.
    fn parts(cuts: &[f64], (begin, end): (usize, usize)) -> Option<Self> {
        let share = |of: usize| cuts.len() * of / 32;
        let ranks = [1, share(begin), share(end), cuts.len().checked_sub(2)?];
        let part = |from: usize, to: usize| {
            // Most by their cuts, and a tenth each, for cuts are not even within a part.
            #[expect(clippy::cast_precision_loss, reason = "small")]
            let cells = to.saturating_sub(from) as f64 / cuts.len() as f64;
            Ramp::new(*cuts.get(from)?, *cuts.get(to)?, (LAST * (cells + 0.1) / 1.3).floor())
        };
        let [a, b, c, d] = ranks;
        Some(Self::Parts([part(a, b)?, part(b, c)?, part(c, d)?]))
    }

    fn bits(cuts: &[f64]) -> Option<Self> {
        let (first, last) = (order_of(*cuts.first()?), order_of(*cuts.last()?));
        let range = last.checked_sub(first)?;
        let used = 64 - range.leading_zeros();
        Some(Self::Bits { first, last, shift: used.saturating_sub(BUCKETS.trailing_zeros()) })
    }

    /// The bucket of a value.
    #[inline]
    pub(super) fn bucket(&self, value: f64) -> usize {
        let bucket = match self {
            Self::Values(ramp) => whole(ramp.along(value)),
            Self::Parts(ramps) => along_parts(value, ramps),
            Self::Bits { first, last, shift } => along_bits(value, *first, *last, *shift),
        };
        bucket as usize & (BUCKETS - 1)
    }

    /// The bucket of each value.
    #[expect(clippy::inline_always, reason = "compiled anew for each set of instructions")]
    #[inline(always)]
    pub(super) fn buckets(&self, values: &[f64], buckets: &mut [u32]) {
        let pairs = values.iter().zip(buckets);
        match *self {
            Self::Values(ramp) => {
                pairs.for_each(|(value, bucket)| *bucket = whole(ramp.along(*value)));
            }
            Self::Parts(ramps) => {
                pairs.for_each(|(value, bucket)| *bucket = along_parts(*value, &ramps));
            }
            Self::Bits { first, last, shift } => {
                pairs.for_each(|(value, bucket)| *bucket = along_bits(*value, first, last, shift));
            }
        }
    }

    /// How many cuts lie in the buckets before each, and in all.
    pub(super) fn starts(&self, cuts: &[f64]) -> Vec<u32> {
        let mut starts = vec![0_u32; BUCKETS + 1];
        for cut in cuts {
            starts[self.bucket(*cut) + 1] += 1;
        }
        let mut sum = 0;
        for start in &mut starts {
            sum += *start;
            *start = sum;
        }
        starts
    }

    /// About how many cycles longer than by the fastest division it takes to place a value: cells
    /// hold about as many each. What is not decided by a few comparisons is guessed wrong, and
    /// searched.
    fn cost(&self, cuts: &[f64]) -> f64 {
        let division = match self {
            Self::Values(_) => 0.0,
            Self::Parts(_) => 1.5,
            Self::Bits { .. } => 3.0,
        };
        let starts = self.starts(cuts);
        let lengths = starts.windows(2).map(|pair| pair[1] - pair[0]);
        let crowded = lengths.filter(|length| *length > FEW).map(f64::from);
        let searches: f64 = crowded.map(|length| length * (40.0 + 8.0 * length.log2())).sum();
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let cells = cuts.len().max(1) as f64;
        division + searches / cells
    }
}

impl Ramp {
    fn new(first: f64, last: f64, end: f64) -> Option<Self> {
        let factor = end / (last - first);
        let sound = first.is_finite() && factor.is_finite() && factor > 0.0;
        sound.then_some(Self { origin: first, factor, end })
    }

    #[inline]
    fn along(&self, value: f64) -> f64 {
        smaller(larger((value - self.origin) * self.factor, 0.0), self.end)
    }
}

/// The nearest whole number.
#[inline]
fn whole(bucket: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "the lowest bits hold it")]
    let bucket = (bucket + ROUNDER).to_bits() as u32;
    bucket
}

/// Sums of numbers that do not fall do not, either.
#[inline]
fn along_parts(value: f64, [a, b, c]: &[Ramp; 3]) -> u32 {
    whole(a.along(value) + b.along(value) + c.along(value))
}

#[inline]
fn along_bits(value: f64, first: i64, last: i64, shift: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, reason = "shifted so that it fits")]
    let bucket = ((order_of(value).clamp(first, last) - first).cast_unsigned() >> shift) as u32;
    bucket
}

/// The bits of a float as a number of the same order.
#[inline]
fn order_of(value: f64) -> i64 {
    let bits = value.to_bits().cast_signed();
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shapes of columns that people have leave next to nothing to search for.
    #[test]
    fn common_shapes_have_few_cuts_in_a_bucket() {
        let logit = |p: f64| (p / (1.0 - p)).ln();
        // About the quantiles of Student's law with three degrees of freedom.
        let heavy = |p: f64| {
            (p - 0.5).signum() * ((2.0 * (0.5 - (p - 0.5).abs())).powf(-2.0 / 3.0) - 1.0).sqrt()
        };
        for name in ["even", "bell", "skewed", "mirrored", "outlier", "heavy"] {
            let shape = |p: f64| match name {
                "even" => p,
                "skewed" => (2.0 * logit(p)).exp(),
                "mirrored" => -logit(1.0 - p).exp(),
                "outlier" if p > 0.999 => 1e9 * p,
                "heavy" => heavy(p),
                _ => logit(p),
            };
            let cuts: Vec<f64> =
                (0..1024).map(|at| shape((f64::from(at) + 0.5) / 1024.0)).collect();
            let best = Along::best(&cuts);
            let starts = best.starts(&cuts);
            let lengths = starts.windows(2).map(|pair| pair[1] - pair[0]);
            let crowded: u32 = lengths.filter(|length| *length > FEW).sum();
            // Over forty octaves, buckets along the bits may be too wide by almost a factor of two.
            let most = if name == "skewed" { 64 } else { 10 };
            assert!(crowded <= most, "{name}: {crowded} in {best:?}");
        }
    }
}
