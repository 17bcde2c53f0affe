//! What it costs to ask a local predictor: inline, by way of its own threads, behind a batcher, and
//! through an endpoint; and how late the host's timers are beside a model that computes for 100 ms.
//!
//! `cargo bench -p mlops-serve --bench local`

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use criterion::{Criterion, criterion_group, criterion_main};
use mlops_core::{
    Predictor, Result,
    predictor::PredictRequest,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{
    Batcher, BatchingConfig, Endpoint, InferOptions, LocalConfig, LocalPredictor, Session, Stop,
    compose::Chain, engines::SessionInfo,
};
use std::{
    hint::black_box,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::runtime::{Builder, Runtime};

/// Gives its input back, after a while.
#[derive(Debug)]
struct Echo {
    info: SessionInfo,
    takes: Duration,
}

impl Session for Echo {
    fn info(&self) -> &SessionInfo {
        &self.info
    }

    fn run(&self, inputs: &Tensors, _: &InferOptions<'_>) -> Result<Tensors> {
        let began = Instant::now();
        while began.elapsed() < self.takes {
            std::hint::spin_loop();
        }
        Ok(inputs.clone())
    }
}

fn signature() -> ModelSignature {
    let x = || vec![TensorSpec::column("x", DType::F32)];
    ModelSignature::new(x(), x()).unwrap()
}

fn open(takes: Duration, config: &LocalConfig) -> LocalPredictor {
    let session = Echo { info: SessionInfo::new(signature(), "echo", 0), takes };
    LocalPredictor::open("echo", "1", Arc::new(session), config).unwrap()
}

fn request() -> PredictRequest {
    PredictRequest::new(Tensors::one("x", Tensor::from_vec([1], vec![0.5_f32]).unwrap()))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().unwrap()
}

/// What all others are to be compared with: the session alone.
fn bare(criterion: &mut Criterion) {
    let session = Echo { info: SessionInfo::new(signature(), "echo", 0), takes: Duration::ZERO };
    let stop = Stop::new();
    criterion.bench_function("bare session", |bencher| {
        bencher.iter(|| {
            let options = InferOptions::new(&stop);
            black_box(session.run(&request().inputs, &options).unwrap())
        });
    });
}

fn calls(criterion: &mut Criterion) {
    let (config, runtime) = (LocalConfig::default(), runtime());
    let mut ask = |name: &str, predictor: &dyn Predictor| {
        criterion.bench_function(name, |bencher| {
            // As in a host, whose runtime runs already.
            bencher.iter_custom(|times| {
                runtime.block_on(async {
                    let began = Instant::now();
                    for _ in 0..times {
                        black_box(predictor.predict(request()).await.unwrap());
                    }
                    began.elapsed()
                })
            });
        });
    };
    ask("inline", &open(Duration::ZERO, &config));
    ask("threaded", &open(Duration::ZERO, &config.clone().with_warm_up_rows(0)));
    let idle = Batcher::new(open(Duration::ZERO, &config), BatchingConfig::default());
    ask("inline behind an idle batcher", &idle);
    let batcher = Batcher::new(open(Duration::ZERO, &config), BatchingConfig::default());
    let chain = Chain::builder("chain", "1").then(Arc::new(batcher)).build().unwrap();
    ask("endpoint over a chain over an idle batcher", &Endpoint::from_predictor("echo", chain));
    let batcher = Batcher::new(open(Duration::ZERO, &config), BatchingConfig::default());
    let chain = Chain::builder("chain", "1").with_inputs(signature().inputs).map("before", Ok);
    let chain = chain.then(Arc::new(batcher)).build().unwrap();
    let name = "endpoint over a chain of a closure and an idle batcher";
    ask(name, &Endpoint::from_predictor("echo", chain));
    ask("endpoint", &Endpoint::from_predictor("echo", open(Duration::ZERO, &config)));
}

/// How late a timer of 1 ms is, at worst, while the model computes.
fn timers(criterion: &mut Criterion) {
    let predictor = open(Duration::from_millis(100), &LocalConfig::default().with_threads(1));
    let runtime = runtime();
    let mut group = criterion.benchmark_group("1 ms timer beside a 100 ms model");
    group.sample_size(10).bench_function("latest", |bencher| {
        bencher.iter_custom(|times| (0..times).map(|_| latest(&runtime, &predictor)).sum());
    });
}

fn latest(runtime: &Runtime, predictor: &LocalPredictor) -> Duration {
    let tick = Duration::from_millis(1);
    runtime.block_on(async {
        let mut answer = predictor.predict(request());
        let mut latest = Duration::ZERO;
        loop {
            let began = Instant::now();
            tokio::select! {
                answer = &mut answer => {
                    answer.unwrap();
                    return latest;
                }
                () = tokio::time::sleep(tick) => {
                    latest = latest.max(began.elapsed().saturating_sub(tick));
                }
            }
        }
    })
}

criterion_group!(benches, bare, calls, timers);
criterion_main!(benches);
