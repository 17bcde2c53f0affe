//! `ModelStreamInfer`: answers in order, one failure among them ends nothing.

use super::{
    RawCodec, Server, floats, good,
    proto::{ModelInferRequest, ModelStreamInferResponse},
    stream as open,
};
use crate::http::model;
use futures_util::{StreamExt, stream};
use mlops_core::{
    Predictor, Result,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
    testing::FnPredictor,
};
use mlops_serve::{
    grpc::GrpcService,
    http::{HttpConfig, Service},
};
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};
use tonic::Code;

fn numbered(at: usize) -> ModelInferRequest {
    let mut request = good();
    request.id = at.to_string();
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let value = at as f32;
    request.raw_input_contents[0] = floats(&[value, 1.0, 0.0, 0.0]);
    request
}

fn decode(bytes: &[u8]) -> ModelStreamInferResponse {
    ModelStreamInferResponse::decode(bytes).unwrap()
}

#[tokio::test]
async fn answers_come_in_order_and_a_failure_ends_nothing() {
    let server = Server::start(HttpConfig::default()).await;
    let requests = (0..100).map(|at| {
        let mut request = numbered(at);
        match at {
            10 => request.inputs[0].shape = vec![7],
            20 => request.model_name = "none".into(),
            30 => request.raw_input_contents[0] = floats(&[666.0, 0.0, 0.0, 0.0]),
            _ => {}
        }
        if at == 40 { vec![0xff] } else { request.encode_to_vec() }
    });
    for client in [server.client.clone(), server.gzip()] {
        let requests: Vec<Vec<u8>> = requests.clone().collect();
        let mut answers = open(client, stream::iter(requests)).await.unwrap();
        for at in 0_u16..100 {
            let answer = decode(&answers.message().await.unwrap().unwrap());
            let failed = match at {
                10 => Some("input \"x\""),
                20 => Some("no model \"none\""),
                30 => Some("model \"sum\" panicked"),
                40 => Some("not valid protobuf"),
                _ => None,
            };
            if let Some(names) = failed {
                assert!(answer.error_message.contains(names), "{at}: {answer:?}");
                continue;
            }
            let response = answer.infer_response.unwrap();
            assert_eq!(response.id, at.to_string());
            assert_eq!(response.raw_output_contents[0], floats(&[f32::from(at) + 1.0, 0.0]));
        }
        assert_eq!(answers.message().await.unwrap(), None);
    }
    let counts = server.counters.read();
    assert_eq!((counts.requests, counts.refused, counts.panics), (200, 6, 2));
}

/// A request is answered while the stream is open, before the next is sent.
#[tokio::test]
async fn a_conversation() {
    let server = Server::start(HttpConfig::default()).await;
    let (sender, receiver) = tokio::sync::mpsc::channel::<Vec<u8>>(1);
    let requests = stream::unfold(receiver, async |mut receiver| {
        receiver.recv().await.map(|request| (request, receiver))
    });
    let mut answers = open(server.client.clone(), requests).await.unwrap();
    for at in 0..5 {
        sender.send(numbered(at).encode_to_vec()).await.unwrap();
        let answer = decode(&answers.message().await.unwrap().unwrap());
        assert_eq!(answer.infer_response.unwrap().id, at.to_string());
    }
    drop(sender);
    assert_eq!(answers.message().await.unwrap(), None);
}

/// Counts how many of its calls run at a time.
#[derive(Debug)]
struct Slow {
    inner: FnPredictor,
    running: AtomicUsize,
    most: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl Predictor for Slow {
    fn info(&self) -> Arc<PredictorInfo> {
        self.inner.info()
    }
    async fn ready(&self) -> Result<()> {
        Ok(())
    }
    async fn predict(&self, request: PredictRequest) -> Result<PredictResponse> {
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(3)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.inner.predict(request).await
    }
}

#[tokio::test]
async fn a_bounded_number_of_requests_is_answered_at_a_time() {
    let most = Arc::<AtomicUsize>::default();
    let (inner, running) = (model("sum"), AtomicUsize::new(0));
    let model = Slow { inner, running, most: Arc::clone(&most) };
    let server = Server::of(Service::new().with_model(model)).await;
    let requests: Vec<_> = (0..50).map(|at| numbered(at).encode_to_vec()).collect();
    let mut answers = open(server.client.clone(), stream::iter(requests)).await.unwrap();
    for at in 0..50 {
        let answer = decode(&answers.message().await.unwrap().unwrap());
        assert_eq!(answer.infer_response.unwrap().id, at.to_string());
    }
    assert_eq!(most.load(Ordering::SeqCst), 4);
}

/// What was read is answered; then the client is told to go elsewhere.
#[tokio::test]
async fn a_server_that_ends_ends_its_streams() {
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let service = GrpcService::new(Service::new().with_model(model("sum")));
    let service = service.with_end(async { drop(stopped.await) });
    let requests = stream::iter([numbered(0).encode_to_vec()]).chain(stream::pending());
    let path = "/inference.GRPCInferenceService/ModelStreamInfer".try_into().unwrap();
    let mut client = tonic::client::Grpc::new(service);
    let answers = client.streaming(tonic::Request::new(requests), path, RawCodec).await.unwrap();
    let mut answers = answers.into_inner();
    let first = decode(&answers.message().await.unwrap().unwrap());
    assert_eq!(first.infer_response.unwrap().id, "0");
    stop.send(()).unwrap();
    let status = answers.message().await.unwrap_err();
    assert_eq!(
        (status.code(), status.message()),
        (Code::Unavailable, "the server ends; ask again")
    );
}

#[tokio::test]
async fn what_breaks_the_framing_or_the_callers_time_ends_it() {
    let server = Server::start(HttpConfig::default().with_max_body_bytes(1 << 16)).await;
    let requests = stream::iter([numbered(0).encode_to_vec(), vec![0; 1 << 17]]);
    let mut answers = open(server.client.clone(), requests).await.unwrap();
    let first = decode(&answers.message().await.unwrap().unwrap());
    assert_eq!(first.infer_response.unwrap().id, "0");
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);

    let mut client = server.client.clone();
    client.ready().await.unwrap();
    let path = "/inference.GRPCInferenceService/ModelStreamInfer".try_into().unwrap();
    let requests = stream::iter([numbered(0).encode_to_vec()]).chain(stream::pending());
    let mut request = tonic::Request::new(requests);
    request.metadata_mut().insert("grpc-timeout", "300m".parse().unwrap());
    let answers = client.streaming(request, path, RawCodec).await.unwrap();
    let mut answers = answers.into_inner();
    assert!(answers.message().await.unwrap().is_some());
    let status = answers.message().await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    server.still_answers().await;
}
