//! How long data takes on its way to a model: reading, digest, split, validation, transform.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use mlops_core::{
    Transform,
    data::{CsvOptions, DataSchema, Dataset, Rule, TransformSpec, ValidationOptions},
};
use std::{fmt::Write, hint::black_box};

const ROWS: usize = 50_000;

/// Three columns: a whole number, a number with nulls, one of five words.
fn text() -> String {
    let mut text = "age,income,state\n".to_owned();
    for row in 0..ROWS {
        let state = ["MA", "NH", "VT", "ME", "RI"][row % 5];
        let income = if row % 17 == 0 { String::new() } else { format!("{}.5", row % 9_973) };
        writeln!(text, "{},{income},{state}", 18 + row % 70).unwrap();
    }
    text
}

fn data(criterion: &mut Criterion) {
    let text = text();
    let read = || Dataset::from_csv("people", text.as_bytes(), &CsvOptions::new()).unwrap();
    let people = read();
    let parquet = people.to_parquet().unwrap();
    let split = people.split_random([0.6, 0.2, 0.2], 7).unwrap();
    let schema = DataSchema::infer(&split.train);
    let spec = TransformSpec::new()
        .with_column("age", Rule::standardise())
        .with_column("income", Rule::standardise())
        .with_column("state", Rule::one_hot(16).with_other());
    let fitted = spec.fit(&split.train).unwrap();
    let batch = people.batch().unwrap();

    let mut group = criterion.benchmark_group("data");
    group.throughput(Throughput::Elements(ROWS as u64));
    group.bench_function("read CSV", |bencher| bencher.iter(read));
    group.bench_function("read Parquet", |bencher| {
        bencher.iter(|| Dataset::from_parquet("people", black_box(parquet.clone())).unwrap());
    });
    group.bench_function("digest", |bencher| {
        // A dataset keeps its digest: a new one of the same rows has none yet.
        bencher.iter(|| Dataset::from_batches("people", [batch.clone()]).unwrap().digest());
    });
    group.bench_function("split", |bencher| {
        bencher.iter(|| people.split_random(black_box([0.6, 0.2, 0.2]), 7).unwrap());
    });
    group.bench_function("validate", |bencher| {
        bencher.iter(|| schema.validate(black_box(&people), &ValidationOptions::new()));
    });
    group.bench_function("fit a transform to 60 %", |bencher| {
        bencher.iter(|| spec.fit(black_box(&split.train)).unwrap());
    });
    group.bench_function("apply a transform", |bencher| {
        bencher.iter(|| fitted.apply(black_box(&batch)).unwrap());
    });
    group.finish();
}

criterion_group!(benches, data);
criterion_main!(benches);
