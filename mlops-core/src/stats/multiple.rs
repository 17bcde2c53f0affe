//! Looking at several things at once without being fooled by the luckiest.

use super::real_len;
use crate::{Error, Result};

/// Each p-value times their number: no false alarm in any with the error stated, whatever their
/// dependence.
pub fn bonferroni(p: &[f64]) -> Result<Vec<f64>> {
    check(p)?;
    Ok(p.iter().map(|own| (own * real_len(p.len())).min(1.0)).collect())
}

/// Holm's step-down adjustment: as safe as Bonferroni's and never weaker.
///
/// S. Holm, "A simple sequentially rejective multiple test procedure", Scand. J. Statist. 6 (1979).
pub fn holm(p: &[f64]) -> Result<Vec<f64>> {
    check(p)?;
    let (order, n) = (ascending(p), p.len());
    let mut adjusted = vec![0.0; n];
    let mut largest = 0.0_f64;
    for (rank, &at) in order.iter().enumerate() {
        largest = largest.max(p[at] * real_len(n - rank)).min(1.0);
        adjusted[at] = largest;
    }
    Ok(adjusted)
}

/// Benjamini and Hochberg's step-up adjustment: of what is called a discovery, the expected share
/// of false ones is at most the error stated, for independent or positively dependent tests.
///
/// Y. Benjamini, Y. Hochberg, "Controlling the false discovery rate", J. R. Statist. Soc. B 57 (1995).
pub fn benjamini_hochberg(p: &[f64]) -> Result<Vec<f64>> {
    check(p)?;
    let (order, n) = (ascending(p), p.len());
    let mut adjusted = vec![0.0; n];
    let mut smallest = 1.0_f64;
    for (rank, &at) in order.iter().enumerate().rev() {
        smallest = smallest.min(p[at] * real_len(n) / real_len(rank + 1));
        adjusted[at] = smallest;
    }
    Ok(adjusted)
}

/// Indices from the smallest to the largest value.
fn ascending(p: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    order
}

fn check(p: &[f64]) -> Result<()> {
    match p.iter().position(|p| !(0.0..=1.0).contains(p)) {
        Some(at) => Err(Error::invalid(format!("p-value {at} is {}, not in 0..=1", p[at]))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn adjustments_are_ordered(p in proptest::collection::vec(0.0..=1.0_f64, 1..40)) {
            let (b, h, f) = (bonferroni(&p).unwrap(), holm(&p).unwrap(), benjamini_hochberg(&p).unwrap());
            for at in 0..p.len() {
                prop_assert!(p[at] <= f[at] + 1e-15 && f[at] <= h[at] + 1e-15 && h[at] <= b[at] + 1e-15);
                prop_assert!(b[at] <= 1.0);
            }
            for (a, c) in (0..p.len()).zip(1..p.len()) {
                prop_assert!(p[a] > p[c] || (h[a] <= h[c] && f[a] <= f[c]), "order is kept");
            }
        }
    }

    #[test]
    fn a_bad_p_is_named() {
        assert_eq!(holm(&[0.1, 1.5]).unwrap_err().to_string(), "p-value 1 is 1.5, not in 0..=1");
        assert!(benjamini_hochberg(&[f64::NAN]).is_err());
        assert!(benjamini_hochberg(&[]).unwrap().is_empty());
    }
}
