//! Bad requests: each is refused with words that name the thing, and harms nobody else's.

use super::{Host, good, socket::Server};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use mlops_serve::http::HttpConfig;
use serde_json::{Value, json};

/// A body, the status it must get, and what its error must name.
struct Bad {
    path: &'static str,
    body: String,
    status: StatusCode,
    names: &'static str,
}

fn bad(names: &'static str, body: impl Into<String>) -> Bad {
    let path = "/v2/models/sum/infer";
    Bad { path, body: body.into(), status: StatusCode::BAD_REQUEST, names }
}

impl Bad {
    fn at(mut self, path: &'static str) -> Self {
        (self.path, self.status) = (path, StatusCode::NOT_FOUND);
        self
    }

    fn but(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    fn too_large(mut self) -> Self {
        self.status = StatusCode::PAYLOAD_TOO_LARGE;
        self
    }
}

/// A good request with one place changed.
fn with(pointer: &str, value: Value) -> String {
    let mut body = good();
    *body.pointer_mut(pointer).unwrap() = value;
    body.to_string()
}

/// The first input's shape as it stands in the text, for numbers that JSON has and `Value` has not.
fn with_shape(text: &str) -> String {
    with("/inputs/0/shape", json!("SHAPE")).replace("\"SHAPE\"", text)
}

fn without(pointer: &str, key: &str) -> String {
    let mut body = good();
    body.pointer_mut(pointer).unwrap().as_object_mut().unwrap().remove(key).unwrap();
    body.to_string()
}

fn changed(change: impl FnOnce(&mut Value)) -> String {
    let mut body = good();
    change(&mut body);
    body.to_string()
}

fn every_bad_request() -> impl Iterator<Item = Bad> {
    let wrong = [malformed(), wrong_shapes(), wrong_types(), wrong_parts(), too_deep()];
    wrong.into_iter().flatten()
}

fn malformed() -> Vec<Bad> {
    vec![
        bad("not valid JSON", "not JSON"),
        bad("cut off", ""),
        bad("cut off", "{"),
        bad("cut off", &good().to_string()[..80]),
        bad("the form", "[]"),
        bad("the form", "null"),
        bad("not valid JSON", format!("{}}}", good())),
        bad("\"inputs\"", "{}"),
        bad("\"inputs\"", r#"{"inputs": 7}"#),
        bad("\"inputs\" is given twice", r#"{"inputs": [], "inputs": []}"#),
    ]
}

fn wrong_shapes() -> Vec<Bad> {
    let x = "input \"x\"";
    let one_row = json!({ "name": "label", "shape": [1], "datatype": "BYTES", "data": ["a"] });
    vec![
        bad("\"x\" has shape [4, 1], not [-1, 2]", with("/inputs/0/shape", json!([4, 1]))),
        bad("\"x\" has shape [4], not [-1, 2]", with("/inputs/0/shape", json!([4]))),
        bad(x, with("/inputs/0/shape", json!([3, 2]))),
        bad(x, with("/inputs/0/shape", json!("2, 2"))),
        bad(x, without("/inputs/0", "shape")),
        bad("rows", with("/inputs/1", one_row)),
        bad(x, with("/inputs/0/data", json!([[1.0, 2.0, 3.0, 4.0]]))),
        bad(x, with("/inputs/0/data", json!([[1.0, 2.0], 3.0, 4.0]))),
        bad(x, with("/inputs/0/data", json!({}))),
        bad(x, without("/inputs/0", "data")),
        bad("axis 0 of its shape is negative", with("/inputs/0/shape", json!([-1, 2]))),
        bad("axis 1 of its shape is negative", with_shape("[2, -9223372036854775808]")),
        bad("axis 0 of its shape is out of range", with_shape("[18446744073709551616, 2]")),
        bad("axis 0 of its shape is longer", with_shape("[18446744073709551615, 2]")).too_large(),
        bad(x, with_shape("[4294967296, 4294967296]")).too_large(),
        bad(x, with_shape("[33554432, 33554432, 33554432]")),
        bad("axis 0 of its shape is not a whole number", with_shape("[2.0, 2]")),
        bad("axis 0 of its shape is not a whole number", with_shape("[1e9, 2]")),
        bad(x, with_shape(&format!("[{}1]", "1,".repeat(1000)))).too_large(),
    ]
}

fn wrong_types() -> Vec<Bad> {
    let integers = with("/inputs/0/datatype", json!("INT64")).replace(".0", "");
    vec![
        bad("\"x\" has type int64, not float32", integers),
        bad("\"FLOAT\"", with("/inputs/0/datatype", json!("FLOAT"))),
        bad("input \"x\": has no \"datatype\"", without("/inputs/0", "datatype")),
        bad("element 0 is no number", with("/inputs/0/data", json!(["1", 2, 3, 4]))),
        bad("element 1 is out of the range", with("/inputs/0/data", json!([1, 1e39, 3, 4]))),
        bad("input \"label\": element 1 is no text", with("/inputs/1/data", json!(["a", 7]))),
        bad("input \"label\": element 0 is null", with("/inputs/1/data", json!([null, "a"]))),
    ]
}

fn wrong_parts() -> Vec<Bad> {
    let binary = json!({ "name": "x", "shape": [1, 2], "datatype": "FP32",
        "parameters": { "binary_data_size": 8 } });
    let one_input = changed(|body| drop(body["inputs"].as_array_mut().unwrap().pop()));
    vec![
        bad("input \"x\" is missing", "{\"inputs\": []}"),
        bad("input \"label\" is missing", one_input),
        bad("input \"y\"", with("/inputs/0/name", json!("y"))),
        bad("name of input 0", with("/inputs/0/name", json!(7))),
        bad("name of input 0", without("/inputs/0", "name")),
        bad("\"x\"", with("/inputs/1/name", json!("x"))),
        bad("no output \"z\"", changed(|body| body["outputs"] = json!([{ "name": "z" }]))),
        bad("\"priority\"", changed(|body| body["parameters"] = json!({ "priority": "high" }))),
        bad("\"binary_data_size\" is 8", with("/inputs/0", binary)),
        bad("\"none\"", good().to_string()).at("/v2/models/none/infer"),
        bad("version \"9\"", good().to_string()).at("/v2/models/sum/versions/9/infer"),
        bad("no such path", good().to_string()).at("/v2/models/sum/generate"),
        bad("UTF-8", good().to_string()).at("/v2/models/%FF/infer").but(StatusCode::BAD_REQUEST),
    ]
}

/// 100,000 levels, wherever a value may stand.
fn too_deep() -> Vec<Bad> {
    let open = "[".repeat(100_000);
    let deep = format!("{open}{}", "]".repeat(100_000));
    let at = |pointer| with(pointer, json!("HERE")).replace("\"HERE\"", &deep);
    vec![
        bad("the request", open.clone()),
        bad("\"inputs\"", "{\"inputs\":".repeat(100_000)),
        bad("\"inputs\"", format!("{{\"inputs\":{open}")),
        bad("\"inputs\"", format!("{{\"inputs\":{deep}}}")),
        bad("\"inputs\"", format!("{{\"inputs\":[{{\"unknown\":{deep}}}]}}").replace("}]", "},7]")),
        bad("\"id\"", format!("{{\"inputs\":[],\"id\":{deep}}}")),
        bad("\"parameters\"", format!("{{\"inputs\":[],\"parameters\":{deep}}}")),
        bad("\"inputs\"", format!("{{\"unknown\":{deep}}}")),
        bad("input \"x\"", at("/inputs/0/data")),
        bad("input \"x\"", at("/inputs/0/shape")),
        bad("input \"x\"", at("/inputs/0/datatype")),
        bad("name of input 0", at("/inputs/0/name")),
    ]
}

impl Bad {
    fn check(&self, status: StatusCode, error: &str) {
        let shown: String = self.body.chars().take(200).collect();
        assert_eq!(status, self.status, "{shown}: {error}");
        assert!(error.contains(self.names), "{shown}: {error:?} does not name {:?}", self.names);
        assert!(!error.is_empty() && error.len() < 300, "{} bytes of error", error.len());
    }
}

#[tokio::test]
async fn each_is_refused_by_name_and_harms_nobody() {
    let host = Host::new(HttpConfig::default());
    for bad in every_bad_request() {
        let answer = host.post(bad.path, bad.body.clone()).await;
        bad.check(answer.status, &answer.error());
        host.still_answers().await;
    }
}

#[test]
fn the_same_over_a_socket() {
    let server = Server::start(Host::new(HttpConfig::default()));
    for bad in every_bad_request() {
        let (status, answer) = server.post(bad.path, bad.body.as_bytes());
        let answer: Value = serde_json::from_slice(&answer).unwrap();
        bad.check(StatusCode::from_u16(status).unwrap(), answer["error"].as_str().unwrap());
        server.still_answers();
    }
}

/// What a caller sends stays with the caller: no element of theirs stands in a message.
#[tokio::test]
async fn values_never_stand_in_a_message() {
    let host = Host::new(HttpConfig::default());
    let secret = "4929-1234-5678";
    for body in [
        with("/inputs/0/data", json!([secret, 2, 3, 4])),
        with("/inputs/1/data", json!([secret])),
        with("/inputs/1/shape", json!([7])).replace("\"a\"", &format!("\"{secret}\"")),
        with("/inputs/0/shape", json!(secret)),
        good().to_string().replace("\"a\"", secret),
    ] {
        let answer = host.infer(body).await;
        assert!(answer.status.is_client_error());
        assert!(!answer.error().contains(secret), "{}", answer.error());
    }
    host.still_answers().await;
}

/// A model's own bug is its caller's 500, counted, and nobody else's.
#[tokio::test]
async fn a_model_that_panics_harms_its_own_request_only() {
    let host = Host::new(HttpConfig::default());
    let answer = host.infer(with("/inputs/0/data", json!([666.0, 2, 3, 4]))).await;
    assert_eq!(answer.status, StatusCode::INTERNAL_SERVER_ERROR);
    assert_eq!(answer.error(), "model \"sum\" panicked");
    let counts = host.counters.read();
    assert_eq!((counts.requests, counts.panics, counts.internal_errors), (1, 1, 1));
    assert_eq!(host.infer(good().to_string()).await.status, StatusCode::OK);
}

/// Two numbers as bytes, of which some are null.
fn binary(nulls: &str) -> Request<Body> {
    let x = json!({
        "name": "x", "datatype": "FP32", "shape": [1, 2],
        "parameters": {"binary_data_size": 8, "nulls": nulls},
    });
    let label = json!({"name": "label", "datatype": "BYTES", "shape": [1], "data": ["a"]});
    let header = json!({"inputs": [x, label]}).to_string();
    let bytes = [header.as_bytes(), &0_f32.to_le_bytes(), &1_f32.to_le_bytes()].concat();
    let request = Request::post("/v2/models/sum/infer");
    request.header("inference-header-content-length", header.len()).body(bytes.into()).unwrap()
}

#[tokio::test]
async fn a_null_is_never_the_bytes_under_it() {
    let host = Host::new(HttpConfig::default());
    let answer = host.send(binary("0")).await;
    assert_eq!(answer.status, StatusCode::OK);
    assert_eq!(answer.json()["outputs"][0]["data"][0], Value::Null, "{}", answer.json());
    let answer = host.send(binary("2")).await;
    assert_eq!(answer.status, StatusCode::BAD_REQUEST);
    assert_eq!(answer.error(), "input \"x\": there is no element 2 to be null");
    host.still_answers().await;
}
