//! The Brown–Forsythe test of two spreads.

use super::{
    Law, PermutationOptions,
    ks::sorted,
    permutation::{at_least, share_of_deals},
    probability, real,
    rows::{check_finite, mean, quotient, squares_and_cubes, students_law_is_close},
};
use mlops_core::{
    Result,
    stats::{Interval, f_upper_tail, normal_quantile},
};

/// What the Brown–Forsythe test says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BrownForsythe {
    /// The F of an analysis of variance of |value − median of its sample|, with 1 and rows − 2
    /// degrees of freedom.
    pub statistic: f64,
    /// Probability of a statistic at least this large; in (0, 1].
    pub p: f64,
    /// By which law: `Limit` is Fisher's F.
    pub law: Law,
    /// Probability by Fisher's law, close or not.
    pub p_fisher: f64,
    /// The effect, if both sides vary.
    pub spread: Option<SpreadRatio>,
}

/// How the spreads compare.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct SpreadRatio {
    /// The window's mean absolute deviation from its median over the reference's; 1 for equal
    /// spreads.
    pub value: f64,
    /// Where the true ratio lies (D. G. Bonett, E. Seier, "Confidence intervals for mean absolute
    /// deviations", The American Statistician 57, 2003): normal on the logarithm.
    pub interval: Interval,
}

/// Whether two samples have the same spread (M. B. Brown, A. B. Forsythe, "Robust tests for the
/// equality of variances", JASA 69, 1974).
///
/// Fisher's law is taken under the rule of [`welch`](super::welch), for the deviations from the
/// median; else the law of dealing the values less their own side's median, medians taken
/// anew for each deal. `None` below two values a side or if neither side varies; a value that is
/// not finite is `InvalidInput`.
pub fn brown_forsythe(
    reference: &[f64],
    window: &[f64],
    level: f64,
    options: &PermutationOptions,
) -> Result<Option<BrownForsythe>> {
    options.check()?;
    check_finite(reference, window)?;
    normal_quantile(level)?;
    if reference.len() < 2 || window.len() < 2 {
        return Ok(None);
    }
    let (reference, window) =
        (centred(&sorted(reference, "reference")?), centred(&sorted(window, "window")?));
    let (before, now) = (Deviations::of(&reference), Deviations::of(&window));
    if before.mean == 0.0 && now.mean == 0.0 {
        return Ok(None);
    }
    let statistic = before.f(&now);
    let rows = real((reference.len() + window.len()) as u64);
    let p_fisher = probability(f_upper_tail(statistic, 1.0, rows - 2.0)?);
    let (squares, cubes) = (before.squares + now.squares, before.cubes + now.cubes);
    let close =
        squares > 0.0 && students_law_is_close(reference.len(), window.len(), squares, cubes);
    let (p, law) =
        if close { (p_fisher, Law::Limit) } else { dealt(&reference, &window, statistic, options) };
    let spread = spread(&reference, &window, level)?;
    Ok(Some(BrownForsythe { statistic, p: probability(p), law, p_fisher, spread }))
}

/// Sorted values less their median.
fn centred(sorted: &[f64]) -> Vec<f64> {
    let middle = median(sorted);
    sorted.iter().map(|value| value - middle).collect()
}

fn median(sorted: &[f64]) -> f64 {
    let half = sorted.len() / 2;
    if sorted.len() % 2 == 1 { sorted[half] } else { f64::midpoint(sorted[half - 1], sorted[half]) }
}

/// Absolute deviations of one sample from its median.
struct Deviations {
    count: usize,
    mean: f64,
    squares: f64,
    cubes: f64,
}

impl Deviations {
    /// Of values less their median.
    fn of(centred: &[f64]) -> Self {
        Self::of_sizes(&centred.iter().map(|value| value.abs()).collect::<Vec<f64>>())
    }

    fn of_sizes(sizes: &[f64]) -> Self {
        let mean = mean(sizes);
        let (squares, cubes) = squares_and_cubes(sizes, mean);
        Self { count: sizes.len(), mean, squares, cubes }
    }

    /// The F of two groups.
    fn f(&self, other: &Self) -> f64 {
        let (n, m) = (real(self.count as u64), real(other.count as u64));
        let between = (self.mean - other.mean).powi(2) / (1.0 / n + 1.0 / m);
        quotient(between * (n + m - 2.0), self.squares + other.squares)
    }
}

/// The permutation law of the statistic.
fn dealt(reference: &[f64], window: &[f64], seen: f64, options: &PermutationOptions) -> (f64, Law) {
    let mut pooled: Vec<f64> = reference.iter().chain(window).copied().collect();
    pooled.sort_unstable_by(f64::total_cmp);
    let small = reference.len().min(window.len());
    let mut inside = vec![false; pooled.len()];
    // Each side, and a place for what belongs to the other: no branch that is guessed wrong.
    let mut own = vec![0.0; small + 1];
    let mut others = vec![0.0; pooled.len() - small + 1];
    share_of_deals((0..pooled.len()).collect(), small, 4 * pooled.len() as u64, options, |chosen| {
        for at in chosen {
            inside[*at] = true;
        }
        let (mut n, mut m) = (0, 0);
        for (value, inside) in pooled.iter().zip(&mut inside) {
            // In order, so that medians are found by their place.
            (own[n], others[m]) = (*value, *value);
            let inside = std::mem::take(inside);
            n += usize::from(inside);
            m += usize::from(!inside);
        }
        let of = |side: &mut [f64]| {
            let middle = median(side);
            for value in side.iter_mut() {
                *value = (*value - middle).abs();
            }
            Deviations::of_sizes(side)
        };
        at_least(of(&mut own[..n]).f(&of(&mut others[..m])), seen)
    })
}

fn spread(reference: &[f64], window: &[f64], level: f64) -> Result<Option<SpreadRatio>> {
    let (Some(before), Some(now)) = (LogDeviation::of(reference), LogDeviation::of(window)) else {
        return Ok(None);
    };
    let value = now.size / before.size;
    let reach = normal_quantile(level)? * (before.variance + now.variance).sqrt();
    let centre = now.corrected() / before.corrected();
    let (low, high) = (centre * (-reach).exp(), centre * reach.exp());
    Ok(Some(SpreadRatio { value, interval: Interval { low, high, level } }))
}

/// The logarithm of a mean absolute deviation from the median.
struct LogDeviation {
    count: f64,
    size: f64,
    /// Of the logarithm: (δ² + γ² − 1) / n, where δ is the mean less the median, and γ the
    /// deviation, both in mean absolute deviations.
    variance: f64,
}

impl LogDeviation {
    fn of(centred: &[f64]) -> Option<Self> {
        let count = real(centred.len() as u64);
        let size = Deviations::of(centred).mean;
        let off = mean(centred);
        let (squares, _) = squares_and_cubes(centred, off);
        let (delta, gamma) = (off / size, (squares / (count - 1.0)).sqrt() / size);
        let variance = (delta * delta + gamma * gamma - 1.0).max(0.0) / count;
        (size > 0.0).then_some(Self { count, size, variance })
    }

    /// Freed from most of its bias in few rows.
    fn corrected(&self) -> f64 {
        self.size * self.count / (self.count - 1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(a: &[f64], b: &[f64]) -> Result<Option<BrownForsythe>> {
        brown_forsythe(a, b, 0.95, &PermutationOptions::default())
    }

    #[test]
    fn constants_empties_and_infinities_are_answered() {
        assert_eq!(test(&[3.0; 9], &[4.0; 5]).unwrap(), None);
        assert_eq!(test(&[], &[4.0; 5]).unwrap(), None);
        assert!(test(&[1.0, f64::INFINITY], &[3.0; 5]).is_err());
        let still: Vec<f64> = vec![3.0; 30];
        let moving: Vec<f64> = (0..30).map(f64::from).collect();
        let apart = test(&still, &moving).unwrap().unwrap();
        assert!(apart.p < 1e-3 && apart.spread.is_none(), "{apart:?}");
    }

    #[test]
    fn a_doubled_spread_is_a_ratio_of_two() {
        let values: Vec<f64> = (0..200).map(|at| f64::from(at * 37 % 200).sqrt()).collect();
        let wide: Vec<f64> = values.iter().map(|value| 2.0 * value - 50.0).collect();
        let found = test(&values, &wide).unwrap().unwrap();
        let spread = found.spread.unwrap();
        assert!((spread.value - 2.0).abs() < 1e-9 && found.p < 1e-10, "{found:?}");
        assert!(spread.interval.contains(2.0) && spread.interval.width() < 0.8);
        assert!(test(&values, &values).unwrap().unwrap().p > 0.999);
    }
}
