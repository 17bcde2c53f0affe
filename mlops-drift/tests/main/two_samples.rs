//! Tests of two samples against enumeration and against stored oracles.

use mlops_drift::tests::{MIN_EXPECTED, chi_square, ks, ks_cells, psi, share_difference};
use proptest::prelude::*;

/// The two-sided law by enumeration of every deal of the pooled values: how many exceed, of how
/// many.
fn enumerated(reference: &[u8], window: &[u8]) -> (u64, u64) {
    let pooled: Vec<u8> = reference.iter().chain(window).copied().collect();
    let n = reference.len();
    let distance = |in_reference: &dyn Fn(usize) -> bool| {
        let difference = |value: u8| {
            let up_to = |side: bool| {
                let rows = pooled.iter().enumerate();
                rows.filter(|(at, v)| **v <= value && in_reference(*at) == side).count()
            };
            (up_to(true) * window.len()).abs_diff(up_to(false) * n)
        };
        pooled.iter().map(|value| difference(*value)).max().unwrap()
    };
    let seen = distance(&|at| at < n);
    let (mut over, mut all) = (0, 0);
    for deal in 0_u32..1 << pooled.len() {
        if deal.count_ones() as usize == n {
            all += 1;
            over += u64::from(distance(&|at| deal >> at & 1 == 1) >= seen);
        }
    }
    (over, all)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn ks_is_the_enumerated_law(
        reference in prop::collection::vec(0_u8..5, 1..6),
        window in prop::collection::vec(0_u8..5, 1..6),
    ) {
        let values = |side: &[u8]| side.iter().map(|v| f64::from(*v)).collect::<Vec<f64>>();
        let test = ks(&values(&reference), &values(&window)).unwrap().unwrap();
        let (over, all) = enumerated(&reference, &window);
        #[expect(clippy::cast_precision_loss, reason = "small")]
        let counted = over as f64 / all as f64;
        prop_assert!(test.exact && (test.p / counted - 1.0).abs() < 1e-13, "{} {counted}", test.p);
    }

    #[test]
    fn sides_may_be_swapped(cells in prop::collection::vec((0_u64..200, 0_u64..90), 2..12)) {
        let (a, b): (Vec<u64>, Vec<u64>) = cells.into_iter().unzip();
        let close = |x: f64, y: f64| (x - y).abs() <= 1e-11 * x.abs();
        match (ks_cells(&a, &b).unwrap(), ks_cells(&b, &a).unwrap()) {
            (Some(there), Some(back)) => prop_assert!(close(there.p, back.p)),
            (there, back) => prop_assert_eq!(there, back),
        }
        if let Some(there) = chi_square(&a, &b, MIN_EXPECTED).unwrap() {
            let back = chi_square(&b, &a, MIN_EXPECTED).unwrap().unwrap();
            prop_assert!(close(there.p, back.p) && there.degrees == back.degrees);
        }
    }

}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(20))]

    #[test]
    fn any_counts_give_a_probability(
        a in prop::collection::vec(0_u64..1_000_000_000, 5),
        b in prop::collection::vec(0_u64..3_000_000, 5),
    ) {
        let probability = |p: f64| p > 0.0 && p <= 1.0;
        if let Some(test) = ks_cells(&a, &b).unwrap() {
            prop_assert!(probability(test.p) && (0.0..=1.0).contains(&test.statistic));
        }
        if let Some(test) = chi_square(&a, &b, MIN_EXPECTED).unwrap() {
            prop_assert!(probability(test.p) && test.statistic.is_finite());
        }
        let test = share_difference((a[0], a.iter().sum()), (b[0], b.iter().sum()), 0.95).unwrap();
        prop_assert!(test.is_none_or(|test| probability(test.p)));
    }
}

#[test]
fn beyond_the_bound_the_limit_law_is_close_and_says_so() {
    // Just below and just above the bound: 5,000 × 5,000 rows, a shift of two rows in a hundred.
    let side = |rows: u64, ahead: u64| -> Vec<u64> {
        (0..100)
            .map(|cell| {
                rows / 100 + if cell < 50 { ahead } else { 0 } - if cell >= 50 { ahead } else { 0 }
            })
            .collect()
    };
    let exact = ks_cells(&side(5000, 0), &side(5000, 2)).unwrap().unwrap();
    let limit = ks_cells(&side(5100, 0), &side(5100, 2)).unwrap().unwrap();
    assert!(exact.exact && !limit.exact);
    assert!((exact.statistic - 0.02).abs() < 1e-12);
    assert!(limit.p >= exact.p * 0.9 && limit.p < exact.p * 1.6, "{exact:?} {limit:?}");
}

/// The population value for N(0,1) beside N(1,1) is 1 (mean shift squared).
#[test]
fn psi_of_a_shift_by_one_deviation_is_near_one() {
    let mut random = super::random::Random::new(7);
    let cut = |value: f64| {
        [-1.28, -0.84, -0.52, -0.25, 0.0, 0.25, 0.52, 0.84, 1.28].partition_point(|c| *c < value)
    };
    let mut counts = |shift: f64| {
        let mut counts = vec![0_u64; 10];
        (0..100_000).for_each(|_| counts[cut(random.normal() + shift)] += 1);
        counts
    };
    let index = psi(&counts(0.0), &counts(1.0)).unwrap().unwrap();
    assert!((0.8..1.0).contains(&index.value), "{index:?}");
    let still = psi(&counts(0.0), &counts(0.0)).unwrap().unwrap();
    assert!(still.value < 3.0 * still.noise_floor, "{still:?}");
}
