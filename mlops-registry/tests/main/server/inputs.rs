//! What runs read and made, over the wire.

use super::Server;
use serde_json::json;

#[tokio::test]
async fn inputs_and_outputs_are_shown_and_found() {
    let server = Server::new().await;
    let id = server.run(json!({})).await;
    let dataset = json!({
        "name": "census", "digest": "abc", "source_type": "local", "source": "{}", "schema": "[]",
    });
    let tags = json!([
        { "key": "kind", "value": "table" },
        { "key": "mlflow.data.context", "value": "training" },
    ]);
    let one = json!({ "dataset": dataset, "tags": tags });
    let body = json!({ "run_id": id, "datasets": [one, one], "models": [{ "model_id": "m-1" }] });
    for _ in 0..2 {
        server.done("/mlflow/runs/log-inputs", body.clone()).await;
    }
    let made = json!({ "run_id": id, "models": [{ "model_id": "m-2", "step": 3 }] });
    for _ in 0..2 {
        server.done("/mlflow/runs/outputs", made.clone()).await;
    }
    let run = server.shown(&id).await;
    assert_eq!(run["inputs"]["dataset_inputs"], json!([one]));
    assert_eq!(run["inputs"]["model_inputs"], json!([{ "model_id": "m-1" }]));
    assert_eq!(run["outputs"], json!({ "model_outputs": [{ "model_id": "m-2", "step": 3 }] }));

    let search = json!({ "experiment_ids": ["0"], "filter": "dataset.context = 'training'" });
    let (_, found) = server.post("/mlflow/runs/search", search).await;
    assert_eq!(found["runs"][0]["info"]["run_id"], id);
    let asked = json!({ "experiment_ids": ["0"] });
    let (_, found) = server.post("/mlflow/experiments/search-datasets", asked).await;
    let summary =
        json!({ "experiment_id": "0", "name": "census", "digest": "abc", "context": "training" });
    assert_eq!(found, json!({ "dataset_summaries": [summary] }));
}
