//! What holds of one call: its id, its parameters, its time, its coding, and that it harms nobody.

use super::{
    RawCodec, Server, call, floats, good,
    proto::{Choice, InferRequestedOutputTensor, ModelInferResponse},
};
use crate::http::Waits;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use mlops_core::{PredictionId, signature::ModelSignature, testing::FnPredictor};
use mlops_serve::{
    grpc::GrpcService,
    http::{HttpConfig, Service},
};
use prost::Message;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};
use tonic::{Code, server::NamedService};
use tower::ServiceExt;

#[tokio::test]
async fn an_answer_says_who_gave_it_and_to_what() {
    let server = Server::start(HttpConfig::default()).await;
    let mut request = good();
    request.id = "7 é".to_owned();
    request.model_version = "1".to_owned();
    request.outputs =
        vec![InferRequestedOutputTensor { name: "label".to_owned(), ..Default::default() }];
    let (bytes, metadata) = server.call("ModelInfer", request.encode_to_vec()).await.unwrap();
    let answer = ModelInferResponse::decode(&*bytes).unwrap();
    let said = (&*answer.model_name, &*answer.model_version, &*answer.id);
    assert_eq!(said, ("sum", "1", "7 é"));
    assert_eq!(answer.outputs.len(), 1);
    assert_eq!(answer.raw_output_contents[0], request.raw_input_contents[1]);
    let Some(Choice::Text(prediction)) = &answer.parameters["prediction"].choice else {
        panic!("no prediction id")
    };
    prediction.parse::<PredictionId>().unwrap();
    assert_eq!(metadata["x-prediction-id"], **prediction);
    assert_eq!(server.infer(&good()).await.unwrap().id, "");
}

async fn waits(config: HttpConfig) -> (Server, Arc<AtomicBool>) {
    let (model, dropped) = Waits::new("sum");
    (Server::of(Service::new().with_model(model).with_config(config)).await, dropped)
}

/// Field 1, a text of three bytes.
const TO_SUM: &[u8] = b"\x0a\x03sum";

#[tokio::test]
async fn whoever_has_less_time_ends_the_work() {
    // The service's own limit.
    let config = HttpConfig::default().with_timeout(Some(Duration::from_millis(50)));
    let (server, dropped) = waits(config).await;
    let status = server.call("ModelInfer", TO_SUM.to_vec()).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert_eq!(status.message(), "model \"sum\" did not answer in time");
    assert!(dropped.load(Ordering::SeqCst));

    // The caller's, in the head: what the client itself would say is not asked.
    let (server, dropped) = waits(HttpConfig::default()).await;
    let body = [&[0, 0, 0, 0, 5], TO_SUM].concat();
    let (code, message) = server.raw(&[("grpc-timeout", "50m")], body.clone()).await;
    assert_eq!(code, Code::DeadlineExceeded, "{message}");
    assert!(dropped.load(Ordering::SeqCst));

    // The caller's, in a parameter, microseconds.
    let (server, dropped) = waits(HttpConfig::default()).await;
    let mut request =
        super::proto::ModelInferRequest { model_name: "sum".into(), ..Default::default() };
    request.parameters.insert("timeout".into(), Choice::Int64(50_000).parameter());
    let status = server.infer(&request).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    assert!(dropped.load(Ordering::SeqCst));

    for wrong in ["50", "m", "", "123456789m", "+5m", "5 m", "5é"] {
        let (code, message) = server.raw(&[("grpc-timeout", wrong)], body.clone()).await;
        assert_eq!(code, Code::InvalidArgument, "{wrong}");
        assert!(message.contains("grpc-timeout"), "{message}");
    }
}

/// The client goes away, and the model's work with it.
#[tokio::test]
async fn a_cancelled_call_drops_its_work() {
    let (server, dropped) = waits(HttpConfig::default()).await;
    let asked = server.call("ModelInfer", TO_SUM.to_vec());
    assert!(tokio::time::timeout(Duration::from_millis(100), asked).await.is_err());
    while !dropped.load(Ordering::SeqCst) {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn a_model_that_panics_harms_its_own_call_only() {
    let server = Server::start(HttpConfig::default()).await;
    let mut request = good();
    request.raw_input_contents[0] = floats(&[666.0, 2.0, 3.0, 4.0]);
    let status = server.infer(&request).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Internal, "model \"sum\" panicked"));
    let counts = server.counters.read();
    assert_eq!((counts.requests, counts.panics, counts.internal_errors), (1, 1, 1));
    assert_eq!(server.infer(&good()).await.unwrap().raw_output_contents[0], floats(&[3.0, 7.0]));
}

#[tokio::test]
async fn gzip_is_taken_and_given_to_those_who_send_it() {
    let server = Server::start(HttpConfig::default()).await;
    let plain = server.infer(&good()).await.unwrap();
    let (bytes, metadata) =
        call(server.gzip(), "ModelInfer", tonic::Request::new(good().encode_to_vec()))
            .await
            .unwrap();
    assert_eq!(metadata["grpc-encoding"], "gzip");
    let zipped = ModelInferResponse::decode(&*bytes).unwrap();
    assert_eq!(zipped.raw_output_contents, plain.raw_output_contents);

    // Most clients would take it always; they are not made to.
    let (_, metadata) = server.call("ModelInfer", good().encode_to_vec()).await.unwrap();
    assert!(!metadata.contains_key("grpc-encoding"));

    let body = [&[0, 0, 0, 0, 5], TO_SUM].concat();
    let (code, message) = server.raw(&[("grpc-encoding", "br")], body).await;
    assert_eq!(code, Code::Unimplemented);
    assert!(message.contains("grpc-encoding"), "{message}");
}

/// What is none of gRPC gets a status of HTTP; the host's other paths stay the host's.
#[tokio::test]
async fn other_requests_are_told_so() {
    let server = Server::start(HttpConfig::default()).await;
    let path = "/inference.GRPCInferenceService/ModelInfer";
    let get = Request::get(path).body(Body::empty()).unwrap();
    let answer = server.app.clone().oneshot(get).await.unwrap();
    assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED);
    for form in ["application/json", "application/grpc-web", "application/grpc+json"] {
        let post = Request::post(path).header("content-type", form).body(Body::from("{}")).unwrap();
        let answer = server.app.clone().oneshot(post).await.unwrap();
        assert_eq!(answer.status(), StatusCode::UNSUPPORTED_MEDIA_TYPE, "{form}");
    }
    let elsewhere = Request::post("/other.Service/ModelInfer").body(Body::empty()).unwrap();
    let answer = server.app.clone().oneshot(elsewhere).await.unwrap();
    assert_eq!(answer.status(), StatusCode::NOT_FOUND);
    server.still_answers().await;
}

/// As a host's own tonic server takes it: by its name, as a service of any body.
#[tokio::test]
async fn it_is_a_service_for_a_hosts_own_server() {
    assert_eq!(GrpcService::NAME, "inference.GRPCInferenceService");
    let model = FnPredictor::new("same", ModelSignature::default(), |inputs| Ok(inputs.clone()));
    let service = GrpcService::new(Service::new().with_model(model));
    let mut client = tonic::client::Grpc::new(service);
    client.ready().await.unwrap();
    let path = "/inference.GRPCInferenceService/ServerLive".try_into().unwrap();
    let answer = client.unary(tonic::Request::new(Vec::new()), path, RawCodec).await.unwrap();
    assert_eq!(answer.into_inner(), [8, 1]);
}
