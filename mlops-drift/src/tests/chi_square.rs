//! Pearson's chi-square test of homogeneity of two samples over categories.

use super::{probability, real, rows_of_cells, share::hypergeometric_p};
use mlops_core::{Error, Result};
use statrs::distribution::{ChiSquared, ContinuousCDF};

/// The usual least expected count of a cell (Cochran, "Some methods for strengthening the common χ²
/// tests", Biometrics 10, 1954).
pub const MIN_EXPECTED: f64 = 5.0;

/// What the chi-square test of homogeneity says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ChiSquare {
    /// Pearson's statistic over both rows of the table.
    pub statistic: f64,
    /// Degrees of freedom: the cells that remain, less one.
    pub degrees: u64,
    /// Probability of a statistic at least this large if both samples have one source; in (0, 1].
    pub p: f64,
    /// Whether that is the exact law given all totals, as of two cells, where the chi-square law is off
    /// whatever the number of rows; else it is the chi-square law, a limit for many rows.
    pub exact: bool,
    /// How many cells were merged into others because too few rows were expected there.
    pub pooled: usize,
    /// Cramér's V: the statistic as a share of the largest possible, square-rooted; 0..=1.
    pub cramers_v: f64,
}

/// Whether two samples have the same shares of categories: homogeneity of a 2 × k table, both of
/// whose rows are samples.
///
/// Cells that both sides lack are left out. Then cells are pooled until at least `min_expected`
/// rows are expected in each on either side ([`MIN_EXPECTED`]; 0 pools nothing, and takes the
/// chi-square law of two cells, too): all that fall
/// short become one cell, and if that falls short as well, it takes in the next smallest. What is
/// pooled depends on the totals of both sides only, never on their difference, so the test stays
/// valid. `None` if fewer than two cells remain or a side counts nothing.
///
/// Of more than two cells the law is a limit. It errs most where many cells are as small as they may
/// be and one side is much the larger: with 100 of them and ten times the rows, p ≤ 0.05 came up
/// 5.17% of the time without a difference, and p ≤ 0.01 1.13% (`simulations/counts.md`).
/// [`homogeneity`](super::homogeneity) has the law of dealing the rows.
///
/// ```
/// # fn main() -> mlops_core::Result<()> {
/// use mlops_drift::tests::{MIN_EXPECTED, chi_square};
///
/// let test = chi_square(&[500, 300, 200], &[480, 290, 230], MIN_EXPECTED)?.expect("three cells");
/// assert_eq!(test.degrees, 2);
/// assert!(test.p > 0.2);
/// # Ok(())
/// # }
/// ```
pub fn chi_square(
    reference: &[u64],
    window: &[u64],
    min_expected: f64,
) -> Result<Option<ChiSquare>> {
    let (n, m) = rows_of_cells(reference, window)?;
    if !(min_expected >= 0.0 && min_expected.is_finite()) {
        return Err(Error::invalid("the least expected count must be a number from 0 up"));
    }
    if n == 0 || m == 0 {
        return Ok(None);
    }
    let mut cells: Vec<(u64, u64)> =
        reference.iter().copied().zip(window.iter().copied()).collect();
    cells.retain(|(of_reference, of_window)| of_reference + of_window > 0);
    let before = cells.len();
    pool(&mut cells, min_expected * (real(n) + real(m)) / real(n.min(m)));
    if cells.len() < 2 {
        return Ok(None);
    }
    let statistic = pearson(n, m, &cells);
    let degrees = cells.len() as u64 - 1;
    let exact = degrees == 1 && min_expected > 0.0;
    let p = match cells.first() {
        Some((a, b)) if exact => hypergeometric_p((*a, n), (*b, m)),
        _ => limit(degrees, statistic)?,
    };
    Ok(Some(ChiSquare {
        statistic,
        degrees,
        p: probability(p),
        exact,
        pooled: before - cells.len(),
        cramers_v: (statistic / (real(n) + real(m))).sqrt(),
    }))
}

fn limit(degrees: u64, statistic: f64) -> Result<f64> {
    let law = ChiSquared::new(real(degrees)).map_err(|cause| Error::internal(cause.to_string()))?;
    // statrs takes the upper tail from the regularised upper incomplete gamma function.
    Ok(law.sf(statistic))
}

/// Merges the smallest cells until every cell totals at least `least` rows or one cell is left.
fn pool(cells: &mut Vec<(u64, u64)>, least: f64) {
    let total = |cell: &(u64, u64)| cell.0 + cell.1;
    cells.sort_by_key(total);
    let mut small = cells.partition_point(|cell| real(total(cell)) < least);
    if small == 0 {
        return;
    }
    let sum = |cells: &[(u64, u64)]| cells.iter().fold((0, 0), |s, c| (s.0 + c.0, s.1 + c.1));
    while small < cells.len() && real(total(&sum(&cells[..small]))) < least {
        small += 1;
    }
    let merged = sum(&cells[..small]);
    cells.splice(..small, [merged]);
}

/// Pearson's statistic over the cells that hold rows, none pooled; both sides hold some.
pub(super) fn table_statistic(reference: &[u64], window: &[u64]) -> f64 {
    let cells = reference.iter().copied().zip(window.iter().copied());
    let cells: Vec<(u64, u64)> = cells.filter(|(a, b)| a + b > 0).collect();
    pearson(reference.iter().sum(), window.iter().sum(), &cells)
}

/// Σ (observed − expected)² / expected over both rows, which equals
/// Σ (aᵢ·m − bᵢ·n)² / ((aᵢ + bᵢ)·n·m) over the cells; the differences are whole numbers, so
/// nothing cancels.
fn pearson(n: u64, m: u64, cells: &[(u64, u64)]) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "rounded once, as any quotient is")]
    let term = |(a, b): &(u64, u64)| {
        let (left, right) = (u128::from(*a) * u128::from(m), u128::from(*b) * u128::from(n));
        let difference = left.abs_diff(right) as f64;
        difference * difference / (real(a + b) * real(n) * real(m))
    };
    cells.iter().map(term).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_cells_are_pooled_by_their_totals() {
        let mut cells = vec![(50, 40), (1, 0), (0, 2), (30, 35), (2, 1)];
        pool(&mut cells, 10.0);
        // 1 + 2 + 3 rows fall short even together and take in the next smallest cell.
        assert_eq!(cells, [(33, 38), (50, 40)]);
        let mut cells = vec![(50, 40), (4, 0), (0, 7)];
        pool(&mut cells, 10.0);
        assert_eq!(cells, [(4, 7), (50, 40)]);
    }

    #[test]
    fn a_table_of_one_cell_says_nothing() {
        assert_eq!(chi_square(&[10, 0], &[12, 0], MIN_EXPECTED).unwrap(), None);
        assert_eq!(chi_square(&[1000, 1], &[1000, 1], MIN_EXPECTED).unwrap(), None);
        assert_eq!(chi_square(&[0, 0], &[1, 2], MIN_EXPECTED).unwrap(), None);
        assert!(chi_square(&[1], &[1], f64::NAN).is_err());
    }

    #[test]
    fn a_table_apart_has_the_largest_statistic_and_no_p_of_zero() {
        let test = chi_square(&[4000, 0], &[0, 4000], MIN_EXPECTED).unwrap().unwrap();
        assert!((test.statistic - 8000.0).abs() < 1e-9 && (test.cramers_v - 1.0).abs() < 1e-12);
        assert!(test.p > 0.0);
    }
}
