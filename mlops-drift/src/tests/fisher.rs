//! Fisher's exact test of two samples over two cells, with the odds ratio.

use super::{hypergeometric::ln_choose, probability, share::improbable_p};
use mlops_core::{Error, Result, stats::Interval};

/// Below this many possible tables the odds ratio has its exact law.
const EXACT_TABLES: u64 = 50_000;

/// What Fisher's exact test says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Fisher {
    /// Probability of a table at most as probable as this one, given its totals; two-sided, exact
    /// at any size, in (0, 1].
    pub p: f64,
    /// The effect: the window's odds of the first cell over the reference's, by conditional maximum
    /// likelihood; 0 or infinite where a side lacks a cell.
    pub odds_ratio: f64,
    /// Where the true ratio lies, by the exact law given the totals, half of the error beyond either
    /// end (never too narrow). Its upper end may be infinite. Beyond 50,000 possible tables
    /// the normal law of the logarithm is taken (B. Woolf, "On estimating the relation between
    /// blood group and disease", Annals of Human Genetics 19, 1955).
    pub interval: Interval,
}

/// Fisher's exact test of two samples over two cells: (rows in the first cell, rows in the second)
/// of either side, which may differ in size.
///
/// [`homogeneity`](super::homogeneity) by
/// [`TableStatistic::Probability`](super::TableStatistic::Probability) is the same test of more
/// cells. `None` if a side or a cell is empty: nothing varies there.
pub fn fisher(reference: (u64, u64), window: (u64, u64), level: f64) -> Result<Option<Fisher>> {
    let cells = [reference.0, reference.1, window.0, window.1];
    let (n, m) = super::rows_of_cells(&cells[..2], &cells[2..])?;
    if !(level > 0.0 && level < 1.0) {
        return Err(Error::invalid(format!("a level lies between 0 and 1; {level} does not")));
    }
    if n == 0 || m == 0 || reference.0 + window.0 == 0 || reference.1 + window.1 == 0 {
        return Ok(None);
    }
    let (of_reference, of_window) = ((reference.0, n), (window.0, m));
    let (odds_ratio, interval) = match OddsLaw::new(of_reference, of_window) {
        Some(law) => (law.likeliest(), law.interval(level)),
        None => woolf(cells, level)?,
    };
    let p = probability(improbable_p(of_reference, of_window));
    Ok(Some(Fisher { p, odds_ratio, interval }))
}

/// The window's count in the first cell, given all totals, for any odds ratio: weights of the
/// possible counts at a ratio of 1, by logarithm.
struct OddsLaw {
    /// The count seen, above the least possible one.
    seen: usize,
    ln_weights: Vec<f64>,
}

impl OddsLaw {
    fn new((a, n): (u64, u64), (c, m): (u64, u64)) -> Option<Self> {
        let with = a + c;
        let (least, most) = (with.saturating_sub(n), with.min(m));
        if most - least >= EXACT_TABLES {
            return None;
        }
        let ln_weight = |count| ln_choose(m, count) + ln_choose(n, with - count);
        let seen = usize::try_from(c - least).ok()?;
        Some(Self { seen, ln_weights: (least..=most).map(ln_weight).collect() })
    }

    /// At this logarithm of the ratio: the mean count, and the probabilities of at least and of at
    /// most the one seen.
    fn at(&self, ln_ratio: f64) -> (f64, f64, f64) {
        let terms =
            || self.ln_weights.iter().zip(0_u32..).map(|(w, k)| w + f64::from(k) * ln_ratio);
        let largest = terms().fold(f64::NEG_INFINITY, f64::max);
        let (mut all, mut sum, mut above, mut below) = (0.0, 0.0, 0.0, 0.0);
        for (at, term) in terms().enumerate() {
            let weight = (term - largest).exp();
            all += weight;
            #[expect(clippy::cast_precision_loss, reason = "under 2^16")]
            let count = at as f64;
            sum += count * weight;
            above += if at >= self.seen { weight } else { 0.0 };
            below += if at <= self.seen { weight } else { 0.0 };
        }
        (sum / all, above / all, below / all)
    }

    /// The ratio at which the mean count is the one seen.
    fn likeliest(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "under 2^16")]
        let seen = self.seen as f64;
        self.end(0.0, f64::INFINITY, |(mean, ..)| mean >= seen)
    }

    fn interval(&self, level: f64) -> Interval {
        let tail = (1.0 - level) / 2.0;
        let low = if self.seen == 0 { 0.0 } else { self.root(|(_, above, _)| above >= tail) };
        let high = if self.seen + 1 == self.ln_weights.len() {
            f64::INFINITY
        } else {
            self.root(|(.., below)| below <= tail)
        };
        Interval { low, high, level }
    }

    /// The root, unless the count seen is at an end, where it lies.
    fn end(&self, first: f64, last: f64, reached: impl Fn((f64, f64, f64)) -> bool) -> f64 {
        match self.seen {
            0 => first,
            seen if seen + 1 == self.ln_weights.len() => last,
            _ => self.root(reached),
        }
    }

    /// The least ratio for which this holds, by bisection of its logarithm.
    fn root(&self, reached: impl Fn((f64, f64, f64)) -> bool) -> f64 {
        let (mut low, mut high) = (-700.0, 700.0);
        for _ in 0..64 {
            let middle = f64::midpoint(low, high);
            *(if reached(self.at(middle)) { &mut high } else { &mut low }) = middle;
        }
        f64::midpoint(low, high).exp()
    }
}

/// The sample's ratio with its normal interval; half a row is added to each cell if one is empty.
fn woolf(cells: [u64; 4], level: f64) -> Result<(f64, Interval)> {
    let more = if cells.contains(&0) { 0.5 } else { 0.0 };
    let [a, b, c, d] = cells.map(|count| super::real(count) + more);
    let (ln_ratio, error) =
        ((c / d * (b / a)).ln(), (1.0 / a + 1.0 / b + 1.0 / c + 1.0 / d).sqrt());
    let reach = mlops_core::stats::normal_quantile(level)? * error;
    let interval =
        Interval { low: (ln_ratio - reach).exp(), high: (ln_ratio + reach).exp(), level };
    Ok((ln_ratio.exp(), interval))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lady_tasting_tea() {
        // R. A. Fisher, The Design of Experiments, 1935: 3 of 4 cups right; p = 34 / 70.
        let test = fisher((3, 1), (1, 3), 0.95).unwrap().unwrap();
        assert!((test.p - 34.0 / 70.0).abs() < 1e-14, "{test:?}");
        assert!(test.interval.contains(1.0) && test.odds_ratio < 1.0);
        let apart = fisher((0, 9), (7, 0), 0.95).unwrap().unwrap();
        assert!(apart.odds_ratio.is_infinite() && apart.interval.low > 5.0, "{apart:?}");
        assert_eq!(fisher((0, 9), (0, 7), 0.95).unwrap(), None);
        assert!(fisher((1, 9), (1, 7), 0.0).is_err());
    }

    #[test]
    fn the_exact_and_the_normal_interval_meet() {
        let cells = [9_000, 11_000, 11_000, 14_000];
        let law = OddsLaw::new((cells[0], cells[0] + cells[1]), (cells[2], cells[2] + cells[3]));
        let (exact, (ratio, normal)) = (law.unwrap(), woolf(cells, 0.95).unwrap());
        assert!((exact.likeliest() - ratio).abs() < 1e-3);
        let own = exact.interval(0.95);
        assert!((own.low - normal.low).abs() < 1e-3 && (own.high - normal.high).abs() < 1e-3);
    }
}
