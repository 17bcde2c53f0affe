//! The engine `remote`: our own router over a real socket, by REST and by gRPC, and peers that do harm.

#[path = "remote/bits.rs"]
mod bits;
#[path = "remote/faults.rs"]
mod faults;
#[path = "remote/lies.rs"]
mod lies;
#[path = "remote/peer.rs"]
mod peer;
#[path = "remote/serving.rs"]
mod serving;

use crate::{doubles::block_on, http::model};
use mlops_core::{
    ErrorKind, Predictor, Result,
    conformance::predictor::Subject,
    predictor::{PredictRequest, PredictResponse},
    tensor::{Tensor, Tensors},
};
use mlops_serve::{
    engines::remote::{RemoteConfig, RemotePredictor},
    grpc::GrpcService,
    http::Service,
};
use std::net::SocketAddr;

/// Serves both protocols on one port, until the process ends.
fn served(service: Service) -> SocketAddr {
    served_at(([127, 0, 0, 1], 0).into(), service)
}

fn served_at(address: SocketAddr, service: Service) -> SocketAddr {
    let listener = std::net::TcpListener::bind(address).unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.unwrap().block_on(async {
            let app = GrpcService::new(service.clone()).into_router().merge(service.into_router());
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
    });
    address
}

/// The three ways to ask: raw over HTTP, JSON, gRPC.
fn ways(address: SocketAddr, model: &str) -> [(&'static str, RemoteConfig); 3] {
    let http = RemoteConfig::of_model(&format!("http://{address}/v2/models/{model}")).unwrap();
    let grpc = RemoteConfig::of_model(&format!("grpc://{address}/v2/models/{model}")).unwrap();
    [("raw", http.clone()), ("json", http.with_binary(Some(false))), ("grpc", grpc)]
}

fn connected(config: RemoteConfig) -> RemotePredictor {
    block_on(RemotePredictor::connect(config)).unwrap()
}

fn ask(predictor: &dyn Predictor, request: PredictRequest) -> Result<PredictResponse> {
    block_on(predictor.predict(request))
}

fn inputs() -> Tensors {
    let x = Tensor::from_vec([2, 2], vec![1_f32, 2.0, 3.0, 4.0]).unwrap();
    Tensors::one("x", x).with("label", Tensor::from_strs([2], &["a", "\u{e9}"]).unwrap()).unwrap()
}

fn request() -> PredictRequest {
    PredictRequest::new(inputs())
}

fn kind<T: std::fmt::Debug>(result: Result<T>) -> ErrorKind {
    result.unwrap_err().kind()
}

fn subject(way: usize) -> Subject {
    let address = served(Service::new().with_model(model("sum")));
    let [(_, config), ..] = &ways(address, "sum")[way..] else { panic!("three ways") };
    Subject::new(connected(config.clone()), inputs())
}

mlops_core::predictor_conformance!(remote_predictor_conforms_raw, subject(0));
mlops_core::predictor_conformance!(remote_predictor_conforms_json, subject(1));
mlops_core::predictor_conformance!(remote_predictor_conforms_grpc, subject(2));
