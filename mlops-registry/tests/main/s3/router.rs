//! MLflow's artifact proxy in front of a bucket.

use super::{service::Service, there};
use crate::server::Server;
use axum::{
    body::Body,
    http::{Method, Request},
};
use mlops_core::artifact::ArtifactRef;
use serde_json::json;
use std::fs;

const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";

fn request(method: Method, path: &str, body: impl Into<Body>) -> Request<Body> {
    Request::builder().method(method).uri(format!("{PROXY}/{path}")).body(body.into()).unwrap()
}

#[tokio::test]
async fn files_go_up_and_come_down() {
    let service = there!(Service::start());
    let folder = tempfile::tempdir().unwrap();
    let store = service.record(folder.path()).await;
    let server = Server::of(store, folder);
    let run = server.run(json!({})).await;
    let large: Vec<u8> = (0..5_u32 << 20).flat_map(u32::to_be_bytes).collect();
    for (name, bytes) in [("notes.txt", b"text".to_vec()), ("model/large.bin", large)] {
        let path = format!("0/{run}/artifacts/{name}");
        let (status, ..) = server.send(request(Method::PUT, &path, bytes.clone())).await;
        assert_eq!(status, 200);
        let (status, head, found) = server.send(request(Method::GET, &path, "")).await;
        assert!(status == 200 && found == bytes);
        assert_eq!(head["content-length"], bytes.len().to_string());
        assert!(service.object(&ArtifactRef::of(&bytes)).exists());
    }
    let (_, list) = server.get(&format!("/mlflow/artifacts/list?run_id={run}")).await;
    assert_eq!(list["files"].as_array().unwrap().len(), 2);

    let truth = ArtifactRef::of(b"text");
    fs::write(service.object(&truth), "tekst").unwrap();
    let path = format!("0/{run}/artifacts/notes.txt");
    let error = server.try_send(request(Method::GET, &path, "")).await.unwrap_err();
    assert!(error.contains(&truth.digest.to_hex()), "{error}");
    service.kill();
    let (status, _, said) = server.send(request(Method::GET, &path, "")).await;
    assert_eq!(status, 503, "{said:?}");
    assert!(String::from_utf8_lossy(&said).contains("s3://models/artifacts"), "{said:?}");
    // The record itself does not need its bucket.
    assert_eq!(server.shown(&run).await["info"]["run_id"], run);
}
