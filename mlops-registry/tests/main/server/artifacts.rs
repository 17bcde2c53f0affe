//! Artifacts over the wire: by their paths, verified both ways, never outside of their root.

use super::Server;
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, Method, Request, StatusCode},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use futures_util::{TryStreamExt, stream};
use mlops_core::{Digest, Tracker, artifact::ArtifactPath};
use mlops_registry::mlflow::server::ServerConfig;
use proptest::prelude::*;
use serde_json::json;
use std::{fs, path::Path};

const PROXY: &str = "/api/2.0/mlflow-artifacts/artifacts";

impl Server {
    pub(super) async fn ask(
        &self,
        method: Method,
        uri: &str,
        headers: &[(&str, &str)],
        body: impl Into<Body>,
    ) -> (StatusCode, HeaderMap, Bytes) {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        self.send(request.body(body.into()).unwrap()).await
    }

    /// Puts a file below the proxy.
    pub(super) async fn put(&self, path: &str, text: &'static str) -> StatusCode {
        self.ask(Method::PUT, &format!("{PROXY}/{path}"), &[], text).await.0
    }

    /// A run of a new experiment: the ids of both.
    pub(super) async fn place(&self) -> (String, String) {
        let body = json!({ "name": "files" });
        let (_, made) = self.post("/mlflow/experiments/create", body).await;
        let experiment = made["experiment_id"].as_str().unwrap().to_owned();
        let body = json!({ "experiment_id": experiment });
        let (_, made) = self.post("/mlflow/runs/create", body).await;
        (experiment, made["run"]["info"]["run_id"].as_str().unwrap().to_owned())
    }
}

#[tokio::test]
async fn a_file_goes_up_and_comes_down() {
    let server = Server::new().await;
    let (experiment, run) = server.place().await;
    let place = format!("{experiment}/{run}/artifacts");
    assert_eq!(server.put(&format!("{place}/data/a%20b%20%C3%A9.csv"), "x,y\n1,2\n").await, 200);
    let uri = format!("{PROXY}/{place}/data/a%20b%20%C3%A9.csv");
    let (status, head, bytes) = server.ask(Method::GET, &uri, &[], Body::empty()).await;
    assert_eq!((status.as_u16(), bytes.as_ref()), (200, b"x,y\n1,2\n".as_slice()));
    let digest = format!("sha-256=:{}:", STANDARD.encode(Digest::of("x,y\n1,2\n").as_bytes()));
    for (name, value) in [
        ("content-type", "text/plain"),
        ("content-length", "8"),
        ("x-content-type-options", "nosniff"),
        ("content-digest", &digest),
        (
            "content-disposition",
            "attachment; filename=\"a b e.csv\"; filename*=UTF-8''a%20b%20%C3%A9.csv",
        ),
    ] {
        assert_eq!(head[name], value, "{name}");
    }
    let (status, head, bytes) =
        server.ask(Method::GET, &uri, &[("range", "bytes=2-4")], Body::empty()).await;
    assert_eq!((status.as_u16(), bytes.as_ref()), (206, b"y\n1".as_slice()));
    assert_eq!(head["content-range"], "bytes 2-4/8");
    let (status, ..) = server.ask(Method::GET, &uri, &[("range", "bytes=8-")], Body::empty()).await;
    assert_eq!(status, 416);
    let (status, head, bytes) = server.ask(Method::HEAD, &uri, &[], Body::empty()).await;
    assert_eq!((status.as_u16(), bytes.len()), (200, 0));
    assert_eq!(head["content-length"], "8");
    // The same bytes are the run's for everybody else.
    let path = ArtifactPath::new("data/a b é.csv").unwrap();
    let read = server.store.read_artifact(&run.parse().unwrap(), &path).await.unwrap();
    let read: Vec<_> = read.try_collect().await.unwrap();
    assert_eq!(read.concat(), b"x,y\n1,2\n");
}

#[tokio::test]
async fn files_are_listed_and_forgotten() {
    let server = Server::new().await;
    let (experiment, run) = server.place().await;
    let place = format!("{experiment}/{run}/artifacts");
    for path in ["notes.txt", "model/MLmodel", "model/deep/x.bin"] {
        assert_eq!(server.put(&format!("{place}/{path}"), "text").await, 200);
    }
    assert_eq!(server.put(&format!("{place}/empty.bin"), "").await, 200);
    assert_eq!(server.put(&format!("{place}/model"), "a folder already").await, 409);
    assert_eq!(server.put(&format!("{place}/notes.txt/below"), "a file already").await, 409);
    let file = |path: &str| json!({ "path": path, "is_dir": false, "file_size": 4 });
    let folder = |path: &str| json!({ "path": path, "is_dir": true });
    let (_, found) = server.get(&format!("/mlflow/artifacts/list?run_id={run}")).await;
    let empty = json!({ "path": "empty.bin", "is_dir": false });
    let wanted = json!([empty, folder("model"), file("notes.txt")]);
    assert_eq!(found["files"], wanted);
    assert_eq!(found["root_uri"], format!("mlflow-artifacts:/{place}"));
    let (_, found) = server.get(&format!("/mlflow/artifacts/list?run_id={run}&path=model")).await;
    assert_eq!(found["files"], json!([file("model/MLmodel"), folder("model/deep")]));
    let list = format!("/mlflow-artifacts/artifacts?path={place}/model");
    let (_, found) = server.get(&list).await;
    assert_eq!(found, json!({ "files": [file("MLmodel"), folder("deep")] }));
    let (status, _, text) = server
        .ask(Method::GET, &format!("/get-artifact?run_id={run}&path=model/MLmodel"), &[], "")
        .await;
    assert_eq!((status.as_u16(), text.as_ref()), (200, b"text".as_slice()));
    let gone = |path: &str| format!("{PROXY}/{place}/{path}");
    for path in ["model", "model", "notes.txt"] {
        let (status, _, body) = server.ask(Method::DELETE, &gone(path), &[], "").await;
        assert_eq!((status.as_u16(), body.as_ref()), (200, b"{}".as_slice()));
    }
    let (_, found) = server.get(&format!("/mlflow/artifacts/list?run_id={run}")).await;
    assert_eq!(found["files"], json!([empty]));
    for uri in [gone("notes.txt"), format!("/get-artifact?run_id={run}&path=model")] {
        assert_eq!(server.ask(Method::GET, &uri, &[], "").await.0, 404);
    }
}

#[tokio::test]
async fn what_is_sent_is_checked() {
    let server = Server::with(ServerConfig::default().with_max_artifact_bytes(10)).await;
    let (experiment, run) = server.place().await;
    let uri = format!("{PROXY}/{experiment}/{run}/artifacts/a.bin");
    let digest = |text: &str| format!("sha-256=:{}:", STANDARD.encode(Digest::of(text).as_bytes()));
    let other = digest("others");
    for wrong in [other.as_str(), "sha-256=:AAAA:", "sha-256=nothing"] {
        let (status, ..) =
            server.ask(Method::PUT, &uri, &[("content-digest", wrong)], "these").await;
        assert_eq!(status, 400, "{wrong}");
    }
    assert_eq!(server.ask(Method::GET, &uri, &[], "").await.0, 404);
    let right = format!("sha-512=:AAAA:, {}", digest("these"));
    let (status, ..) = server.ask(Method::PUT, &uri, &[("content-digest", &right)], "these").await;
    assert_eq!(status, 200);
    // Too long by its head, and too long as it comes.
    let pieces = stream::iter((0..3).map(|_| Ok::<_, std::io::Error>("12345")));
    for body in [Body::from("12345678901"), Body::from_stream(pieces)] {
        let (status, _, text) = server.ask(Method::PUT, &uri, &[], body).await;
        assert!(status.is_client_error(), "{status}");
        assert!(String::from_utf8_lossy(&text).contains("more than 10 bytes"), "{text:?}");
    }
    let (_, _, bytes) = server.ask(Method::GET, &uri, &[], "").await;
    assert_eq!(bytes.as_ref(), b"these");
}

#[tokio::test]
async fn a_client_that_goes_away_leaves_nothing() {
    let server = Server::new().await;
    let (experiment, run) = server.place().await;
    let uri = format!("{PROXY}/{experiment}/{run}/artifacts/a.bin");
    let pieces = [Ok(Bytes::from(vec![7; 9 << 20])), Err(std::io::Error::other("gone"))];
    let (status, ..) =
        server.ask(Method::PUT, &uri, &[], Body::from_stream(stream::iter(pieces))).await;
    assert!(!status.is_success());
    assert_eq!(server.ask(Method::GET, &uri, &[], "").await.0, 404);
    let root = server.store.artifacts().root().unwrap().to_owned();
    assert_eq!(files(&root.join("incoming")) + files(&root.join("sha256")), 0);
}

fn files(folder: &Path) -> usize {
    let count = |entry: fs::DirEntry| {
        if entry.path().is_dir() { files(&entry.path()) } else { 1 }
    };
    fs::read_dir(folder).unwrap().map(|entry| count(entry.unwrap())).sum()
}

#[tokio::test]
async fn a_tampered_artifact_is_not_sent_to_its_end() {
    let server = Server::new().await;
    let (experiment, run) = server.place().await;
    let place = format!("{experiment}/{run}/artifacts/a.txt");
    assert_eq!(server.put(&place, "the truth").await, 200);
    let root = server.store.artifacts().root().unwrap().to_owned();
    let digest = Digest::of("the truth").to_hex();
    fs::write(root.join("sha256").join(&digest[..2]).join(&digest), "the tryth").unwrap();
    let request = Request::get(format!("{PROXY}/{place}")).body(Body::empty()).unwrap();
    let error = server.try_send(request).await.unwrap_err();
    assert!(error.contains(&digest), "{error}");
}

#[tokio::test]
async fn paths_that_leave_their_root_are_refused() {
    let server = Server::new().await;
    let (experiment, run) = server.place().await;
    for path in [
        "%2e%2e/x",
        "..%2f..%2fx",
        "%252e%252e/x",
        "a/../../x",
        "/etc/x",
        "a%5cb",
        "a%00b",
        "a%23b",
        "c:/x",
        "a/c%3ax",
        "%ff",
    ] {
        let uri = format!("{PROXY}/{experiment}/{run}/artifacts/{path}");
        let root = format!("{PROXY}/{path}");
        for uri in
            [uri, root].iter().filter(|uri| !uri.contains("artifacts//etc") || uri.len() < 60)
        {
            for method in [Method::PUT, Method::GET, Method::DELETE] {
                let (status, ..) = server.ask(method.clone(), uri, &[], "x").await;
                assert_eq!(status, 400, "{method} {uri}");
            }
        }
        let uri = format!("/mlflow/artifacts/list?run_id={run}&path={path}");
        if !path.starts_with("%ff") && !path.starts_with("%25") {
            assert_eq!(server.get(&uri).await.0, 400, "{uri}");
        }
    }
    for call in ["create", "complete", "abort"] {
        let uri = format!("/mlflow-artifacts/mpu/{call}/{experiment}/{run}/artifacts");
        let (status, answer) = server.post(&uri, json!({ "path": "big.bin" })).await;
        assert_eq!((status, &answer["error_code"]), (501, &json!("NOT_IMPLEMENTED")));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever a client calls a file, nothing but objects by their digests comes into being.
    #[test]
    fn no_path_escapes_the_artifact_root(parts in prop::collection::vec("(\\.\\.|%2e%2e|%2f|%5c|%252e|[a-c.%]{1,3}|[^/?# ]{0,3})", 1..6)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let server = Server::new().await;
            let uri = format!("{PROXY}/{}", parts.join("/"));
            let Ok(request) = Request::put(uri).body(Body::from("escaped")) else { return Ok(()) };
            let _ = server.try_send(request).await;
            let root = server.store.artifacts().root().unwrap().parent().unwrap().to_owned();
            let object = Digest::of("escaped").to_hex();
            for file in below(&root) {
                let name = file.file_name().unwrap().to_str().unwrap();
                let ours = ["mlops.db", "mlops.db-wal", "mlops.db-shm", "format", &object];
                prop_assert!(ours.contains(&name), "{file:?}");
            }
            Ok(())
        })?;
    }
}

fn below(folder: &Path) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() { found.extend(below(&path)) } else { found.push(path) }
    }
    found
}
