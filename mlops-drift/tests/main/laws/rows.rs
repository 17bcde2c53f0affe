//! Mann–Whitney, Welch, Brown–Forsythe, energy.

use super::{PROBABILITY, STATISTIC, cases, close, counted};
use mlops_drift::tests::{Law, PermutationOptions, brown_forsythe, energy, mann_whitney, welch};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    reference: Vec<f64>,
    window: Vec<f64>,
    u: f64,
    u_normal: Option<f64>,
    u_exact: Option<f64>,
    t: Option<f64>,
    t_degrees: Option<f64>,
    t_p: Option<f64>,
    t_low: Option<f64>,
    t_high: Option<f64>,
    f: Option<f64>,
    f_p: Option<f64>,
    energy: f64,
}

fn few_deals() -> PermutationOptions {
    PermutationOptions::default().with_deals(9).with_enumerated(0)
}

#[test]
fn mann_whitney_is_that_of_scipy() {
    let (mut exact, mut limits) = (0, 0);
    for (at, case) in cases::<Case>("rows.json", "rows").iter().enumerate() {
        let what = format!("case {at}");
        let test = mann_whitney(&case.reference, &case.window, 0.95, &few_deals());
        let test = test.unwrap().unwrap();
        close(test.statistic, case.u, STATISTIC, &what);
        match (test.law, case.u_exact) {
            (Law::Exact, Some(p)) => {
                close(test.p, p, PROBABILITY, &what);
                exact += 1;
            }
            (Law::Limit, _) => {
                close(test.p, case.u_normal.unwrap(), PROBABILITY, &what);
                limits += 1;
            }
            _ => {}
        }
    }
    assert!(exact >= 60 && limits >= 10, "{exact} {limits}");
}

#[test]
fn welch_is_that_of_scipy() {
    let mut compared = 0;
    for (at, case) in cases::<Case>("rows.json", "rows").iter().enumerate() {
        let what = format!("case {at}");
        let Some(test) = welch(&case.reference, &case.window, 0.95, &few_deals()).unwrap() else {
            assert!(case.t.is_none(), "{what}");
            continue;
        };
        // Of two constants scipy divides what rounding leaves.
        let Some(t) = case.t.filter(|t| case.t_degrees.is_some() && t.abs() < 1e10) else {
            continue;
        };
        // A difference of means near each other has fewer digits than they.
        let digits = |value: f64| STATISTIC.max(1e-14 * size(case) / value.abs());
        let lost = digits(case.t_high.unwrap() - case.t_low.unwrap());
        close(test.statistic, t, lost.max(1e-13 / t.abs()), &what);
        close(test.degrees, case.t_degrees.unwrap(), STATISTIC, &what);
        close(test.p_student, case.t_p.unwrap(), PROBABILITY, &what);
        let width = case.t_high.unwrap() - case.t_low.unwrap();
        assert!((test.interval.low - case.t_low.unwrap()).abs() < 1e-9 * width, "{what}");
        assert!((test.interval.high - case.t_high.unwrap()).abs() < 1e-9 * width, "{what}");
        compared += 1;
    }
    assert!(compared >= 200, "{compared}");
}

/// The largest value.
fn size(case: &Case) -> f64 {
    case.reference.iter().chain(&case.window).fold(0.0, |most, value| value.abs().max(most))
}

#[test]
fn brown_forsythe_is_that_of_scipy() {
    let mut compared = 0;
    for (at, case) in cases::<Case>("rows.json", "rows").iter().enumerate() {
        let what = format!("case {at}");
        let test = brown_forsythe(&case.reference, &case.window, 0.95, &few_deals()).unwrap();
        let (Some(test), Some(f)) = (test, case.f) else {
            assert!(test.is_none() || case.f.is_none(), "{what}");
            continue;
        };
        assert!((test.statistic - f).abs() <= 1e-20 + STATISTIC * f, "{what}: {test:?} {f}");
        close(test.p_fisher, case.f_p.unwrap(), PROBABILITY, &what);
        compared += 1;
    }
    assert!(compared >= 200, "{compared}");
}

#[test]
fn the_energy_distance_is_that_of_scipy() {
    let mut compared = 0;
    for (at, case) in cases::<Case>("rows.json", "rows").iter().enumerate() {
        let what = format!("case {at}");
        let test = energy(&case.reference, &case.window, 0.95, &few_deals()).unwrap();
        let Some(test) = test else {
            assert!(case.energy == 0.0, "{what}");
            continue;
        };
        close(test.distance, case.energy, STATISTIC, &what);
        compared += 1;
    }
    assert!(compared >= 200, "{compared}");
}

#[derive(Deserialize)]
struct Dealt {
    reference: Vec<i32>,
    window: Vec<i32>,
    of: u64,
    u: u64,
    t: u64,
    f: u64,
    energy: u64,
}

#[test]
fn permutation_laws_of_rows_are_the_count_of_all_deals() {
    let (mut means, mut spreads) = (0, 0);
    for (at, case) in cases::<Dealt>("deals.json", "rows").iter().enumerate() {
        let floats = |side: &[i32]| side.iter().copied().map(f64::from).collect::<Vec<_>>();
        let (reference, window) = (floats(&case.reference), floats(&case.window));
        let (what, options) = (format!("case {at}"), PermutationOptions::default());
        let order = mann_whitney(&reference, &window, 0.95, &options).unwrap().unwrap();
        counted(order.p, order.law, case.u, case.of, &format!("{what}, Mann–Whitney"));
        let apart = energy(&reference, &window, 0.95, &options).unwrap().unwrap();
        counted(apart.p, apart.law, case.energy, case.of, &format!("{what}, energy"));
        let mean = welch(&reference, &window, 0.95, &options).unwrap().unwrap();
        if mean.law != Law::Limit {
            counted(mean.p, mean.law, case.t, case.of, &format!("{what}, Welch"));
            means += 1;
        }
        let spread = brown_forsythe(&reference, &window, 0.95, &options).unwrap().unwrap();
        if spread.law != Law::Limit {
            counted(spread.p, spread.law, case.f, case.of, &format!("{what}, Brown–Forsythe"));
            spreads += 1;
        }
    }
    assert!(means >= 60 && spreads >= 60, "{means} {spreads}");
}
