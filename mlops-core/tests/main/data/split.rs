//! Parts that do not know of each other.

use super::{oracle, slice, tables::table, why};
use arrow_array::{ArrayRef, Int64Array, StringArray, TimestampMillisecondArray};
use mlops_core::{
    Timestamp,
    data::{Dataset, Split},
};
use proptest::{collection::vec, option::weighted, prelude::*};
use std::{collections::HashSet, sync::Arc, time::Duration};

fn ints(values: Vec<Option<i64>>) -> Dataset {
    let rows = Int64Array::from_iter_values((0..).take(values.len()));
    let columns: [(&str, ArrayRef); 2] =
        [("key", Arc::new(Int64Array::from(values))), ("row", Arc::new(rows))];
    Dataset::from_columns("rows", columns).unwrap()
}

/// The numbers of the rows in each part.
fn rows(split: &Split) -> [Vec<i64>; 3] {
    let rows = [split.train.i64s("row"), split.valid.i64s("row"), split.test.i64s("row")];
    rows.map(|rows| rows.unwrap().into_iter().flatten().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn random_parts_are_the_whole_and_the_seed_decides(dataset in table(), seed: u64) {
        let split = dataset.split_random([0.5, 0.25, 0.25], seed).unwrap();
        let sizes = [split.train.rows(), split.valid.rows(), split.test.rows()];
        prop_assert_eq!(sizes.iter().sum::<usize>(), dataset.rows());
        prop_assert!(sizes[0].abs_diff(dataset.rows() / 2) <= 1);
        let again = dataset.split_random([0.5, 0.25, 0.25], seed).unwrap();
        prop_assert_eq!(split.train.digest(), again.train.digest());
        prop_assert_eq!(split.test.digest(), again.test.digest());
    }

    #[test]
    fn each_row_is_in_one_random_part(count in 0..200_usize, seed: u64) {
        let split = ints(vec![Some(1); count]).split_random([0.6, 0.0, 0.4], seed).unwrap();
        let [train, valid, test] = rows(&split);
        prop_assert!(valid.is_empty() && train.is_sorted() && test.is_sorted());
        let mut all: Vec<i64> = train.into_iter().chain(test).collect();
        all.sort_unstable();
        prop_assert_eq!(all, (0..).take(count).collect::<Vec<i64>>());
    }

    #[test]
    fn time_splits_are_what_they_say(
        times in vec(weighted(0.9, -50..50_i64), 1..60), first in -40..20_i64, gap in 0..20_i64, embargo in 0..15_u64,
    ) {
        let second = first + gap;
        let dataset = ints(times.clone());
        let split = dataset.split_by_time("key", [first, second], embargo);
        let before = |cut: i64, time: i64| time < cut && time >= cut - i64::try_from(embargo).unwrap();
        let pick = |keep: &dyn Fn(i64) -> bool| -> Vec<i64> {
            let kept = (0..).zip(&times).filter(|(_, time)| time.is_some_and(keep));
            kept.map(|(row, _)| row).collect()
        };
        let train = pick(&|t| t < first && !before(first, t));
        if train.is_empty() {
            prop_assert!(why(split).contains("before the first cut"));
            return Ok(());
        }
        let split = split.unwrap();
        let dropped = |t| {
            (first < second && before(second, t)) || (t < first && before(first, t))
        };
        // A row before both cuts' embargoes is dropped once.
        prop_assert_eq!(split.dropped.embargo, pick(&dropped).len());
        prop_assert_eq!(split.dropped.null, times.iter().filter(|time| time.is_none()).count());
        let train = pick(&|t| t < first && !dropped(t));
        let valid = pick(&|t| t >= first && t < second && !dropped(t));
        prop_assert_eq!(rows(&split), [train, valid, pick(&|t| t >= second)]);
    }

    #[test]
    fn an_entity_stays_where_it_is(keys in vec(weighted(0.9, 0..30_i64), 1..100), cut: prop::sample::Index, seed: u64) {
        let all = ints(keys.clone());
        let some = slice(&all, 0, cut.index(keys.len()));
        let split = |d: &Dataset| d.split_by_entity("key", [0.5, 0.2, 0.3], seed).unwrap();
        let (all, some) = (split(&all), split(&some));
        prop_assert!(all.overlap(&["key"]).unwrap().is_none());
        prop_assert_eq!(all.dropped.null, keys.iter().filter(|key| key.is_none()).count());
        for (more, fewer) in rows(&all).into_iter().zip(rows(&some)) {
            let more: HashSet<i64> = more.into_iter().collect();
            prop_assert!(fewer.into_iter().all(|row| more.contains(&row)));
        }
    }
}

#[test]
fn entities_go_where_the_documented_hash_says() {
    let draws = &oracle()["draws"];
    let list = |name: &str| draws[name].as_array().unwrap().clone();
    let sides = |name: &str| list(name).iter().map(|s| s.as_u64().unwrap()).collect::<Vec<_>>();
    let seed = draws["seed"].as_u64().unwrap();
    let numbers: Int64Array = list("numbers").iter().map(serde_json::Value::as_i64).collect();
    let texts: StringArray = list("texts").iter().map(|t| t.as_str()).collect();
    let row = Int64Array::from_iter_values(0..80);
    let columns: [(&str, ArrayRef); 3] =
        [("number", Arc::new(numbers)), ("text", Arc::new(texts)), ("row", Arc::new(row))];
    let dataset = Dataset::from_columns("draws", columns).unwrap();
    for name in ["number", "text"] {
        let split = dataset.split_by_entity(name, [0.5, 0.2, 0.3], seed).unwrap();
        let mut found = vec![9; 80];
        for (side, rows) in (0..).zip(rows(&split)) {
            for row in rows {
                found[usize::try_from(row).unwrap()] = side;
            }
        }
        assert_eq!(found, sides(&format!("{name}_sides")));
    }
}

#[test]
fn times_have_units_and_embargoes_too() {
    let day = 86_400_000;
    let times: ArrayRef =
        Arc::new(TimestampMillisecondArray::from_iter_values((0..10).map(|d| d * day)));
    let dataset = Dataset::from_columns("days", [("at", times)]).unwrap();
    let at = |days: i64| Timestamp::from_unix_millis(days * day);
    let split = dataset.split_by_time("at", [at(4), at(8)], Duration::from_hours(30)).unwrap();
    // 30 hours before day 4 begin in day 2: only day 3 lies within; before day 8 only day 7.
    assert_eq!((split.train.rows(), split.valid.rows(), split.test.rows()), (3, 3, 2));
    assert_eq!(split.dropped.embargo, 2);

    let mixed = dataset.split_by_time("at", [4, 8], Duration::ZERO);
    assert_eq!(why(mixed), "column \"at\" holds times: its cut must be a time");
    let order = dataset.split_by_time("at", [at(8), at(4)], Duration::ZERO);
    assert_eq!(why(order), "the cuts of \"at\" are in the wrong order");
    let numbers = ints(vec![Some(2015), Some(2016), Some(2017)]);
    let embargo = numbers.split_by_time("key", [2016, 2017], Duration::from_secs(1));
    assert_eq!(why(embargo), "column \"key\" holds integers: its embargo must be a number");
    let years = numbers.split_by_time("key", [2016, 2017], Duration::ZERO).unwrap();
    assert_eq!(rows(&years), [vec![0], vec![1], vec![2]]);
}

#[test]
fn leaks_are_counted() {
    let keys = (0..100).map(|row| Some(row / 2)).collect();
    let split = ints(keys).split_random([0.5, 0.0, 0.5], 1).unwrap();
    let keys = |part: Vec<Option<i64>>| part.into_iter().flatten().collect::<HashSet<_>>();
    let train = keys(split.train.i64s("key").unwrap());
    let test = keys(split.test.i64s("key").unwrap());
    let shared = split.overlap(&["key"]).unwrap();
    assert_eq!(shared.train_test, train.intersection(&test).count());
    assert!(shared.train_test > 0 && shared.train_valid == 0 && !shared.is_none());
    assert!(split.duplicate_rows().is_none(), "\"row\" tells all rows apart");
    assert!(why(split.overlap(&["kye"])).ends_with("has no column \"kye\""));

    let too_much = ints(vec![Some(1)]).split_random([0.5, 0.6, 0.1], 1);
    assert!(why(too_much).contains("that add up to 1"));
    assert!(ints(vec![Some(1)]).split_random([f64::NAN, 0.5, 0.5], 1).is_err());
}
