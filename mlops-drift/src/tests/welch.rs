//! Welch's test of two means.

use super::{
    Law, MeanShift, Moments, PermutationOptions, mean_shift,
    permutation::{at_least, share_of_deals},
    probability, real,
    rows::{check_finite, mean, quotient, squares_and_cubes, students_law_is_close},
};
use mlops_core::{
    Result,
    stats::{Interval, student_quantile, student_two_sided},
};

/// What Welch's test says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Welch {
    /// (mean of the window − mean of the reference) / its standard error.
    pub statistic: f64,
    /// Degrees of freedom by Welch and Satterthwaite.
    pub degrees: f64,
    /// Probability of as large a statistic, in either direction; in (0, 1].
    pub p: f64,
    /// By which law: `Limit` is Student's.
    pub law: Law,
    /// Probability by Student's law, close or not.
    pub p_student: f64,
    /// The effect: mean of the window − mean of the reference, in units of the values.
    pub difference: f64,
    /// Where the true difference lies, by Student's law.
    pub interval: Interval,
    /// The same in deviations of the reference, if that has any.
    pub shift: Option<MeanShift>,
}

/// Whether two samples have the same mean, whatever their variances (B. L. Welch, "The
/// generalization of 'Student's' problem when several different population variances are
/// involved", Biometrika 34, 1947), two-sided.
///
/// Student's law is right for normal values and close for others unless they are skewed: where the
/// skewness γ of the values about their own side's mean has γ² > n/100, n being the rows of the
/// smaller side, the statistic's permutation law is taken, which is exact for samples of one
/// source and close for equal means in many rows (A. Janssen, "Studentized permutation tests for
/// non-i.i.d. hypotheses and the generalized Behrens–Fisher problem", Statistics & Probability
/// Letters 36, 1997). A mean is not robust: one outlier hides a shift of all others, which
/// [`mann_whitney`](super::mann_whitney) and [`ks`](super::ks) find. `None` below two values a side
/// or if all values are equal; a value that is not finite is `InvalidInput`.
pub fn welch(
    reference: &[f64],
    window: &[f64],
    level: f64,
    options: &PermutationOptions,
) -> Result<Option<Welch>> {
    options.check()?;
    check_finite(reference, window)?;
    let (n, m) = (reference.len(), window.len());
    student_quantile(level, 1.0)?;
    if n < 2 || m < 2 {
        return Ok(None);
    }
    let (before, now) = (Side::of(reference), Side::of(window));
    let difference = now.mean - before.mean;
    if difference == 0.0 && before.squares + now.squares == 0.0 {
        return Ok(None);
    }
    let (statistic, error, degrees) = before.beside(&now);
    let p_student = probability(student_two_sided(statistic, degrees)?);
    let (squares, cubes) = (before.squares + now.squares, before.cubes + now.cubes);
    let close = squares > 0.0 && students_law_is_close(n, m, squares, cubes);
    let (p, law) =
        if close { (p_student, Law::Limit) } else { dealt(reference, window, statistic, options) };
    let reach = student_quantile(level, degrees)? * error;
    let interval = Interval { low: difference - reach, high: difference + reach, level };
    let shift = mean_shift(before.moments(), now.moments(), level)?;
    let p = probability(p);
    Ok(Some(Welch { statistic, degrees, p, law, p_student, difference, interval, shift }))
}

/// What the test takes of one sample.
struct Side {
    count: usize,
    mean: f64,
    squares: f64,
    cubes: f64,
}

impl Side {
    fn of(values: &[f64]) -> Self {
        let mean = mean(values);
        let (squares, cubes) = squares_and_cubes(values, mean);
        Self { count: values.len(), mean, squares, cubes }
    }

    fn moments(&self) -> Moments {
        let count = self.count as u64;
        Moments { count, mean: self.mean, variance: self.squares / real(count - 1) }
    }

    /// The statistic of another sample beside this, its standard error and degrees of freedom.
    fn beside(&self, other: &Self) -> (f64, f64, f64) {
        let (n, m) = (real(self.count as u64), real(other.count as u64));
        let (own, others) = (self.squares / (n - 1.0) / n, other.squares / (m - 1.0) / m);
        let error = (own + others).sqrt();
        let statistic = quotient(other.mean - self.mean, error);
        let (own, others) = (quotient(own, own + others), quotient(others, own + others));
        let degrees = if error > 0.0 {
            1.0 / (own * own / (n - 1.0) + others * others / (m - 1.0))
        } else {
            n + m - 2.0
        };
        (statistic, error, degrees)
    }
}

/// The permutation law of the statistic's size.
fn dealt(reference: &[f64], window: &[f64], seen: f64, options: &PermutationOptions) -> (f64, Law) {
    let pooled: Vec<f64> = reference.iter().chain(window).copied().collect();
    let centre = mean(&pooled);
    let off: Vec<f64> = pooled.iter().map(|value| value - centre).collect();
    let all = Sums::of(off.iter().copied());
    let small = reference.len().min(window.len());
    share_of_deals(off, small, small as u64, options, |chosen| {
        let own = Sums::of(chosen.iter().copied());
        let rest = Sums {
            count: all.count - own.count,
            sum: all.sum - own.sum,
            squares: all.squares - own.squares,
        };
        at_least(own.side().beside(&rest.side()).0.abs(), seen.abs())
    })
}

/// Of values about the pooled mean, so that little cancels.
struct Sums {
    count: usize,
    sum: f64,
    squares: f64,
}

impl Sums {
    fn of(values: impl Iterator<Item = f64>) -> Self {
        values.fold(Self { count: 0, sum: 0.0, squares: 0.0 }, |sums, value| Self {
            count: sums.count + 1,
            sum: sums.sum + value,
            squares: sums.squares + value * value,
        })
    }

    fn side(&self) -> Side {
        let mean = self.sum / real(self.count as u64);
        let squares = self.squares - self.sum * mean;
        // What rounding leaves of equal values is no spread.
        let squares = if squares > 1e-14 * self.squares { squares } else { 0.0 };
        Side { count: self.count, mean, squares, cubes: 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(a: &[f64], b: &[f64]) -> Result<Option<Welch>> {
        welch(a, b, 0.95, &PermutationOptions::default())
    }

    #[test]
    fn constants_empties_and_infinities_are_answered() {
        assert_eq!(test(&[3.0; 9], &[3.0; 5]).unwrap(), None);
        assert_eq!(test(&[1.0], &[3.0; 5]).unwrap(), None);
        assert!(test(&[1.0, f64::INFINITY], &[3.0; 5]).is_err());
        let apart = test(&[3.0; 8], &[4.0; 6]).unwrap().unwrap();
        // One deal in C(14, 6) = 3003 is as far apart.
        assert!(apart.law == Law::Exact && (apart.p - 1.0 / 3003.0).abs() < 1e-15, "{apart:?}");
        assert!(apart.statistic.is_finite() && apart.shift.is_none());
    }

    #[test]
    fn one_outlier_widens_the_interval_and_takes_random_deals() {
        let mut values: Vec<f64> = (0..200).map(f64::from).collect();
        let other: Vec<f64> = (0..100).map(|at| 2.0 * f64::from(at)).collect();
        assert_eq!(test(&values, &other).unwrap().unwrap().law, Law::Limit);
        values[3] = 1e6;
        let skewed = test(&values, &other).unwrap().unwrap();
        assert!(matches!(skewed.law, Law::Permutation { .. }) && skewed.p > 0.3, "{skewed:?}");
        assert!(skewed.interval.contains(skewed.difference));
    }
}
