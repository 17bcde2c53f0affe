//! Models that come and go by gRPC, as they do over HTTP.

use super::{
    Server, call,
    proto::{Flag, RepositoryChange, RepositoryIndexResponse, Target},
};
use crate::http::{Copies, model};
use mlops_core::Principal;
use mlops_serve::http::{ApiKeys, LoadingConfig, Service};
use prost::Message;
use std::sync::Arc;
use tonic::{Code, Request};

const LOAD: &str = "RepositoryModelLoad";
const UNLOAD: &str = "RepositoryModelUnload";

fn change(name: &str) -> RepositoryChange {
    RepositoryChange { model_name: name.to_owned(), ..Default::default() }
}

async fn code(server: &Server, method: &str, asked: &RepositoryChange) -> Code {
    match server.call(method, asked.encode_to_vec()).await {
        Ok((answer, _)) => {
            assert!(answer.is_empty(), "the answer has no field");
            Code::Ok
        }
        Err(status) => status.code(),
    }
}

async fn is_ready(server: &Server, name: &str) -> bool {
    let target = Target { name: name.to_owned(), version: String::new() };
    let (answer, _) = server.call("ModelReady", target.encode_to_vec()).await.unwrap();
    Flag::decode(&*answer).unwrap().value
}

#[tokio::test]
async fn a_model_is_loaded_answers_and_is_taken_out() {
    let config = LoadingConfig::default().with_max_models(2);
    let service = Service::new().with_model(model("sum")).with_loader(Copies::new(9), config);
    let server = Server::of(service).await;
    for _ in 0..2 {
        assert_eq!(code(&server, LOAD, &change("a")).await, Code::Ok);
        assert!(is_ready(&server, "a").await);
    }
    let mut asked = super::good();
    asked.model_name = "a".to_owned();
    server.infer(&asked).await.unwrap();

    let (answer, _) = server.call("RepositoryIndex", Vec::new()).await.unwrap();
    let index = RepositoryIndexResponse::decode(&*answer).unwrap();
    let states: Vec<_> = index.models.iter().map(|model| (&*model.name, &*model.state)).collect();
    for known in [("a", "READY"), ("sum", "READY"), ("b", "UNAVAILABLE")] {
        assert!(states.contains(&known), "{states:?}");
    }

    assert_eq!(code(&server, LOAD, &change("b")).await, Code::Ok);
    assert_eq!(code(&server, LOAD, &change("c")).await, Code::ResourceExhausted);
    assert_eq!(code(&server, UNLOAD, &change("a")).await, Code::Ok);
    assert!(!is_ready(&server, "a").await);
    assert_eq!(code(&server, UNLOAD, &change("a")).await, Code::NotFound);
    assert_eq!(code(&server, LOAD, &change("broken")).await, Code::InvalidArgument);
    for method in [LOAD, UNLOAD] {
        assert_eq!(code(&server, method, &change("sum")).await, Code::Aborted, "it stays");
        assert_eq!(code(&server, method, &change("nobody")).await, Code::NotFound);
    }
    server.still_answers().await;
}

#[tokio::test]
async fn what_a_request_asks_for_beside_the_name_is_refused() {
    let service = Service::new().with_loader(Copies::new(9), LoadingConfig::default());
    let server = Server::of(service).await;
    let parameter = |name: &str| [(name.to_owned(), Flag { value: true })].into();
    let dependents = RepositoryChange { parameters: parameter("unload_dependents"), ..change("a") };
    assert_eq!(code(&server, LOAD, &dependents).await, Code::Ok);
    let other = RepositoryChange { parameters: parameter("config"), ..change("a") };
    assert_eq!(code(&server, LOAD, &other).await, Code::Unimplemented);
    let elsewhere = RepositoryChange { repository_name: "other".to_owned(), ..change("a") };
    assert_eq!(code(&server, LOAD, &elsewhere).await, Code::Unimplemented);
    let status = server.call(LOAD, vec![0xff; 20]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);

    let nothing_loads = Server::of(Service::new().with_model(model("sum"))).await;
    assert_eq!(code(&nothing_loads, LOAD, &change("a")).await, Code::Unimplemented);
}

#[tokio::test]
async fn only_who_has_the_role_loads() {
    let ops = Principal::new("ops").with_role("admin");
    let keys = ApiKeys::new().with_key(Principal::new("shop"), "c2hvcC1zZWNyZXQtMQ").unwrap();
    let keys = keys.with_key(ops, "b3BzLXNlY3JldC0xMjM").unwrap();
    let service = Service::new().with_loader(Copies::new(9), LoadingConfig::default());
    let server = Server::of(service.with_authenticator(Arc::new(keys))).await;
    for (key, wanted) in [
        (None, Some(Code::Unauthenticated)),
        (Some("c2hvcC1zZWNyZXQtMQ"), Some(Code::PermissionDenied)),
        (Some("b3BzLXNlY3JldC0xMjM"), None),
    ] {
        for method in [LOAD, UNLOAD] {
            let mut request = Request::new(change("a").encode_to_vec());
            if let Some(key) = key {
                request.metadata_mut().insert("x-api-key", key.parse().unwrap());
            }
            let answer = call(server.client.clone(), method, request).await;
            assert_eq!(answer.err().map(|status| status.code()), wanted, "{method} {key:?}");
        }
    }
}
