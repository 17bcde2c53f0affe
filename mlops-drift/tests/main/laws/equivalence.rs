//! Two one-sided tests.

use super::{PROBABILITY, cases, close};
use mlops_drift::tests::{Moments, mean_equivalence, share_equivalence};
use serde::Deserialize;

#[derive(Deserialize)]
struct Case {
    reference: Vec<f64>,
    window: Vec<f64>,
    margin: f64,
    alpha: f64,
    p: f64,
    shares: [(u64, u64); 2],
    share_low: f64,
    share_high: f64,
}

fn moments(values: &[f64]) -> Moments {
    let n = f64::from(u32::try_from(values.len()).unwrap());
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Moments { count: values.len() as u64, mean, variance: squares / (n - 1.0) }
}

#[test]
fn equivalence_is_that_of_statsmodels() {
    let mut both = [0; 2];
    for (at, case) in cases::<Case>("equivalence.json", "equivalence").iter().enumerate() {
        let what = format!("case {at}");
        let (a, b) = (moments(&case.reference), moments(&case.window));
        let mean = mean_equivalence(a, b, case.margin, case.alpha).unwrap().unwrap();
        close(mean.p, case.p, PROBABILITY, &what);
        assert_eq!(mean.equivalent, case.p < case.alpha, "{what}");
        both[usize::from(mean.equivalent)] += 1;

        let [reference, window] = case.shares;
        let share = share_equivalence(reference, window, 0.05, case.alpha).unwrap().unwrap();
        let width = case.share_high - case.share_low;
        assert!((share.interval.low - case.share_low).abs() < 1e-9 * width, "{what}");
        assert!((share.interval.high - case.share_high).abs() < 1e-9 * width, "{what}");
        let within = case.share_low > -0.05 && case.share_high < 0.05;
        assert_eq!((share.equivalent, share.p < case.alpha), (within, within), "{what}");
    }
    assert!(both[0] > 30 && both[1] > 30, "{both:?}");
}
