//! Effects of a shift along the line: of the mean, and of the order of two values.

use super::{real, rows_of_cells};
use mlops_core::{
    Result,
    stats::{Interval, normal_quantile},
};

/// Number of values, their mean and their variance (divisor: count − 1).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Moments {
    /// How many values.
    pub count: u64,
    /// Their mean.
    pub mean: f64,
    /// Their variance.
    pub variance: f64,
}

/// How far the mean moved.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct MeanShift {
    /// (mean of the window − mean of the reference) / deviation of the reference.
    pub value: f64,
    /// Where the true shift lies.
    pub interval: Interval,
}

/// How far the mean moved, in standard deviations of the reference (Glass's Δ).
///
/// The interval is the normal one with Bonett's variance, which lets the two deviations differ:
/// Δ²/(2(n − 1)) + s²(window)/(s²(reference)·(m − 1)) + 1/(n − 1) (Bonett, "Confidence intervals
/// for standardized linear contrasts of means", Psychological Methods 13, 2008). A mean is not
/// robust: one outlier moves it; [`superiority`] does not mind. `None` below two values a side, or
/// if the reference's values are all equal.
pub fn mean_shift(reference: Moments, window: Moments, level: f64) -> Result<Option<MeanShift>> {
    let z = normal_quantile(level)?;
    let value = (window.mean - reference.mean) / reference.variance.sqrt();
    let enough = reference.count > 1 && window.count > 1 && reference.variance > 0.0;
    if !enough || !value.is_finite() {
        return Ok(None);
    }
    let (n, m) = (real(reference.count - 1), real(window.count - 1));
    let ratio = window.variance / reference.variance;
    let error = (value * value / (2.0 * n) + ratio / m + 1.0 / n).sqrt();
    let interval = Interval { low: value - z * error, high: value + z * error, level };
    Ok(Some(MeanShift { value, interval }))
}

/// How often a value of the window exceeds one of the reference.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Superiority {
    /// Probability that a random window value exceeds a random reference value, half of the
    /// probability that they tie added; ½ without a shift.
    pub value: f64,
    /// Where the true probability lies.
    pub interval: Interval,
}

/// The probability of superiority (the area under the ROC curve of "is this row of the window?")
/// from counts of the same ordered cells; values of one cell count as ties.
///
/// The interval is Newcombe's method 5: the values θ with |θ − estimate| ≤ z·√V(θ), V being Hanley
/// and `McNeil`'s variance at θ with both numbers of rows in it replaced by their mean (Newcombe,
/// "Confidence intervals for an effect size measure based on the Mann–Whitney statistic. Part 2",
/// Statistics in Medicine 25, 2006). `None` if either side counts nothing.
pub fn superiority(reference: &[u64], window: &[u64], level: f64) -> Result<Option<Superiority>> {
    let (n, m) = rows_of_cells(reference, window)?;
    let z = normal_quantile(level)?;
    if n == 0 || m == 0 {
        return Ok(None);
    }
    // Pairs won, twice: whole numbers.
    let (mut below, mut twice) = (0_u128, 0_u128);
    for (before, now) in reference.iter().zip(window) {
        let (before, now) = (u128::from(*before), u128::from(*now));
        twice += now * (2 * below + before);
        below += before;
    }
    #[expect(clippy::cast_precision_loss, reason = "rounded once, as any quotient is")]
    let value = twice as f64 / (2.0 * real(n) * real(m));
    let low = edge(value, 0.0, z, n, m);
    let high = edge(value, 1.0, z, n, m);
    Ok(Some(Superiority { value, interval: Interval { low, high, level } }))
}

/// The last θ between the estimate and `end` that the estimate does not contradict, by bisection.
fn edge(estimate: f64, end: f64, z: f64, n: u64, m: u64) -> f64 {
    let (n, m) = (real(n), real(m));
    let variance = |t: f64| {
        let pairs = f64::midpoint(n, m) - 1.0;
        t * (1.0 - t) * (1.0 + pairs * ((1.0 - t) / (2.0 - t) + t / (1.0 + t))) / (n * m)
    };
    let inside = |t: f64| (t - estimate).powi(2) <= z * z * variance(t);
    let (mut near, mut far) = (estimate, end);
    for _ in 0..60 {
        let middle = f64::midpoint(near, far);
        *(if inside(middle) { &mut near } else { &mut far }) = middle;
    }
    near
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn superiority_counts_pairs() {
        let half = superiority(&[10, 20, 10], &[5, 10, 5], 0.95).unwrap().unwrap();
        assert!((half.value - 0.5).abs() < 1e-15 && half.interval.contains(0.5));
        let all = superiority(&[40, 0], &[0, 30], 0.95).unwrap().unwrap();
        assert!((all.value - 1.0).abs() < 1e-15 && all.interval.low > 0.85, "{all:?}");
        assert_eq!(superiority(&[0], &[1], 0.95).unwrap(), None);
    }

    #[test]
    fn a_shift_needs_a_spread() {
        let moments = |mean, variance| Moments { count: 100, mean, variance };
        let shift = mean_shift(moments(1.0, 4.0), moments(2.0, 4.0), 0.95).unwrap().unwrap();
        assert!((shift.value - 0.5).abs() < 1e-15 && shift.interval.contains(0.5));
        assert_eq!(mean_shift(moments(1.0, 0.0), moments(2.0, 4.0), 0.95).unwrap(), None);
    }
}
