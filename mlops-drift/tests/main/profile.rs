//! Profiles: merging, bytes, types, damage.

use super::random::{Random, batch, floats, integers, texts};
use mlops_core::{
    ErrorKind,
    arrow::array::{
        ArrayRef, BooleanArray, Date32Array, Float32Array, Int32Array, NullArray, RecordBatch,
    },
    model::{PackageBuilder, names},
};
use mlops_drift::profile::{CellKind, ColumnType, Profile, ProfileOptions};
use proptest::prelude::*;
use std::sync::Arc;

/// Rows with everything that a profile knows: numbers, codes, text, nulls, NaN, infinities.
fn rows(seed: u64, count: usize) -> RecordBatch {
    let mut random = Random::new(seed);
    let numbers: Vec<Option<f64>> = (0..count)
        .map(|_| match random.choice(&[90.0, 3.0, 3.0, 1.0, 1.0, 1.0, 1.0]) {
            0 => Some(random.normal() * 1e3),
            1 => None,
            2 => Some(f64::NAN),
            3 => Some(f64::INFINITY),
            4 => Some(f64::NEG_INFINITY),
            5 => Some(random.normal() * 1e300),
            _ => Some(-0.0),
        })
        .collect();
    let codes = (0..count)
        .map(|_| Some(i64::try_from(random.choice(&[5.0, 3.0, 1.0])).unwrap()))
        .collect::<Vec<_>>();
    let words =
        (0..count).map(|_| (random.unit() > 0.1).then(|| format!("w{}", random.bits() % 9)));
    let words: Vec<Option<String>> = words.collect();
    let truths: BooleanArray = (0..count).map(|_| Some(random.unit() < 0.5)).collect();
    batch(vec![
        ("number", floats(numbers)),
        ("code", integers(codes)),
        ("word", texts(words)),
        ("truth", Arc::new(truths)),
    ])
}

fn reference() -> Profile {
    Profile::fit(&[rows(1, 700), rows(2, 300)], &ProfileOptions::default()).unwrap()
}

#[test]
fn counts_are_those_of_the_cells() {
    for column in reference().columns() {
        let of_cells: Vec<u64> = column.cells().iter().map(|cell| cell.count).collect();
        assert_eq!(column.counts(), of_cells, "{}", column.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    #[test]
    fn merging_in_any_order_gives_the_same_bytes(
        seeds in prop::collection::vec((any::<u64>(), 0_usize..60), 1..6),
        order in any::<prop::sample::Index>(),
    ) {
        let reference = reference();
        let batches: Vec<RecordBatch> = seeds.iter().map(|(seed, count)| rows(*seed, *count)).collect();
        let mut whole = Profile::empty_like(&reference);
        for batch in &batches {
            whole.update(batch).unwrap();
        }
        let mut parts: Vec<Profile> = Vec::new();
        for batch in &batches {
            // Cut into rows' halves, each counted on its own.
            let middle = batch.num_rows() / 2;
            for piece in [batch.slice(middle, batch.num_rows() - middle), batch.slice(0, middle)] {
                let mut part = Profile::empty_like(&reference);
                part.update(&piece).unwrap();
                parts.push(Profile::from_bytes(&part.to_bytes().unwrap()).unwrap());
            }
        }
        let by = order.index(parts.len());
        parts.rotate_left(by);
        let mut merged = Profile::empty_like(&reference);
        for part in &parts {
            merged.merge(part).unwrap();
        }
        prop_assert_eq!(merged.to_bytes().unwrap(), whole.to_bytes().unwrap());
        prop_assert_eq!(merged, whole);
    }

    #[test]
    fn merging_is_associative(seeds in prop::array::uniform3((any::<u64>(), 0_usize..80))) {
        let reference = reference();
        let [a, b, c] = seeds.map(|(seed, count)| {
            let mut part = Profile::empty_like(&reference);
            part.update(&rows(seed, count)).unwrap();
            part
        });
        let merged = |mut left: Profile, right: &Profile| {
            left.merge(right).unwrap();
            left
        };
        let left = merged(merged(a.clone(), &b), &c);
        let right = merged(a, &merged(b, &c));
        prop_assert_eq!(left.to_bytes().unwrap(), right.to_bytes().unwrap());
    }

    #[test]
    fn damaged_bytes_are_corrupt(at in any::<prop::sample::Index>(), bit in 0_u8..8) {
        let whole = reference().to_bytes().unwrap();
        let mut damaged = whole.clone();
        let at = at.index(damaged.len());
        damaged[at] ^= 1 << bit;
        let read = Profile::from_bytes(&damaged);
        prop_assert_eq!(read.unwrap_err().kind(), ErrorKind::Corrupt);
        prop_assert!(Profile::from_bytes(&whole[..at]).is_err());
    }
}

/// As a fleet of 64 would: each counts its rows, is saved, loaded, and goes on; the order in which
/// they are added up cannot be seen.
#[test]
fn sixty_four_replicas_are_one() {
    let reference = reference();
    let saved = |profile: &Profile| Profile::from_bytes(&profile.to_bytes().unwrap()).unwrap();
    let mut whole = Profile::empty_like(&reference);
    let mut replicas = vec![Profile::empty_like(&reference); 64];
    for round in 0..3 {
        for (at, replica) in replicas.iter_mut().enumerate() {
            let seed = 1000 * round + at as u64;
            let batch = rows(seed, 20 + at % 7);
            replica.update(&batch).unwrap();
            whole.update(&batch).unwrap();
            *replica = saved(replica);
        }
    }
    let expected = whole.to_bytes().unwrap();
    let mut random = Random::new(64);
    for _ in 0..5 {
        // Shuffled, then added up pair by pair, as a tree of merges does.
        let mut left = replicas.clone();
        while left.len() > 1 {
            let mut take = || {
                let at = usize::try_from(random.bits() % left.len() as u64).unwrap();
                left.swap_remove(at)
            };
            let (mut one, other) = (take(), take());
            one.merge(&other).unwrap();
            left.push(saved(&one));
        }
        assert_eq!(left[0].to_bytes().unwrap(), expected);
    }
}

#[test]
fn a_fit_is_its_cells_and_its_rows() {
    let fitted = reference();
    let mut counted = Profile::empty_like(&fitted);
    counted.update(&rows(2, 300)).unwrap();
    counted.update(&rows(1, 700)).unwrap();
    assert_eq!((counted.rows(), counted.made_its_cells()), (1000, false));
    for (ours, theirs) in counted.columns().zip(fitted.columns()) {
        assert_eq!(ours.cells(), theirs.cells());
        assert_eq!(ours.cells().iter().map(|cell| cell.count).sum::<u64>(), 1000);
    }
    assert!(fitted.made_its_cells());
}

#[test]
fn a_newer_version_is_unsupported_and_says_so() {
    // As a later build would write it: the digest covers the version.
    let mut bytes = reference().to_bytes().unwrap();
    let (start, version) = ("mlops-profile\n".len(), 3_u32.to_le_bytes());
    let body = mlops_core::Digest::of(&bytes[start + 36..]);
    bytes[start..start + 4].copy_from_slice(&version);
    assert_eq!(Profile::from_bytes(&bytes).unwrap_err().kind(), ErrorKind::Corrupt);
    let digest = mlops_core::Digest::of([version.as_slice(), body.as_bytes()].concat());
    bytes[start + 4..start + 36].copy_from_slice(digest.as_bytes());
    let error = Profile::from_bytes(&bytes).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert_eq!(error.to_string(), "profile version 3; this build reads 1 to 2");
}

/// Made by the release before (`tests/data/profile_version1.json`, from `rows(1, 700)` and
/// `rows(2, 300)`): it opens, counts on, merges, and is written so that that release can read it.
#[test]
fn a_profile_of_version_one_still_opens_and_counts() {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    let stored = std::fs::read(path.join("tests/data/profile_version1.json")).unwrap();
    let old = Profile::from_bytes(&stored).unwrap();
    assert_eq!((old.rows(), old.to_bytes().unwrap() == stored), (1000, true));
    let mut again = Profile::empty_like(&old);
    again.update(&rows(1, 700)).unwrap();
    again.update(&rows(2, 300)).unwrap();
    for (ours, theirs) in again.columns().zip(old.columns()) {
        assert_eq!(ours.cells(), theirs.cells());
        assert_eq!((ours.range(), ours.moments()), (theirs.range(), theirs.moments()));
    }
    let mut parts = Profile::empty_like(&old);
    parts.update(&rows(2, 300)).unwrap();
    let read = Profile::from_bytes(&parts.to_bytes().unwrap()).unwrap();
    parts = Profile::empty_like(&old);
    parts.update(&rows(1, 700)).unwrap();
    parts.merge(&read).unwrap();
    assert_eq!(parts.to_bytes().unwrap(), again.to_bytes().unwrap());
    let named = old.with_source("train.parquet", mlops_core::Digest::of("rows"));
    assert_eq!(named.unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_column_of_a_thousand_cells_is_small_and_names_its_rows() {
    let mut random = Random::new(8);
    let mut rows = |count: usize| {
        let values: Vec<_> = (0..count).map(|_| Some((3.0 * random.normal()).exp())).collect();
        batch(vec![("x", floats(values))])
    };
    let reference = Profile::fit(&[rows(100_000)], &ProfileOptions::default()).unwrap();
    let digest = mlops_core::Digest::of("rows");
    let reference = reference.with_source("train.parquet", digest).unwrap();
    let mut window = Profile::empty_like(&reference);
    window.update(&rows(100_000)).unwrap();
    for profile in [&reference, &window] {
        let bytes = profile.to_bytes().unwrap();
        println!("{} bytes", bytes.len());
        assert!(bytes.len() < 40 * 1024, "{} bytes", bytes.len());
        assert_eq!(Profile::from_bytes(&bytes).unwrap(), *profile);
        assert_eq!(profile.columns().next().unwrap().cells().len(), 1024 + 3);
    }
    let source = reference.source().unwrap();
    assert_eq!((source.path.as_ref(), source.digest), ("train.parquet", digest));
    assert_eq!(window.source(), None);
}

#[test]
fn integers_with_few_values_are_codes_and_survive_a_float_tensor() {
    let codes = integers((0..1000).map(|row| Some(row % 7)));
    let many = integers((0..1000).map(|row| Some(row % 51)));
    let reference = batch(vec![("code", codes), ("many", many)]);
    let profile = Profile::fit(&[reference], &ProfileOptions::default()).unwrap();
    let types: Vec<ColumnType> = profile.columns().map(|column| column.column_type()).collect();
    assert_eq!(types, [ColumnType::Categories, ColumnType::Numeric]);

    let packed =
        Float32Array::from(vec![Some(0.0), Some(6.0), Some(2.5), Some(7.0), Some(f32::NAN), None]);
    let column: ArrayRef = Arc::new(packed);
    let mut window = Profile::empty_like(&profile);
    window.update(&batch(vec![("many", Arc::clone(&column)), ("code", column)])).unwrap();
    let cells = window.column("code").unwrap().cells();
    let count = |label: &str| cells.iter().find(|cell| cell.label.as_ref() == label).unwrap().count;
    assert_eq!((count("0"), count("6"), count("other"), count("missing")), (1, 1, 2, 2));
    let numeric = window.column("many").unwrap();
    assert_eq!(numeric.cells()[0].count, 2, "a NaN and a null are both missing");
    assert_eq!(numeric.range(), Some((0.0, 7.0)));
}

#[test]
fn every_mistake_names_its_column_and_changes_nothing() {
    let mut window = Profile::empty_like(&reference());
    window.update(&rows(9, 10)).unwrap();
    let before = window.to_bytes().unwrap();
    let good = rows(9, 10);
    let with = |name: &str, array: ArrayRef| {
        let columns = ["number", "code", "word", "truth"].map(|column| {
            let own = Arc::clone(good.column_by_name(column).unwrap());
            (column, if column == name { Arc::clone(&array) } else { own })
        });
        batch(columns.to_vec())
    };
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![1; 10]));
    let words = texts((0..10).map(|_| Some("x".to_owned())));
    let cases = [
        (good.project(&[0, 1, 2]).unwrap(), "column \"truth\" is missing"),
        (with("number", words), "column \"number\" holds text; its profile counts numbers"),
        (
            with("word", Arc::new(Int32Array::from(vec![1; 10]))),
            "column \"word\" holds integers; its profile counts text",
        ),
        (
            with("truth", dates),
            "column \"truth\" has type Date32, which a profile cannot describe; leave it out, or turn \
             it into numbers or text",
        ),
    ];
    for (batch, message) in cases {
        let error = window.update(&batch).unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::InvalidInput, message));
        assert_eq!(window.to_bytes().unwrap(), before);
    }
    // Arrow's type of nothing but nulls fits everywhere.
    window.update(&with("number", Arc::new(NullArray::new(10)))).unwrap();
}

#[test]
fn other_cells_do_not_merge() {
    let mut one = reference();
    let other = Profile::fit(&[rows(3, 500)], &ProfileOptions::default()).unwrap();
    let error = one.merge(&other).unwrap_err();
    assert_eq!(error.to_string(), "column \"number\" has other cells in the other profile");
    assert_eq!(one, reference());
}

fn words(counts: &[(&str, usize)]) -> Vec<Option<String>> {
    counts.iter().flat_map(|(word, count)| vec![Some((*word).to_owned()); *count]).collect()
}

fn cells_of_words(rows: &[Option<String>], options: &ProfileOptions) -> Vec<(String, u64)> {
    let profile = Profile::fit(&[batch(vec![("word", texts(rows.to_vec()))])], options).unwrap();
    let cells = profile.columns().next().unwrap().cells();
    cells.into_iter().map(|cell| (cell.label.to_string(), cell.count)).collect()
}

#[test]
fn values_listed_are_the_frequent_ones_by_a_stable_rule() {
    let mut rows = words(&[("d", 5), ("c", 900), ("b", 900), ("a", 5), ("e", 4)]);
    let options = ProfileOptions::default().with_max_values(3);
    let expected = [("missing", 0), ("a", 5), ("b", 900), ("c", 900), ("other", 9)];
    let expected = expected.map(|(label, count)| (label.to_owned(), count));
    assert_eq!(cells_of_words(&rows, &options), expected);
    rows.reverse();
    assert_eq!(cells_of_words(&rows, &options), expected);
}

/// Where many rows hold values that are not listed, some rows choose and the others count.
#[test]
fn rows_that_choose_do_not_count() {
    let counts: Vec<(String, usize)> =
        (0..200).map(|word| (format!("w{word:03}"), 400 / (word + 1))).collect();
    let rows: Vec<(&str, usize)> = counts.iter().map(|(word, n)| (word.as_str(), *n)).collect();
    let rows = words(&rows);
    let cells = cells_of_words(&rows, &ProfileOptions::default().with_max_values(20));
    let counted: u64 = cells.iter().map(|(_, count)| count).sum();
    let share =
        f64::from(u32::try_from(counted).unwrap()) / f64::from(u32::try_from(rows.len()).unwrap());
    assert!((share - 0.5).abs() < 0.05, "{share}");
    assert_eq!(cells.len(), 22);
}

#[test]
fn it_is_saved_with_a_model_under_its_reserved_name() {
    let folder = std::env::temp_dir().join(format!("mlops-drift-{}", std::process::id()));
    let reference = reference();
    let bytes = reference.to_bytes().unwrap();
    let builder = PackageBuilder::new().with_file(names::PROFILE, bytes.clone()).unwrap();
    let package = builder.write(&folder).unwrap();
    let read = package.read(names::PROFILE);
    std::fs::remove_dir_all(&folder).unwrap();
    let read = read.unwrap();
    assert_eq!((&read, Profile::from_bytes(&read).unwrap()), (&bytes, reference));
}

#[test]
fn a_fit_names_what_it_cannot_describe() {
    let fit = |batches: &[RecordBatch], options: &ProfileOptions| {
        Profile::fit(batches, options).unwrap_err().to_string()
    };
    let options = ProfileOptions::default();
    assert!(fit(&[], &options).contains("no batch"));
    let (x, text) = (floats([Some(1.0)]), texts([Some("a".to_owned())]));
    let (first, second) = (batch(vec![("x", x)]), batch(vec![("x", text)]));
    assert_eq!(fit(&[first.clone(), second], &options), "column \"x\" holds floats, then text");
    assert_eq!(
        fit(std::slice::from_ref(&first), &options.clone().with_columns(["y"])),
        "column \"y\" is missing"
    );
    assert_eq!(fit(&[first], &options.with_columns(["x", "x"])), "column \"x\" appears twice");
}

#[test]
fn a_column_without_values_and_one_of_infinities_are_described() {
    let rows = batch(vec![
        ("void", floats(vec![None; 20])),
        (
            "edge",
            floats(
                (0..20).map(|row| Some(if row < 10 { f64::NEG_INFINITY } else { f64::INFINITY })),
            ),
        ),
        ("none", Arc::new(NullArray::new(20))),
    ]);
    let mut profile =
        Profile::fit(std::slice::from_ref(&rows), &ProfileOptions::default()).unwrap();
    profile.update(&rows).unwrap();
    assert_eq!(Profile::from_bytes(&profile.to_bytes().unwrap()).unwrap(), profile);
    let cells = profile.column("edge").unwrap().cells();
    let values: Vec<u64> =
        cells.iter().filter(|c| c.kind == CellKind::Value).map(|c| c.count).collect();
    assert_eq!(values, [20, 20]);
    assert_eq!(profile.column("void").unwrap().cells()[0].count, 40);
}
