//! The history of metrics over the wire.

use super::Server;
use serde_json::{Value, json};

async fn logged(server: &Server) -> String {
    let id = server.run(json!({})).await;
    let point = |at: i64| json!({ "key": "loss", "value": at, "timestamp": 100 - at, "step": at });
    let metrics: Vec<Value> = (0..10).map(point).collect();
    server.done("/mlflow/runs/log-batch", json!({ "run_id": id, "metrics": metrics })).await;
    id
}

fn steps(answer: &Value) -> Vec<i64> {
    let metrics = answer["metrics"].as_array().cloned().unwrap_or_default();
    metrics.iter().map(|point| point["step"].as_i64().unwrap()).collect()
}

#[tokio::test]
async fn a_history_comes_whole_and_in_pages() {
    let server = Server::new().await;
    let id = logged(&server).await;
    let path = format!("/mlflow/metrics/get-history?run_id={id}&metric_key=loss");
    let (_, whole) = server.get(&path).await;
    // The order of MLflow is that of the times.
    assert_eq!(steps(&whole), (0..10).rev().collect::<Vec<_>>());
    let (mut seen, mut page) = (Vec::new(), String::new());
    loop {
        let (status, part) = server.get(&format!("{path}&max_results=4&page_token={page}")).await;
        assert_eq!(status, 200, "{part}");
        seen.extend(steps(&part));
        match part["next_page_token"].as_str() {
            Some(next) => page = next.to_owned(),
            None => break,
        }
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..10).collect::<Vec<_>>());
    let none = format!("/mlflow/metrics/get-history?run_id={}&metric_key=loss", "0".repeat(32));
    assert_eq!(server.get(&none).await, (200, json!({})));
}

#[tokio::test]
async fn charts_get_a_sample_that_has_both_ends() {
    let server = Server::new().await;
    let (one, two) = (logged(&server).await, logged(&server).await);
    let path = format!("/mlflow/metrics/get-history-bulk-interval?run_ids={one}&run_ids={two}");
    let (_, found) = server.get(&format!("{path}&metric_key=loss&max_results=3")).await;
    assert_eq!(steps(&found), [0, 4, 9, 0, 4, 9]);
    assert_eq!(found["metrics"][3]["run_id"], two);
    let (_, found) = server.get(&format!("{path}&metric_key=loss&start_step=2&end_step=3")).await;
    assert_eq!(steps(&found), [2, 3, 2, 3]);
    let (status, _) = server.get(&format!("{path}&metric_key=loss&start_step=2")).await;
    assert_eq!(status, 400);
}

#[tokio::test]
async fn what_a_run_measured_of_a_model_is_the_models_too() {
    let server = Server::new().await;
    let id = server.run(json!({})).await;
    let mut metric = json!({
        "run_id": id, "key": "auc", "value": 0.9, "timestamp": 1, "step": 0,
        "model_id": "m-absent", "dataset_name": "d", "dataset_digest": "1",
    });
    let (status, refused) = server.post("/mlflow/runs/log-metric", metric.clone()).await;
    assert_eq!((status, &refused["error_code"]), (404, &json!("RESOURCE_DOES_NOT_EXIST")));
    assert_eq!(server.shown(&id).await["data"].get("metrics"), None);

    let new = json!({ "experiment_id": "0", "name": "forest", "source_run_id": id });
    let (_, made) = server.post("/mlflow/logged-models", new).await;
    let model = made["model"]["info"]["model_id"].as_str().unwrap();
    metric["model_id"] = model.into();
    server.done("/mlflow/runs/log-metric", metric).await;
    let (_, got) = server.get(&format!("/mlflow/logged-models/{model}")).await;
    assert_eq!(got["model"]["data"]["metrics"][0]["key"], "auc");
    assert_eq!(server.shown(&id).await["data"]["metrics"][0]["value"], 0.9);
}
