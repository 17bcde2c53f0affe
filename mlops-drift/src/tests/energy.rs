//! The energy distance of two samples along a line.

use super::{
    Law, PermutationOptions,
    ks::sorted,
    permutation::{at_least, deals, share_of_deals},
    probability, real,
    rows::{check_finite, quotient},
};
use crate::random::Random;
use mlops_core::{
    Error, Result,
    stats::{Interval, normal_quantile},
};

/// What the energy test says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Energy {
    /// √(2 E|X − Y| − E|X − X'| − E|Y − Y'|) = √(2 ∫ (F − G)²), in square roots of the values'
    /// unit; 0 only for equal distributions.
    pub distance: f64,
    /// Probability of a distance at least this large if both samples have one source; in (0, 1].
    pub p: f64,
    /// By which law: exact or of random deals.
    pub law: Law,
    /// The effect: distance² / (2 E|X − Y|), without unit, 0..=1.
    pub coefficient: f64,
    /// Where the true distance lies: the distance seen, plus and minus what random deals of the
    /// pooled rows stay within. By the triangle inequality noise moves the distance by at most its
    /// own length, so the interval errs on the wide side.
    pub interval: Interval,
}

/// Whether two samples have one source, by their energy distance (G. J. Székely, M. L. Rizzo,
/// "Testing for equal distributions in high dimension", `InterStat` 5, 2004), in n·log n.
///
/// The law is that of dealing the pooled values: every deal where there are few, else seeded random
/// ones. `None` if either side is empty or all values are equal; a value that is not finite is
/// `InvalidInput`.
pub fn energy(
    reference: &[f64],
    window: &[f64],
    level: f64,
    options: &PermutationOptions,
) -> Result<Option<Energy>> {
    options.check()?;
    check_finite(reference, window)?;
    normal_quantile(level)?;
    let pool = Pool::new(&sorted(reference, "reference")?, &sorted(window, "window")?);
    if reference.is_empty() || window.is_empty() || pool.range() == 0.0 {
        return Ok(None);
    }
    if !pool.range().is_finite() {
        return Err(Error::invalid("the values lie further apart than a number can say"));
    }
    let seen = pool.squared(&pool.of_reference, reference.len());
    let across = pool.mean_distance(reference.len());
    let small = reference.len().min(window.len());
    let mut dealt = Vec::new();
    let mut extreme = |squared| {
        dealt.push(squared);
        at_least(squared, seen)
    };
    let rows = pool.values.len() as u64;
    let (p, law) = if deals(rows, small as u64, options.enumerated).is_some() {
        pool.share_of_every_deal(small, options, extreme)
    } else {
        options.random(rows, |random| extreme(pool.dealt(small, random)))
    };
    let distance = (2.0 * seen).sqrt();
    let reach = (2.0 * quantile(&mut dealt, level)).sqrt();
    let interval = Interval { low: (distance - reach).max(0.0), high: distance + reach, level };
    let coefficient = quotient(seen, across).clamp(0.0, 1.0);
    Ok(Some(Energy { distance, p: probability(p), law, coefficient, interval }))
}

/// The value that this share of them does not exceed.
fn quantile(values: &mut [f64], level: f64) -> f64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of their number"
    )]
    let at = (real(values.len() as u64) * level).ceil() as usize;
    let at = at.clamp(1, values.len()) - 1;
    *values.select_nth_unstable_by(at, f64::total_cmp).1
}

/// The pooled values in order.
struct Pool {
    values: Vec<f64>,
    of_reference: Vec<bool>,
}

impl Pool {
    fn new(reference: &[f64], window: &[f64]) -> Self {
        let sides = [(reference, true), (window, false)];
        let rows = sides.iter().flat_map(|(side, own)| side.iter().map(|value| (*value, *own)));
        let mut rows: Vec<(f64, bool)> = rows.collect();
        rows.sort_by(|a, b| a.0.total_cmp(&b.0));
        let (values, of_reference) = rows.into_iter().unzip();
        Self { values, of_reference }
    }

    fn range(&self) -> f64 {
        match (self.values.first(), self.values.last()) {
            (Some(first), Some(last)) => last - first,
            _ => 0.0,
        }
    }

    /// Each gap between neighbours, with the counts up to it of the sample that is `inside` and of
    /// the other.
    fn gaps<'a>(&'a self, inside: &'a [bool]) -> impl Iterator<Item = (f64, f64, f64)> + 'a {
        let (mut i, mut j) = (0.0, 0.0);
        self.values.windows(2).zip(inside).map(move |(pair, inside)| {
            *(if *inside { &mut i } else { &mut j }) += 1.0;
            (pair[1] - pair[0], i, j)
        })
    }

    /// ∫ (F − G)² of a sample and the rest.
    fn squared(&self, inside: &[bool], count: usize) -> f64 {
        let (n, m) = self.counts(count);
        self.gaps(inside).map(|(gap, i, j)| gap * (i / n - j / m).powi(2)).sum()
    }

    /// The same of a sample of so many rows that are drawn in the order of their values, the next one
    /// with the share that is still to be drawn: nothing is shuffled, and memory read once from end
    /// to end, which of a million rows takes a tenth of the time.
    fn dealt(&self, count: usize, random: &mut Random) -> f64 {
        let (n, m) = self.counts(count);
        let (mut rows, mut left) = (self.values.len() as u64, count as u64);
        let (all, small) = (rows.cast_signed(), left.cast_signed());
        let (mut apart, mut sum) = (0_i64, 0.0);
        for pair in self.values.windows(2) {
            // All bits if the row is inside, else none: of a comparison the compiler makes a branch,
            // which is guessed wrong half of the time and takes three times as long.
            let inside = random.below(rows).wrapping_sub(left).cast_signed() >> 63;
            (rows, left) = (rows - 1, left.wrapping_add_signed(inside));
            apart += (all & inside) - small;
            #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
            let own = apart as f64;
            sum += (pair[1] - pair[0]) * own * own;
        }
        sum / (n * m).powi(2)
    }

    /// The share of all deals for which `extreme` holds.
    fn share_of_every_deal(
        &self,
        count: usize,
        options: &PermutationOptions,
        mut extreme: impl FnMut(f64) -> bool,
    ) -> (f64, Law) {
        let mut inside = vec![false; self.values.len()];
        share_of_deals((0..inside.len()).collect(), count, 1, options, |chosen| {
            for at in chosen {
                inside[*at] = true;
            }
            let squared = self.squared(&inside, count);
            inside.fill(false);
            extreme(squared)
        })
    }

    /// E|X − Y| = ∫ F (1 − G) + G (1 − F) of the reference and the window.
    fn mean_distance(&self, count: usize) -> f64 {
        let (n, m) = self.counts(count);
        let term = |(gap, i, j): (f64, f64, f64)| {
            let (f, g) = (i / n, j / m);
            gap * (f * (1.0 - g) + g * (1.0 - f))
        };
        self.gaps(&self.of_reference).map(term).sum()
    }

    fn counts(&self, count: usize) -> (f64, f64) {
        (real(count as u64), real((self.values.len() - count) as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn test(a: &[f64], b: &[f64]) -> Result<Option<Energy>> {
        energy(a, b, 0.95, &PermutationOptions::default())
    }

    /// The definition, over all pairs.
    fn by_pairs(a: &[f64], b: &[f64]) -> (f64, f64) {
        let mean = |a: &[f64], b: &[f64]| {
            let sum: f64 = a.iter().flat_map(|x| b.iter().map(move |y| (x - y).abs())).sum();
            sum / (real(a.len() as u64) * real(b.len() as u64))
        };
        let squared = 2.0 * mean(a, b) - mean(a, a) - mean(b, b);
        (squared, squared / (2.0 * mean(a, b)))
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]

        #[test]
        fn one_sweep_gives_what_all_pairs_give(
            a in prop::collection::vec(-9_i8..9, 1..20),
            b in prop::collection::vec(-9_i8..9, 1..20),
        ) {
            let floats = |side: &[i8]| side.iter().map(|v| f64::from(*v)).collect::<Vec<_>>();
            let (a, b) = (floats(&a), floats(&b));
            if let Some(own) = test(&a, &b).unwrap() {
                let (squared, coefficient) = by_pairs(&a, &b);
                prop_assert!((own.distance.powi(2) - squared).abs() < 1e-11);
                prop_assert!((own.coefficient - coefficient).abs() < 1e-11);
                prop_assert!(own.interval.contains(own.distance) && own.p > 0.0 && own.p <= 1.0);
            }
        }
    }

    #[test]
    fn random_deals_have_the_law_of_every_deal() {
        let (a, b) = ([0.0, 3.0, 4.0, 7.0, 11.0, 12.0], [1.0, 2.0, 9.0, 30.0]);
        let by = |enumerated| {
            let options = PermutationOptions::default().with_enumerated(enumerated);
            energy(&a, &b, 0.95, &options).unwrap().unwrap()
        };
        let (every, some) = (by(20_000), by(0));
        assert_eq!((every.law, some.law), (Law::Exact, Law::Permutation { deals: 9_999 }));
        assert!((every.p - some.p).abs() < 0.02, "{} {}", every.p, some.p);
        assert!((every.interval.high - some.interval.high).abs() < 1e-9);
    }

    #[test]
    fn constants_empties_and_infinities_are_answered() {
        assert_eq!(test(&[3.0; 9], &[3.0; 5]).unwrap(), None);
        assert_eq!(test(&[], &[4.0; 5]).unwrap(), None);
        assert!(test(&[1.0, f64::NAN], &[3.0; 5]).is_err());
        let apart = test(&[3.0; 9], &[4.0; 5]).unwrap().unwrap();
        assert!((apart.coefficient - 1.0).abs() < 1e-12 && (apart.p - 1.0 / 2002.0).abs() < 1e-12);
    }
}
