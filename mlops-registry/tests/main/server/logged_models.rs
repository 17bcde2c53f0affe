//! Logged models over the wire.

use super::Server;
use axum::http::Method;
use serde_json::{Value, json};

impl Server {
    async fn logged_model(&self, body: Value) -> String {
        let (status, made) = self.post("/mlflow/logged-models", body).await;
        assert_eq!(status, 200, "{made}");
        made["model"]["info"]["model_id"].as_str().unwrap().to_owned()
    }

    async fn names(&self, body: Value) -> Vec<String> {
        let (status, found) = self.post("/mlflow/logged-models/search", body).await;
        assert_eq!(status, 200, "{found}");
        let models = found["models"].as_array().cloned().unwrap_or_default();
        models.iter().map(|model| model["info"]["name"].as_str().unwrap().to_owned()).collect()
    }
}

#[tokio::test]
async fn a_logged_model_lives_its_life() {
    let server = Server::new().await;
    let (experiment, run) = server.place().await;
    let id = server
        .logged_model(json!({
            "experiment_id": experiment, "name": "forest", "model_type": "sklearn", "source_run_id": run,
            "params": [{ "key": "trees", "value": "10" }], "tags": [{ "key": "colour", "value": "green" }],
        }))
        .await;
    assert!(id.len() == 34 && id.starts_with("m-"), "{id}");
    let path = format!("/mlflow/logged-models/{id}");
    let (_, got) = server.get(&path).await;
    let info = &got["model"]["info"];
    assert_eq!(info["status"], "LOGGED_MODEL_PENDING");
    assert_eq!(
        info["artifact_uri"],
        format!("mlflow-artifacts:/{experiment}/models/{id}/artifacts")
    );
    assert_eq!(got["model"]["data"]["params"], json!([{ "key": "trees", "value": "10" }]));
    let ready = json!({ "model_id": id, "status": "LOGGED_MODEL_READY" });
    let (_, got) = server.call(Method::PATCH, &path, ready).await;
    assert_eq!(got["model"]["info"]["status"], "LOGGED_MODEL_READY");
    let tags = json!({ "tags": [{ "key": "size", "value": "s" }] });
    assert_eq!(server.call(Method::PATCH, &format!("{path}/tags"), tags).await.0, 200);
    for status in [200, 404] {
        let tag = format!("{path}/tags/colour");
        assert_eq!(server.call(Method::DELETE, &tag, json!({})).await.0, status);
    }
    let params =
        |value: &str| json!({ "model_id": id, "params": [{ "key": "depth", "value": value }] });
    for (value, status) in [("3", 200), ("3", 200), ("4", 400)] {
        assert_eq!(server.post(&format!("{path}/params"), params(value)).await.0, status);
    }
    let file = format!("{experiment}/models/{id}/artifacts/MLmodel");
    assert_eq!(server.put(&file, "flavors: {}\n").await, 200);
    let (_, files) = server.get(&format!("{path}/artifacts/directories")).await;
    let file = json!({ "path": "MLmodel", "is_dir": false, "file_size": 12 });
    assert_eq!(files["files"], json!([file]));
    let uri = format!("/ajax-api/2.0{path}/artifacts/files?artifact_file_path=MLmodel");
    let (_, _, text) = server.ask(Method::GET, &uri, &[], "").await;
    assert_eq!(text.as_ref(), b"flavors: {}\n");
    assert_eq!(server.call(Method::DELETE, &path, json!({})).await, (200, json!({})));
    assert_eq!(server.get(&path).await.0, 404);
    let (_, got) = server.get(&format!("{path}?allow_deleted=true")).await;
    assert_eq!(got["model"]["info"]["tags"], json!([{ "key": "size", "value": "s" }]));
}

#[tokio::test]
async fn names_that_cannot_be_in_an_address_are_refused() {
    let server = Server::new().await;
    let (experiment, _) = server.place().await;
    for name in ["a/b", "a:b", "a.b", "a%b", "a\"b", "a'b"] {
        let body = json!({ "experiment_id": experiment, "name": name });
        assert_eq!(server.post("/mlflow/logged-models", body).await.0, 400, "{name}");
    }
    let body = json!({ "experiment_id": "987654321", "name": "a" });
    assert_eq!(server.post("/mlflow/logged-models", body).await.0, 404);
}

#[tokio::test]
async fn models_are_found_by_all_that_they_have() {
    let server = Server::new().await;
    let (experiment, run) = server.place().await;
    for (name, auc, dataset) in [("a", 0.7, "census"), ("b", 0.9, "census"), ("c", 0.8, "other")] {
        let id = server
            .logged_model(json!({
                "experiment_id": experiment, "name": name, "params": [{ "key": "trees", "value": name }],
                "tags": [{ "key": "team", "value": format!("risk-{name}") }],
            }))
            .await;
        let metric = json!({
            "run_id": run, "key": "auc", "value": auc, "timestamp": 1, "step": 0,
            "model_id": id, "dataset_name": dataset, "dataset_digest": "abc",
        });
        assert_eq!(server.post("/mlflow/runs/log-metric", metric).await, (200, json!({})));
    }
    server.logged_model(json!({ "experiment_id": experiment, "name": "d" })).await;
    let ids = json!([experiment]);
    let search = |filter: &str| json!({ "experiment_ids": ids, "filter": filter });
    for (filter, names) in [
        ("", vec!["d", "c", "b", "a"]),
        ("name = 'a'", vec!["a"]),
        ("name IN ('a', 'd')", vec!["d", "a"]),
        ("metrics.auc > 0.75", vec!["c", "b"]),
        ("params.trees != 'a'", vec!["c", "b"]),
        ("tags.team LIKE 'risk-%' AND metrics.auc < 0.8", vec!["a"]),
        ("status = 'PENDING' AND name = 'd'", vec!["d"]),
        // What nobody said of a model is the empty text.
        ("model_type = '' AND source_run_id NOT IN ('x') AND metrics.auc > 0.75", vec!["c", "b"]),
        ("model_type LIKE '_%'", vec![]),
        (
            "attributes.artifact_location LIKE 'mlflow-artifacts:/%/artifacts' AND name = 'c'",
            vec!["c"],
        ),
        ("artifact_uri LIKE '%/models/nowhere/%'", vec![]),
    ] {
        assert_eq!(server.names(search(filter)).await, names, "{filter}");
    }
    for family in ["attributes.name", "params.trees", "metric.auc", "tags.team"] {
        let body = json!({ "experiment_ids": ids, "order_by": [{ "field_name": family }] });
        assert_eq!(server.post("/mlflow/logged-models/search", body).await.0, 400, "{family}");
    }
    let by_auc = json!([{ "field_name": "metrics.auc", "ascending": false }]);
    let body = json!({ "experiment_ids": ids, "order_by": by_auc });
    assert_eq!(server.names(body).await, ["b", "c", "a", "d"]);
    let census = json!([{ "dataset_name": "census", "dataset_digest": "abc" }]);
    let body = json!({ "experiment_ids": ids, "datasets": census });
    assert_eq!(server.names(body).await, ["b", "a"]);
    let first = json!({ "experiment_ids": ids, "max_results": 3 });
    let (_, page) = server.post("/mlflow/logged-models/search", first.clone()).await;
    assert_eq!(page["models"].as_array().unwrap().len(), 3);
    let mut second = first;
    second["page_token"] = page["next_page_token"].clone();
    assert_eq!(server.names(second.clone()).await, ["a"]);
    second["filter"] = "name = 'a'".into();
    assert_eq!(server.post("/mlflow/logged-models/search", second).await.0, 400);
    for wrong in ["name =", "metric.auc > 1", "params.a IS NULL", "colour = 'red'"] {
        assert_eq!(
            server.post("/mlflow/logged-models/search", search(wrong)).await.0,
            400,
            "{wrong}"
        );
    }
    let (_, got) = server.post("/mlflow/logged-models/search", search("name = 'a'")).await;
    let metric = &got["models"][0]["data"]["metrics"][0];
    assert_eq!(metric["value"], 0.7);
    assert_eq!(metric["dataset_name"], "census");
}
