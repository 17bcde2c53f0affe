//! What a good request gets.

use super::{Host, good, model, same};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use mlops_core::tensor::DType;
use mlops_serve::http::{HttpConfig, ModelStatus, Service};
use serde_json::{Value, json};

#[tokio::test]
async fn json_in_json_out() {
    let host = Host::new(HttpConfig::default());
    let mut body = good();
    body["id"] = json!("request 7");
    let answer = host.infer(body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/json");
    let json = answer.json();
    let prediction = answer.headers["x-prediction-id"].to_str().unwrap();
    assert_eq!(
        json,
        json!({
            "model_name": "sum", "model_version": "1", "id": "request 7",
            "parameters": { "prediction": prediction },
            "outputs": [
                { "name": "sum", "datatype": "FP32", "shape": [2], "data": [3.0, 7.0] },
                { "name": "label", "datatype": "BYTES", "shape": [2], "data": ["a", "é"] },
            ],
        })
    );
    assert!(host.infer(good().to_string()).await.json().get("id").is_none());
}

/// What a cache, a replica or a model of another server calls itself is its own affair.
#[tokio::test]
async fn the_name_is_the_one_that_was_asked() {
    let service = Service::new().with_named("shown", model("sum"));
    let host = Host::of(service.with_named("with a space", model("sum")));
    for (name, path) in [("shown", "shown"), ("with a space", "with%20a%20space")] {
        let path = format!("/v2/models/{path}/infer");
        let answer = host.post(&path, good().to_string()).await.json();
        assert_eq!(answer["model_name"], name, "{answer}");
    }
}

#[tokio::test]
async fn nested_data_is_the_same_as_flat() {
    let host = Host::new(HttpConfig::default());
    let mut body = good();
    body["inputs"][0]["data"] = json!([[1.0, 2.0], [3.0, 4.0]]);
    let answer = host.infer(body.to_string()).await;
    assert_eq!(answer.json()["outputs"][0]["data"], json!([3.0, 7.0]));
}

#[tokio::test]
async fn only_the_outputs_asked_for_in_the_form_asked_for() {
    let host = Host::new(HttpConfig::default());
    let mut body = good();
    body["outputs"] =
        json!([{ "name": "label", "parameters": { "binary_data": true } }, { "name": "sum" }]);
    let answer = host.infer(body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert_eq!(answer.headers["content-type"], "application/octet-stream");
    let length = answer.headers["inference-header-content-length"].to_str().unwrap();
    let (json, tail) = answer.body.split_at(length.parse().unwrap());
    let json: Value = serde_json::from_slice(json).unwrap();
    assert_eq!(json["outputs"][0]["name"], "label");
    assert_eq!(json["outputs"][0]["parameters"], json!({ "binary_data_size": 11 }));
    assert_eq!(json["outputs"][1]["data"], json!([3.0, 7.0]));
    assert_eq!(tail, [b"\x01\0\0\0a\x02\0\0\0".as_slice(), "é".as_bytes()].concat());
}

/// A binary tensor may begin anywhere in the body: alignment is nobody's promise.
#[tokio::test]
async fn misaligned_binary_tensors_give_the_same_answer() {
    let host = Host::of(Service::new().with_model(same(DType::F64, 1, false)));
    let values = [0.1_f64, -0.0, f64::NAN, f64::INFINITY, 5e-324];
    let raw: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    for offset in 0..16 {
        let mut body = format!(
            r#"{{"inputs":[{{"name":"x","shape":[5],"datatype":"FP64","parameters":{{"binary_data_size":40}}}}],"outputs":[{{"name":"y","parameters":{{"binary_data":true}}}}]{}}}"#,
            " ".repeat(offset)
        );
        let length = body.len();
        let mut bytes = std::mem::take(&mut body).into_bytes();
        bytes.extend_from_slice(&raw);
        let request = Request::post("/v2/models/same/infer")
            .header("Inference-Header-Content-Length", length)
            .body(Body::from(bytes));
        let answer = host.send(request.unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "offset {offset}");
        assert_eq!(answer.body[answer.body.len() - 40..], raw[..], "offset {offset}");
    }
}

/// The protocol's shortest form: a body that is one tensor's bytes.
#[tokio::test]
async fn a_body_of_raw_bytes_alone() {
    let host = Host::of(Service::new().with_model(same(DType::I16, 1, false)));
    let request = Request::post("/v2/models/same/infer")
        .header("Inference-Header-Content-Length", 0)
        .body(Body::from(vec![1, 0, 255, 255]));
    let answer = host.send(request.unwrap()).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert!(answer.body.ends_with(&[1, 0, 255, 255]));
}

#[tokio::test]
async fn metadata_names_packed_columns() {
    let host = Host::new(HttpConfig::default().with_server("loans", "7"));
    let server = host.get("/v2").await.json();
    let triton = ["binary_tensor_data", "model_configuration", "model_repository"];
    let extensions = json!([&triton[..], &["parameters", "statistics"]].concat());
    assert_eq!(server, json!({ "name": "loans", "version": "7", "extensions": extensions }));
    assert_eq!(host.get("/v2/models").await.json(), json!({ "models": ["sum"] }));
    let model = host.get("/v2/models/sum").await;
    let text = json!({ "content_type": "str" });
    assert_eq!(
        model.json(),
        json!({
            "name": "sum", "versions": ["1"], "platform": "mlops",
            "inputs": [
                { "name": "x", "datatype": "FP32", "shape": [-1, 2], "columns": ["age", "income"] },
                { "name": "label", "datatype": "BYTES", "shape": [-1], "parameters": text },
            ],
            "outputs": [
                { "name": "sum", "datatype": "FP32", "shape": [-1] },
                { "name": "label", "datatype": "BYTES", "shape": [-1], "parameters": text },
            ],
        })
    );
    assert_eq!(host.get("/v2/models/sum/versions/1").await.json(), model.json());
}

#[tokio::test]
async fn health_says_ready_stale_and_why_not() {
    let empty = Host::of(Service::new());
    assert_eq!(empty.get("/v2/health/live").await.status, StatusCode::OK);
    let answer = empty.get("/v2/health/ready").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.json()["error"], "no model is loaded");

    let away = || ModelStatus::stale("the registry is away");
    let host = Host::of(Service::new().with_model(model("sum")).with_status("sum", away));
    let answer = host.get("/v2/health/ready").await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["stale"], true);
    let answer = host.get("/v2/models/sum/ready").await;
    assert_eq!(
        answer.json(),
        json!({ "name": "sum", "version": "1", "ready": true, "stale": true, "reason": "the registry is away" })
    );
}

#[tokio::test]
async fn the_priority_key_and_parameters_reach_the_model() {
    use mlops_serve::http::oip::{Limits, decode_request};
    let mut body = good();
    body["parameters"] =
        json!({ "priority": 2, "key": "customer 7", "timeout": 1500, "trace": "on" });
    let bytes = mlops_core::arrow::buffer::Buffer::from_vec(body.to_string().into_bytes());
    let info = mlops_core::Predictor::info(&model("sum"));
    let decoded = decode_request(&bytes, None, &info.signature, &Limits::default()).unwrap();
    assert_eq!(
        (decoded.request.priority, decoded.request.key.as_deref()),
        (254, Some("customer 7"))
    );
    assert_eq!(decoded.timeout, Some(std::time::Duration::from_micros(1500)));
    assert_eq!(decoded.parameters().unwrap().keys().collect::<Vec<_>>(), ["trace"]);
}
