//! Traces over the wire.

use super::Server;
use axum::http::Method;
use serde_json::{Value, json};

fn started(experiment: &str, number: u32, state: &str) -> Value {
    json!({ "trace": { "trace_info": {
        "trace_id": format!("tr-{number:032x}"),
        "trace_location": {
            "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": { "experiment_id": experiment },
        },
        "request_time": format!("2020-01-01T00:00:0{number}.500Z"),
        "execution_duration": "1.250s",
        "state": state,
        "request_preview": "{\"x\": 1}",
        "trace_metadata": { "mlflow.user": "me" },
        "tags": { "mlflow.traceName": format!("call {number}") },
    } } })
}

fn span(trace: u32, id: u32, parent: Option<u32>) -> Value {
    let mut span = json!({
        "traceId": format!("{trace:032x}"), "spanId": format!("{id:016x}"), "name": format!("span {id}"),
        "startTimeUnixNano": "1577836800000000000", "endTimeUnixNano": "1577836801000000000",
        "status": { "code": 1 },
        "attributes": [
            { "key": "mlflow.spanInputs", "value": { "stringValue": "{\"x\": 1}" } },
            { "key": "count", "value": { "stringValue": "12" } },
            { "key": "share", "value": { "doubleValue": 0.5 } },
        ],
    });
    if let Some(parent) = parent {
        span["parentSpanId"] = format!("{parent:016x}").into();
    }
    span
}

impl Server {
    async fn log_spans(&self, experiment: &str, spans: Vec<Value>) -> u16 {
        let body = json!({ "resourceSpans": [{ "scopeSpans": [{ "spans": spans }] }] }).to_string();
        let headers =
            [("content-type", "application/json"), ("x-mlflow-experiment-id", experiment)];
        self.ask(Method::POST, "/v1/traces", &headers, body).await.0.as_u16()
    }

    async fn found(&self, experiment: &str, filter: &str) -> Vec<String> {
        let place = json!({ "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": { "experiment_id": experiment } });
        let body = json!({ "locations": [place], "filter": filter });
        let (status, found) = self.post("/mlflow/traces/search", body).await;
        assert_eq!(status, 200, "{filter}: {found}");
        let traces = found["traces"].as_array().cloned().unwrap_or_default();
        let name = |trace: &Value| trace["tags"]["mlflow.traceName"].as_str().map(str::to_owned);
        traces.iter().map(|trace| name(trace).unwrap_or_default()).collect()
    }
}

#[tokio::test]
async fn a_trace_is_told_and_found() {
    let server = Server::new().await;
    let (experiment, run) = server.place().await;
    for (number, state) in [(1, "OK"), (2, "ERROR"), (3, "IN_PROGRESS")] {
        let (status, made) =
            server.post("/mlflow/traces", started(&experiment, number, state)).await;
        assert_eq!(status, 200, "{made}");
        let info = &made["trace"]["trace_info"];
        assert_eq!(info["state"], state);
        assert_eq!(info["request_time"], format!("2020-01-01T00:00:0{number}.500Z"));
        assert_eq!(info["execution_duration"], "1.250s");
        assert_eq!(info["trace_metadata"]["mlflow.trace.infoFinalized"], "true");
        let place = format!("mlflow-artifacts:/{experiment}/traces/tr-{number:032x}/artifacts");
        assert_eq!(info["tags"]["mlflow.artifactLocation"], place);
    }
    let first = format!("/mlflow/traces/tr-{:032x}", 1);
    let tag = json!({ "key": "team", "value": "risk" });
    assert_eq!(server.call(Method::PATCH, &format!("{first}/tags"), tag).await.0, 200);
    let link = json!({ "trace_ids": [format!("tr-{:032x}", 2)], "run_id": run });
    assert_eq!(server.post("/mlflow/traces/link-to-run", link).await, (200, json!({})));
    for (filter, names) in [
        (String::new(), vec!["call 3", "call 2", "call 1"]),
        ("trace.status = 'OK'".to_owned(), vec!["call 1"]),
        ("attributes.name LIKE '%2'".to_owned(), vec!["call 2"]),
        ("tags.team = 'risk'".to_owned(), vec!["call 1"]),
        ("tags.`mlflow.traceName` = 'call 3'".to_owned(), vec!["call 3"]),
        ("timestamp_ms > 1577836802000".to_owned(), vec!["call 3", "call 2"]),
        ("metadata.`mlflow.user` = 'me' AND execution_time_ms > 2000".to_owned(), vec![]),
        (format!("run_id = '{run}'"), vec!["call 2"]),
    ] {
        assert_eq!(server.found(&experiment, &filter).await, names, "{filter}");
    }
    for status in [200, 404] {
        let tags = format!("{first}/tags");
        let call = server.call(Method::DELETE, &tags, json!({ "key": "team" }));
        assert_eq!(call.await.0, status);
    }
    let ids = json!([format!("tr-{:032x}", 1), "tr-none"]);
    let body = json!({ "experiment_id": experiment, "request_ids": ids });
    let deleted = server.post("/mlflow/traces/delete-traces", body).await;
    assert_eq!(deleted, (200, json!({ "traces_deleted": 1 })));
    assert_eq!(server.get(&first).await.0, 404);
    let body =
        json!({ "experiment_id": experiment, "max_timestamp_millis": 9_000_000_000_000_i64 });
    let deleted = server.post("/mlflow/traces/delete-traces", body).await;
    assert_eq!(deleted, (200, json!({ "traces_deleted": 2 })));
}

#[tokio::test]
async fn spans_come_back_as_clients_read_them() {
    let server = Server::new().await;
    let (experiment, _) = server.place().await;
    let spans = vec![span(5, 2, Some(1)), span(5, 1, None)];
    assert_eq!(server.log_spans(&experiment, spans).await, 200);
    let id = format!("tr-{:032x}", 5);
    let (_, got) = server.get(&format!("/mlflow/traces/get?trace_id={id}")).await;
    let trace = &got["trace"];
    assert_eq!(trace["trace_info"]["state"], "OK");
    assert_eq!(trace["trace_info"]["execution_duration"], "1s");
    assert_eq!(trace["trace_info"]["tags"]["mlflow.trace.spansLocation"], "TRACKING_STORE");
    let root = &trace["spans"][0];
    assert_eq!(root["name"], "span 1");
    assert_eq!(root["trace_id"], "AAAAAAAAAAAAAAAAAAAABQ==");
    assert_eq!(root["start_time_unix_nano"], 1_577_836_800_000_000_000_i64);
    let x = json!({ "key": "x", "value": { "int_value": 1 } });
    assert_eq!(root["attributes"][0]["value"], json!({ "kvlist_value": { "values": [x] } }));
    assert_eq!(root["attributes"][1]["value"], json!({ "string_value": "12" }));
    assert_eq!(root["attributes"][2]["value"], json!({ "double_value": 0.5 }));
    assert_eq!(trace["spans"][1]["parent_span_id"], "AAAAAAAAAAE=");
    let (_, got) = server.get(&format!("/mlflow/traces/batchGet?trace_ids={id}&trace_ids=x")).await;
    assert_eq!(got["traces"].as_array().unwrap().len(), 1);
    let headers =
        |experiment| [("content-type", "text/plain"), ("x-mlflow-experiment-id", experiment)];
    let (status, ..) = server.ask(Method::POST, "/v1/traces", &headers(&experiment), "zzz").await;
    assert_eq!(status, 400);
    let headers = [("content-type", "application/x-protobuf"), ("x-mlflow-experiment-id", "1")];
    let (status, ..) = server.ask(Method::POST, "/v1/traces", &headers, "zzz").await;
    assert_eq!(status, 400);
    let headers = [("content-type", "application/x-protobuf")];
    assert_eq!(server.ask(Method::POST, "/v1/traces", &headers, "").await.0, 422);
}

#[tokio::test]
async fn what_is_nested_deeply_comes_back() {
    let server = Server::new().await;
    let (experiment, _) = server.place().await;
    for (number, (open, close)) in [("[", "]"), ("{\"a\":", "}")].into_iter().enumerate() {
        let number = u32::try_from(number).unwrap() + 20;
        let text = format!("{}1{}", open.repeat(120), close.repeat(120));
        let mut span = span(number, 1, None);
        span["attributes"][0]["value"]["stringValue"] = text.into();
        assert_eq!(server.log_spans(&experiment, vec![span]).await, 200);
        let (status, got) =
            server.get(&format!("/mlflow/traces/get?trace_id=tr-{number:032x}")).await;
        assert_eq!(status, 200, "{got}");
        let inputs = &got["trace"]["spans"][0]["attributes"][0];
        assert_eq!(inputs["key"], "mlflow.spanInputs");
        let told = inputs.to_string();
        assert!(told.matches(&open[..1]).count() >= 120, "{told}");
    }
}

#[tokio::test]
async fn old_clients_tell_traces_in_parts() {
    let server = Server::new().await;
    let (experiment, _) = server.place().await;
    let pair = |key: &str, value: &str| json!([{ "key": key, "value": value }]);
    let body = json!({
        "experiment_id": experiment, "timestamp_ms": 1_577_836_800_000_i64,
        "request_metadata": pair("a", "b"), "tags": pair("mlflow.traceName", "old"),
    });
    let (status, made) = server.post("/mlflow/traces", body).await;
    assert_eq!((status, &made["trace_info"]["status"]), (200, &json!("IN_PROGRESS")));
    let id = made["trace_info"]["request_id"].as_str().unwrap();
    let body = json!({
        "timestamp_ms": 1_577_836_800_250_i64, "status": "OK", "tags": pair("team", "risk"),
        "request_metadata": pair("c", "d"),
    });
    let (_, ended) = server.call(Method::PATCH, &format!("/mlflow/traces/{id}"), body).await;
    assert_eq!(ended["trace_info"]["execution_time_ms"], 250);
    let (_, got) = server.get(&format!("/mlflow/traces/{id}/info")).await;
    assert_eq!(got, ended);
    assert_eq!(got["trace_info"]["request_metadata"].as_array().unwrap().len(), 2);
    let file = format!("{experiment}/traces/{id}/artifacts/traces.json");
    assert_eq!(server.put(&file, "{}").await, 200);
    let uri = format!("/ajax-api/2.0/mlflow/get-trace-artifact?request_id={id}");
    let (_, _, text) = server.ask(Method::GET, &uri, &[], "").await;
    assert_eq!(text.as_ref(), b"{}");
    let (_, found) = server.get(&format!("/mlflow/traces?experiment_ids={experiment}")).await;
    assert_eq!(found["traces"][0], got["trace_info"]);
}
