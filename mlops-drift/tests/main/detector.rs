//! What the detector says: the defects of others (D1, D3, D7, D8 of the reference page), verdicts,
//! states.

use super::random::{Random, batch, floats, integers, texts};
use mlops_core::{
    DriftDetector, ErrorKind,
    arrow::array::RecordBatch,
    drift::{DetectorState, Drift, Evidence, Merging, Verdict},
};
use mlops_drift::{Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions};

fn normals(random: &mut Random, rows: usize, shift: f64) -> Vec<Option<f64>> {
    (0..rows).map(|_| Some(random.normal() + shift)).collect()
}

fn column(values: Vec<Option<f64>>) -> RecordBatch {
    batch(vec![("x", floats(values))])
}

fn words(weights: &[(&str, usize)]) -> RecordBatch {
    let rows = weights.iter().flat_map(|(word, count)| vec![Some((*word).to_owned()); *count]);
    batch(vec![("x", texts(rows.collect::<Vec<_>>()))])
}

/// The finding about a window beside a reference.
fn compare(reference: &RecordBatch, window: &RecordBatch) -> Drift {
    let reference =
        Profile::fit(std::slice::from_ref(reference), &ProfileOptions::default()).unwrap();
    let mut detector = ProfileDetector::open(ProfileDetectorConfig::default(), reference).unwrap();
    detector.update(window).unwrap();
    let drift = detector.evaluate().unwrap();
    sound(&drift);
    assert_eq!(drift, detector.evaluate().unwrap());
    drift
}

/// Every probability lies in 0..=1, every number is one, contributions add up to their effect.
fn sound(drift: &Drift) {
    assert!(drift.statistic.is_finite() && drift.effect.value.is_finite(), "{drift:?}");
    if let Evidence::P { p, adjusted, .. } = drift.evidence {
        assert!(p > 0.0 && p <= adjusted && adjusted <= 1.0, "{drift:?}");
    }
    if !drift.contributions.is_empty() {
        let sum: f64 = drift.contributions.iter().map(|part| part.value).sum();
        assert!((sum - drift.effect.value).abs() < 1e-9);
        assert!(drift.contributions.is_sorted_by(|a, b| a.value >= b.value));
    }
    drift.parts.iter().for_each(sound);
}

fn p(drift: &Drift) -> f64 {
    let Evidence::P { p, .. } = drift.evidence else { panic!("no probability: {drift:?}") };
    p
}

fn part<'a>(drift: &'a Drift, name: &str) -> &'a Drift {
    drift.parts.iter().find(|part| part.name.as_ref() == name).unwrap()
}

#[test]
fn one_outlier_hides_nothing() {
    let mut random = Random::new(1);
    let clean = normals(&mut random, 5000, 0.0);
    let with_outlier = |mut values: Vec<Option<f64>>| {
        values[17] = Some(1e6);
        column(values)
    };
    let moved = normals(&mut random, 5000, 3.0);
    for (reference, window) in [
        (column(clean.clone()), with_outlier(moved.clone())),
        (with_outlier(clean.clone()), column(moved)),
    ] {
        let drift = compare(&reference, &window);
        assert_eq!(drift.verdict, Verdict::Drifted);
        // N(0,1) beside N(3,1): 2Φ(1.5) − 1 = 0.866; PSI 9 less what coarse cells hide.
        let x = &drift.parts[0];
        assert!((x.effect.value - 0.866).abs() < 0.02, "{:?}", x.effect);
        assert!(part(x, "psi").effect.value > 4.0 && part(x, "superiority").effect.value > 0.97);
    }
    // Nor does it make a drift of its own.
    let drift = compare(&column(clean), &with_outlier(normals(&mut random, 5000, 0.0)));
    assert_eq!(drift.verdict, Verdict::Stable);
}

#[test]
fn a_new_category_of_one_row_is_no_certainty() {
    let reference = words(&[("a", 500), ("b", 300), ("c", 200)]);
    let drift = compare(&reference, &words(&[("a", 499), ("b", 300), ("c", 200), ("new", 1)]));
    assert!(drift.verdict == Verdict::Stable && p(&drift.parts[0]) > 0.5, "{drift:?}");
    let drift = compare(&reference, &words(&[("a", 400), ("b", 230), ("c", 160), ("new", 210)]));
    assert_eq!(drift.verdict, Verdict::Drifted);
    assert_eq!(drift.parts[0].contributions[0].name.as_ref(), "other");
}

#[test]
fn from_never_to_sometimes_is_a_warning_where_more_often_is_none() {
    let known = words(&[("a", 1000), ("b", 600), ("c", 400)]);
    let typos = words(&[("a", 995), ("b", 597), ("c", 398), ("bb", 10)]);
    assert_eq!(compare(&known, &typos).verdict, Verdict::Warning);
    let more = words(&[("a", 1010), ("b", 594), ("c", 396)]);
    assert_eq!(compare(&known, &more).verdict, Verdict::Stable);
    let constant = words(&[("a", 2000)]);
    assert_eq!(compare(&constant, &words(&[("a", 1990), ("b", 10)])).verdict, Verdict::Warning);

    let mut random = Random::new(6);
    let (before, now) = (normals(&mut random, 2000, 0.0), normals(&mut random, 2000, 0.0));
    let gaps = now.into_iter().enumerate();
    let gaps = column(gaps.map(|(row, value)| value.filter(|_| row % 200 > 0)).collect());
    assert_eq!(compare(&column(before.clone()), &gaps).verdict, Verdict::Warning);

    let reference = Profile::fit(&[column(before)], &ProfileOptions::default()).unwrap();
    let config = ProfileDetectorConfig::default().with_novel_margin(0.02);
    let mut detector = ProfileDetector::open(config, reference).unwrap();
    detector.update(&gaps).unwrap();
    assert_eq!(detector.evaluate().unwrap().verdict, Verdict::Stable);
}

#[test]
fn a_constant_column_says_nothing_until_it_changes() {
    let reference = words(&[("a", 1000)]);
    let still = compare(&reference, &words(&[("a", 500)]));
    assert!(still.verdict == Verdict::Stable && p(&still) > 0.999);
    let changed = compare(&reference, &words(&[("a", 400), ("b", 100)]));
    assert_eq!(changed.verdict, Verdict::Drifted);
    let number = |value: f64, rows| column(vec![Some(value); rows]);
    assert_eq!(compare(&number(7.0, 1000), &number(7.0, 300)).verdict, Verdict::Stable);
    assert_eq!(compare(&number(7.0, 1000), &number(7.5, 300)).verdict, Verdict::Drifted);
}

#[test]
fn half_of_the_rows_becoming_null_is_drift() {
    let mut random = Random::new(2);
    let reference = column(normals(&mut random, 2000, 0.0));
    for missing in [None, Some(f64::NAN)] {
        let half = normals(&mut random, 1000, 0.0).into_iter().enumerate();
        let half = half.map(|(row, value)| if row % 2 == 0 { missing } else { value });
        let drift = compare(&reference, &column(half.collect()));
        let x = &drift.parts[0];
        assert_eq!(drift.verdict, Verdict::Drifted);
        assert!(
            x.contributions[0].name.as_ref() == "missing"
                && (x.contributions[0].window - 0.5).abs() < 1e-9
        );
        assert!((x.effect.value - 0.5).abs() < 0.03 && p(part(x, "missing")) < 1e-100);
    }
}

#[test]
fn a_column_of_nulls_does_not_end_the_report() {
    let mut random = Random::new(3);
    let table = |void: Vec<Option<f64>>, x: Vec<Option<f64>>| {
        batch(vec![("void", floats(void)), ("x", floats(x))])
    };
    let mut normal = |shift| normals(&mut random, 1000, shift);
    let reference = table(vec![None; 1000], normal(0.0));
    let drift = compare(&reference, &table(vec![None; 1000], normal(2.0)));
    assert_eq!(drift.parts[0].verdict, Verdict::Stable);
    assert_eq!(drift.parts[1].verdict, Verdict::Drifted);
    // A column that lost, or gained, all of its values.
    let lost = compare(&table(normal(0.0), normal(0.0)), &table(vec![None; 1000], normal(0.0)));
    let gained = compare(&reference, &table(normal(0.0), normal(0.0)));
    for drift in [lost, gained] {
        assert_eq!(drift.parts[0].verdict, Verdict::Drifted);
        assert_eq!(drift.parts[1].verdict, Verdict::Stable);
    }
}

#[test]
fn eight_rows_do_not_alarm() {
    let mut random = Random::new(4);
    let reference = column(normals(&mut random, 1000, 0.0));
    let drift = compare(&reference, &column(normals(&mut random, 8, 5.0)));
    assert_eq!((drift.verdict, drift.parts[0].verdict), (Verdict::TooFewRows, Verdict::TooFewRows));
    // Asked to speak of eight rows that have not moved, it stays calm.
    let config = ProfileDetectorConfig::default().with_min_rows(1);
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let reference = column(normals(&mut random, 1000, 0.0));
        let reference = Profile::fit(&[reference], &ProfileOptions::default()).unwrap();
        let mut detector = ProfileDetector::open(config.clone(), reference).unwrap();
        detector.update(&column(normals(&mut random, 8, 0.0))).unwrap();
        assert_ne!(detector.evaluate().unwrap().verdict, Verdict::Drifted);
    }
}

#[test]
fn seventy_five_rows_are_enough_for_what_nobody_could_miss() {
    for seed in 0..40 {
        let mut random = Random::new(seed);
        let mut rows = |shift| column(normals(&mut random, 75, shift));
        let (reference, same, other) = (rows(0.0), rows(0.0), rows(1.5));
        assert_ne!(compare(&reference, &same).verdict, Verdict::Drifted);
        assert_eq!(compare(&reference, &other).verdict, Verdict::Drifted);
    }
}

#[test]
fn a_tiny_shift_of_a_million_rows_is_found_and_is_negligible() {
    let mut random = Random::new(6);
    let reference = column(normals(&mut random, 1_000_000, 0.0));
    let drift = compare(&reference, &column(normals(&mut random, 1_000_000, 0.02)));
    let x = &drift.parts[0];
    assert!(p(x) < 1e-20 && x.verdict == Verdict::Stable, "{:?} {:?}", x.evidence, x.effect);
    // 2Φ(0.01) − 1 = 0.008.
    assert!((x.effect.value - 0.008).abs() < 0.003 && x.effect.interval.unwrap().high < 0.02);
    assert!((part(x, "mean_shift_sd").effect.value - 0.02).abs() < 0.005);
}

#[test]
fn between_stable_and_drifted_is_a_warning() {
    // A share moved from 50 to 58 percent, in 1,000 rows: surely different, perhaps by over 5.
    let table = |a, b| words(&[("a", a), ("b", b)]);
    let verdict = |a, b| compare(&table(5000, 5000), &table(a, b)).verdict;
    assert_eq!(verdict(580, 420), Verdict::Warning);
    assert_eq!(verdict(5800, 4200), Verdict::Drifted);
    assert_eq!(verdict(5300, 4700), Verdict::Stable);
    assert_eq!(verdict(500, 500), Verdict::Stable);
}

#[test]
fn the_worst_column_decides_and_columns_are_adjusted_together() {
    let mut random = Random::new(10);
    let names: Vec<String> = (0..20).map(|at| format!("c{at}")).collect();
    let mut table = |rows, shift: f64| {
        let columns = names.iter().enumerate().map(|(at, name)| {
            let shift = if at == 3 { shift } else { 0.0 };
            (name.as_str(), floats(normals(&mut random, rows, shift)))
        });
        batch(columns.collect())
    };
    let drift = compare(&table(2000, 0.0), &table(500, 1.0));
    assert_eq!((drift.verdict, drift.parts.len()), (Verdict::Drifted, 20));
    assert!((drift.statistic - 1.0).abs() < 1e-12 && drift.effect == drift.parts[3].effect);
    for column in &drift.parts {
        let Evidence::P { p, adjusted, .. } = column.evidence else { panic!("no probability") };
        assert!(adjusted >= p && adjusted <= 20.0 * p);
    }
}

#[test]
fn reference_rows_of_their_own_make_it_exact() {
    let mut random = Random::new(12);
    let fitted =
        Profile::fit(&[column(normals(&mut random, 500, 0.0))], &ProfileOptions::default())
            .unwrap();
    let mut reference = Profile::empty_like(&fitted);
    reference.update(&column(normals(&mut random, 900, 0.0))).unwrap();
    for (reference, expected) in [(fitted, false), (reference, true)] {
        let mut detector =
            ProfileDetector::open(ProfileDetectorConfig::default(), reference).unwrap();
        detector.update(&column(normals(&mut random, 300, 0.0))).unwrap();
        let Evidence::P { exact, .. } = detector.evaluate().unwrap().evidence else { panic!() };
        assert_eq!(exact, expected);
    }
}

fn opened(random: &mut Random) -> ProfileDetector {
    let reference = Profile::fit(&[column(normals(random, 500, 0.0))], &ProfileOptions::default());
    ProfileDetector::open(ProfileDetectorConfig::default(), reference.unwrap()).unwrap()
}

#[test]
fn states_are_saved_merged_and_emptied() {
    let mut random = Random::new(13);
    let fresh = opened(&mut random);
    assert_eq!((fresh.info().name.as_ref(), fresh.info().merging), ("profile", Merging::Exact));
    assert_eq!(fresh.evaluate().unwrap().verdict, Verdict::TooFewRows);
    let batches: Vec<RecordBatch> = (0..3).map(|_| column(normals(&mut random, 70, 0.1))).collect();
    let mut whole = fresh.clone();
    for batch in &batches {
        whole.update(batch).unwrap();
    }

    let mut replicas: Vec<ProfileDetector> = vec![fresh.clone(); 3];
    replicas.iter_mut().zip(&batches).for_each(|(replica, batch)| replica.update(batch).unwrap());
    let reference = fresh.reference().clone();
    let config = ProfileDetectorConfig::default();
    let mut merged =
        ProfileDetector::restore(config, reference, &replicas[2].state().unwrap()).unwrap();
    merged.merge(&replicas[0].state().unwrap()).unwrap();
    merged.merge(&replicas[1].state().unwrap()).unwrap();
    assert_eq!(merged.state().unwrap(), whole.state().unwrap());
    assert_eq!(merged.evaluate().unwrap(), whole.evaluate().unwrap());

    merged.reset();
    assert_eq!(merged.state().unwrap(), fresh.state().unwrap());
    let before = merged.state().unwrap();
    let strange = DetectorState::new("page_hinkley", 1, before.bytes.clone());
    assert_eq!(merged.merge(&strange).unwrap_err().kind(), ErrorKind::InvalidInput);
    let foreign = opened(&mut random).state().unwrap();
    assert_eq!(merged.merge(&foreign).unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(merged.state().unwrap(), before);
}

#[test]
fn thresholds_out_of_range_and_missing_columns_are_refused() {
    let mut random = Random::new(14);
    let detector = opened(&mut random);
    let open = |config| ProfileDetector::open(config, detector.reference().clone());
    for config in [
        ProfileDetectorConfig::default().with_alpha(0.0),
        ProfileDetectorConfig::default().with_margin(1.0),
        ProfileDetectorConfig::default().with_level(f64::NAN),
    ] {
        assert_eq!(open(config).unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    let none = Profile::fit(
        &[column(vec![Some(1.0)])],
        &ProfileOptions::default().with_columns(Vec::<&str>::new()),
    );
    assert!(ProfileDetector::open(ProfileDetectorConfig::default(), none.unwrap()).is_err());
    let mut detector = detector;
    let wrong = batch(vec![("y", integers([Some(1)]))]);
    assert_eq!(detector.update(&wrong).unwrap_err().to_string(), "column \"x\" is missing");
}
