//! Intervals and tests of shares.

use super::{
    Interval,
    beta::{BetaLaw, Tail},
    normal_quantile, real, tail,
};
use crate::{Error, Result};

/// Wilson's score interval of a share: `successes` of `n` rows.
///
/// E. B. Wilson, "Probable inference, the law of succession, and statistical inference", JASA 22
/// (1927). Close to its level on average; use [`clopper_pearson`] where it must never fall short.
pub fn wilson(successes: u64, n: u64, level: f64) -> Result<Interval> {
    check(successes, n)?;
    let (low, high) = score(successes, n, normal_quantile(level)?);
    Ok(Interval { low, high, level })
}

/// The exact interval of a share: `successes` of `n` rows. Never falls short of its level.
///
/// C. J. Clopper, E. S. Pearson, "The use of confidence or fiducial limits illustrated in the case
/// of the binomial", Biometrika 26 (1934), by quantiles of the beta law. `Unsupported` where their
/// arithmetic does not converge, far beyond 10^11 rows.
pub fn clopper_pearson(successes: u64, n: u64, level: f64) -> Result<Interval> {
    check(successes, n)?;
    let tail = tail(level)?;
    let misses = n - successes;
    let low = match successes {
        0 => 0.0,
        k => BetaLaw::new(k, misses + 1).quantile(Tail::Lower, tail)?,
    };
    let high = match misses {
        0 => 1.0,
        misses => BetaLaw::new(successes + 1, misses).quantile(Tail::Upper, tail)?,
    };
    Ok(Interval { low, high, level })
}

/// The interval of `second`'s share less `first`'s, each (successes, rows) of its own sample.
///
/// R. G. Newcombe, "Interval estimation for the difference between independent proportions",
/// Statistics in Medicine 17 (1998) 873–890, method 10.
pub fn difference_interval(first: (u64, u64), second: (u64, u64), level: f64) -> Result<Interval> {
    check(first.0, first.1)?;
    check(second.0, second.1)?;
    let z = normal_quantile(level)?;
    let share = |(k, n): (u64, u64)| real(k) / real(n);
    let (p, q) = (share(first), share(second));
    let ((p_low, p_high), (q_low, q_high)) =
        (score(first.0, first.1, z), score(second.0, second.1, z));
    let low = q - p - (q - q_low).hypot(p_high - p);
    let high = q - p + (q_high - q).hypot(p - p_low);
    Ok(Interval { low: low.max(-1.0), high: high.min(1.0), level })
}

/// How two yes-or-no answers fell on the same rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PairedCounts {
    /// Both yes.
    pub both: u64,
    /// Only the first.
    pub first_only: u64,
    /// Only the second.
    pub second_only: u64,
    /// Neither.
    pub neither: u64,
}

impl PairedCounts {
    /// Rows.
    pub fn n(&self) -> u64 {
        self.both + self.first_only + self.second_only + self.neither
    }

    /// The first's share less the second's.
    pub fn difference(&self) -> f64 {
        (real(self.first_only) - real(self.second_only)) / real(self.n())
    }
}

/// The interval of the first's share less the second's, on the same rows.
///
/// R. G. Newcombe, "Improved confidence intervals for the difference between binomial proportions
/// based on paired data", Statistics in Medicine 17 (1998) 2635–2650, method 10.
pub fn paired_difference_interval(counts: PairedCounts, level: f64) -> Result<Interval> {
    let PairedCounts { both, first_only, second_only, neither } = counts;
    let n = counts.n();
    check(0, n)?;
    let z = normal_quantile(level)?;
    let (first, second) = (both + first_only, both + second_only);
    let (p, q) = (real(first) / real(n), real(second) / real(n));
    let ((p_low, p_high), (q_low, q_high)) = (score(first, n, z), score(second, n, z));
    let margins = real(first) * real(n - first) * real(second) * real(n - second);
    let phi = if margins == 0.0 {
        0.0
    } else {
        let cross = real(both) * real(neither) - real(first_only) * real(second_only);
        // The paper's continuity correction draws a positive association towards nothing.
        let cross = if cross > 0.0 { (cross - real(n) / 2.0).max(0.0) } else { cross };
        cross / margins.sqrt()
    };
    let spread = |a: f64, b: f64| (a * a - 2.0 * phi * a * b + b * b).max(0.0).sqrt();
    let low = p - q - spread(p - p_low, q_high - q);
    let high = p - q + spread(p_high - p, q - q_low);
    Ok(Interval { low: low.max(-1.0), high: high.min(1.0), level })
}

/// Probability, if both were equally likely to be right, of as uneven a split of the rows on which
/// they differ: McNemar's test with the exact binomial law, two-sided.
pub fn mcnemar_p(counts: PairedCounts) -> Result<f64> {
    let (less, more) =
        (counts.first_only.min(counts.second_only), counts.first_only.max(counts.second_only));
    if less == more {
        return Ok(1.0);
    }
    // As few as `less` of all heads is a coin below one half in the beta law of (more, less + 1).
    Ok((2.0 * BetaLaw::new(more, less + 1).below_half()?).min(1.0))
}

/// Both ends of the score interval; the counts are checked.
fn score(successes: u64, n: u64, z: f64) -> (f64, f64) {
    let (n, p, square) = (real(n), real(successes) / real(n), z * z);
    let centre = p + square / (2.0 * n);
    let spread = z * (p * (1.0 - p) / n + square / (4.0 * n * n)).sqrt();
    let scale = 1.0 + square / n;
    // The ends of an extreme share are exact; rounding would leave a trace.
    let low = if successes == 0 { 0.0 } else { (centre - spread) / scale };
    let high = if p >= 1.0 { 1.0 } else { (centre + spread) / scale };
    (low, high)
}

fn check(successes: u64, n: u64) -> Result<()> {
    match (successes, n) {
        (_, 0) => Err(Error::invalid("a share of no rows")),
        (k, n) if k > n => Err(Error::invalid(format!("{k} of {n} rows"))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn intervals_hold_the_share_and_nest_by_level(n in 1_u64..5_000, part in 0.0..=1.0_f64) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a part of n")]
            let k = (real(n) * part) as u64;
            for interval in [wilson, clopper_pearson] {
                let (narrow, wide) = (interval(k, n, 0.9).unwrap(), interval(k, n, 0.99).unwrap());
                prop_assert!(narrow.contains(real(k) / real(n)));
                prop_assert!(wide.low <= narrow.low && narrow.high <= wide.high);
                prop_assert!(0.0 <= wide.low && wide.high <= 1.0);
            }
        }

        #[test]
        fn swapping_sides_mirrors_the_difference(a in 0_u64..60, b in 0_u64..60, c in 0_u64..60, d in 1_u64..60) {
            let counts = PairedCounts { both: a, first_only: b, second_only: c, neither: d };
            let swapped = PairedCounts { first_only: c, second_only: b, ..counts };
            let (forth, back) =
                (paired_difference_interval(counts, 0.95).unwrap(), paired_difference_interval(swapped, 0.95).unwrap());
            prop_assert!((forth.low + back.high).abs() < 1e-12 && (forth.high + back.low).abs() < 1e-12);
            prop_assert!(forth.contains(counts.difference()));
            prop_assert!((mcnemar_p(counts).unwrap() - mcnemar_p(swapped).unwrap()).abs() < 1e-15);
        }
    }

    #[test]
    fn impossible_counts_are_named() {
        assert_eq!(wilson(3, 2, 0.95).unwrap_err().to_string(), "3 of 2 rows");
        assert_eq!(wilson(0, 0, 0.95).unwrap_err().to_string(), "a share of no rows");
        assert!(wilson(1, 2, 1.0).is_err() && wilson(1, 2, f64::NAN).is_err());
    }
}
