//! How long an evaluation with intervals takes, for everybody and for groups, and a comparison.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mlops_core::evaluation::{Comparison, Evaluation, EvaluationOptions, Slices};
use std::hint::black_box;

/// A small test set, and a large one.
const ROWS: [u32; 2] = [10_000, 100_000];

/// Labels, scores of two models that are different and both better than chance, and six groups.
fn data(rows: u32) -> (Vec<bool>, Vec<f64>, Vec<f64>, Slices) {
    // A multiple of an odd number visits everything below 2³² in an order that looks random.
    let share = |row: u32, odd: u32| f64::from(row.wrapping_mul(odd)) / 4_294_967_296.0;
    let good: Vec<f64> = (0..rows).map(|row| share(row, 2_654_435_769)).collect();
    let labels = (0..rows).zip(&good).map(|(row, p)| share(row, 2_246_822_519) < *p).collect();
    let poor = (0..rows).zip(&good).map(|(row, p)| 0.5 * p + 0.5 * share(row, 3_266_489_917));
    let slices = Slices::new(rows as usize)
        .with("sex", (0..rows).map(|row| ["f", "m"][row as usize % 2]))
        .and_then(|all| all.with("age", (0..rows).map(|row| (row % 4).to_string())));
    (labels, good.clone(), poor.collect(), slices.unwrap())
}

fn evaluation(criterion: &mut Criterion) {
    let options = EvaluationOptions::default();
    let mut group = criterion.benchmark_group("evaluation");
    for rows in ROWS {
        let (labels, good, poor, slices) = data(rows);
        group.throughput(Throughput::Elements(rows.into()));
        group.bench_function(BenchmarkId::new("binary", rows), |bencher| {
            bencher.iter(|| Evaluation::binary(black_box(&labels), &good, &slices, &options));
        });
        group.bench_function(BenchmarkId::new("comparison", rows), |bencher| {
            bencher.iter(|| {
                Comparison::binary(black_box(&labels), &poor, &good, &slices, &options).unwrap()
            });
        });
    }
    group.finish();
}

criterion_group!(benches, evaluation);
criterion_main!(benches);
