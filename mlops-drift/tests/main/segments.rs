//! Segments: each row is counted once, where its value belongs, within bounds.

use super::random::{Random, batch, floats, integers, texts};
use mlops_core::{ErrorKind, arrow::array::RecordBatch, drift::Evidence};
use mlops_drift::{
    ProfileDetectorConfig,
    profile::{Profile, ProfileOptions, Segments},
    why::segments,
};

fn rows(seed: u64, count: usize) -> RecordBatch {
    let mut random = Random::new(seed);
    let places: Vec<Option<String>> = (0..count)
        .map(|_| match random.choice(&[50.0, 30.0, 15.0, 4.0, 1.0]) {
            4 => None,
            3 => Some(format!("rare {}", random.bits() % 1000)),
            place => Some(["MA", "NY", "VT"][place].to_owned()),
        })
        .collect();
    // What is usual in one place is not in another.
    let usual = |place: &Option<String>| place.as_ref().map_or(0.0, |p| f64::from(p.as_bytes()[0]));
    let income: Vec<_> = places.iter().map(|place| Some(usual(place) + random.normal())).collect();
    let month: Vec<_> = (0..count).map(|row| Some(i64::try_from(row % 12).unwrap())).collect();
    batch(vec![("place", texts(places)), ("income", floats(income)), ("month", integers(month))])
}

fn reference() -> Segments {
    let options = ProfileOptions::default().with_columns(["income"]);
    Segments::fit(&[rows(1, 900), rows(2, 600)], "place", 3, &options).unwrap()
}

#[test]
fn every_row_is_counted_once_and_segments_have_cells_of_their_own() {
    let reference = reference();
    let names: Vec<&str> = reference.iter().map(|(value, _)| value).collect();
    assert_eq!((names, reference.by().as_ref()), (vec!["MA", "NY", "VT"], "place"));
    let total: u64 = reference.iter().map(|(_, profile)| profile.rows()).sum();
    assert_eq!(total + reference.rest().rows(), 1500);
    for (value, first) in [("MA", 77.0), ("NY", 78.0), ("VT", 86.0)] {
        let income = reference.segment(value).unwrap().column("income").unwrap();
        assert!((income.moments().unwrap().mean - first).abs() < 0.3, "{value}");
    }
    assert!(reference.segment("CA").is_none() && reference.rest().rows() > 30);
}

#[test]
fn segments_add_up_and_are_saved_like_profiles() {
    let reference = reference();
    let mut whole = Segments::empty_like(&reference);
    let mut parts = Vec::new();
    for seed in 5..9 {
        let batch = rows(seed, 200);
        whole.update(&batch).unwrap();
        let mut part = Segments::empty_like(&reference);
        part.update(&batch).unwrap();
        parts.push(Segments::from_bytes(&part.to_bytes().unwrap()).unwrap());
    }
    let mut merged = parts.pop().unwrap();
    for part in &parts {
        merged.merge(part).unwrap();
    }
    assert_eq!(merged.to_bytes().unwrap(), whole.to_bytes().unwrap());
    let bytes = whole.to_bytes().unwrap();
    for at in [0, 3, 20, 60, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        assert_eq!(Segments::from_bytes(&damaged).unwrap_err().kind(), ErrorKind::Corrupt);
        assert!(Segments::from_bytes(&bytes[..at]).is_err());
    }
}

#[test]
fn endless_new_values_do_not_make_it_grow() {
    let mut window = Segments::empty_like(&reference());
    for seed in 0..20 {
        window.update(&rows(100 + seed, 300)).unwrap();
    }
    assert_eq!(window.iter().len(), 3);
    assert!(window.to_bytes().unwrap().len() < 4 * 40 * 1024);
}

#[test]
fn months_tell_segments_apart_and_floats_do_not() {
    let rows = [rows(1, 600)];
    let options = ProfileOptions::default().with_columns(["income"]);
    let months = Segments::fit(&rows, "month", 20, &options).unwrap();
    assert_eq!((months.iter().len(), months.segment("7").unwrap().rows()), (12, 50));
    assert_eq!(months.rest().rows(), 0);
    let error = Segments::fit(&rows, "income", 3, &options).unwrap_err();
    assert_eq!(
        error.to_string(),
        "column \"income\" holds floats, whose values do not tell segments apart"
    );
    let mut window = Segments::empty_like(&months);
    let before = window.clone();
    let missing = rows[0].project(&[0, 2]).unwrap();
    assert_eq!(window.update(&missing).unwrap_err().to_string(), "column \"income\" is missing");
    assert_eq!(window, before);
    assert_eq!(window.merge(&reference()).unwrap_err().kind(), ErrorKind::InvalidInput);
    let whole = Profile::fit(&rows, &options).unwrap();
    assert_eq!(months.iter().map(|(_, own)| own.rows()).sum::<u64>(), whole.rows());
}

/// Two places, and a word of four hundred, of which a profile lists the most frequent.
fn crowd(random: &mut Random, count: usize) -> RecordBatch {
    let word = |random: &mut Random| Some(format!("w{}", random.bits() % 400));
    let words: Vec<_> = (0..count).map(|_| word(random)).collect();
    let place = |random: &mut Random| Some(["MA", "NY"][random.choice(&[2.0, 1.0])].to_owned());
    let places: Vec<_> = (0..count).map(|_| place(random)).collect();
    batch(vec![("place", texts(places)), ("word", texts(words))])
}

#[test]
fn rows_that_chose_the_listed_values_are_no_evidence_in_segments() {
    let mut random = Random::new(41);
    let (mut wrong, mut tested) = (0, 0);
    for _ in 0..100 {
        let rows: Vec<_> = [700, 300, 1000].map(|count| crowd(&mut random, count)).to_vec();
        let whole = Profile::fit(&rows, &ProfileOptions::default()).unwrap();
        let mut before = Segments::in_cells_of(&whole, "place", ["MA", "NY"]);
        for rows in &rows {
            before.update_own(rows, &whole).unwrap();
        }
        let mut sum = Profile::empty_like(&whole);
        before.iter().for_each(|(_, part)| sum.merge(part).unwrap());
        // What the fit left out is left out here.
        assert_eq!(sum.column("word").unwrap().counts(), whole.column("word").unwrap().counts());
        assert!(sum.rows() == 2000 && sum.made_its_cells());
        let mut now = Segments::empty_like(&before);
        now.update(&crowd(&mut random, 1000)).unwrap();
        let found = segments(&before, &now, &ProfileDetectorConfig::default()).unwrap();
        for segment in &found.segments[..2] {
            let word = segment.drift.parts.iter().find(|part| *part.name == *"word").unwrap();
            let Evidence::P { p, .. } = word.evidence else { panic!("{word:?}") };
            wrong += u32::from(p <= 0.05);
            tested += 1;
        }
    }
    // One in twenty, and three deviations.
    assert!(wrong <= 10 + 9, "{wrong} of {tested}");
    let other = Profile::fit(&[crowd(&mut random, 500)], &ProfileOptions::default()).unwrap();
    let mut mixed = Segments::in_cells_of(&other, "place", ["MA"]);
    let whole = Profile::fit(&[crowd(&mut random, 900)], &ProfileOptions::default()).unwrap();
    let error = mixed.update_own(&crowd(&mut random, 5), &whole).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
}
