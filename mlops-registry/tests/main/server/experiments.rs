//! Experiments over the wire.

use super::Server;
use serde_json::json;

#[tokio::test]
async fn an_experiment_lives_its_life() {
    let server = Server::new().await;
    let (status, made) = server.post("/mlflow/experiments/create", json!({ "name": "acs" })).await;
    assert_eq!((status, &made), (200, &json!({ "experiment_id": "1" })));
    let (_, got) = server.get("/mlflow/experiments/get?experiment_id=1").await;
    assert_eq!(got["experiment"]["artifact_location"], "mlflow-artifacts:/1");
    assert_eq!(got["experiment"]["lifecycle_stage"], "active");
    let deleted = server.post("/mlflow/experiments/delete", json!({ "experiment_id": "1" })).await;
    assert_eq!(deleted, (200, json!({})));
    let (status, again) = server.post("/mlflow/experiments/create", json!({ "name": "acs" })).await;
    assert_eq!((status, &again["error_code"]), (400, &json!("RESOURCE_ALREADY_EXISTS")));
    let (_, found) = server.post("/mlflow/experiments/search", json!({ "max_results": 9 })).await;
    assert_eq!(found["experiments"].as_array().unwrap().len(), 1);
    let (status, gone) = server.get("/mlflow/experiments/get-by-name?experiment_name=none").await;
    assert_eq!((status, &gone["error_code"]), (404, &json!("RESOURCE_DOES_NOT_EXIST")));
    let (status, lost) = server.post("/mlflow/experiments/get-nothing", json!({})).await;
    assert_eq!((status, &lost["error_code"]), (501, &json!("NOT_IMPLEMENTED")));
}
