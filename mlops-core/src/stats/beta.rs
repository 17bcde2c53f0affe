//! The beta law's tails and quantiles: exact at a billion rows as at ten.
//!
//! Own code, since the libraries at hand lose digits from a few thousand rows on (logarithms of
//! factorials cancel) and their quantile does not end for large ones.

use super::real;
use crate::{Error, Result};
use statrs::function::gamma::ln_gamma;
use std::f64::consts::PI;

/// A beta law: of counts, both at least 1, or of half the degrees of freedom of Student's law.
#[derive(Clone, Copy)]
pub(super) struct BetaLaw {
    a: f64,
    b: f64,
}

/// Which side of the law a probability is about.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Tail {
    Lower,
    Upper,
}

/// A point between 0 and 1 by its logit, so that what is left to 1 keeps its digits too.
#[derive(Clone, Copy)]
struct Point {
    x: f64,
    /// 1 - x.
    rest: f64,
}

impl BetaLaw {
    pub(super) fn new(a: u64, b: u64) -> Self {
        Self::of(real(a), real(b))
    }

    /// Both above 0.
    pub(super) fn of(a: f64, b: f64) -> Self {
        Self { a, b }
    }

    /// The probability of one side of the point x, which is given with 1 - x.
    pub(super) fn tail(self, tail: Tail, x: f64, rest: f64) -> Result<f64> {
        Ok(self.ln_tail(Point { x, rest }, tail)?.exp())
    }

    /// The probability of less than one half.
    pub(super) fn below_half(self) -> Result<f64> {
        Ok(self.ln_tail(Point { x: 0.5, rest: 0.5 }, Tail::Lower)?.exp())
    }

    /// Where a tail holds the probability `p`, which lies between 0 and 1.
    ///
    /// Newton's method on the tail's logarithm over the logit of x: the law is log-concave there,
    /// and so are its tails, hence steps from anywhere end at the root and after the first come
    /// from one side.
    pub(super) fn quantile(self, tail: Tail, p: f64) -> Result<f64> {
        Ok(Point::at(self.quantile_logit(tail, p)?).x)
    }

    /// ln(x / (1 - x)) of the quantile.
    pub(super) fn quantile_logit(self, tail: Tail, p: f64) -> Result<f64> {
        let mut logit = (self.a / self.b).ln();
        for _ in 0..100 {
            let point = Point::at(logit);
            let ln_tail = self.ln_tail(point, tail)?;
            // The law's density over the logit is x (1 - x) times that over x.
            let slope = (self.ln_power(point) - ln_tail).exp();
            let step = (ln_tail - p.ln()) / slope;
            logit += if tail == Tail::Lower { -step } else { step };
            if step.abs() <= 4.0 * f64::EPSILON * logit.abs().max(1.0) {
                break;
            }
        }
        Ok(logit)
    }

    /// The logarithm of the probability of one side of a point.
    fn ln_tail(self, point: Point, tail: Tail) -> Result<f64> {
        // The fraction converges on the side of the mean where its tail is the smaller.
        let lower = point.x < (self.a + 1.0) / (self.a + self.b + 2.0);
        let own = if lower { self } else { Self { a: self.b, b: self.a } };
        let here = if lower { point } else { Point { x: point.rest, rest: point.x } };
        let smaller = own.ln_power(here) - own.fraction(here)?.ln();
        let wanted = lower == (tail == Tail::Lower);
        Ok(if wanted { smaller } else { (-smaller.exp()).ln_1p() })
    }

    /// The logarithm of x^a (1-x)^b / B(a, b).
    ///
    /// By saddle point: C. Loader, "Fast and accurate computation of binomial probabilities"
    /// (2000). Nothing large cancels.
    fn ln_power(self, Point { x, rest }: Point) -> f64 {
        let Self { a, b } = self;
        let n = a + b;
        let stirling = stirling_error(n) - stirling_error(a) - stirling_error(b);
        let ln_binomial = stirling - deviance(a, n * x) - deviance(b, n * rest)
            + (n / (2.0 * PI * a * b)).ln() / 2.0;
        ln_binomial + (a * b / n).ln()
    }

    /// The continued fraction that divides x^a (1-x)^b / B(a, b), by Lentz' method.
    ///
    /// A. R. `DiDonato`, A. H. Morris, "Algorithm 708: significant digit computation of the
    /// incomplete beta function ratios", ACM TOMS 18 (1992), formula 9. It names 1 - x wherever that
    /// decides, as the better known fraction does not: beside 1 it would lose half of the digits.
    fn fraction(self, Point { x, rest }: Point) -> Result<f64> {
        let Self { a, b } = self;
        let kept = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
        let lead = a * rest - b * x + 1.0;
        let mut value = kept(a * lead / (a + 1.0));
        let (mut c, mut d) = (value, 0.0);
        let mut m = 0.0;
        while m < MOST_TERMS {
            m += 1.0;
            let before = a + 2.0 * m - 1.0;
            let above = (a + m - 1.0) * (a + b + m - 1.0) * m * (b - m) * (x / before).powi(2);
            let beside = m
                + m * (b - m) * x / before
                + (a + m) * (lead + m * (1.0 + rest)) / (a + 2.0 * m + 1.0);
            d = 1.0 / kept(beside + above * d);
            c = kept(beside + above / c);
            value *= c * d;
            if (c * d - 1.0).abs() <= f64::EPSILON {
                return Ok(value);
            }
        }
        Err(Error::unsupported(format!("the exact law of {} rows does not converge", a + b - 1.0)))
    }
}

/// Terms grow with the root of the rows: enough for more than 10^11 of them.
const MOST_TERMS: f64 = 1e6;

impl Point {
    fn at(logit: f64) -> Self {
        Self { x: 1.0 / (1.0 + (-logit).exp()), rest: 1.0 / (1.0 + logit.exp()) }
    }
}

/// What Stirling's formula lacks of ln n!.
fn stirling_error(n: f64) -> f64 {
    if n < 16.0 {
        return ln_gamma(n + 1.0) - (n + 0.5) * n.ln() + n - (2.0 * PI).ln() / 2.0;
    }
    let square = n * n;
    let series = 1.0 / 1680.0 - 1.0 / 1188.0 / square;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - series / square) / square) / square) / n
}

/// `x ln(x/mean) + mean - x`, also where the two are close.
fn deviance(x: f64, mean: f64) -> f64 {
    let off = x - mean;
    if off.abs() >= 0.1 * (x + mean) {
        return x * (x / mean).ln() - off;
    }
    // The series of ln(x/mean) = 2 artanh(ratio).
    let ratio = off / (x + mean);
    let (mut sum, mut power) = (off * ratio, 2.0 * x * ratio);
    for odd in (3..40).step_by(2) {
        power *= ratio * ratio;
        let term = power / f64::from(odd);
        sum += term;
        if term.abs() <= f64::EPSILON * sum.abs() {
            break;
        }
    }
    sum
}
