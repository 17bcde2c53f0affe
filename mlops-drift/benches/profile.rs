//! How long the watch takes: making a profile, counting a window in it, adding two up, judging.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mlops_core::{
    DriftDetector,
    arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray},
};
use mlops_drift::{Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions};
use std::{hint::black_box, sync::Arc};

const ROWS: u32 = 10_000;

/// Eight columns of numbers and two of words.
fn rows(shift: f64) -> RecordBatch {
    let share = |row: u32, odd: u32| f64::from(row.wrapping_mul(odd)) / 4_294_967_296.0;
    let numbers = (0..8_u32).map(|column| {
        let odd = 2_654_435_769_u32.wrapping_add(2 * column);
        let values = (0..ROWS).map(|row| Some(share(row, odd) + shift));
        (format!("number {column}"), Arc::new(values.collect::<Float64Array>()) as ArrayRef)
    });
    let words = (2..4_u32).map(|count| {
        let values = (0..ROWS).map(|row| Some(["a", "b", "c", "d"][(row % count) as usize]));
        (format!("word {count}"), Arc::new(values.collect::<StringArray>()) as ArrayRef)
    });
    RecordBatch::try_from_iter(numbers.chain(words)).unwrap()
}

fn profile(criterion: &mut Criterion) {
    let (reference_rows, window) = (rows(0.0), rows(0.02));
    let fit =
        || Profile::fit(std::slice::from_ref(&reference_rows), &ProfileOptions::default()).unwrap();
    let reference = fit();
    let empty = Profile::empty_like(&reference);
    let mut full = empty.clone();
    full.update(&window).unwrap();
    let config = ProfileDetectorConfig::default();
    let mut detector = ProfileDetector::open(config, reference).unwrap();
    detector.update(&window).unwrap();

    let mut group = criterion.benchmark_group("profile of 10 columns");
    group.throughput(Throughput::Elements(ROWS.into()));
    group.bench_function("fit", |bencher| bencher.iter(fit));
    group.bench_function("update", |bencher| {
        let start = || empty.clone();
        bencher.iter_batched(
            start,
            |mut own| own.update(black_box(&window)),
            BatchSize::LargeInput,
        );
    });
    group.finish();
    // These depend on cells, not on rows.
    criterion.bench_function("profile of 10 columns/merge", |bencher| {
        let start = || full.clone();
        bencher.iter_batched(start, |mut own| own.merge(black_box(&full)), BatchSize::LargeInput);
    });
    criterion.bench_function("profile of 10 columns/evaluate", |bencher| {
        bencher.iter(|| black_box(&detector).evaluate().unwrap());
    });
}

criterion_group!(benches, profile);
criterion_main!(benches);
