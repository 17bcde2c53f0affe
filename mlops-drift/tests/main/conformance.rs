//! The promises of `DriftDetector`, one test each.

use super::random::{Random, batch, floats, texts};
use mlops_core::{
    DriftDetector, arrow::array::RecordBatch, conformance::drift::Subject, drift_conformance,
};
use mlops_drift::{Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions};

fn rows(seed: u64, shift: f64) -> RecordBatch {
    let mut random = Random::new(seed);
    let ages: Vec<_> = (0..1200).map(|_| Some(random.normal() + shift)).collect();
    let word = |random: &mut Random| if random.unit() < 0.3 + shift / 10.0 { "a" } else { "b" };
    let words: Vec<_> = (0..1200).map(|_| Some(word(&mut random).to_owned())).collect();
    batch(vec![("age", floats(ages)), ("word", texts(words))])
}

fn subject() -> Subject {
    let reference = Profile::fit(&[rows(1, 0.0)], &ProfileOptions::default()).unwrap();
    let config = ProfileDetectorConfig::default();
    let (other_reference, other_config) = (reference.clone(), config.clone());
    let elsewhere = Profile::fit(&[rows(9, 0.5)], &ProfileOptions::default()).unwrap();
    let foreign = ProfileDetector::open(config.clone(), elsewhere).unwrap().state().unwrap();
    Subject::new(
        move || Box::new(ProfileDetector::open(config.clone(), reference.clone()).unwrap()),
        move |state| {
            let (config, reference) = (other_config.clone(), other_reference.clone());
            Ok(Box::new(ProfileDetector::restore(config, reference, state)?))
        },
        rows(2, 0.0),
        rows(3, 3.0),
    )
    .with_foreign(foreign)
}

drift_conformance!(profile, subject());

/// Whatever a window holds, it is held in the reference's cells.
#[test]
fn a_window_of_endless_new_values_stays_as_small() {
    let reference = Profile::fit(&[rows(1, 0.0)], &ProfileOptions::default()).unwrap();
    let mut detector = ProfileDetector::open(ProfileDetectorConfig::default(), reference).unwrap();
    let empty = detector.state().unwrap().bytes.len();
    let mut random = Random::new(4);
    for round in 0..200_u32 {
        let ages = (0..500).map(|_| Some(random.normal() * f64::from(round).exp()));
        let words = (0..500).map(|row| Some(format!("never seen before: {round} {row}")));
        let (ages, words) = (floats(ages.collect::<Vec<_>>()), texts(words.collect::<Vec<_>>()));
        detector.update(&batch(vec![("age", ages), ("word", words)])).unwrap();
    }
    let full = detector.state().unwrap().bytes.len();
    assert!(full < empty + 20_000, "{empty} bytes grew to {full}");
}
