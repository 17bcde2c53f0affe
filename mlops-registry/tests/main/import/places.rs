//! What a server names is no path of this machine, and what a place is moved to is not left.

use super::left;
use crate::story::Home;
use axum::{Json, Router, extract::State, http::Uri, response::IntoResponse};
use mlops_core::{Registry, artifact::ArtifactPath, registry::ModelUri};
use mlops_registry::{
    RestConfig, RestStore, SqlStore,
    store::{ImportOptions, ImportSource, Imported},
};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::{fs, sync::Arc};

const RUN: &str = "00000000000000000000000000000001";

/// A server whose only run and version lie at a place of its choice.
async fn server(place: &str) -> ImportSource {
    let version = json!({ "name": "taken", "version": "1", "source": place, "status": "READY" });
    let run = json!({ "info": {
        "run_id": RUN, "experiment_id": "1", "status": "FINISHED", "artifact_uri": place,
        "lifecycle_stage": "active",
    } });
    let answers = json!({
        "experiments/search": { "experiments": [
            { "experiment_id": "1", "name": "e", "lifecycle_stage": "active", "artifact_location": place },
        ] },
        "runs/search": { "runs": [run] },
        "runs/get": { "run": run },
        "registered-models/search": { "registered_models": [{ "name": "taken" }] },
        "model-versions/search": { "model_versions": [version] },
        "model-versions/get": { "model_version": version },
        "model-versions/get-download-uri": { "artifact_uri": place },
    });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let app = Router::new().fallback(answer).with_state(Arc::new(answers));
    tokio::spawn(async { axum::serve(listener, app).await });
    ImportSource::Server(RestStore::connect(&url, RestConfig::default()).await.unwrap())
}

async fn answer(State(answers): State<Arc<Value>>, uri: Uri) -> impl IntoResponse {
    let asked = uri.path().trim_start_matches("/api/2.0/mlflow/");
    if let Some(answer) = answers.get(asked) {
        return Json(answer.clone()).into_response();
    }
    let unknown = json!({ "error_code": "ENDPOINT_NOT_FOUND", "message": asked });
    (StatusCode::NOT_FOUND, Json(unknown)).into_response()
}

async fn taken(store: &SqlStore, place: &str, options: &ImportOptions) -> Imported {
    store.import(&server(place).await, options, |_| ()).await.unwrap()
}

#[tokio::test]
async fn a_path_that_a_server_names_is_not_read_here() {
    let secret = tempfile::tempdir().unwrap();
    fs::write(secret.path().join("key"), "secret").unwrap();
    let path = secret.path().display();
    let all = [format!("artifacts of run {RUN}"), "version 1 of taken".to_owned()];
    for place in [format!("file://{path}"), path.to_string()] {
        let home = Home::new().await;
        let done = taken(&home.store, &place, &ImportOptions::default()).await;
        assert_eq!((done.runs, done.artifacts, done.versions), (1, 0, 0));
        assert_eq!(left(&done), all);
        // Unless who imports says where it is.
        let moved = ImportOptions::default().with_moved(place.as_str(), secret.path());
        let done = taken(&home.store, &place, &moved).await;
        assert_eq!((done.known, done.artifacts, done.versions), (1, 1, 1));
        let version = ModelUri::version("taken".parse().unwrap(), 1);
        let version = home.store.resolve(&version).await.unwrap();
        assert!(version.manifest.get(&ArtifactPath::new("key").unwrap()).is_some());
    }
}

#[tokio::test]
async fn what_was_moved_does_not_leave_its_folder() {
    let home = Home::new().await;
    fs::create_dir(home.folder.path().join("bucket")).unwrap();
    fs::write(home.folder.path().join("key"), "secret").unwrap();
    let moved =
        ImportOptions::default().with_moved("s3://bucket", home.folder.path().join("bucket"));
    for place in ["s3://bucket/..", "s3://bucket/%2e%2e/", "s3://bucket/a/../.."] {
        let done = taken(&Home::new().await.store, place, &moved).await;
        assert_eq!((done.artifacts, done.versions, done.not_taken.len()), (0, 0, 2));
        for left in &done.not_taken {
            assert!(left.why.contains("leaves its folder"), "{}", left.why);
        }
    }
}
