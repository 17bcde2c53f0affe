//! Equivalence: whether a difference is surely within a margin, which no large p-value shows.
//!
//! By two one-sided tests (D. J. Schuirmann, "A comparison of the two one-sided tests procedure and
//! the power approach for assessing the equivalence of average bioavailability", Journal of
//! Pharmacokinetics and Biopharmaceutics 15, 1987): equivalent at error α if the interval of level
//! 1 − 2α lies within the margins. "Within δ with 95% confidence" is α = 0.05.

use super::{Moments, mean_shift, probability, real};
use mlops_core::{
    Error, Result,
    stats::{Interval, difference_interval, student_quantile, student_two_sided},
};

/// What an equivalence test says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Equivalence {
    /// The difference: window less reference, in the units of the function that gave it.
    pub effect: f64,
    /// Where the true difference lies; of level 1 − 2α, so that each end alone errs with α.
    pub interval: Interval,
    /// Probability of a difference so much nearer to zero than the margin, if the true one were at
    /// the margin; in (0, 1]. The least α at which the two are equivalent.
    pub p: f64,
    /// Whether the whole interval lies within the margin.
    pub equivalent: bool,
}

/// Whether the means of two samples differ by less than `margin`, in units of the values: Welch's
/// test at both margins. `None` below two values a side or where neither varies.
///
/// ```
/// # fn main() -> mlops_core::Result<()> {
/// use mlops_drift::tests::{Moments, mean_equivalence};
///
/// let reference = Moments { count: 10_000, mean: 3.00, variance: 1.0 };
/// let window = Moments { count: 2_000, mean: 3.02, variance: 1.0 };
/// assert!(mean_equivalence(reference, window, 0.1, 0.05)?.expect("rows").equivalent);
/// let few = Moments { count: 50, ..window };
/// assert!(!mean_equivalence(reference, few, 0.1, 0.05)?.expect("rows").equivalent);
/// # Ok(())
/// # }
/// ```
pub fn mean_equivalence(
    reference: Moments,
    window: Moments,
    margin: f64,
    alpha: f64,
) -> Result<Option<Equivalence>> {
    check(margin, alpha)?;
    if reference.count < 2 || window.count < 2 {
        return Ok(None);
    }
    let part = |side: Moments| (side.variance / real(side.count), real(side.count - 1));
    let ((before, n), (now, m)) = (part(reference), part(window));
    let effect = window.mean - reference.mean;
    let variance = before + now;
    if variance <= 0.0 || !variance.is_finite() || !effect.is_finite() {
        return Ok(None);
    }
    let error = variance.sqrt();
    let degrees = variance * variance / (before * before / n + now * now / m);
    let above = |t: f64| -> Result<f64> {
        let half = student_two_sided(t, degrees)? / 2.0;
        Ok(if t > 0.0 { half } else { 1.0 - half })
    };
    let p = above((effect + margin) / error)?.max(above((margin - effect) / error)?);
    let reach = student_quantile(1.0 - 2.0 * alpha, degrees)? * error;
    let interval = around(effect, reach, alpha);
    let equivalent = within(&interval, margin);
    Ok(Some(Equivalence { effect, interval, p: probability(p), equivalent }))
}

/// Whether the mean moved by less than `margin` standard deviations of the reference, by the
/// interval of [`mean_shift`]. `None` where that says nothing.
pub fn shift_equivalence(
    reference: Moments,
    window: Moments,
    margin: f64,
    alpha: f64,
) -> Result<Option<Equivalence>> {
    check(margin, alpha)?;
    let Some(shift) = mean_shift(reference, window, 1.0 - 2.0 * alpha)? else { return Ok(None) };
    let interval = |level| {
        let moved = mean_shift(reference, window, level)?;
        Ok(moved.map_or(shift.interval, |shift| shift.interval))
    };
    equivalence(shift.value, margin, alpha, interval).map(Some)
}

/// Whether a share differs by less than `margin` between two samples, (rows that have it, all
/// rows) of either, by Newcombe's interval of the difference. `None` if either side is empty.
pub fn share_equivalence(
    reference: (u64, u64),
    window: (u64, u64),
    margin: f64,
    alpha: f64,
) -> Result<Option<Equivalence>> {
    check(margin, alpha)?;
    if reference.1 == 0 || window.1 == 0 {
        return Ok(None);
    }
    let effect = real(window.0) / real(window.1) - real(reference.0) / real(reference.1);
    equivalence(effect, margin, alpha, |level| difference_interval(reference, window, level))
        .map(Some)
}

/// Whether any effect is surely within `margin` of zero, from its interval, which is asked for at
/// several levels and must grow with them.
///
/// `p` is the least error at which the interval is within, sought down to 10^-15; 1 if the effect
/// itself is not.
pub fn equivalence(
    effect: f64,
    margin: f64,
    alpha: f64,
    interval: impl Fn(f64) -> Result<Interval>,
) -> Result<Equivalence> {
    check(margin, alpha)?;
    let at = |alpha: f64| interval(1.0 - 2.0 * alpha);
    let own = at(alpha)?;
    let equivalent = within(&own, margin);
    let (mut low, mut high) = (1e-15_f64.ln(), (0.5_f64 - 1e-12).ln());
    if effect.abs() >= margin || !within(&at(high.exp())?, margin) {
        return Ok(Equivalence { effect, interval: own, p: 1.0, equivalent });
    }
    while high - low > 1e-12 {
        let middle = f64::midpoint(low, high);
        *(if within(&at(middle.exp())?, margin) { &mut high } else { &mut low }) = middle;
    }
    Ok(Equivalence { effect, interval: own, p: high.exp(), equivalent })
}

fn around(effect: f64, reach: f64, alpha: f64) -> Interval {
    Interval { low: effect - reach, high: effect + reach, level: 1.0 - 2.0 * alpha }
}

fn within(interval: &Interval, margin: f64) -> bool {
    -margin < interval.low && interval.high < margin
}

fn check(margin: f64, alpha: f64) -> Result<()> {
    if !(margin > 0.0 && margin.is_finite()) {
        return Err(Error::invalid(format!("a margin is above 0; {margin} is not")));
    }
    if !(alpha > 0.0 && alpha < 0.5) {
        return Err(Error::invalid(format!("an error lies between 0 and 0.5; {alpha} does not")));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn p_and_interval_agree() {
        let moments = |count, mean| Moments { count, mean, variance: 2.0 };
        for count in [3, 20, 400, 9_000] {
            for alpha in [0.01, 0.05, 0.2] {
                for mean in [0.0, 0.08, -0.2] {
                    let (a, b) = (moments(count, 0.0), moments(2 * count, mean));
                    let mean = mean_equivalence(a, b, 0.15, alpha).unwrap().unwrap();
                    let shift = shift_equivalence(a, b, 0.15, alpha).unwrap().unwrap();
                    let part = (count / 3, count);
                    let share = share_equivalence(part, (count / 2, count), 0.2, alpha).unwrap();
                    for test in [mean, shift, share.unwrap()] {
                        assert_eq!(test.equivalent, test.p < alpha, "{test:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_said_is_not() {
        let none = Moments { count: 1, mean: 0.0, variance: 0.0 };
        assert_eq!(mean_equivalence(none, none, 0.1, 0.05).unwrap(), None);
        assert_eq!(shift_equivalence(none, none, 0.1, 0.05).unwrap(), None);
        assert_eq!(share_equivalence((0, 0), (1, 2), 0.1, 0.05).unwrap(), None);
        assert!(share_equivalence((1, 2), (1, 2), 0.0, 0.05).is_err());
        assert!(share_equivalence((1, 2), (1, 2), 0.1, 0.5).is_err());
    }
}
