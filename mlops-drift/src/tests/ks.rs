//! The two-sample Kolmogorov–Smirnov test, over values and over the cells of a profile.

use super::{
    ks_law::{exceedance, kolmogorov},
    real, rows_of_cells,
};
use mlops_core::{Error, Result};

/// Up to this product of the two numbers of rows the law is exact: about 0.03 s of arithmetic.
pub const EXACT_CELLS: u64 = 25_000_000;

/// What the Kolmogorov–Smirnov test of two samples says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct Ks {
    /// The largest distance between the two distribution functions, 0..=1.
    pub statistic: f64,
    /// Probability of a distance at least this large if both samples have one source, in (0, 1];
    /// two-sided. Below 2.2e-308 it is that number.
    pub p: f64,
    /// Whether `p` is the exact law given the ties seen; otherwise Kolmogorov's limit, which for
    /// finite samples, and more so with ties, is too large rather than too small.
    pub exact: bool,
}

/// Whether two samples of numbers have one source.
///
/// The law is that of dealing the pooled values, with their ties, at random into two samples of
/// these sizes; distribution functions are compared where a group of equal values ends. Infinite
/// values are ordinary, and ordered. `None` if either side is empty; a NaN is `InvalidInput`
/// (count NaN and null as shares of their own: [`share_difference`](super::share_difference)).
///
/// ```
/// # fn main() -> mlops_core::Result<()> {
/// let test = mlops_drift::tests::ks(&[1.0, 2.0, 3.0, 4.0], &[5.0, 6.0, 7.0])?.expect("two samples");
/// assert_eq!(test.statistic, 1.0);
/// assert!((test.p - 2.0 / 35.0).abs() < 1e-15 && test.exact);
/// # Ok(())
/// # }
/// ```
pub fn ks(reference: &[f64], window: &[f64]) -> Result<Option<Ks>> {
    let (reference, window) = (sorted(reference, "reference")?, sorted(window, "window")?);
    Ok(ks_groups(reference.len() as u64, window.len() as u64, &tie_groups(&reference, &window)))
}

/// Whether two samples have one source, from counts of the same ordered cells.
///
/// Each cell is one group of ties, so the law is exact for the counts if the cells were fixed
/// beforehand. Of continuous data the cells hide what happens inside of them: the distance is at
/// most that of the values themselves, and the test may miss a difference, not invent one. Where
/// the cells are quantiles of the reference sample itself the law is right up to terms of order
/// 1 / rows. Beyond [`EXACT_CELLS`] the limit law of continuous data is used, which is
/// conservative for cells. `None` if either side counts nothing.
pub fn ks_cells(reference: &[u64], window: &[u64]) -> Result<Option<Ks>> {
    let (n, m) = rows_of_cells(reference, window)?;
    let groups: Vec<(u64, u64)> = reference.iter().copied().zip(window.iter().copied()).collect();
    Ok(ks_groups(n, m, &groups))
}

/// The test on groups of ties: how many of each sample share a value, in order of the values.
fn ks_groups(n: u64, m: u64, groups: &[(u64, u64)]) -> Option<Ks> {
    if n == 0 || m == 0 {
        return None;
    }
    let bound = largest_distance(n, m, groups);
    #[expect(clippy::cast_precision_loss, reason = "rounded once, as any quotient is")]
    let statistic = bound as f64 / (u128::from(n) * u128::from(m)) as f64;
    let exact = n.checked_mul(m).is_some_and(|cells| cells <= EXACT_CELLS);
    let p = if exact {
        exceedance(n, m, groups.iter().map(|(i, j)| i + j), bound)
    } else {
        let (n, m) = (real(n), real(m));
        kolmogorov((n / (n + m) * m).sqrt() * statistic)
    };
    Some(Ks { statistic, p, exact })
}

/// `max |i·m − j·n|` over the ends of the groups: n·m times the statistic, as a whole number.
fn largest_distance(n: u64, m: u64, groups: &[(u64, u64)]) -> u128 {
    let (mut i, mut j, mut largest) = (0_u128, 0_u128, 0);
    for (of_reference, of_window) in groups {
        (i, j) = (i + u128::from(*of_reference), j + u128::from(*of_window));
        largest = largest.max((i * u128::from(m)).abs_diff(j * u128::from(n)));
    }
    largest
}

pub(super) fn sorted(values: &[f64], side: &str) -> Result<Vec<f64>> {
    if let Some(at) = values.iter().position(|value| value.is_nan()) {
        return Err(Error::invalid(format!("value {at} of the {side} is NaN, which has no order")));
    }
    let mut values = values.to_vec();
    values.sort_unstable_by(f64::total_cmp);
    Ok(values)
}

/// Walks both sorted samples together; −0 and 0 are one value.
pub(super) fn tie_groups(reference: &[f64], window: &[f64]) -> Vec<(u64, u64)> {
    let (mut left, mut right) = (reference, window);
    let mut groups = Vec::new();
    while let Some(value) = smaller(left.first(), right.first()) {
        groups.push((take_equal(&mut left, value), take_equal(&mut right, value)));
    }
    groups
}

fn smaller(left: Option<&f64>, right: Option<&f64>) -> Option<f64> {
    match (left, right) {
        (Some(left), Some(right)) => Some(left.min(*right)),
        (one, other) => one.or(other).copied(),
    }
}

fn take_equal(sorted: &mut &[f64], value: f64) -> u64 {
    let count = sorted.iter().take_while(|other| **other <= value).count();
    *sorted = &sorted[count..];
    count as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use mlops_core::ErrorKind;

    #[test]
    fn an_empty_side_is_too_few_rows_and_nan_is_named() {
        assert_eq!(ks(&[], &[1.0]).unwrap(), None);
        assert_eq!(ks_cells(&[0, 0], &[1, 2]).unwrap(), None);
        let error = ks(&[1.0, f64::NAN], &[1.0]).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert_eq!(error.to_string(), "value 1 of the reference is NaN, which has no order");
        assert_eq!(ks_cells(&[1], &[1, 2]).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(ks_cells(&[u64::MAX, 1], &[1, 2]).unwrap_err().kind(), ErrorKind::TooLarge);
    }

    #[test]
    fn infinities_and_both_zeros_are_ordinary_values() {
        let a = [f64::NEG_INFINITY, -0.0, 1.0, f64::INFINITY];
        let b = [f64::NEG_INFINITY, 0.0, 1.0, f64::INFINITY];
        let test = ks(&a, &b).unwrap().unwrap();
        assert_eq!((test.statistic.to_bits(), test.p.to_bits()), (0, 1.0_f64.to_bits()));
    }

    #[test]
    fn values_and_cells_of_one_value_each_agree() {
        let values = ks(&[1.0, 1.0, 2.0, 3.0, 3.0], &[2.0, 3.0, 3.0, 4.0]).unwrap();
        assert_eq!(values, ks_cells(&[2, 1, 2, 0], &[0, 1, 2, 1]).unwrap());
    }
}
