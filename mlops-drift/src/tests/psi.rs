//! The population stability index on the cells of a profile.

use super::{real, rows_of_cells};
use mlops_core::Result;

/// Added to every cell's count, so that an empty cell has a share: half a row, as in Jeffreys'
/// prior.
const SMOOTHING: f64 = 0.5;

/// The population stability index of two samples, beside what it is without drift.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Psi {
    /// Σ (q − p)·ln(q / p) over the cells, of smoothed shares.
    pub value: f64,
    /// What to expect of `value` without drift: (k − 1)(1/n + 1/m) for k cells that hold rows.
    pub noise_floor: f64,
    /// One summand a cell; they add up to `value`.
    pub contributions: Vec<f64>,
}

impl Psi {
    /// The index less its noise floor, at least 0.
    pub fn excess(&self) -> f64 {
        (self.value - self.noise_floor).max(0.0)
    }
}

/// The population stability index of two samples of cell counts.
///
/// Take cells on quantiles of the reference; equal-width cells let one outlier hide everything.
/// Shares are smoothed: (count + ½) / (rows + k/2); cells without rows on both sides are left out.
/// Without drift the index has approximately the law of (1/n + 1/m)·χ²(k − 1) (Yurdakul and
/// Naranjo, "Statistical properties of the population stability index", Journal of Risk Model
/// Validation 14(4), 2020), so its floor shrinks only with rows, and no fixed threshold fits every
/// size. `None` if either side counts nothing.
pub fn psi(reference: &[u64], window: &[u64]) -> Result<Option<Psi>> {
    let (n, m) = rows_of_cells(reference, window)?;
    if n == 0 || m == 0 {
        return Ok(None);
    }
    let (n, m) = (real(n), real(m));
    let held = reference.iter().zip(window).filter(|(a, b)| *a + *b > 0).count() as u64;
    let share = |count: u64, rows: f64| (real(count) + SMOOTHING) / (rows + SMOOTHING * real(held));
    let term = |(a, b): (&u64, &u64)| {
        let (p, q) = (share(*a, n), share(*b, m));
        if a + b == 0 { 0.0 } else { (q - p) * (q / p).ln() }
    };
    let contributions: Vec<f64> = reference.iter().zip(window).map(term).collect();
    let noise_floor = (real(held) - 1.0) * (1.0 / n + 1.0 / m);
    Ok(Some(Psi { value: contributions.iter().sum(), noise_floor, contributions }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_shares_have_an_index_of_nothing_and_empty_sides_none() {
        let same = psi(&[500, 300, 0], &[500, 300, 0]).unwrap().unwrap();
        assert!(same.value.abs() < 1e-15 && same.excess() == 0.0);
        assert_eq!(psi(&[0, 0], &[1, 2]).unwrap(), None);
    }

    #[test]
    fn an_empty_cell_adds_a_moderate_summand() {
        let index = psi(&[1000, 0], &[950, 50]).unwrap().unwrap();
        assert!(index.value > 0.2 && index.value < 0.3, "{index:?}");
        assert!((index.contributions.iter().sum::<f64>() - index.value).abs() < 1e-15);
    }
}
