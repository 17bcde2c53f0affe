//! What it costs to ask a model of another server, beside asking it in process: one call after another over
//! a loopback socket, with tensors as raw bytes, as JSON, and by gRPC; a row and many.
//!
//! `cargo bench -p mlops-serve --features remote,tabular --bench remote`

#![allow(clippy::unwrap_used, reason = "a bench may panic")]

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use mlops_core::{
    Predictor,
    arrow::buffer::Buffer,
    predictor::PredictRequest,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::{
    LoadOptions, LocalConfig, LocalPredictor,
    engines::{
        remote::{RemoteConfig, RemotePredictor},
        tabular::TabularEngine,
    },
    grpc::GrpcService,
    http::Service,
};
use std::{fs, hint::black_box, net::SocketAddr, path::Path, time::Instant};
use tokio::runtime::{Builder, Runtime};

/// One request, a small batch, a large one.
const ROWS: [usize; 3] = [1, 64, 4096];
const COLUMNS: usize = 30;

fn stored() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/tabular")
}

fn model() -> LocalPredictor {
    let session = TabularEngine::new();
    let session = session.load_file(stored().join("lightgbm.onnx"), &LoadOptions::default());
    LocalPredictor::open("lightgbm", "1", session.unwrap(), &LocalConfig::default()).unwrap()
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// Serves both protocols on one port, until the process ends.
fn served() -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let service = Service::new().with_model(model());
    std::thread::spawn(move || {
        runtime().block_on(async {
            let app = GrpcService::new(service.clone()).into_router().merge(service.into_router());
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    address
}

/// The first rows of the goldens.
fn request(rows: usize) -> PredictRequest {
    let all = Buffer::from_vec(fs::read(stored().join("lightgbm.inputs.bin")).unwrap());
    let size = COLUMNS * size_of::<f32>();
    let bytes: Vec<u8> = all.chunks_exact(size).cycle().take(rows).flatten().copied().collect();
    let features = Tensor::from_buffer(DType::F32, [rows, COLUMNS], Buffer::from_vec(bytes));
    PredictRequest::new(Tensors::one("features", features.unwrap()))
}

fn ways(criterion: &mut Criterion) {
    let (runtime, address) = (runtime(), served());
    let connect = |config| runtime.block_on(RemotePredictor::connect(config)).unwrap();
    let http = RemoteConfig::new(format!("http://{address}"), "lightgbm");
    let grpc = RemoteConfig::new(format!("grpc://{address}"), "lightgbm");
    let (raw, json) = (connect(http.clone()), connect(http.with_binary(Some(false))));
    let (local, grpc) = (model(), connect(grpc));
    let ways: [(&str, &dyn Predictor); 4] =
        [("in process", &local), ("raw", &raw), ("JSON", &json), ("gRPC", &grpc)];
    let mut group = criterion.benchmark_group("remote");
    for rows in ROWS {
        group.throughput(Throughput::Elements(rows as u64));
        for (name, predictor) in ways {
            group.bench_with_input(BenchmarkId::new(name, rows), &rows, |bencher, &rows| {
                let request = request(rows);
                bencher.iter_custom(|times| {
                    runtime.block_on(async {
                        let began = Instant::now();
                        for _ in 0..times {
                            black_box(predictor.predict(request.clone()).await.unwrap());
                        }
                        began.elapsed()
                    })
                });
            });
        }
    }
}

criterion_group!(benches, ways);
criterion_main!(benches);
