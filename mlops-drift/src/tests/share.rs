//! An exact test of two shares.

use super::{MAX_ROWS, probability, real};
use mlops_core::{
    Error, Result,
    stats::{Interval, difference_interval},
};

/// How far one share differs between two samples.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ShareDifference {
    /// Share of the window less share of the reference.
    pub value: f64,
    /// Where the true difference lies: Newcombe's hybrid of two score intervals.
    pub interval: Interval,
    /// Probability of a difference at least this large, in either direction, if both samples have
    /// one source; in (0, 1]. Exact at any size.
    pub p: f64,
}

/// Whether a share, such as that of nulls, is the same in two samples: (rows that have it, all
/// rows) of either.
///
/// The law is the hypergeometric one of dealing all rows that have it at random; a deal counts as
/// at least as far when its difference of shares is. `level` is that of the interval. `None`
/// if either sample is empty.
///
/// ```
/// # fn main() -> mlops_core::Result<()> {
/// let nulls = mlops_drift::tests::share_difference((0, 1000), (12, 200), 0.95)?.expect("rows");
/// assert!(nulls.value == 0.06 && nulls.p < 1e-8);
/// # Ok(())
/// # }
/// ```
pub fn share_difference(
    reference: (u64, u64),
    window: (u64, u64),
    level: f64,
) -> Result<Option<ShareDifference>> {
    check(reference, window)?;
    if reference.1 == 0 || window.1 == 0 {
        return Ok(None);
    }
    Ok(Some(ShareDifference {
        value: real(window.0) / real(window.1) - real(reference.0) / real(reference.1),
        interval: difference_interval(reference, window, level)?,
        p: hypergeometric_p(reference, window),
    }))
}

/// Both are shares.
pub(super) fn check(reference: (u64, u64), window: (u64, u64)) -> Result<()> {
    for (side, (with, rows)) in [("reference", reference), ("window", window)] {
        if with > rows || rows > MAX_ROWS {
            return Err(Error::invalid(format!("{with} of {rows} rows of the {side}: no share")));
        }
    }
    Ok(())
}

/// The probability of all deals whose shares differ at least as much as those seen.
pub(super) fn hypergeometric_p((a, n): (u64, u64), (b, m): (u64, u64)) -> f64 {
    let with = a + b;
    let apart = |count: u64| {
        let (left, right) =
            (u128::from(count) * u128::from(m), u128::from(with - count) * u128::from(n));
        left.abs_diff(right)
    };
    let seen = apart(a);
    let (mut all, mut far) = (0.0, 0.0);
    for_each_deal((a, n), (b, m), |count, weight| {
        all += weight;
        far += if apart(count) >= seen { weight } else { 0.0 };
    });
    probability(far / all)
}

/// The probabilities that the window has at most, and at least, as many rows of a kind as it has, if
/// all rows of that kind were dealt at random: (rows of the kind, all rows) of either.
pub(crate) fn dealt_tails((a, n): (u64, u64), (b, m): (u64, u64)) -> (f64, f64) {
    let (mut all, mut fewer, mut more) = (0.0, 0.0, 0.0);
    for_each_deal((b, m), (a, n), |count, weight| {
        all += weight;
        fewer += if count <= b { weight } else { 0.0 };
        more += if count >= b { weight } else { 0.0 };
    });
    (probability(fewer / all), probability(more / all))
}

/// The probability of all deals that are at most as probable as the one seen: Fisher's two-sided p.
pub(super) fn improbable_p((a, n): (u64, u64), (b, m): (u64, u64)) -> f64 {
    let (mut all, mut seen) = (0.0, 0.0);
    for_each_deal((a, n), (b, m), |count, weight| {
        all += weight;
        seen = if count == a { weight } else { seen };
    });
    let mut far = 0.0;
    // Equally probable deals differ by rounding.
    for_each_deal((a, n), (b, m), |_, weight| {
        far += if weight <= seen * (1.0 + 1e-9) { weight } else { 0.0 };
    });
    probability(far / all)
}

/// Every count of the first sample that a deal can give, with its weight beside the most probable
/// one's; those of no weight are left out.
///
/// Weights follow from the most probable deal by ratios of neighbours, so no factorial is needed
/// and the far tail keeps its digits.
pub(super) fn for_each_deal((a, n): (u64, u64), (b, m): (u64, u64), mut add: impl FnMut(u64, f64)) {
    let with = a + b;
    let (least, most) = (with.saturating_sub(m), with.min(n));
    let mode = u128::from(with + 1) * u128::from(n + 1) / u128::from(n + m + 2);
    let mode = u64::try_from(mode).unwrap_or(most).clamp(least, most);
    add(mode, 1.0);
    // P(k + 1) / P(k) = (n − k)(with − k) / ((k + 1)(m − with + k + 1)).
    let (mut at, mut weight) = (mode, 1.0);
    while at < most && weight > 0.0 {
        weight *= real(n - at) / real(at + 1) * (real(with - at) / real(m + at + 1 - with));
        at += 1;
        add(at, weight);
    }
    (at, weight) = (mode, 1.0);
    while at > least && weight > 0.0 {
        weight *= real(at) / real(n + 1 - at) * (real(m + at - with) / real(with + 1 - at));
        at -= 1;
        add(at, weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tests::ks_cells;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_test_of_two_cells(a in 0_u64..60, c in 0_u64..60, b in 0_u64..40, d in 0_u64..40) {
            prop_assume!(a + c > 0 && b + d > 0);
            let share = share_difference((a, a + c), (b, b + d), 0.95).unwrap().unwrap();
            let cells = ks_cells(&[a, c], &[b, d]).unwrap().unwrap();
            prop_assert!((share.p / cells.p - 1.0).abs() < 1e-11, "{} {}", share.p, cells.p);
            prop_assert!((share.value.abs() - cells.statistic).abs() < 1e-12);
            prop_assert!(share.interval.contains(share.value));
        }
    }

    #[test]
    fn no_rows_say_nothing_and_no_share_exceeds_one() {
        assert_eq!(share_difference((0, 0), (1, 2), 0.95).unwrap(), None);
        assert!(share_difference((3, 2), (1, 2), 0.95).is_err());
        assert!(share_difference((1, 2), (1, 2), 1.0).is_err());
        let apart = share_difference((0, 1 << 30), (1 << 20, 1 << 30), 0.95).unwrap().unwrap();
        assert!(apart.p > 0.0 && apart.p < 1e-300);
    }
}
