//! What the `onnx` engine costs beside ONNX Runtime called directly, through the same crate and library, on
//! a network of two layers of 256 × 256.
//!
//! `ORT_DYLIB_PATH=libonnxruntime.so cargo bench -p mlops-serve --bench onnx` prints the medians of calls
//! that take turns; what requests of few rows get that a batcher gathers, beside the best that ONNX Runtime
//! does with batches that somebody has made already; then measures the engine alone.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a bench may panic, and prints ratios of small counts"
)]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use futures_util::future::join_all;
use mlops_core::{
    Predictor,
    predictor::PredictRequest,
    tensor::{Tensor, Tensors},
};
use mlops_serve::{
    Batcher, BatchingConfig, InferOptions, LoadOptions, LocalConfig, LocalPredictor, Session, Stop,
    engines::onnx::{OnnxEngine, OnnxSession},
};
use ort::{
    environment::Environment,
    session::{IoBinding, Session as Direct, builder::GraphOptimizationLevel},
    value::{DynValue, TensorRef, TensorRefMut},
};
use proto::{declared_output, initializer, input, model, node};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};

#[path = "../tests/main/tabular/proto.rs"]
#[allow(dead_code, reason = "it writes more than this needs")]
mod proto;

const WIDTH: usize = 256;
const ROWS: [usize; 6] = [1, 8, 32, 128, 512, 2048];
const TURNS: usize = 400;

/// Numbers that look random and are the same everywhere, about as large as those of a trained layer.
fn numbers(count: usize) -> Vec<f32> {
    let spread = |at: usize| f32::from(u16::try_from((at * 7919 + 13) % 1009).unwrap()) / 1009.0;
    (0..count).map(|at| (spread(at) - 0.5) / 8.0).collect()
}

fn network() -> Vec<u8> {
    let bytes = |count| numbers(count).into_iter().flat_map(f32::to_le_bytes).collect::<Vec<u8>>();
    model(&[
        input("x", 1, &[-1, 256]),
        initializer("w", 1, &[256, 256], &bytes(WIDTH * WIDTH)),
        initializer("b", 1, &[256], &bytes(WIDTH)),
        node("Gemm", &["x", "w", "b"], &["h"], &[]),
        node("Relu", &["h"], &["r"], &[]),
        node("MatMul", &["r", "w"], &["y"], &[]),
        declared_output("y", 1, &[-1, 256]),
    ])
}

fn environment() -> Option<Environment> {
    let path = std::env::var_os("ORT_DYLIB_PATH")?;
    ort::init_from(path).unwrap().with_telemetry(false).build().ok()
}

fn direct(environment: &Environment) -> Direct {
    let builder = Direct::builder(environment).unwrap();
    let builder = builder.with_intra_threads(1).unwrap().with_inter_threads(1).unwrap();
    let builder = builder.with_optimization_level(GraphOptimizationLevel::All);
    builder.unwrap().commit_from_memory(&network()).unwrap()
}

/// A call, and a copy of what it gives: whoever calls wants to keep it.
fn call_directly(session: &mut Direct, rows: usize, x: &[f32]) -> Vec<f32> {
    let x = TensorRef::from_array_view(([rows, WIDTH], x)).unwrap();
    let outputs = session.run(ort::inputs![x]).unwrap();
    outputs[0].try_extract_tensor::<f32>().unwrap().1.to_vec()
}

fn call(session: &OnnxSession, inputs: &Tensors) -> Tensors {
    session.run(inputs, &InferOptions::new(&Stop::new())).unwrap()
}

fn timed<T>(call: impl FnOnce() -> T) -> Duration {
    let began = Instant::now();
    black_box(call());
    began.elapsed()
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e6
}

/// Turn by turn, so that both see the same machine.
fn ratios(environment: &Environment, session: &OnnxSession) {
    let mut direct = direct(environment);
    println!(
        "{:>6} {:>12} {:>12} {:>8} {:>10}",
        "rows", "direct µs", "engine µs", "ratio", "more µs"
    );
    for rows in ROWS {
        let x = numbers(rows * WIDTH);
        let inputs = Tensors::one("x", Tensor::from_vec([rows, WIDTH], x.clone()).unwrap());
        let given = call(session, &inputs);
        let given = given.require("y").unwrap().as_slice::<f32>().unwrap().to_vec();
        assert!(given == call_directly(&mut direct, rows, &x), "the answers differ");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for _ in 0..TURNS {
            theirs.push(timed(|| call_directly(&mut direct, rows, &x)));
            ours.push(timed(|| call(session, &inputs)));
        }
        let (ours, theirs) = (median(ours), median(theirs));
        let (ratio, more) = (ours / theirs, ours - theirs);
        println!("{rows:>6} {theirs:>12.2} {ours:>12.2} {ratio:>8.3} {more:>10.2}");
    }
}

/// A call whose answer a binding writes into a vector of ours. It has to own its inputs: of a view `bind_input` of
/// ort 2.0.0-rc.15 makes a copy, by a binding, and waits for itself for ever.
fn call_bound(session: &mut Direct, binding: &mut IoBinding, rows: usize, x: &[f32]) -> Vec<f32> {
    let mut y = vec![0_f32; rows * WIDTH];
    let x = ort::value::Tensor::from_array(([rows, WIDTH], x.to_vec())).unwrap();
    let into = TensorRefMut::from_array_view_mut(([rows, WIDTH], y.as_mut_slice())).unwrap();
    binding.bind_input("x", &x).unwrap();
    binding.bind_output("y", into).unwrap();
    drop(session.run_binding(binding).unwrap());
    // `ort` lets the borrow of the vector end when it is bound: it has to be let go of here.
    binding.clear();
    y
}

/// A call whose answer stays in ONNX Runtime's memory.
fn call_left(session: &mut Direct, rows: usize, x: &[f32]) -> DynValue {
    let x = TensorRef::from_array_view(([rows, WIDTH], x)).unwrap();
    session.run(ort::inputs![x]).unwrap().remove("y").unwrap()
}

/// What it would spare not to copy an answer: ONNX Runtime called directly, turn by turn, with the answer copied,
/// written where it is wanted, and left where it is.
fn ways_out(environment: &Environment) {
    let mut session = direct(environment);
    println!("\n{:>6} {:>12} {:>12} {:>12}", "rows", "copied µs", "bound µs", "left µs");
    for rows in ROWS {
        let x = numbers(rows * WIDTH);
        let mut binding = session.create_binding().unwrap();
        let bound = call_bound(&mut session, &mut binding, rows, &x);
        assert!(bound == call_directly(&mut session, rows, &x), "the answers differ");
        let mut times = [const { Vec::new() }; 3];
        for _ in 0..TURNS {
            times[0].push(timed(|| call_directly(&mut session, rows, &x)));
            times[1].push(timed(|| call_bound(&mut session, &mut binding, rows, &x)));
            times[2].push(timed(|| call_left(&mut session, rows, &x)));
        }
        let [copied, bound, left] = times.map(median);
        println!("{rows:>6} {copied:>12.2} {bound:>12.2} {left:>12.2}");
    }
}

/// Turn by turn too: ONNX Runtime with its best batch, one thread; then as many callers as fill such batches
/// several times over, each with requests of `rows` rows, behind a batcher with one thread that computes. The
/// callers have two threads: on a single one none waits while another is computed, and there is nothing to gather.
fn batched(environment: &Environment, engine: &OnnxEngine) {
    let mut direct = direct(environment);
    let mut a_row = |batch: usize| {
        let x = numbers(batch * WIDTH);
        let times = (0..20).map(|_| timed(|| call_directly(&mut direct, batch, &x)));
        median(times.collect()) / batch as f64
    };
    let (_, best) = ROWS
        .map(|rows| (a_row(rows), rows))
        .into_iter()
        .min_by(|a, b| a.0.total_cmp(&b.0))
        .unwrap();
    println!("\n{:>6} {:>16} {:>32} {:>32}", "", "direct", "batched, none ahead", "one ahead");
    println!("{:>6} {:>16} {:>24} speed {:>25} speed", "rows", "µs a row", "µs a row", "µs a row");
    for rows in [1, 8, 32] {
        let batchers = [0, 1].map(|ahead| {
            let session = engine.load_bytes(&network(), &LoadOptions::default()).unwrap();
            let local = LocalConfig::default().with_threads(1);
            let local = LocalPredictor::open("mlp", "1", Arc::new(session), &local).unwrap();
            let config = BatchingConfig::default().with_max_batch_rows(best).with_ahead(ahead);
            Arc::new(Batcher::new(local, config.with_max_waiting_requests(4 * best)))
        });
        let mut theirs = Vec::new();
        let mut ours = [const { (Vec::new(), Vec::new()) }; 2];
        for _ in 0..15 {
            let direct = a_row(best);
            theirs.push(direct);
            for (batcher, (times, ratios)) in batchers.iter().zip(&mut ours) {
                let time = gathered(batcher, rows, 4 * best / rows);
                times.push(time);
                ratios.push(direct / time);
            }
        }
        let middle = |mut figures: Vec<f64>| {
            figures.sort_by(f64::total_cmp);
            figures[figures.len() / 2]
        };
        print!("{rows:>6} {:>10.2} ({best:>3})", middle(theirs));
        for (times, ratios) in ours {
            print!(" {:>24.2} {:>7.3}", middle(times), middle(ratios));
        }
        println!();
    }
}

/// µs a row, where so many callers ask again as soon as they are answered.
fn gathered(predictor: &Arc<Batcher>, rows: usize, callers: usize) -> f64 {
    const ASKED: usize = 16;
    let x = Tensor::from_vec([rows, WIDTH], numbers(rows * WIDTH)).unwrap();
    let request = PredictRequest::new(Tensors::one("x", x));
    let caller = |predictor: Arc<Batcher>, request: PredictRequest| async move {
        for _ in 0..ASKED {
            black_box(predictor.predict(request.clone()).await.unwrap());
        }
    };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let spawned = || runtime.spawn(caller(Arc::clone(predictor), request.clone()));
    let all = || runtime.block_on(join_all((0..callers).map(|_| spawned())));
    timed(all).as_secs_f64() * 1e6 / (callers * ASKED * rows) as f64
}

fn engine(criterion: &mut Criterion) {
    let Some(environment) = environment() else {
        println!("skipped: ORT_DYLIB_PATH names no library of ONNX Runtime");
        return;
    };
    let engine = OnnxEngine::new().with_environment(&environment);
    let session = engine.load_bytes(&network(), &LoadOptions::default()).unwrap();
    ratios(&environment, &session);
    ways_out(&environment);
    batched(&environment, &engine);
    let mut group = criterion.benchmark_group("onnx/mlp 256x256");
    for rows in ROWS {
        let x = Tensor::from_vec([rows, WIDTH], numbers(rows * WIDTH)).unwrap();
        let inputs = Tensors::one("x", x);
        group.throughput(Throughput::Elements(rows as u64));
        group.bench_function(BenchmarkId::from_parameter(rows), |bencher| {
            bencher.iter(|| call(&session, black_box(&inputs)));
        });
    }
    group.finish();
}

criterion_group!(benches, engine);
criterion_main!(benches);
