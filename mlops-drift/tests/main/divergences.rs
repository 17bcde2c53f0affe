//! Distances over counts: beside scipy's, beside what they are of normal laws, and without drift.

use super::random::Random;
use mlops_drift::tests::cells::{hellinger, jensen_shannon, kullback_leibler, largest_difference};
use serde::Deserialize;
use statrs::distribution::{ContinuousCDF, Normal};
use std::path::Path;

#[derive(Deserialize)]
struct File {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    reference: Vec<u64>,
    window: Vec<u64>,
    jensen_shannon: f64,
    kullback_leibler: f64,
    hellinger: f64,
    largest_difference: f64,
}

#[test]
fn divergences_are_those_of_scipy() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/divergences.json");
    let file: File = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    assert_eq!(file.cases.len(), 200);
    for (at, case) in file.cases.iter().enumerate() {
        let (a, b) = (&case.reference, &case.window);
        let largest = largest_difference(a, b).unwrap().unwrap();
        assert!((largest.value - case.largest_difference).abs() <= 1e-14, "case {at}");
        for (ours, theirs) in [
            (jensen_shannon(a, b), case.jensen_shannon),
            (kullback_leibler(a, b), case.kullback_leibler),
            (hellinger(a, b), case.hellinger),
        ] {
            let ours = ours.unwrap().unwrap();
            // scipy adds up summands that cancel, to some 10⁻¹⁵.
            let error = 1e-10 * theirs + 2e-15;
            assert!((ours.value - theirs).abs() <= error, "case {at}: {ours:?} {theirs}");
            let sum: f64 = ours.contributions.iter().sum();
            assert!((sum - ours.value).abs() < 1e-14 && ours.excess() <= ours.value);
        }
    }
    assert_eq!(hellinger(&[0, 0], &[1, 2]).unwrap(), None);
    assert!(jensen_shannon(&[1], &[1, 2]).is_err());
}

/// N(0, 1) beside N(μ, 1) in a thousand cells: KL μ²/2, squared Hellinger 1 − exp(−μ²/8), the
/// largest difference that of the largest cell.
#[test]
fn of_two_normal_laws_they_are_what_calculus_says() {
    let normal = Normal::standard();
    let rows = 2_f64.powi(34);
    for shift in [0.1, 0.5, 1.0] {
        let counts = |mean: f64| -> Vec<u64> {
            let below = |cut: i32| normal.cdf(f64::from(cut) / 100.0 - mean);
            let share = |cut: i32| rows * (below(cut + 1) - below(cut));
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "positive and small"
            )]
            (-900..900).map(|cut| share(cut).round() as u64).collect()
        };
        let (a, b) = (counts(0.0), counts(shift));
        let near = |ours: f64, truth: f64| (ours / truth - 1.0).abs() < 1e-4;
        let leibler = kullback_leibler(&a, &b).unwrap().unwrap();
        assert!(near(leibler.excess(), shift * shift / 2.0), "{leibler:?}");
        let squared = hellinger(&a, &b).unwrap().unwrap();
        assert!(near(squared.excess(), 1.0 - (-shift * shift / 8.0).exp()));
    }
}

/// Without drift the mean of each is its floor, of the largest difference at most that.
#[test]
fn the_floor_is_what_noise_makes() {
    let mut random = Random::new(41);
    for (k, n, m) in [(2_u32, 500, 200), (16, 2000, 1000), (64, 3000, 3000)] {
        let weights: Vec<f64> = (0..k).map(|at| 1.0 + f64::from(at % 3)).collect();
        let trials = 300;
        let (mut seen, mut floors) = ([0.0; 4], [0.0; 4]);
        for _ in 0..trials {
            let (a, b) = (random.counts(&weights, n), random.counts(&weights, m));
            let three = [jensen_shannon(&a, &b), kullback_leibler(&a, &b), hellinger(&a, &b)];
            for (at, distance) in three.into_iter().enumerate() {
                let distance = distance.unwrap().unwrap();
                seen[at] += distance.value;
                floors[at] += distance.noise_floor;
            }
            let largest = largest_difference(&a, &b).unwrap().unwrap();
            seen[3] += largest.value;
            floors[3] += largest.noise_floor;
        }
        let ratios: Vec<f64> = seen.iter().zip(floors).map(|(seen, floor)| seen / floor).collect();
        println!("{k} cells: {ratios:.2?}");
        // Of two cells the deviation of a mean of 300 is 8 percent.
        let most = if k == 2 { 0.25 } else { 0.1 };
        assert!(ratios[..3].iter().all(|ratio| (ratio - 1.0).abs() < most), "{ratios:?}");
        assert!(ratios[3] > 0.6 && ratios[3] < 1.05, "{ratios:?}");
    }
}
