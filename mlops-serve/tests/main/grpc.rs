//! The service over gRPC: on a real socket, asked by tonic's client with messages declared here.

#[path = "grpc/access.rs"]
mod access;
#[path = "grpc/bad_inputs.rs"]
mod bad_inputs;
#[path = "grpc/bounds.rs"]
mod bounds;
#[path = "grpc/calls.rs"]
mod calls;
#[path = "grpc/describing.rs"]
mod describing;
#[path = "grpc/goldens.rs"]
mod goldens;
#[path = "grpc/mutations.rs"]
mod mutations;
#[path = "grpc/proto.rs"]
mod proto;
#[path = "grpc/repository.rs"]
mod repository;
#[path = "grpc/same_bits.rs"]
mod same_bits;
#[path = "grpc/streams.rs"]
mod streams;

use crate::http::model;
use axum::{
    Router,
    body::{Body, Bytes},
    http::{HeaderMap, Request},
};
use mlops_serve::{
    grpc::{GrpcConfig, GrpcService},
    http::{HttpConfig, HttpCounters, Service},
};
use prost::Message;
use proto::{InferInputTensor, ModelInferRequest, ModelInferResponse};
use std::sync::Arc;
use tonic::{
    Code, Status,
    client::Grpc,
    codec::{Codec, CompressionEncoding, DecodeBuf, Decoder, EncodeBuf, Encoder, Streaming},
    transport::{Channel, Endpoint},
};
use tower::ServiceExt;

/// A server of both protocols on one port, in the test's own runtime.
struct Server {
    app: Router,
    counters: Arc<HttpCounters>,
    client: Grpc<Channel>,
}

impl Server {
    async fn start(config: HttpConfig) -> Self {
        Self::of(Service::new().with_model(model("sum")).with_config(config)).await
    }

    async fn of(service: Service) -> Self {
        let counters = service.counters();
        let config = GrpcConfig::default().with_max_stream_in_flight(4);
        let grpc = GrpcService::new(service.clone()).with_config(config);
        let app = grpc.into_router().merge(service.into_router());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let served = axum::serve(listener, app.clone());
        tokio::spawn(async move { served.await.unwrap() });
        let endpoint = Endpoint::from_shared(format!("http://{address}")).unwrap();
        let client = Grpc::new(endpoint.connect_lazy()).max_decoding_message_size(usize::MAX);
        Self { app, counters, client }
    }

    fn gzip(&self) -> Grpc<Channel> {
        let client = self.client.clone().send_compressed(CompressionEncoding::Gzip);
        client.accept_compressed(CompressionEncoding::Gzip)
    }

    /// The answer's bytes and its metadata.
    async fn call(&self, method: &str, message: Vec<u8>) -> Result<(Vec<u8>, HeaderMap), Status> {
        call(self.client.clone(), method, tonic::Request::new(message)).await
    }

    async fn infer(&self, request: &ModelInferRequest) -> Result<ModelInferResponse, Status> {
        let (bytes, _) = self.call("ModelInfer", request.encode_to_vec()).await?;
        Ok(ModelInferResponse::decode(&*bytes).unwrap())
    }

    /// What a call that harmed nobody leaves behind.
    async fn still_answers(&self) {
        let answer = self.infer(&good()).await.unwrap();
        assert_eq!(answer.raw_output_contents[0], floats(&[3.0, 7.0]));
        let counts = self.counters.read();
        assert_eq!((counts.panics, counts.internal_errors), (0, 0));
    }

    /// A body without a client of gRPC around it; the status, wherever it stands.
    async fn raw(&self, headers: &[(&str, &str)], body: impl Into<Body>) -> (Code, String) {
        let mut request = Request::post("/inference.GRPCInferenceService/ModelInfer")
            .header("content-type", "application/grpc");
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(body.into()).unwrap();
        let response = self.app.clone().oneshot(request).await.unwrap();
        let (parts, mut body) = response.into_parts();
        let mut all = parts.headers;
        while let Some(frame) = next_frame(&mut body).await {
            if let Ok(trailers) = frame.into_trailers() {
                all.extend(trailers);
            }
        }
        let status = Status::from_header_map(&all).unwrap();
        (status.code(), status.message().to_owned())
    }
}

async fn next_frame(body: &mut Body) -> Option<http_body::Frame<Bytes>> {
    use http_body::Body as _;
    let frame = std::future::poll_fn(|context| std::pin::Pin::new(&mut *body).poll_frame(context));
    frame.await.map(Result::unwrap)
}

async fn call(
    mut client: Grpc<Channel>,
    method: &str,
    request: tonic::Request<Vec<u8>>,
) -> Result<(Vec<u8>, HeaderMap), Status> {
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path = format!("/inference.GRPCInferenceService/{method}").try_into().unwrap();
    let response = client.unary(request, path, RawCodec).await?;
    let (metadata, bytes, _) = response.into_parts();
    Ok((bytes, metadata.into_headers()))
}

/// A stream of requests, and of what comes back.
async fn stream(
    mut client: Grpc<Channel>,
    requests: impl futures_util::Stream<Item = Vec<u8>> + Send + 'static,
) -> Result<Streaming<Vec<u8>>, Status> {
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let path = "/inference.GRPCInferenceService/ModelStreamInfer".try_into().unwrap();
    let response = client.streaming(tonic::Request::new(requests), path, RawCodec).await?;
    Ok(response.into_inner())
}

/// Messages as the bytes that they are.
#[derive(Clone, Copy, Default)]
struct RawCodec;

impl Codec for RawCodec {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        *self
    }

    fn decoder(&mut self) -> Self {
        *self
    }
}

impl Encoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, into: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(into, &item);
        Ok(())
    }
}

impl Decoder for RawCodec {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, from: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        let length = bytes::Buf::remaining(from);
        Ok(Some(bytes::Buf::copy_to_bytes(from, length).to_vec()))
    }
}

/// A request that [`model`] answers with 3 and 7.
fn good() -> ModelInferRequest {
    let label = [&1_u32.to_le_bytes()[..], b"a", &2_u32.to_le_bytes(), "é".as_bytes()].concat();
    ModelInferRequest {
        model_name: "sum".to_owned(),
        inputs: vec![input("x", "FP32", &[2, 2]), input("label", "BYTES", &[2])],
        raw_input_contents: vec![floats(&[1.0, 2.0, 3.0, 4.0]), label],
        ..Default::default()
    }
}

fn input(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..Default::default()
    }
}

fn floats(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}
