//! How long the `tabular` engine takes: for the models of the tests, and for yours.
//!
//! `MLOPS_MODEL=model.onnx cargo bench -p mlops-serve --bench tabular -- yours` measures your model
//! on made-up rows: zeros and empty texts, which may take other branches than your own rows do.

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mlops_core::{
    arrow::buffer::Buffer,
    signature::TensorSpec,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{
    InferOptions, LoadOptions, Session, Stop,
    engines::tabular::{TabularEngine, TabularSession},
};
use std::{fs, hint::black_box, path::Path};

/// One request, a small batch, a large one.
const ROWS: [usize; 3] = [1, 64, 4096];

const MODELS: [&str; 5] = ["logistic", "forest", "boosting", "lightgbm", "mlp"];

fn load(path: &Path) -> std::sync::Arc<TabularSession> {
    TabularEngine::new().load_file(path, &LoadOptions::default()).unwrap()
}

/// The models of the tests on the first rows of the goldens.
fn stored(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tabular");
    for model in MODELS {
        let session = load(&folder.join(format!("{model}.onnx")));
        let bytes = fs::read(folder.join(format!("{model}.inputs.bin"))).unwrap();
        let all = Buffer::from_vec(bytes);
        measure(criterion, model, &session, |rows| {
            let part = all.slice_with_length(0, rows * 30 * size_of::<f32>());
            let features = Tensor::from_buffer(DType::F32, [rows, 30], part).unwrap();
            Tensors::one("features", features)
        });
    }
}

/// What texts cost: a small CatBoost model that combines three of them.
fn categories(criterion: &mut Criterion) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/boosters");
    made_up(criterion, "categories", &load(&folder.join("catboost_categories_combined.json")));
}

/// The model that `MLOPS_MODEL` names.
fn yours(criterion: &mut Criterion) {
    let Some(path) = std::env::var_os("MLOPS_MODEL") else { return };
    made_up(criterion, "yours", &load(Path::new(&path)));
}

fn made_up(criterion: &mut Criterion, name: &str, session: &TabularSession) {
    let inputs = &session.info().signature.inputs;
    measure(criterion, name, session, |rows| {
        let tensors = inputs.iter().map(|spec| (spec.name.clone(), zeros(spec, rows)));
        tensors.fold(Tensors::new(), |all, (name, tensor)| all.with(name, tensor).unwrap())
    });
}

/// A tensor as the model wants it; an axis whose length nobody knows is 1 long.
fn zeros(spec: &TensorSpec, rows: usize) -> Tensor {
    let length =
        |(at, axis): (usize, &Option<usize>)| axis.unwrap_or(if at == 0 { rows } else { 1 });
    let shape: Vec<usize> = spec.shape.iter().enumerate().map(length).collect();
    let count = shape.iter().product::<usize>();
    match spec.dtype.size() {
        Some(size) => {
            Tensor::from_buffer(spec.dtype, shape, Buffer::from_vec(vec![0_u8; count * size]))
        }
        None => Tensor::from_strs(shape, &vec![""; count]),
    }
    .unwrap()
}

fn measure(
    criterion: &mut Criterion,
    name: &str,
    session: &TabularSession,
    inputs: impl Fn(usize) -> Tensors,
) {
    let mut group = criterion.benchmark_group(format!("tabular/{name}"));
    for rows in ROWS {
        let (inputs, stop) = (inputs(rows), Stop::new());
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
            bencher.iter(|| session.run(black_box(&inputs), &InferOptions::new(&stop)).unwrap());
        });
    }
    group.finish();
}

criterion_group!(benches, stored, categories, yours);
criterion_main!(benches);
