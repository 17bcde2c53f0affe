//! A reference by season whose rows come unsorted.

use super::super::random::{Random, batch, floats, texts};
use mlops_core::{Timestamp, arrow::array::RecordBatch, testing::ManualClock};
use mlops_drift::{
    Monitor, MonitorConfig, Profile, ProfileOptions,
    monitor::{Season, Strata},
};
use proptest::prelude::*;
use std::sync::Arc;

const SEASONS: [Season; 3] = [Season::HourOfDay, Season::HourOfWeek, Season::Weekday];

/// A number, some of them missing, and a word of four hundred, whose listed values half of the rows
/// choose; and a column that no profile counts.
fn rows(random: &mut Random, count: usize) -> RecordBatch {
    let numbers: Vec<_> =
        (0..count).map(|_| (random.unit() > 0.1).then(|| random.normal())).collect();
    let words: Vec<_> = (0..count).map(|_| Some(format!("w{}", random.bits() % 400))).collect();
    let notes = vec![Some("a note".to_owned()); count];
    batch(vec![("note", texts(notes)), ("number", floats(numbers)), ("word", texts(words))])
}

fn bytes(strata: &Strata) -> Vec<(u32, Vec<u8>)> {
    strata.iter().map(|(stratum, part)| (stratum, part.to_bytes().unwrap())).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn times_a_row_count_as_the_rows_one_by_one(
        seed in any::<u64>(),
        sizes in prop::collection::vec(0_usize..40, 1..6),
        spread in prop::sample::select(vec![1_u64, 3_600_000, 400 * 3_600_000]),
        season in prop::sample::select(SEASONS.to_vec()),
    ) {
        let mut random = Random::new(seed);
        let batches: Vec<_> = sizes.iter().map(|size| rows(&mut random, *size)).collect();
        let options = ProfileOptions::default().with_columns(["number", "word"]);
        let reference = Profile::fit(&batches, &options).unwrap();
        let empty = Strata::new(&reference, season);
        let (mut each, mut slowly) = (empty.clone(), empty.clone());
        let (mut others, mut others_slowly) = (empty.clone(), empty);
        for rows in &batches {
            let mut time = |_| {
                let at = i64::try_from(random.bits() % spread).unwrap();
                Timestamp::from_unix_millis(1_700_000_000_000 + at)
            };
            let times: Vec<Timestamp> = (0..rows.num_rows()).map(&mut time).collect();
            each.update_each(rows, &times).unwrap();
            others.update_others_each(rows, &times).unwrap();
            for (row, at) in times.iter().enumerate() {
                slowly.update(&rows.slice(row, 1), *at).unwrap();
                others_slowly.update_others(&rows.slice(row, 1), *at).unwrap();
            }
        }
        prop_assert_eq!(bytes(&each), bytes(&slowly));
        prop_assert_eq!(bytes(&others), bytes(&others_slowly));
    }
}

#[test]
fn an_unsorted_reference_is_the_reference() {
    let mut random = Random::new(51);
    let batches = [3_000, 1_000, 2_000].map(|count| rows(&mut random, count));
    let options = ProfileOptions::default().with_columns(["number", "word"]);
    let reference = Profile::fit(&batches, &options).unwrap();
    let mut strata = Strata::new(&reference, Season::HourOfWeek);
    for rows in &batches {
        let time = |_| i64::try_from(random.bits() % 604_800_000).unwrap();
        let times: Vec<_> =
            (0..rows.num_rows()).map(time).map(Timestamp::from_unix_millis).collect();
        strata.update_each(rows, &times).unwrap();
    }
    assert_eq!(strata.iter().count(), 168);
    let mut sum = Profile::empty_like(&reference);
    strata.iter().for_each(|(_, part)| sum.merge(part).unwrap());
    assert_eq!(sum.to_bytes().unwrap(), reference.to_bytes().unwrap());
    let config = MonitorConfig::default().with_clock(Arc::new(ManualClock::default()));
    Monitor::new(reference, config.with_strata(strata)).unwrap();
}
