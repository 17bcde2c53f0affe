//! What the server says of its routes.

use super::{Host, model, same};
use axum::{
    Router,
    body::{Body, to_bytes},
    http::{Method, Request, StatusCode},
};
use mlops_core::{Principal, tensor::DType};
use mlops_serve::http::{ApiKeys, Service};
use serde_json::{Value, json};
use std::sync::Arc;
use tower::ServiceExt;

fn service() -> Service {
    let service = Service::new().with_model(model("sum")).with_model(same(DType::F32, 2, false));
    service.with_invocations("sum").with_hosting()
}

/// Every value below a document.
fn all<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    found.push(value);
    match value {
        Value::Object(members) => members.values().for_each(|member| all(member, found)),
        Value::Array(items) => items.iter().for_each(|item| all(item, found)),
        _ => {}
    }
}

#[tokio::test]
async fn every_route_that_is_described_is_there() {
    let host = Host::of(service());
    let document = host.get("/v2/openapi.json").await.json();
    assert_eq!(document["openapi"], "3.1.0");
    let mut ids = Vec::new();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let asked = path.replace("{model}", "sum").replace("{version}", "1");
        for (method, operation) in methods.as_object().unwrap() {
            let method: Method = method.to_uppercase().parse().unwrap();
            let body = Body::from("{}");
            let request = Request::builder().method(method.clone()).uri(&asked);
            let request = request.header("content-type", "application/json");
            let answer = host.send(request.body(body).unwrap()).await;
            let missing = [StatusCode::NOT_FOUND, StatusCode::METHOD_NOT_ALLOWED];
            assert!(!missing.contains(&answer.status), "{method} {path}: {}", answer.text());
            ids.push(operation["operationId"].as_str().unwrap().to_owned());
        }
    }
    let count = ids.len();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "two operations have one name: {ids:?}");
    assert!(count >= 20, "{ids:?}");
}

#[tokio::test]
async fn references_lead_somewhere_and_examples_are_answered() {
    let host = Host::of(service());
    let document = host.get("/v2/openapi.json").await.json();
    let mut values = Vec::new();
    all(&document, &mut values);
    let references = values.iter().filter_map(|value| value.get("$ref")?.as_str());
    let mut count = 0;
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference} leads nowhere");
        count += 1;
    }
    assert!(count > 20);
    for name in ["sum", "same"] {
        let path = format!("/v2/models/{name}/infer");
        let body = &document["paths"][&path]["post"]["requestBody"]["content"]["application/json"];
        let answer = host.post(&path, body["example"].to_string()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let sum = &document["components"]["schemas"]["InferRequest_1"]["properties"]["inputs"];
    assert_eq!((&sum["minItems"], &sum["maxItems"]), (&json!(2), &json!(2)));
    let x = &sum["items"]["oneOf"][0];
    assert_eq!(x["properties"]["datatype"], json!({ "const": "FP32" }));
    let axes = json!([{ "type": "integer", "minimum": 0 }, { "const": 2 }]);
    assert_eq!(x["properties"]["shape"]["prefixItems"], axes);
    assert_eq!(x["description"], "the last axis is, in this order: age, income");
}

#[tokio::test]
async fn the_page_says_the_same_and_fetches_nothing() {
    let strange = model("sum");
    let service = service().with_named("a<b>&\"c\" 'd", strange);
    let host = Host::of(service);
    let page = host.get("/v2/docs").await;
    assert_eq!(page.headers["content-type"], "text/html; charset=utf-8");
    let policy = page.headers["content-security-policy"].to_str().unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let text = page.text();
    for part in
        ["a&lt;b&gt;&amp;&quot;c&quot; &#39;d", "age, income", "POST", "/v2/models/same/infer"]
    {
        assert!(text.contains(part), "{part} is not on the page");
    }
    for part in ["<script", "src=", "://", "a<b>", "@import", "url("] {
        assert!(!text.contains(part), "{part} is on the page");
    }
    let document = host.get("/v2/openapi.json").await.json();
    assert!(document["paths"].get("/v2/models/a%3Cb%3E%26%22c%22%20%27d/infer").is_some());
    assert!(Host::of(Service::new()).get("/v2/docs").await.text().contains("No model is loaded"));
}

#[tokio::test]
async fn with_keys_it_says_how_to_give_them_and_is_not_for_everybody() {
    let keys = ApiKeys::new().with_key(Principal::new("shop"), "c2hvcC1zZWNyZXQtMQ").unwrap();
    let app = service().with_authenticator(Arc::new(keys)).into_router();
    // Below a host's own path, too.
    let app = Router::new().nest("/ml", app);
    let ask = async |path: &str, key: Option<&str>| {
        let mut request = Request::get(path);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let answer = app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        (answer.status(), to_bytes(answer.into_body(), usize::MAX).await.unwrap())
    };
    for path in ["/ml/v2/docs", "/ml/v2/openapi.json"] {
        assert_eq!(ask(path, None).await.0, StatusCode::UNAUTHORIZED);
    }
    let (status, body) = ask("/ml/v2/openapi.json", Some("c2hvcC1zZWNyZXQtMQ")).await;
    let document: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(status, StatusCode::OK);
    assert_eq!(document["security"], json!([{ "bearer": [] }, { "key": [] }]));
    assert_eq!(document["paths"]["/v2/health/live"]["get"]["security"], json!([]));
}
