//! Cramér's V of two samples over categories, with an interval.

use super::{real, rows_of_cells, table_statistic};
use mlops_core::{
    Error, Result,
    stats::{Interval, normal_quantile},
};
use statrs::function::gamma::{checked_gamma_ur, ln_gamma};

/// How strongly the sample that a row is of goes with its category.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct CramersV {
    /// √(χ² / rows): 0 where both samples have the same shares, 1 where they have no category in
    /// common. Noise alone makes it about √((k − 1) / rows).
    pub value: f64,
    /// √(max(0, χ² − (k − 1)) / rows): without what noise adds on average (W. Bergsma, "A
    /// bias-correction for Cramér's V and Tschuprow's T", Journal of the Korean Statistical Society
    /// 42, 2013, to the first order).
    pub corrected: f64,
    /// Where the true V lies; it contains `corrected`.
    pub interval: Interval,
}

/// Cramér's V of the 2 × k table whose rows are the two samples' counts of the same cells.
///
/// The interval holds the V whose noncentral chi-square law, of noncentrality rows·V² and k − 1
/// degrees of freedom, does not make the statistic seen improbable on either side (M. Smithson,
/// "Confidence intervals", 2003, chapter 4). `None` if fewer than two cells hold rows or a side
/// counts nothing.
pub fn cramers_v(reference: &[u64], window: &[u64], level: f64) -> Result<Option<CramersV>> {
    let (n, m) = rows_of_cells(reference, window)?;
    // Checks the level.
    normal_quantile(level)?;
    let held = reference.iter().zip(window).filter(|(a, b)| *a + *b > 0).count();
    if n == 0 || m == 0 || held < 2 {
        return Ok(None);
    }
    let (statistic, degrees, rows) =
        (table_statistic(reference, window), real(held as u64 - 1), real(n + m));
    let corrected = ((statistic - degrees).max(0.0) / rows).sqrt().min(1.0);
    let law = Noncentral { y: statistic / 2.0, half_degrees: degrees / 2.0 };
    let tail = (1.0 - level) / 2.0;
    let end = |p: f64| -> Result<f64> { Ok((law.noncentrality(p)? / rows).sqrt().min(1.0)) };
    let low = end(tail)?.min(corrected);
    let high = end(1.0 - tail)?.max(corrected);
    let value = (statistic / rows).sqrt().min(1.0);
    Ok(Some(CramersV { value, corrected, interval: Interval { low, high, level } }))
}

/// The noncentral chi-square law at one statistic, 2·y, as its noncentrality varies.
struct Noncentral {
    y: f64,
    half_degrees: f64,
}

impl Noncentral {
    /// The noncentrality at which a statistic this large has the probability `p`; 0 if it is more
    /// probable without any.
    fn noncentrality(&self, p: f64) -> Result<f64> {
        if self.upper_tail(0.0)? >= p {
            return Ok(0.0);
        }
        let (mut low, mut high) = (0.0, 2.0 * self.y + 10.0);
        while self.upper_tail(high)? < p {
            (low, high) = (high, 2.0 * high);
        }
        for _ in 0..80 {
            let middle = f64::midpoint(low, high);
            *(if self.upper_tail(middle)? < p { &mut low } else { &mut high }) = middle;
            if high - low <= 1e-13 * high {
                break;
            }
        }
        Ok(f64::midpoint(low, high))
    }

    /// The probability of at least the statistic: central laws of 2j more degrees of freedom,
    /// mixed with Poisson weights of mean noncentrality / 2, from the largest weight outwards.
    /// Neighbouring laws differ by y^a e^−y / Γ(a + 1).
    fn upper_tail(&self, noncentrality: f64) -> Result<f64> {
        let mean = noncentrality / 2.0;
        let start = mean.floor();
        let tail = self.central(start)?;
        if mean == 0.0 {
            return Ok(tail);
        }
        let weight = (start * mean.ln() - mean - ln_gamma(start + 1.0)).exp();
        let mut sum = weight * tail;
        let (mut j, mut own, mut above) = (start, weight, tail);
        let mut gap = self.gap(start);
        while own > NEGLIGIBLE * weight {
            above += gap;
            j += 1.0;
            own *= mean / j;
            gap *= self.y / (self.half_degrees + j);
            sum += own * above.min(1.0);
        }
        (j, own, above, gap) = (start, weight, tail, self.gap(start));
        while j > 0.0 && own > NEGLIGIBLE * weight {
            own *= j / mean;
            j -= 1.0;
            // A gap that underflowed would stay nothing.
            let scale = (self.half_degrees + j + 1.0) / self.y;
            gap = if gap > 0.0 { gap * scale } else { self.gap(j) };
            above -= gap;
            sum += own * above.max(0.0);
        }
        Ok(sum)
    }

    /// The central law of 2j more degrees of freedom.
    fn central(&self, j: f64) -> Result<f64> {
        if self.y <= 0.0 {
            return Ok(1.0);
        }
        checked_gamma_ur(self.half_degrees + j, self.y)
            .map_err(|cause| Error::internal(cause.to_string()))
    }

    /// What the next central law has more.
    fn gap(&self, j: f64) -> f64 {
        let a = self.half_degrees + j;
        if self.y > 0.0 { (a * self.y.ln() - self.y - ln_gamma(a + 1.0)).exp() } else { 0.0 }
    }
}

/// Poisson weights below this part of the largest are left out.
const NEGLIGIBLE: f64 = 1e-18;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shares_have_an_interval_from_zero_and_none_in_common_ends_at_one() {
        let same = cramers_v(&[500, 300], &[500, 300], 0.95).unwrap().unwrap();
        assert!(same.value == 0.0 && same.interval.low == 0.0 && same.interval.high < 0.1);
        let apart = cramers_v(&[400, 0], &[0, 300], 0.95).unwrap().unwrap();
        assert!((apart.value - 1.0).abs() < 1e-12 && apart.interval.low > 0.9, "{apart:?}");
        assert_eq!(cramers_v(&[4, 0], &[3, 0], 0.95).unwrap(), None);
        assert_eq!(cramers_v(&[0, 0], &[3, 1], 0.95).unwrap(), None);
        assert!(cramers_v(&[1, 2], &[3, 1], 1.0).is_err());
    }

    #[test]
    fn the_mixture_is_a_sum_of_central_laws() {
        for (y, half_degrees, noncentrality) in
            [(3.0, 0.5, 2.0), (40.0, 10.0, 30.0), (900.0, 3.0, 1700.0), (0.0, 1.0, 5.0)]
        {
            let law = Noncentral { y, half_degrees };
            let mean: f64 = noncentrality / 2.0;
            let term = |j: u32| {
                let j = f64::from(j);
                let central =
                    if y > 0.0 { checked_gamma_ur(half_degrees + j, y).unwrap() } else { 1.0 };
                (j * mean.ln() - mean - ln_gamma(j + 1.0)).exp() * central
            };
            let sum: f64 = (0..3000).map(term).sum();
            let own = law.upper_tail(noncentrality).unwrap();
            assert!((own - sum).abs() < 1e-11, "{y}: {own} {sum}");
        }
    }
}
