//! How long the watch takes: making a profile, counting a window in it, adding two up, judging.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use mlops_core::{
    DriftDetector, Predictor,
    arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray},
    predictor::PredictRequest,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use mlops_drift::{
    Monitor, MonitorConfig, Profile, ProfileDetector, ProfileDetectorConfig, ProfileOptions,
    profile::ProfileShard,
};
use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

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

/// Values of several shapes, a million each.
fn column(shape: &str) -> RecordBatch {
    let mut state = 7_u64;
    let mut unit = move || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (f64::from((state >> 32) as u32) + 0.5) / 4_294_967_296.0
    };
    let mut normal = move || (-2.0 * unit().ln()).sqrt() * (std::f64::consts::TAU * unit()).cos();
    let value = |_| match shape {
        "skewed" => (2.0 * normal()).exp(),
        "whole" => (normal() * 5.0).round(),
        _ => normal(),
    };
    let values = Float64Array::from_iter_values((0..1_000_000).map(value));
    RecordBatch::try_from_iter([("x", Arc::new(values) as ArrayRef)]).unwrap()
}

/// A window of a million doubles in the cells of a reference, beside reading them once.
fn million(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a million doubles");
    group.throughput(Throughput::Elements(1_000_000));
    for shape in ["normal", "skewed", "whole"] {
        let rows = column(shape);
        let reference =
            Profile::fit(&[rows.slice(0, 100_000)], &ProfileOptions::default()).unwrap();
        let mut window = Profile::empty_like(&reference);
        group.bench_function(format!("update, {shape}"), |bencher| {
            bencher.iter(|| window.update(black_box(&rows)).unwrap());
        });
    }
    let rows = column("normal");
    let values = rows.column(0).to_data().buffers()[0].typed_data::<f64>().to_vec();
    group.bench_function("plain read", |bencher| {
        // Eight sums, so that memory is what is waited for.
        let sum = |values: &[f64]| {
            values.chunks_exact(8).fold([0.0; 8], |mut sums, chunk| {
                sums.iter_mut().zip(chunk).for_each(|(sum, value)| *sum += value);
                sums
            })
        };
        bencher.iter(|| sum(black_box(&values)));
    });
    group.finish();
}

/// One row of fifty features in the request path.
fn shard(criterion: &mut Criterion) {
    const FEATURES: usize = 50;
    let rows = column("normal");
    let values = rows.column(0).to_data().buffers()[0].typed_data::<f64>().to_vec();
    let columns = (0..FEATURES).map(|at| {
        let values = values[at * 10_000..at * 10_000 + 20_000].to_vec();
        (format!("feature {at}"), Arc::new(Float64Array::from(values)) as ArrayRef)
    });
    let reference = RecordBatch::try_from_iter(columns).unwrap();
    let reference = Profile::fit(&[reference], &ProfileOptions::default()).unwrap();
    let mut counters = ProfileShard::new(&reference);
    let requests: Vec<&[f64]> = values.chunks_exact(FEATURES).collect();
    let mut next = requests.iter().cycle();
    let mut group = criterion.benchmark_group("request path");
    group.throughput(Throughput::Elements(FEATURES as u64));
    group.bench_function("a row of 50 features", |bencher| {
        bencher.iter(|| counters.count_numbers(black_box(next.next().unwrap())).unwrap());
    });
    let reader = counters.reader();
    group.bench_function("gather 50 features", |bencher| {
        bencher.iter(|| reader.profile().unwrap());
    });
    group.finish();
}

/// A request of one row, alone and watched: the difference is what watching takes.
fn watched(criterion: &mut Criterion) {
    const FEATURES: usize = 50;
    let names: Vec<String> = (0..FEATURES).map(|at| format!("feature {at}")).collect();
    let rows = column("normal");
    let values = rows.column(0).to_data().buffers()[0].typed_data::<f64>().to_vec();
    let columns = names.iter().enumerate().map(|(at, name)| {
        let values = values[at * 10_000..at * 10_000 + 20_000].to_vec();
        (name.clone(), Arc::new(Float64Array::from(values)) as ArrayRef)
    });
    let reference = RecordBatch::try_from_iter(columns).unwrap();
    let reference = Profile::fit(&[reference], &ProfileOptions::default()).unwrap();
    let packed = TensorSpec::new("x", DType::F64, vec![None, Some(FEATURES)]).with_columns(names);
    let output = TensorSpec::column("x", DType::F64);
    let signature = ModelSignature::new(vec![packed], vec![output]).unwrap();
    let model = FnPredictor::new("one", signature, |_| {
        Ok(Tensors::one("x", Tensor::from_vec([1], vec![1.0])?))
    });
    let monitor = Monitor::new(reference, MonitorConfig::default()).unwrap();
    let watched = monitor.wrap(Arc::new(model.clone())).unwrap();
    let requests: Vec<Tensors> = values
        .chunks_exact(FEATURES)
        .map(|row| Tensors::one("x", Tensor::from_vec([1, FEATURES], row.to_vec()).unwrap()))
        .collect();
    let ask = |predictor: &dyn Predictor, inputs: &Tensors| {
        let future = predictor.predict(PredictRequest::new(inputs.clone()));
        pin!(future).poll(&mut Context::from_waker(Waker::noop())).is_ready()
    };
    let mut group = criterion.benchmark_group("a request of 50 features");
    group.throughput(Throughput::Elements(FEATURES as u64));
    for (name, predictor) in [("alone", &model as &dyn Predictor), ("watched", &*watched)] {
        let mut next = requests.iter().cycle();
        group.bench_function(name, |bencher| {
            bencher.iter(|| assert!(ask(predictor, black_box(next.next().unwrap()))));
        });
    }
    group.bench_function("a look at 50 columns", |bencher| {
        let window = rows_of(&monitor, &values);
        bencher.iter(|| monitor.update(black_box(&window)).unwrap());
    });
    group.finish();
}

/// A window of a thousand rows.
fn rows_of(monitor: &Monitor, values: &[f64]) -> RecordBatch {
    let names = monitor.reference().spec().names().enumerate();
    RecordBatch::try_from_iter(names.map(|(at, name)| {
        let values = values[at * 1_000..at * 1_000 + 1_000].to_vec();
        (name.to_string(), Arc::new(Float64Array::from(values)) as ArrayRef)
    }))
    .unwrap()
}

criterion_group!(benches, profile, million, shard, watched);
criterion_main!(benches);
