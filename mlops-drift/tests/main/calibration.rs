//! How often the tests are wrong without drift, and how often the intervals hold.

use super::random::{Random, batch, floats, integers, texts};
use mlops_core::{
    DriftDetector,
    arrow::array::{ArrayRef, RecordBatch},
    drift::{Evidence, Verdict},
};
use mlops_drift::{
    Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions,
    tests::{MIN_EXPECTED, Moments, Order, chi_square, mean_shift, superiority, total_variation},
};

/// At most this many of `trials` at probability `p`, but for one time in a thousand.
fn bound(trials: u32, p: f64) -> f64 {
    let trials = f64::from(trials);
    trials * p + 3.1 * (trials * p * (1.0 - p)).sqrt()
}

/// D1: a test that takes the reference for the true law has 24 to 75 percent here.
#[test]
fn chi_square_of_two_samples_of_one_law_is_wrong_one_time_in_twenty() {
    let mut random = Random::new(11);
    for k in [3, 10, 20] {
        let trials = 1500;
        let weights: Vec<f64> = (0..k).map(|at| 1.0 + f64::from(at % 3)).collect();
        let wrong = (0..trials).filter(|_| {
            let (a, b) = (random.counts(&weights, 1000), random.counts(&weights, 1000));
            chi_square(&a, &b, MIN_EXPECTED).unwrap().unwrap().p < 0.05
        });
        let wrong = f64::from(u32::try_from(wrong.count()).unwrap());
        println!("k = {k}: false alarms {:.3}", wrong / f64::from(trials));
        assert!(wrong < bound(trials, 0.05) && wrong > f64::from(trials) * 0.03, "{k}: {wrong}");
    }
}

/// The chi-square law would be wrong 1.6% of the time at 1% here, and 5.8% at 5% of a hundred rows.
#[test]
fn chi_square_of_two_cells_is_wrong_no_more_often_than_it_says() {
    let mut random = Random::new(12);
    for rows in [30, 100] {
        let (trials, mut at_five, mut at_one) = (4000, 0.0, 0.0);
        for _ in 0..trials {
            let (a, b) = (random.counts(&[1.0, 1.0], rows), random.counts(&[1.0, 1.0], rows));
            let test = chi_square(&a, &b, MIN_EXPECTED).unwrap().unwrap();
            assert!(test.exact);
            at_five += f64::from(test.p <= 0.05);
            at_one += f64::from(test.p <= 0.01);
        }
        assert!(
            at_five <= bound(trials, 0.05) && at_one <= bound(trials, 0.01),
            "{rows}: {at_five} {at_one}"
        );
    }
}

type Column = fn(&mut Random) -> Option<f64>;

/// Rows of a reference and of a window.
const SIZES: [(usize, usize); 3] = [(2000, 200), (2000, 50), (50, 50)];

/// How often a column of one law is found to differ, at 5 and at 1 percent.
fn false_alarms(name: &str, make: impl Fn(&mut Random, usize) -> ArrayRef) {
    for rows in SIZES {
        false_alarms_of(rows, name, &make);
    }
}

fn false_alarms_of(
    (before, now): (usize, usize),
    name: &str,
    make: &impl Fn(&mut Random, usize) -> ArrayRef,
) {
    let (trials, mut random) = (300, Random::new(5));
    let (mut at_five, mut at_one, mut drifted) = (0.0, 0.0, 0);
    for _ in 0..trials {
        let mut rows = |count| -> RecordBatch { batch(vec![("x", make(&mut random, count))]) };
        let reference = Profile::fit(&[rows(before)], &ProfileOptions::default()).unwrap();
        let mut detector =
            ProfileDetector::open(ProfileDetectorConfig::default(), reference).unwrap();
        detector.update(&rows(now)).unwrap();
        let drift = detector.evaluate().unwrap();
        let Evidence::P { p, .. } = drift.parts[0].evidence else { panic!("no probability") };
        at_five += f64::from(p <= 0.05);
        at_one += f64::from(p <= 0.01);
        drifted += u32::from(drift.verdict == Verdict::Drifted);
    }
    let share = |count: f64| count / f64::from(trials);
    let (five, one) = (share(at_five), share(at_one));
    let seen = format!("{name}, {before} and {now}: {five:.3} at .05, {one:.3} at .01");
    assert!(at_five <= bound(trials, 0.05) && at_one <= bound(trials, 0.01), "{seen}");
    assert!(f64::from(drifted) <= bound(trials, 0.002), "{seen}, {drifted} drifted");
}

fn numeric_false_alarms(name: &str, value: Column) {
    false_alarms(name, |random, count| {
        floats((0..count).map(|_| value(random)).collect::<Vec<_>>())
    });
}

#[test]
fn a_continuous_column_is_wrong_no_more_often_than_it_says() {
    numeric_false_alarms("normal", |random| Some(random.normal()));
}

#[test]
fn a_skewed_column_with_nulls_is_wrong_no_more_often_than_it_says() {
    numeric_false_alarms("lognormal, 10% null", |random| {
        let value = (2.0 * random.normal()).exp();
        (random.unit() > 0.1).then_some(value)
    });
}

#[test]
fn a_column_of_ties_is_wrong_no_more_often_than_it_says() {
    numeric_false_alarms("rounded, 40% zero, 2% NaN", |random| {
        let value = (random.normal() * 5.0).round();
        Some(match random.choice(&[40.0, 58.0, 2.0]) {
            0 => 0.0,
            1 => value,
            _ => f64::NAN,
        })
    });
}

#[test]
fn codes_and_truths_are_wrong_no_more_often_than_they_say() {
    false_alarms("five codes", |random, count| {
        let code = |random: &mut Random| random.choice(&[40.0, 30.0, 20.0, 9.0, 1.0]);
        integers((0..count).map(|_| i64::try_from(code(random)).ok()).collect::<Vec<_>>())
    });
    false_alarms("one in a hundred", |random, count| {
        integers((0..count).map(|_| Some(i64::from(random.unit() < 0.01))).collect::<Vec<_>>())
    });
}

/// Value `rank` has a weight of 1 / rank.
fn zipf(random: &mut Random, values: f64) -> String {
    format!("v{}", values.powf(random.unit()).floor())
}

#[test]
fn categories_with_a_long_tail_are_wrong_no_more_often_than_they_say() {
    false_alarms("30 categories", |random, count| {
        texts(
            (0..count)
                .map(|_| (random.unit() > 0.02).then(|| zipf(random, 30.0)))
                .collect::<Vec<_>>(),
        )
    });
    false_alarms("5,000 categories", |random, count| {
        texts((0..count).map(|_| Some(zipf(random, 5000.0))).collect::<Vec<_>>())
    });
}

#[test]
fn the_interval_of_total_variation_holds() {
    let mut random = Random::new(3);
    let even = vec![1.0; 16];
    let tilted: Vec<f64> = (0..16).map(|at| if at < 8 { 1.2 } else { 0.8 }).collect();
    let spike: Vec<f64> = (0..16).map(|at| if at == 5 { 3.0 } else { 13.0 / 15.0 }).collect();
    for (name, law, truth) in
        [("none", &even, 0.0), ("tilt", &tilted, 0.1), ("spike", &spike, 0.125)]
    {
        for (n, m) in [(2000, 200), (2000, 2000)] {
            let (trials, mut below, mut above, mut sum) = (400, 0.0, 0.0, 0.0);
            for _ in 0..trials {
                let (a, b) = (random.counts(&even, n), random.counts(law, m));
                let moved = total_variation(&a, &b, Order::Ordered, 0.95).unwrap().unwrap();
                below += f64::from(moved.interval.high < truth);
                above += f64::from(moved.interval.low > truth);
                sum += moved.value;
            }
            let mean = sum / f64::from(trials);
            println!(
                "{name}, {n} and {m}: mean {mean:.3}, truth {truth:.3}, too high {above}, too low {below}"
            );
            assert!(above <= bound(trials, 0.025) && below <= bound(trials, 0.025), "{name}");
            assert!((mean - truth).abs() < 0.06, "{name}: {mean}");
        }
    }
}

#[test]
fn the_intervals_of_shifts_hold() {
    let (trials, mut random) = (800, Random::new(8));
    let (mut shift_misses, mut order_misses) = (0.0, 0.0);
    // Of normal values moved by half a deviation: Φ(½/√2).
    let truth = 0.638_163_195_2;
    for _ in 0..trials {
        let a: Vec<f64> = (0..300).map(|_| random.normal()).collect();
        let b: Vec<f64> = (0..150).map(|_| random.normal() + 0.5).collect();
        let shift = mean_shift(moments(&a), moments(&b), 0.95).unwrap().unwrap();
        shift_misses += f64::from(shift.interval.low > 0.5 || shift.interval.high < 0.5);
        let cells = |side: &[f64]| {
            let mut counts = vec![0_u64; 61];
            for value in side {
                counts[(0..60).filter(|c| f64::from(*c) / 8.0 - 3.75 < *value).count()] += 1;
            }
            counts
        };
        let above = superiority(&cells(&a), &cells(&b), 0.95).unwrap().unwrap();
        order_misses += f64::from(above.interval.low > truth || above.interval.high < truth);
    }
    println!("of {trials}: mean shift misses {shift_misses}, superiority {order_misses}");
    assert!(shift_misses <= bound(trials, 0.05) && order_misses <= bound(trials, 0.05));
}

fn moments(values: &[f64]) -> Moments {
    let n = f64::from(u32::try_from(values.len()).unwrap());
    let mean = values.iter().sum::<f64>() / n;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Moments { count: values.len() as u64, mean, variance: squares / (n - 1.0) }
}
