//! Runs over the wire.

use super::Server;
use axum::{body::Body, http::Request};
use mlops_core::{RunId, Tracker, page::Search, tracker::MetricQuery};
use serde_json::{Value, json};

#[tokio::test]
async fn a_run_lives_its_life() {
    let server = Server::new().await;
    let tags = json!([{ "key": "colour", "value": "red" }]);
    let made = json!({ "run_name": "first", "user_id": "ann", "start_time": 7, "tags": tags });
    let id = server.run(made).await;
    let run = server.shown(&id).await;
    assert_eq!(run["info"]["artifact_uri"], format!("mlflow-artifacts:/0/{id}/artifacts"));
    assert_eq!((&run["info"]["user_id"], &run["info"]["start_time"]), (&json!("ann"), &json!(7)));
    assert_eq!((&run["inputs"], &run["outputs"]), (&json!({}), &json!({})));

    let ended = json!({ "run_id": id, "status": "FINISHED", "end_time": 9 });
    let (_, ended) = server.post("/mlflow/runs/update", ended).await;
    assert_eq!(ended["run_info"]["end_time"], 9);
    let resumed = json!({ "run_uuid": id, "status": "RUNNING" });
    let (status, resumed) = server.post("/mlflow/runs/update", resumed).await;
    assert_eq!((status, &resumed["run_info"]["status"]), (200, &json!("RUNNING")));

    server.done("/mlflow/runs/delete", json!({ "run_id": id })).await;
    let tag = json!({ "run_id": id, "key": "late", "value": "x" });
    let (status, refused) = server.post("/mlflow/runs/set-tag", tag.clone()).await;
    assert_eq!((status, &refused["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")));
    server.done("/mlflow/runs/restore", json!({ "run_id": id })).await;
    server.done("/mlflow/runs/set-tag", tag).await;
    let (status, unknown) = server.get("/mlflow/runs/get?run_id=none").await;
    assert_eq!((status, &unknown["error_code"]), (404, &json!("RESOURCE_DOES_NOT_EXIST")));
}

#[tokio::test]
async fn a_name_is_a_tag() {
    let server = Server::new().await;
    let id = server.run(json!({ "run_name": "first" })).await;
    let rename = json!({ "run_id": id, "tags": [{ "key": "mlflow.runName", "value": "second" }] });
    server.done("/mlflow/runs/log-batch", rename).await;
    let run = server.shown(&id).await;
    assert_eq!(run["info"]["run_name"], "second");
    assert_eq!(run["data"]["tags"], json!([{ "key": "mlflow.runName", "value": "second" }]));
    for filter in
        ["tags.mlflow.runName = 'second'", "run_name LIKE 'sec%'", "attr.`run name` = 'second'"]
    {
        let search = json!({ "experiment_ids": ["0"], "filter": filter });
        let (_, found) = server.post("/mlflow/runs/search", search).await;
        assert_eq!(found["runs"][0]["info"]["run_id"], id, "{filter}");
    }
}

#[tokio::test]
async fn a_batch_is_written_whole_or_not_at_all() {
    let server = Server::new().await;
    let id = server.run(json!({})).await;
    let metric = json!({ "key": "loss", "value": "NaN", "timestamp": 1, "step": 2 });
    let batch =
        json!({ "run_id": id, "metrics": [metric], "params": [{ "key": "lr", "value": "1" }] });
    for _ in 0..2 {
        server.done("/mlflow/runs/log-batch", batch.clone()).await;
    }
    let kept = json!({ "key": "kept", "value": 1, "timestamp": 1 });
    let bad = json!({
        "run_id": id, "metrics": [kept], "tags": [{ "key": "kept", "value": "" }],
        "params": [{ "key": "lr", "value": "2" }],
    });
    let (status, refused) = server.post("/mlflow/runs/log-batch", bad).await;
    assert_eq!((status, &refused["error_code"]), (400, &json!("INVALID_PARAMETER_VALUE")));
    let data = server.shown(&id).await["data"].take();
    assert_eq!(
        data["metrics"],
        json!([{ "key": "loss", "value": "NaN", "timestamp": 1, "step": 2 }])
    );
    assert_eq!(data["params"], json!([{ "key": "lr", "value": "1" }]));
    assert_eq!(data["tags"].as_array().unwrap().len(), 1);
    let query = MetricQuery::new(id.parse::<RunId>().unwrap(), "loss");
    assert_eq!(server.store.metric_history(query).await.unwrap().items.len(), 1);
}

#[tokio::test]
async fn the_same_key_creates_once() {
    let server = Server::new().await;
    let create = |key: &'static str| {
        let request = Request::post("/api/2.0/mlflow/runs/create")
            .header("content-type", "application/json")
            .header("idempotency-key", key);
        server.send(request.body(Body::from(r#"{"experiment_id":"0"}"#)).unwrap())
    };
    let id = |bytes: &[u8]| {
        let made: Value = serde_json::from_slice(bytes).unwrap();
        made["run"]["info"]["run_id"].clone()
    };
    let (first, again, other) = (create("k").await.2, create("k").await.2, create("l").await.2);
    assert_eq!(id(&first), id(&again));
    assert_ne!(id(&first), id(&other));
    assert_eq!(server.store.runs(Search::new()).await.unwrap().items.len(), 2);
}

#[tokio::test]
async fn old_clients_list_their_models_in_a_tag() {
    let server = Server::new().await;
    let id = server.run(json!({})).await;
    for path in ["a", "b"] {
        let model = json!({
            "artifact_path": path, "run_id": id, "utc_time_created": "2026", "signature": {},
            "flavors": { "sklearn": { "version": "1", "config": { "long": true } } },
        });
        let body = json!({ "run_id": id, "model_json": model.to_string() });
        server.done("/mlflow/runs/log-model", body).await;
    }
    let run = server.store.run(&id.parse().unwrap()).await.unwrap();
    let kept: Value = serde_json::from_str(&run.tags["mlflow.log-model.history"]).unwrap();
    assert_eq!(kept[1]["artifact_path"], "b");
    assert_eq!(kept[0]["flavors"], json!({ "sklearn": { "version": "1" } }));
    assert_eq!(kept[0].get("signature"), None);
}

#[tokio::test]
async fn runs_of_a_deleted_experiment_are_deleted_with_it() {
    let server = Server::new().await;
    let (_, made) = server.post("/mlflow/experiments/create", json!({ "name": "e" })).await;
    let own = json!({ "experiment_id": made["experiment_id"] });
    server.post("/mlflow/runs/create", own.clone()).await;
    let search = json!({ "experiment_ids": [made["experiment_id"]] });
    for (call, count) in [("delete", 0), ("restore", 1)] {
        server.done(&format!("/mlflow/experiments/{call}"), own.clone()).await;
        let (_, found) = server.post("/mlflow/runs/search", search.clone()).await;
        assert_eq!(found["runs"].as_array().map_or(0, Vec::len), count, "{call}");
    }
}
