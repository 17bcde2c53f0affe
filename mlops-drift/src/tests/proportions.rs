//! The test of two proportions: one share in two samples.

use super::{Law, probability, real, share::hypergeometric_p};
use mlops_core::{
    Result,
    stats::{Interval, difference_interval},
};
use statrs::distribution::{ContinuousCDF, Normal};

/// Expected counts from which the normal law of two proportions is taken: a step of the count is
/// then a thirtieth of a deviation, which moves the probability at 5% by less than 0.2%.
pub const NORMAL_EXPECTED: f64 = 1000.0;

/// What the test of two proportions says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct TwoProportions {
    /// (q̂ − p̂) / √(r̂(1 − r̂)(1/n + 1/m)) with the pooled share r̂: positive if the window has more.
    pub statistic: f64,
    /// Probability of a difference at least this large, in either direction; in (0, 1].
    pub p: f64,
    /// By which law.
    pub law: Law,
    /// The effect: share of the window less share of the reference.
    pub difference: f64,
    /// Where the true difference lies: Newcombe's hybrid of two score intervals.
    pub interval: Interval,
}

/// Whether a share is the same in two samples, (rows that have it, all rows) of either: the
/// pooled z-test with the normal law where [`NORMAL_EXPECTED`] rows are expected in each of the
/// four cells, and the exact law of
/// [`share_difference`](super::share_difference) below. Sides may differ in size.
///
/// `None` if either sample is empty, or if all rows or none have it: nothing varies there.
pub fn two_proportions(
    reference: (u64, u64),
    window: (u64, u64),
    level: f64,
) -> Result<Option<TwoProportions>> {
    super::share::check(reference, window)?;
    if reference.1 == 0 || window.1 == 0 {
        return Ok(None);
    }
    let (n, m) = (real(reference.1), real(window.1));
    let pooled = (real(reference.0) + real(window.0)) / (n + m);
    let variance = pooled * (1.0 - pooled);
    if variance <= 0.0 {
        return Ok(None);
    }
    let difference = real(window.0) / m - real(reference.0) / n;
    let statistic = difference / (variance * (1.0 / n + 1.0 / m)).sqrt();
    let interval = difference_interval(reference, window, level)?;
    let expected = n.min(m) * pooled.min(1.0 - pooled);
    let (p, law) = if expected >= NORMAL_EXPECTED {
        (probability(2.0 * Normal::standard().sf(statistic.abs())), Law::Limit)
    } else {
        (hypergeometric_p(reference, window), Law::Exact)
    };
    Ok(Some(TwoProportions { statistic, p, law, difference, interval }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_laws_meet_and_constants_say_nothing() {
        let at = |k: u64| two_proportions((2 * k, 5 * k), (9 * k / 4, 5 * k), 0.95).unwrap();
        let (exact, limit) = (at(460).unwrap(), at(520).unwrap());
        assert_eq!((exact.law, limit.law), (Law::Exact, Law::Limit));
        let scaled = |test: &TwoProportions| test.p.ln() / test.statistic.powi(2);
        assert!((scaled(&exact) / scaled(&limit) - 1.0).abs() < 0.02, "{exact:?} {limit:?}");
        assert_eq!(two_proportions((0, 9), (0, 4), 0.95).unwrap(), None);
        assert_eq!(two_proportions((9, 9), (4, 4), 0.95).unwrap(), None);
        assert_eq!(two_proportions((0, 0), (4, 4), 0.95).unwrap(), None);
    }
}
