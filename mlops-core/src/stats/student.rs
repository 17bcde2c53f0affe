//! The laws of Student's t and of Fisher's F, to their far tails and at any degrees of freedom.
//!
//! Both are beta laws in other words (N. L. Johnson, S. Kotz, N. Balakrishnan, "Continuous
//! univariate distributions", volume 2, 1995, chapters 27 and 28). Own code over our beta law, since
//! the library's fraction stops after 140 terms, which is too few beyond some thousand degrees.

use super::{
    beta::{BetaLaw, Tail},
    tail,
};
use crate::{Error, Result};

/// The probability that |T| is at least |t|, for Student's T of so many degrees of freedom (any
/// number above 0); in 0..=1. A t that is NaN is `InvalidInput`.
pub fn student_two_sided(t: f64, degrees: f64) -> Result<f64> {
    check(degrees)?;
    f_upper_tail(t * t, 1.0, degrees)
}

/// What |T| exceeds with probability 1 - level: 2.228 at 0.95 and 10 degrees of freedom.
pub fn student_quantile(level: f64, degrees: f64) -> Result<f64> {
    check(degrees)?;
    let law = BetaLaw::of(degrees / 2.0, 0.5);
    // x = degrees / (degrees + t²), whose logit is ln(degrees / t²).
    let logit = law.quantile_logit(Tail::Lower, 2.0 * tail(level)?)?;
    Ok((degrees.ln() - logit).exp().sqrt())
}

/// The probability that F of these degrees of freedom, both above 0, is at least `statistic`.
pub fn f_upper_tail(statistic: f64, numerator: f64, denominator: f64) -> Result<f64> {
    check(numerator)?;
    check(denominator)?;
    if statistic.is_nan() || statistic < 0.0 {
        return Err(Error::invalid(format!("the statistic {statistic} is not at least 0")));
    }
    let odds = numerator * statistic / denominator;
    if odds == 0.0 || odds.is_infinite() {
        return Ok(if odds == 0.0 { 1.0 } else { 0.0 });
    }
    let law = BetaLaw::of(denominator / 2.0, numerator / 2.0);
    law.tail(Tail::Lower, 1.0 / (1.0 + odds), odds / (1.0 + odds))
}

fn check(degrees: f64) -> Result<()> {
    if degrees > 0.0 && degrees.is_finite() {
        return Ok(());
    }
    Err(Error::invalid(format!("degrees of freedom are above 0; {degrees} is not")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// T of 1 degree is Cauchy's law, of 2 degrees an algebraic one.
    #[test]
    fn the_laws_of_one_and_two_degrees_are_closed() {
        for t in [1e-9_f64, 0.1, 1.0, 2.5, 40.0, 1e8] {
            let cauchy = 2.0 * (1.0 / t).atan() / std::f64::consts::PI;
            assert!((student_two_sided(t, 1.0).unwrap() / cauchy - 1.0).abs() < 1e-12, "{t}");
            let root = (2.0 + t * t).sqrt();
            let two = 2.0 / (root * (root + t));
            assert!((student_two_sided(-t, 2.0).unwrap() / two - 1.0).abs() < 1e-12, "{t}");
        }
        assert!((student_two_sided(0.0, 7.0).unwrap() - 1.0).abs() < 1e-15);
        assert!(student_two_sided(f64::NAN, 7.0).is_err() && student_two_sided(1.0, 0.0).is_err());
    }

    proptest! {
        #[test]
        fn quantiles_invert_the_law(level in 0.01..0.9999_f64, degrees in 0.6..1e6_f64) {
            let t = student_quantile(level, degrees).unwrap();
            let back = student_two_sided(t, degrees).unwrap();
            prop_assert!((back / (1.0 - level) - 1.0).abs() < 1e-9, "{t} {back}");
        }
    }
}
