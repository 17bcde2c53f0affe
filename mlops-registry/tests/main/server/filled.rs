//! A record with a little of everything in it.

use super::Server;
use crate::story::stream;
use axum::http::Method;
use mlops_core::{
    RunId, Timestamp, Tracker,
    artifact::ArtifactPath,
    tracker::{Batch, Metric},
};
use serde_json::{Value, json};

/// How many points the longest history has: enough for several segments.
pub(super) const POINTS: i64 = 300;

/// What was made in one experiment.
pub(super) struct Filled {
    pub(super) experiment: String,
    pub(super) run: String,
    /// A run within that run.
    pub(super) nested: String,
    pub(super) model: String,
    pub(super) trace: String,
}

/// The point of `loss` at a step.
pub(super) fn loss(step: i64) -> Metric {
    let divisor = f64::from(i32::try_from(step).unwrap() + 1);
    let time = Timestamp::from_unix_millis(1_577_836_800_000 + 250 * step);
    Metric::new("loss", 1.0 / divisor, step, time)
}

impl Server {
    /// An experiment of this name with runs, a logged model and a trace; nothing is empty.
    pub(super) async fn fill(&self, name: &str, number: u32) -> Filled {
        let tags = json!([{ "key": "team", "value": "risk" }]);
        let made = self.made("/mlflow/experiments/create", json!({ "name": name, "tags": tags }));
        let experiment = text(&made.await["experiment_id"]);
        let new = json!({ "experiment_id": experiment, "run_name": "outer", "start_time": 1_577_836_800_000_i64,
            "tags": [{ "key": "mlflow.user", "value": "ada" }] });
        let run = text(&self.made("/mlflow/runs/create", new).await["run"]["info"]["run_id"]);
        let new = json!({ "experiment_id": experiment, "run_name": "inner", "start_time": 1_577_836_801_000_i64,
            "tags": [{ "key": "mlflow.parentRunId", "value": run }] });
        let nested = text(&self.made("/mlflow/runs/create", new).await["run"]["info"]["run_id"]);
        self.fill_log(&run).await;
        self.fill_inputs(&run).await;
        let model = self.fill_model(&experiment, &run).await;
        let trace = self.fill_trace(&experiment, &run, number).await;
        let failed =
            json!({ "run_id": nested, "status": "FAILED", "end_time": 1_577_836_802_000_i64 });
        self.made("/mlflow/runs/update", failed).await;
        Filled { experiment, run, nested, model, trace }
    }

    async fn made(&self, path: &str, body: Value) -> Value {
        let (status, made) = self.post(path, body).await;
        assert_eq!(status, 200, "{path}: {made}");
        made
    }

    async fn fill_log(&self, run: &str) {
        let id: RunId = run.parse().unwrap();
        let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -0.0, f64::MIN_POSITIVE];
        let odd = odd.into_iter().zip(0..);
        let odd = odd.map(|(value, step)| Metric::new("odd", value, step, Timestamp::default()));
        let params =
            vec![("depth".to_owned(), "7".to_owned()), ("loss".to_owned(), "log é".to_owned())];
        let first = Batch::new()
            .with_metrics(odd.collect())
            .with_params(params)
            .with_tags(vec![("colour".to_owned(), "green".to_owned())]);
        self.store.log_batch(&id, first).await.unwrap();
        for from in (0..POINTS).step_by(100) {
            let points = (from..(from + 100).min(POINTS)).map(loss).collect();
            self.store.log_batch(&id, Batch::new().with_metrics(points)).await.unwrap();
        }
        for (path, text) in [("notes.txt", "what we thought"), ("plots/a b.svg", "<svg/>")] {
            let path = ArtifactPath::new(path).unwrap();
            let body = stream(vec![text.as_bytes().to_vec()]);
            self.store.write_artifact(&id, &path, body).await.unwrap();
        }
    }

    async fn fill_inputs(&self, run: &str) {
        let dataset = json!({ "name": "census", "digest": "abc", "source_type": "local",
            "source": "{\"uri\": \"census.csv\"}", "schema": "[]", "profile": "{\"rows\": 9}" });
        let tags = json!([{ "key": "mlflow.data.context", "value": "training" }, { "key": "kind", "value": "table" }]);
        let body = json!({ "run_id": run, "datasets": [{ "dataset": dataset, "tags": tags }] });
        self.made("/mlflow/runs/log-inputs", body).await;
    }

    async fn fill_model(&self, experiment: &str, run: &str) -> String {
        let new = json!({
            "experiment_id": experiment, "name": "forest", "model_type": "sklearn", "source_run_id": run,
            "params": [{ "key": "trees", "value": "10" }], "tags": [{ "key": "size", "value": "s" }],
        });
        let model =
            text(&self.made("/mlflow/logged-models", new).await["model"]["info"]["model_id"]);
        let metric = json!({
            "run_id": run, "key": "auc", "value": 0.75, "timestamp": 1_577_836_800_500_i64, "step": 1,
            "model_id": model, "dataset_name": "census", "dataset_digest": "abc",
        });
        self.made("/mlflow/runs/log-metric", metric).await;
        let both = json!({ "run_id": run, "models": [{ "model_id": model, "step": 3 }] });
        self.made("/mlflow/runs/outputs", both.clone()).await;
        self.made("/mlflow/runs/log-inputs", both).await;
        let file = format!("{experiment}/models/{model}/artifacts/MLmodel");
        assert_eq!(self.put(&file, "flavors: {}\n").await, 200);
        let ready = json!({ "model_id": model, "status": "LOGGED_MODEL_READY" });
        let path = format!("/mlflow/logged-models/{model}");
        assert_eq!(self.call(Method::PATCH, &path, ready).await.0, 200);
        model
    }

    async fn fill_trace(&self, experiment: &str, run: &str, number: u32) -> String {
        let span = |id: u32, parent: &str| {
            json!({
                "traceId": format!("{number:032x}"), "spanId": format!("{id:016x}"), "name": format!("span {id}"),
                "parentSpanId": parent, "status": { "code": 1 },
                "startTimeUnixNano": "1577836800000000000", "endTimeUnixNano": "1577836801000000000",
                "attributes": [{ "key": "mlflow.spanInputs", "value": { "stringValue": "{\"x\": 1}" } }],
            })
        };
        let spans = [span(1, ""), span(2, "0000000000000001")];
        let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string();
        let headers =
            [("content-type", "application/json"), ("x-mlflow-experiment-id", experiment)];
        assert_eq!(self.ask(Method::POST, "/v1/traces", &headers, body).await.0, 200);
        let trace = format!("tr-{number:032x}");
        let tag = json!({ "key": "team", "value": "risk" });
        let path = format!("/mlflow/traces/{trace}/tags");
        assert_eq!(self.call(Method::PATCH, &path, tag).await.0, 200);
        let link = json!({ "trace_ids": [trace], "run_id": run });
        self.made("/mlflow/traces/link-to-run", link).await;
        let info = json!({ "trace": { "trace_info": {
            "trace_id": format!("tr-{:032x}", 100 + number), "state": "OK", "execution_duration": "1.250s",
            "trace_location": { "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": { "experiment_id": experiment } },
            "request_time": "2020-01-01T00:00:00.500Z", "trace_metadata": { "mlflow.user": "ada" },
        } } });
        self.made("/mlflow/traces", info).await;
        let file = format!("{experiment}/traces/{trace}/artifacts/traces.json");
        assert_eq!(self.put(&file, "{}").await, 200);
        trace
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap().to_owned()
}
