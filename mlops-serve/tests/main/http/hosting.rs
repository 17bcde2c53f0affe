//! Several models, and models that come and go.

use super::{Answer, Host, good, model};
use async_trait::async_trait;
use axum::{
    body::Body,
    http::{Method, Request, StatusCode},
};
use futures_util::FutureExt;
use mlops_core::{Error, Predictor, Principal, Result};
use mlops_serve::http::{ApiKeys, LoadingConfig, ModelLoader, Service};
use serde_json::{Value, json};
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};
use tokio::sync::Semaphore;

/// Loads copies of one model, each of a hundred bytes, under the names `a` to `d`; `broken` fails.
pub(crate) struct Copies {
    loads: AtomicUsize,
    /// Each load takes one.
    turns: Semaphore,
}

impl Copies {
    pub(crate) fn new(turns: usize) -> Arc<Self> {
        Arc::new(Self { loads: AtomicUsize::new(0), turns: Semaphore::new(turns) })
    }
}

#[async_trait]
impl ModelLoader for Copies {
    async fn names(&self) -> Result<Vec<Arc<str>>> {
        Ok(["a", "b", "c", "d", "broken"].map(Into::into).to_vec())
    }

    async fn size_bytes(&self, name: &str, url: Option<&str>) -> Result<u64> {
        match (self.names().await?.iter().any(|known| &**known == name), url) {
            (true, None | Some("/opt/ml/models/x/model")) => Ok(100),
            (true, Some(_)) => Err(Error::invalid("the URL is outside of the repository")),
            (false, _) => Err(Error::not_found(format!("there is no model {name:?} to load"))),
        }
    }

    async fn load(&self, name: &str, _: Option<&str>) -> Result<Arc<dyn Predictor>> {
        self.turns.acquire().await.unwrap().forget();
        self.loads.fetch_add(1, Ordering::Relaxed);
        match name {
            "broken" => Err(Error::invalid("the model's file is damaged")),
            name => Ok(Arc::new(model(name))),
        }
    }
}

fn table() -> Value {
    json!({ "dataframe_records": [{ "age": 1, "income": 2, "label": "a" }] })
}

async fn ask(host: &Host, method: Method, path: &str, body: &Value) -> Answer {
    let request = Request::builder().method(method).uri(path);
    let request = request.header("content-type", "application/json");
    let body = if body.is_null() { Body::empty() } else { Body::from(body.to_string()) };
    host.send(request.body(body).unwrap()).await
}

async fn post(host: &Host, path: &str, body: Value) -> Answer {
    ask(host, Method::POST, path, &body).await
}

fn host(loader: Arc<Copies>, config: LoadingConfig) -> Host {
    let service = Service::new().with_model(model("sum")).with_invocations("sum").with_hosting();
    Host::of(service.with_loader(loader, config))
}

#[tokio::test]
async fn each_model_is_asked_by_its_name() {
    let two = Service::new().with_model(model("one")).with_model(model("two")).with_hosting();
    let host = Host::of(two);
    for name in ["one", "two"] {
        let answer = post(&host, &format!("/models/{name}/invoke"), table()).await;
        assert_eq!(answer.json()["predictions"], json!([{ "sum": 3.0, "label": "a" }]));
        let request = Request::post("/invocations").header("content-type", "application/json");
        let request = request.header("X-Amzn-SageMaker-Target-Model", name);
        let answer = host.send(request.body(Body::from(table().to_string())).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    }
    let answer = post(&host, "/invocations", table()).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert!(answer.text().contains("x-amzn-sagemaker-target-model"), "{}", answer.text());
    let answer = post(&host, "/models/three/invoke", table()).await;
    assert_eq!(answer.status, StatusCode::NOT_FOUND);
    assert_eq!(answer.json()["error_code"], "RESOURCE_DOES_NOT_EXIST");
    assert_eq!(host.get("/ping").await.status, StatusCode::OK);
    let listed = host.get("/models").await.json();
    let expected =
        json!([{ "modelName": "one", "modelUrl": "" }, { "modelName": "two", "modelUrl": "" }]);
    assert_eq!(listed, json!({ "models": expected }));
    // Nothing loads models here.
    let answer = post(&host, "/models", json!({ "model_name": "a", "url": "/" })).await;
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED);
    for path in ["/v2/repository/models/one/unload", "/v2/repository/models/a/load"] {
        assert_eq!(post(&host, path, json!({})).await.status, StatusCode::NOT_IMPLEMENTED);
    }
    assert_eq!(ask(&host, Method::DELETE, "/models/one", &Value::Null).await.status, 501);
}

#[tokio::test]
async fn a_model_is_loaded_asked_and_taken_out_as_sagemaker_does() {
    let host = host(Copies::new(100), LoadingConfig::default());
    let url = "/opt/ml/models/x/model";
    let wanted = json!({ "model_name": "a", "url": url });
    assert_eq!(post(&host, "/models/a/invoke", table()).await.status, StatusCode::NOT_FOUND);
    assert_eq!(post(&host, "/models", wanted.clone()).await.status, StatusCode::OK);
    assert_eq!(post(&host, "/models/a/invoke", table()).await.status, StatusCode::OK);
    let again = post(&host, "/models", wanted).await;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.json()["error_code"], "RESOURCE_ALREADY_EXISTS");
    let described = host.get("/models/a").await.json();
    assert_eq!(described, json!({ "modelName": "a", "modelUrl": url }));

    // It is a model as every other is.
    assert_eq!(post(&host, "/v2/models/a/infer", good()).await.status, StatusCode::OK);
    assert_eq!(host.get("/v2/models/a/stats").await.json()["model_stats"][0]["inference_count"], 3);
    assert_eq!(host.get("/v2/health/ready").await.json()["models"][0]["name"], "a");

    let gone = ask(&host, Method::DELETE, "/models/a", &Value::Null).await;
    assert_eq!(gone.status, StatusCode::OK);
    for (method, path) in [(Method::DELETE, "/models/a"), (Method::GET, "/models/a")] {
        assert_eq!(ask(&host, method, path, &Value::Null).await.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(post(&host, "/v2/models/a/infer", good()).await.status, StatusCode::NOT_FOUND);

    let outside = json!({ "model_name": "b", "url": "/etc" });
    assert_eq!(post(&host, "/models", outside).await.status, StatusCode::BAD_REQUEST);
    let own = json!({ "model_name": "sum", "url": url });
    assert_eq!(post(&host, "/models", own).await.status, StatusCode::CONFLICT);
    assert_eq!(ask(&host, Method::DELETE, "/models/sum", &Value::Null).await.status, 409);
    for name in ["", "../a", "a/b", "a\\b", ".hidden", "a\nb"] {
        let answer = post(&host, "/models", json!({ "model_name": name, "url": url })).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{name:?}");
    }
    assert_eq!(post(&host, "/models", json!(["a"])).await.status, StatusCode::BAD_REQUEST);
    host.still_answers().await;
}

/// What does not fit is 507, before anything of it is loaded; unloading another makes room.
#[tokio::test]
async fn what_does_not_fit_is_refused_before_it_is_loaded() {
    let wanted = |name| json!({ "model_name": name });
    for config in
        [LoadingConfig::default().with_max_bytes(250), LoadingConfig::default().with_max_models(2)]
    {
        let copies = Copies::new(100);
        let host = host(Arc::clone(&copies), config);
        for name in ["a", "b"] {
            assert_eq!(post(&host, "/models", wanted(name)).await.status, StatusCode::OK);
        }
        let full = post(&host, "/models", wanted("c")).await;
        assert_eq!(full.status, StatusCode::INSUFFICIENT_STORAGE, "{}", full.text());
        assert_eq!(copies.loads.load(Ordering::Relaxed), 2);
        ask(&host, Method::DELETE, "/models/a", &Value::Null).await;
        assert_eq!(post(&host, "/models", wanted("c")).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn tritons_repository_loads_again_and_keeps_what_was_there_if_that_fails() {
    let copies = Copies::new(100);
    let host = host(Arc::clone(&copies), LoadingConfig::default());
    let path = |name: &str, what: &str| format!("/v2/repository/models/{name}/{what}");
    let state = async |name: &str| {
        let index = post(&host, "/v2/repository/index", Value::Null).await.json();
        let all = index.as_array().unwrap().clone();
        let found = all.iter().find(|model| model["name"] == name).unwrap().clone();
        (found["state"].clone(), found["reason"].clone())
    };
    assert_eq!(state("a").await, (json!("UNAVAILABLE"), json!("unloaded")));
    for round in 1..3 {
        assert_eq!(post(&host, &path("a", "load"), Value::Null).await.status, StatusCode::OK);
        assert_eq!(copies.loads.load(Ordering::Relaxed), round);
    }
    assert_eq!(state("a").await, (json!("READY"), json!("")));
    let ready = post(&host, "/v2/repository/index", json!({ "ready": true })).await.json();
    assert_eq!(ready.as_array().unwrap().len(), 2);

    let broken = post(&host, &path("broken", "load"), json!({})).await;
    assert_eq!(
        (broken.status, broken.error().as_str()),
        (StatusCode::BAD_REQUEST, "the model's file is damaged")
    );
    assert_eq!(state("broken").await, (json!("UNAVAILABLE"), json!("unloaded")));
    let unknown = post(&host, &path("e", "load"), json!({})).await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let config = json!({ "parameters": { "config": "{}" } });
    let answer = post(&host, &path("a", "load"), config).await;
    assert_eq!(answer.status, StatusCode::NOT_IMPLEMENTED, "{}", answer.text());

    let wish = json!({ "parameters": { "unload_dependents": false } });
    assert_eq!(post(&host, &path("a", "unload"), wish).await.status, StatusCode::OK);
    assert_eq!(post(&host, &path("a", "unload"), json!({})).await.status, StatusCode::NOT_FOUND);
    assert_eq!(post(&host, &path("sum", "unload"), json!({})).await.status, StatusCode::CONFLICT);
}

/// While a model is on its way it is nobody else's to load; a caller who leaves takes it along.
#[tokio::test]
async fn one_load_at_a_time_and_none_for_nobody() {
    let copies = Copies::new(0);
    let host = host(Arc::clone(&copies), LoadingConfig::default().with_max_bytes(100));
    let wanted = || json!({ "model_name": "a" });
    {
        let first = post(&host, "/models", wanted());
        tokio::pin!(first);
        assert!(first.as_mut().now_or_never().is_none());
        let second = post(&host, "/models", wanted()).await;
        assert_eq!(second.status, StatusCode::CONFLICT, "{}", second.text());
        let unloaded = ask(&host, Method::DELETE, "/models/a", &Value::Null).await;
        assert_eq!(unloaded.status, StatusCode::CONFLICT);
        let other = post(&host, "/models", json!({ "model_name": "b" })).await;
        assert_eq!(other.status, StatusCode::INSUFFICIENT_STORAGE);
    }
    copies.turns.add_permits(1);
    assert_eq!(post(&host, "/models", json!({ "model_name": "b" })).await.status, StatusCode::OK);
}

/// A server that loads models is there for whoever loads the first.
#[tokio::test]
async fn a_server_that_loads_is_ready_without_models() {
    let service = Service::new().with_hosting();
    let host = Host::of(service.with_loader(Copies::new(1), LoadingConfig::default()));
    for path in ["/ping", "/v2/health/ready"] {
        assert_eq!(host.get(path).await.status, StatusCode::OK, "{path}");
    }
    let none = Host::of(Service::new().with_hosting());
    for path in ["/ping", "/v2/health/ready"] {
        assert_eq!(none.get(path).await.status, StatusCode::SERVICE_UNAVAILABLE, "{path}");
    }
}

#[tokio::test]
async fn only_who_has_the_role_loads() {
    let keys = ApiKeys::new().with_key(Principal::new("shop"), "c2hvcC1zZWNyZXQtMQ").unwrap();
    let admin = Principal::new("ops").with_role("admin");
    let keys = keys.with_key(admin, "b3BzLXNlY3JldC0xMjM").unwrap();
    let service = Service::new().with_model(model("sum")).with_hosting();
    // As nobody says another, `admin` it is; where nobody is asked, it is anybody.
    let host = service.clone().with_loader(Copies::new(9), LoadingConfig::default());
    let host = Host::of(host.with_authenticator(Arc::new(keys)));
    let ask = async |host: &Host, key: Option<&str>, path: &str| {
        let mut request = Request::post(path);
        if let Some(key) = key {
            request = request.header("x-api-key", key);
        }
        let body = json!({ "model_name": "b" }).to_string();
        let body = if path == "/models" { Body::from(body) } else { Body::empty() };
        host.send(request.body(body).unwrap()).await.status
    };
    for path in ["/models", "/v2/repository/models/a/load", "/v2/repository/models/a/unload"] {
        assert_eq!(ask(&host, None, path).await, StatusCode::UNAUTHORIZED, "{path}");
        let shop = ask(&host, Some("c2hvcC1zZWNyZXQtMQ"), path).await;
        assert_eq!(shop, StatusCode::FORBIDDEN, "{path}");
        let ops = ask(&host, Some("b3BzLXNlY3JldC0xMjM"), path).await;
        assert_eq!(ops, StatusCode::OK, "{path}");
    }
    let config = LoadingConfig::default().with_role("admin");
    let nobody = Host::of(service.with_loader(Copies::new(9), config));
    let answer = ask(&nobody, None, "/v2/repository/models/a/load").await;
    assert_eq!(answer, StatusCode::FORBIDDEN);
}
