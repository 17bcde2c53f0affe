//! Who may ask over gRPC, and how often: as over HTTP.

use super::{Server, call, good, stream as open};
use crate::http::model;
use futures_util::stream;
use mlops_core::{Principal, testing::ManualClock};
use mlops_serve::http::{ApiKeys, RateLimit, Service};
use prost::Message;
use std::sync::Arc;
use tonic::{Code, Request};

const KEY: &str = "c2hvcC1zZWNyZXQtMQ";

#[tokio::test]
async fn without_a_key_nobody_but_a_probe_is_answered() {
    let keys = ApiKeys::new().with_key(Principal::new("shop"), KEY).unwrap();
    let service = Service::new().with_model(model("sum")).with_authenticator(Arc::new(keys));
    let server = Server::of(service).await;
    for method in ["ServerLive", "ServerReady"] {
        server.call(method, Vec::new()).await.unwrap();
    }
    let ask = async |method: &str, key: Option<(&'static str, &str)>| {
        let mut request = Request::new(good().encode_to_vec());
        if let Some((name, value)) = key {
            request.metadata_mut().insert(name, value.parse().unwrap());
        }
        call(server.client.clone(), method, request).await
    };
    let bearer = format!("Bearer {KEY}");
    for method in ["ModelInfer", "ServerMetadata", "ModelReady", "Nothing"] {
        for wrong in [None, Some(("x-api-key", "c2hvcC1zZWNyZXQtMg"))] {
            let status = ask(method, wrong).await.unwrap_err();
            assert_eq!(status.code(), Code::Unauthenticated, "{method}");
            assert!(!status.message().contains("c2hv"), "{status:?}");
        }
    }
    for right in [("x-api-key", KEY), ("authorization", bearer.as_str())] {
        ask("ModelInfer", Some(right)).await.unwrap();
    }
    let refused = open(server.client.clone(), stream::iter([good().encode_to_vec()])).await;
    assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
    assert_eq!(server.counters.read().panics, 0);
}

#[tokio::test]
async fn each_request_of_a_stream_counts() {
    let limit = RateLimit::new(0.01).unwrap().with_burst(3);
    let service = Service::new().with_model(model("sum")).with_rate_limit(limit);
    let server = Server::of(service.with_clock(Arc::new(ManualClock::default()))).await;
    server.infer(&good()).await.unwrap();
    let requests: Vec<Vec<u8>> = (0..4).map(|_| good().encode_to_vec()).collect();
    let mut answers = open(server.client.clone(), stream::iter(requests)).await.unwrap();
    let mut refused = Vec::new();
    while let Some(answer) = answers.message().await.unwrap() {
        let answer = super::proto::ModelStreamInferResponse::decode(&*answer).unwrap();
        refused.push(answer.error_message.contains("more requests than"));
    }
    assert_eq!(refused.iter().filter(|refused| **refused).count(), 2, "{refused:?}");
    let status = server.infer(&good()).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    server.call("ServerReady", Vec::new()).await.unwrap();
}
