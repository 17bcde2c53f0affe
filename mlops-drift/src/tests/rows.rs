//! What tests over rows of finite values have in common.

use super::real;
use mlops_core::{Error, Result};

/// Above the skewness at which this share of one over the smaller sample's rows is its square, a
/// test of means takes random deals instead of Student's law. By the Edgeworth series of Student's
/// statistic (P. Hall, "The bootstrap and Edgeworth expansion", 1992, section 2.6) skewness γ adds
/// at most about γ²/4n to a probability of 5%: here 0.25%.
const MOST_SKEWNESS_PER_ROW: f64 = 0.01;

/// Values, which must be finite; a test of means says nothing of others.
pub(super) fn check_finite(reference: &[f64], window: &[f64]) -> Result<()> {
    for (side, values) in [("reference", reference), ("window", window)] {
        if let Some(at) = values.iter().position(|value| !value.is_finite()) {
            return Err(Error::invalid(format!("value {at} of the {side} is not finite")));
        }
    }
    Ok(())
}

/// Their mean; of values whose sum does not fit, by halves.
pub(super) fn mean(values: &[f64]) -> f64 {
    let n = real(values.len() as u64);
    let rough = values.iter().map(|value| value / n).sum::<f64>();
    // Once more about itself, so that what rounding left is added.
    rough + values.iter().map(|value| value - rough).sum::<f64>() / n
}

/// Σ (value − mean)², and the same cubed.
pub(super) fn squares_and_cubes(values: &[f64], mean: f64) -> (f64, f64) {
    values
        .iter()
        .map(|value| value - mean)
        .fold((0.0, 0.0), |(squares, cubes), off| (squares + off * off, cubes + off * off * off))
}

/// Whether Student's law of the means of two samples is close, given their squares and cubes about
/// their own means.
pub(super) fn students_law_is_close(n: usize, m: usize, squares: f64, cubes: f64) -> bool {
    let rows = real((n + m) as u64);
    let deviation = (squares / rows).sqrt();
    // By steps, for squares of huge values leave the range.
    let skewness = cubes / rows / deviation / deviation / deviation;
    skewness * skewness <= MOST_SKEWNESS_PER_ROW * real(n.min(m) as u64)
}

/// A quotient that stays a number: nothing of nothing is nothing, anything of nothing the largest.
pub(super) fn quotient(over: f64, under: f64) -> f64 {
    if over == 0.0 { 0.0 } else { (over / under).clamp(-f64::MAX, f64::MAX) }
}
