//! Versions over the wire.

use super::{Server, refused};
use crate::story::stream;
use axum::http::Method;
use mlops_core::{
    ErrorKind, ModelName, Registry, RunId, Tracker, VersionId,
    artifact::ArtifactPath,
    model::MlModel,
    registry::ModelUri,
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
    tracker::{CreateRun, Lifecycle, RunChange},
};
use serde_json::{Value, json};

const VERSIONS: &str = "/mlflow/model-versions";

impl Server {
    async fn model(&self, name: &str) {
        let (status, _) =
            self.post("/mlflow/registered-models/create", json!({ "name": name })).await;
        assert_eq!(status, 200);
    }

    async fn version(&self, body: Value) -> (u16, Value) {
        self.post(&format!("{VERSIONS}/create"), body).await
    }

    /// A run of the first experiment with these files.
    async fn run_with(&self, files: &[(&str, &str)]) -> RunId {
        let experiment = mlops_core::ExperimentId::new("0").unwrap();
        let run = self.store.create_run(CreateRun::new(experiment)).await.unwrap().id;
        for (path, text) in files {
            self.write(&run, path, text).await;
        }
        run
    }

    async fn write(&self, run: &RunId, path: &str, text: &str) {
        let path = ArtifactPath::new(path).unwrap();
        let body = stream(vec![text.as_bytes().to_vec()]);
        self.store.write_artifact(run, &path, body).await.unwrap();
    }
}

fn named(name: &str, version: u64) -> VersionId {
    VersionId::new(ModelName::new(name).unwrap(), version)
}

#[tokio::test]
async fn a_version_keeps_what_its_source_held() {
    let server = Server::new().await;
    server.model("risk").await;
    let spec = |name| TensorSpec::column(name, DType::F64);
    let signature = ModelSignature::new(vec![spec("x")], vec![spec("y")]).unwrap();
    let mut descriptor = MlModel::default();
    descriptor.set_signature(&signature);
    let descriptor = descriptor.to_yaml().unwrap();
    let run = server
        .run_with(&[("model/MLmodel", &descriptor), ("model/w/0", "one"), ("other", "x")])
        .await;
    let sources = [
        format!("runs:/{run}/model"),
        format!("mlflow-artifacts:/0/{run}/artifacts/model"),
        format!("mlflow-artifacts://127.0.0.1:5000/0/{run}/artifacts/model/"),
    ];
    let mut digests = Vec::new();
    for source in &sources {
        let (status, made) =
            server.version(json!({ "name": "risk", "source": source, "run_id": run })).await;
        assert_eq!(status, 200, "{source}: {made}");
        let number = made["model_version"]["version"].as_str().unwrap().parse().unwrap();
        let uri = ModelUri::version(ModelName::new("risk").unwrap(), number);
        let found = server.store.resolve(&uri).await.unwrap();
        assert_eq!((found.run, found.signature.as_ref()), (Some(run), Some(&signature)));
        assert_eq!(found.manifest.iter().len(), 2);
        digests.push(found.digest());
    }
    digests.dedup();
    assert_eq!(digests.len(), 1);
    // A copy of a version, and what the run becomes afterwards.
    let (_, copy) = server.version(json!({ "name": "risk", "source": "models:/risk/1" })).await;
    assert_eq!(copy["model_version"]["run_id"], run.to_string());
    server.write(&run, "model/w/0", "two").await;
    for number in 1..=4 {
        let id = named("risk", number);
        let into = tempfile::tempdir().unwrap();
        let folder = into.path().join("fetched");
        let package = server.store.fetch(&id, &folder).await.unwrap();
        assert_eq!(package.digest(), digests[0]);
        assert_eq!(package.read("w/0").unwrap(), b"one");
        let (_, uri) =
            server.get(&format!("{VERSIONS}/get-download-uri?name=risk&version={number}")).await;
        assert_eq!(uri["artifact_uri"], format!("mlflow-artifacts:/versions/{number}"));
    }
}

#[tokio::test]
async fn the_same_key_creates_once_whatever_became_of_the_source() {
    let server = Server::new().await;
    server.model("risk").await;
    let run = server.run_with(&[("model/w", "one")]).await;
    let mut numbers = Vec::new();
    for _ in 0..2 {
        let body = json!({ "name": "risk", "source": format!("runs:/{run}/model"), "run_id": run });
        let headers = [("content-type", "application/json"), ("idempotency-key", "k")];
        let uri = format!("/api/2.0{VERSIONS}/create");
        let (status, _, made) = server.ask(Method::POST, &uri, &headers, body.to_string()).await;
        assert_eq!(status, 200);
        let made: Value = serde_json::from_slice(&made).unwrap();
        numbers.push(made["model_version"]["version"].clone());
        let deleted = RunChange::default().with_lifecycle(Lifecycle::Deleted);
        server.store.update_run(&run, deleted).await.unwrap();
    }
    assert_eq!(numbers, ["1", "1"]);
}

#[tokio::test]
async fn what_lies_elsewhere_is_named() {
    let server = Server::new().await;
    server.model("risk").await;
    let (status, made) = server.version(json!({ "name": "risk", "source": "s3://bucket/m" })).await;
    assert_eq!(status, 200, "{made}");
    let own = &made["model_version"];
    for (field, value) in
        [("run_id", ""), ("description", ""), ("run_link", ""), ("status", "READY")]
    {
        assert_eq!(own[field], value, "{field}");
    }
    let (_, uri) = server.get(&format!("{VERSIONS}/get-download-uri?name=risk&version=1")).await;
    assert_eq!(uri["artifact_uri"], "s3://bucket/m");
    let into = tempfile::tempdir().unwrap();
    let error = server.store.fetch(&named("risk", 1), &into.path().join("x")).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    assert!(error.to_string().contains("s3://bucket/m"), "{error}");
}

#[tokio::test]
async fn sources_that_mlflow_refuses_are_refused() {
    let server = Server::new().await;
    server.model("risk").await;
    let (run, other) = (server.run_with(&[("m/a", "a")]).await, server.run_with(&[]).await);
    for (source, run_id) in [
        ("/etc/passwd".to_owned(), None),
        ("file:///etc/passwd".to_owned(), Some(run)),
        ("weird".to_owned(), None),
        ("s3://b/../m".to_owned(), None),
        ("s3://b/%252e%252e/m".to_owned(), None),
        ("http://h/p".to_owned(), None),
        (format!("runs:/{run}/m"), None),
        (format!("runs:/{run}/m"), Some(other)),
        (format!("mlflow-artifacts:/0/{run}/artifacts/m"), Some(other)),
        (format!("mlflow-artifacts:/1/{run}/artifacts/m"), Some(run)),
        (format!("mlflow-artifacts:/0/{run}/artifacts/../../{other}"), Some(run)),
        ("models:/m-0123".to_owned(), None),
    ] {
        let mut body = json!({ "name": "risk", "source": source });
        if let Some(run) = run_id {
            body["run_id"] = run.to_string().into();
        }
        let (status, answer) = server.version(body).await;
        let code = &answer["error_code"];
        assert_eq!((status, code), (400, &json!("INVALID_PARAMETER_VALUE")), "{source}: {answer}");
    }
    for source in ["models:/nobody/1", "models:/risk/9"] {
        let body = json!({ "name": "risk", "source": source });
        refused(server.version(body).await, 404, "RESOURCE_DOES_NOT_EXIST");
    }
    let unknown = server.version(json!({ "name": "nobody", "source": "s3://b/m" })).await;
    refused(unknown, 404, "RESOURCE_DOES_NOT_EXIST");
    refused(
        server.get(&format!("{VERSIONS}/get?name=risk&version=1")).await,
        404,
        "RESOURCE_DOES_NOT_EXIST",
    );
}

#[tokio::test]
async fn stages_hold_versions() {
    let server = Server::new().await;
    server.model("risk").await;
    for _ in 0..4 {
        server.version(json!({ "name": "risk", "source": "s3://b/m" })).await;
    }
    let put = async |version: &str, stage: &str, archive: bool| {
        let body = json!({ "name": "risk", "version": version, "stage": stage,
            "archive_existing_versions": archive });
        server.post(&format!("{VERSIONS}/transition-stage"), body).await
    };
    let latest = async |query: &str| {
        let path = format!("/mlflow/registered-models/get-latest-versions?name=risk{query}");
        let (_, found) = server.get(&path).await;
        let all = found["model_versions"].as_array().cloned().unwrap_or_default();
        let shown = all.iter().map(|one| {
            let text = |field: &str| one[field].as_str().unwrap().to_owned();
            format!("{} {}", text("version"), text("current_stage"))
        });
        shown.collect::<Vec<_>>().join(", ")
    };
    assert_eq!(latest("").await, "4 None");
    for (version, stage) in [("1", "Production"), ("2", "staging"), ("3", "PRODUCTION")] {
        assert_eq!(put(version, stage, false).await.0, 200);
    }
    assert_eq!(latest("").await, "3 Production, 2 Staging, 4 None");
    assert_eq!(latest("&stages=Staging").await, "2 Staging");
    let (_, moved) = put("2", "Production", true).await;
    assert_eq!(moved["model_version"]["current_stage"], "Production");
    assert_eq!(latest("").await, "3 Archived, 2 Production, 4 None");
    refused(put("3", "Shop", false).await, 400, "INVALID_PARAMETER_VALUE");
    refused(put("3", "None", true).await, 400, "INVALID_PARAMETER_VALUE");
    refused(put("9", "None", false).await, 404, "RESOURCE_DOES_NOT_EXIST");
    let (_, told) = server.get("/mlops/history?name=risk&kind=stage.moved").await;
    assert_eq!(told["events"].as_array().unwrap().len(), 6);
}

#[tokio::test]
async fn a_deleted_version_takes_its_aliases_along_and_its_number() {
    let server = Server::new().await;
    server.model("risk").await;
    for _ in 0..2 {
        server.version(json!({ "name": "risk", "source": "s3://b/m" })).await;
    }
    let alias = json!({ "name": "risk", "alias": "champion", "version": "2" });
    server.post("/mlflow/registered-models/alias", alias).await;
    let gone = json!({ "name": "risk", "version": "2" });
    let path = format!("{VERSIONS}/delete");
    assert_eq!(server.call(Method::DELETE, &path, gone.clone()).await, (200, json!({})));
    refused(server.call(Method::DELETE, &path, gone).await, 404, "RESOURCE_DOES_NOT_EXIST");
    let (_, told) = server.get("/mlops/history?of=models:/risk@champion").await;
    let last = told["events"].as_array().unwrap().last().unwrap();
    assert_eq!((&last["detail"]["from"], &last["detail"]["to"]), (&json!(2), &Value::Null));
    let (_, made) = server.version(json!({ "name": "risk", "source": "s3://b/m" })).await;
    assert_eq!(made["model_version"]["version"], "3");
    // Also when the whole model went, which MLflow begins again with 1.
    server
        .call(Method::DELETE, "/mlflow/registered-models/delete", json!({ "name": "risk" }))
        .await;
    server.model("risk").await;
    let (_, made) = server.version(json!({ "name": "risk", "source": "s3://b/m" })).await;
    assert_eq!(made["model_version"]["version"], "4");
}

#[tokio::test]
async fn versions_are_described_tagged_and_found() {
    let server = Server::new().await;
    for name in ["a", "b"] {
        server.model(name).await;
        for _ in 0..2 {
            server
                .version(json!({ "name": name, "source": "s3://b/m", "run_id": "a run elsewhere" }))
                .await;
        }
    }
    let describe = json!({ "name": "a", "version": "1", "description": "first" });
    let (_, found) = server.call(Method::PATCH, &format!("{VERSIONS}/update"), describe).await;
    assert_eq!(found["model_version"]["description"], "first");
    let tag = json!({ "name": "a", "version": "1", "key": "cv", "value": "5" });
    assert_eq!(server.post(&format!("{VERSIONS}/set-tag"), tag).await, (200, json!({})));
    let search = async |query: &str| {
        let (status, found) = server.get(&format!("{VERSIONS}/search?{query}")).await;
        assert_eq!(status, 200, "{query}: {found}");
        let all = found["model_versions"].as_array().cloned().unwrap_or_default();
        let text = |one: &Value, field: &str| one[field].as_str().unwrap().to_owned();
        all.iter()
            .map(|one| text(one, "name") + &text(one, "version"))
            .collect::<Vec<_>>()
            .join(" ")
    };
    // The one that changed last comes first.
    assert_eq!(search("").await, "a1 b2 b1 a2");
    assert_eq!(search("order_by=version_number%20ASC").await, "a1 b1 a2 b2");
    assert_eq!(search("filter=tags.cv%3D'5'").await, "a1");
    assert_eq!(search("filter=name%3D'b'%20AND%20version_number%3E1").await, "b2");
    assert_eq!(
        search("filter=run_id%3D'a%20run%20elsewhere'%20AND%20name%20LIKE%20'a%25'").await,
        "a1 a2"
    );
    assert_eq!(search("filter=source_path%3D's3://b/m'&max_results=1").await, "a1");
    for query in ["max_results=0", "max_results=200001", "filter=version%3D'1'"] {
        let refusal = server.get(&format!("{VERSIONS}/search?{query}")).await;
        refused(refusal, 400, "INVALID_PARAMETER_VALUE");
    }
}

#[tokio::test]
async fn our_clients_learn_what_a_version_is_made_of() {
    let server = Server::new().await;
    server.model("risk").await;
    let run = server.run_with(&[("m/a", &"weights ".repeat(9))]).await;
    let tags = json!([
        { "key": "mlops.dataset", "value": mlops_core::Digest::of("rows").to_string() },
        { "key": "mlops.metrics", "value": "{\"auc\":0.5,\"worst\":\"NaN\"}" },
        { "key": "team", "value": "a" },
    ]);
    let new =
        json!({ "name": "risk", "source": format!("runs:/{run}/m"), "run_id": run, "tags": tags });
    let (status, made) = server.version(new.clone()).await;
    assert_eq!(status, 200, "{made}");
    assert_eq!(made["model_version"]["tags"], json!([{ "key": "team", "value": "a" }]));
    let uri = ModelUri::version(ModelName::new("risk").unwrap(), 1);
    let found = server.store.resolve(&uri).await.unwrap();
    assert_eq!(found.dataset, Some(mlops_core::Digest::of("rows")));
    assert!((found.metrics["auc"] - 0.5).abs() < 1e-12 && found.metrics["worst"].is_nan());

    let request = axum::http::Request::builder()
        .uri(format!("/api/2.0{VERSIONS}/get?name=risk&version=1"))
        .header(axum::http::header::USER_AGENT, "mlops/0.1.0");
    let (_, _, bytes) = server.send(request.body(axum::body::Body::empty()).unwrap()).await;
    let ours: Value = serde_json::from_slice(&bytes).unwrap();
    let tags = ours["model_version"]["tags"].as_array().unwrap();
    let tag =
        |key: &str| tags.iter().find(|tag| tag["key"] == key).unwrap()["value"].as_str().unwrap();
    assert_eq!(tag("mlops.digest"), found.digest().to_string());
    assert_eq!(tag("mlops.manifest"), found.manifest.to_canonical_json());
    assert_eq!(tag("mlops.metrics"), "{\"auc\":0.5,\"worst\":\"NaN\"}");
    // Who says that other bytes lie there registers nothing.
    let mut other = new;
    other["tags"][0] =
        json!({ "key": "mlops.digest", "value": mlops_core::Digest::of("x").to_string() });
    refused(server.version(other).await, 409, "RESOURCE_CONFLICT");
}

#[tokio::test]
async fn the_proxy_serves_a_version_its_own_bytes() {
    let server = Server::new().await;
    server.model("my model").await;
    let run = server.run_with(&[("m/a/b", "one"), ("m/c", "two")]).await;
    let source = format!("mlflow-artifacts:/0/{run}/artifacts/m");
    server.version(json!({ "name": "my model", "source": source, "run_id": run })).await;
    server.write(&run, "m/c", "changed").await;
    let (_, uri) =
        server.get(&format!("{VERSIONS}/get-download-uri?name=my%20model&version=1")).await;
    let root = uri["artifact_uri"].as_str().unwrap().strip_prefix("mlflow-artifacts:/").unwrap();
    let list = format!("/mlflow-artifacts/artifacts?path={root}");
    let (_, listed) = server.get(&list).await;
    let paths: Vec<_> =
        listed["files"].as_array().unwrap().iter().map(|file| &file["path"]).collect();
    assert_eq!(paths, ["a", "c"]);
    for (path, text) in [("a/b", "one"), ("c", "two")] {
        let request = axum::http::Request::builder()
            .uri(format!("/api/2.0/mlflow-artifacts/artifacts/{root}/{path}"));
        let (status, _, bytes) =
            server.send(request.body(axum::body::Body::empty()).unwrap()).await;
        assert_eq!((status.as_u16(), &bytes[..]), (200, text.as_bytes()));
    }
    // They never change.
    for method in [Method::PUT, Method::DELETE] {
        let request = axum::http::Request::builder()
            .method(method.clone())
            .uri(format!("/api/2.0/mlflow-artifacts/artifacts/{root}/c"));
        let (status, _, _) = server.send(request.body(axum::body::Body::from("x")).unwrap()).await;
        assert_eq!(status.as_u16(), 409, "{method}");
    }
}
