//! `/invocations` in Parquet.

use super::{Answer, Host, model, same, socket::Server};
use mlops_core::{
    arrow::{
        array::{ArrayRef, Float64Array, Int32Array, RecordBatch, StringArray},
        schema::{DataType, Field, Schema},
    },
    data::Dataset,
    tensor::DType,
};
use mlops_serve::http::{HttpConfig, Service};
use serde_json::{Value, json};
use std::sync::Arc;

const KIND: (&str, &str) = ("content-type", "application/vnd.apache.parquet");

fn table(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let fields = columns.iter().map(|(name, array)| {
        let kind: DataType = array.data_type().clone();
        Field::new(*name, kind, true)
    });
    let schema = Schema::new(fields.collect::<Vec<_>>());
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    let batch = RecordBatch::try_new(Arc::new(schema), arrays).unwrap();
    Dataset::from_batches("t", [batch]).unwrap().to_parquet().unwrap()
}

/// The columns that the model takes in another order and of other types, and one that it does not.
fn people() -> Vec<u8> {
    table(vec![
        ("label", Arc::new(StringArray::from(vec!["a", "é"]))),
        ("more", Arc::new(StringArray::from(vec![None, Some("x")]))),
        ("income", Arc::new(Float64Array::from(vec![2.0, 4.5]))),
        ("age", Arc::new(Int32Array::from(vec![1, 3]))),
    ])
}

fn server(config: HttpConfig) -> Server {
    let service = Service::new().with_model(model("sum")).with_invocations("sum");
    Server::start(Host::of(service.with_config(config)))
}

fn message(answer: &Answer) -> String {
    answer.json()["message"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn a_table_in_parquet_asks_as_the_same_in_json_does() {
    let server = server(HttpConfig::default());
    let expected = json!([{ "sum": 3.0, "label": "a" }, { "sum": 7.5, "label": "é" }]);
    for kind in [KIND.1, "application/x-parquet"] {
        let answer = server.ask("/invocations", &[("content-type", kind)], &people());
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json()["predictions"], expected);
    }
    server.still_answers();
}

/// Digits of float64 that float32 does not have are rounded as JSON's are; a null is a NaN.
#[test]
fn an_only_input_takes_all_columns() {
    let service = Service::new().with_model(same(DType::F32, 2, false)).with_invocations("same");
    let server = Server::start(Host::of(service));
    let numbers = [0.1, 1.0 / 3.0, 16_777_217.0, 1e-40];
    let a = Float64Array::from(numbers.to_vec());
    let b = Float64Array::from(vec![Some(1.0), None, Some(f64::MAX), Some(-2.5)]);
    let body = table(vec![("b", Arc::new(b)), ("a", Arc::new(a))]);
    let answer = server.ask("/invocations", &[KIND], &body);
    let rows = json!([[1.0, 0.1], [null, 1.0 / 3.0], [null, 16_777_217.0], [-2.5, 1e-40]]);
    let split = json!({ "dataframe_split": { "data": rows } }).to_string();
    let json =
        server.ask("/invocations", &[("content-type", "application/json")], split.as_bytes());
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(answer.json()["predictions"], json.json()["predictions"]);
}

#[test]
fn mistakes_are_named() {
    let server = server(HttpConfig::default());
    let texts = |values: Vec<&str>| -> ArrayRef { Arc::new(StringArray::from(values)) };
    let missing = table(vec![("age", Arc::new(Int32Array::from(vec![1])))]);
    let wrong = table(vec![
        ("age", texts(vec!["secret"])),
        ("income", Arc::new(Int32Array::from(vec![1]))),
        ("label", texts(vec!["a"])),
    ]);
    for (body, says) in [
        (missing, "has no column \"income\""),
        (wrong, "column \"age\""),
        (b"secret".to_vec(), "no Parquet file"),
        (Vec::new(), "no Parquet file"),
    ] {
        let answer = server.ask("/invocations", &[KIND], &body);
        assert_eq!(answer.status, 400, "{}", answer.text());
        let message = message(&answer);
        assert!(message.contains(says) && !message.contains("secret"), "{message}");
        assert_eq!(answer.json()["error_code"], "INVALID_PARAMETER_VALUE");
    }
    server.still_answers();
}

/// What a table becomes is bounded by what a body may be, not by what it is: equal values take no
/// room in a file, and a text stands there once for all rows.
#[test]
fn a_small_file_of_a_large_table_is_too_large() {
    let server = server(HttpConfig::default().with_max_body_bytes(100_000));
    let (rows, long) = (2000, "x".repeat(1000));
    let equal: ArrayRef = Arc::new(Int32Array::from(vec![1; 200_000]));
    let zeros = table(vec![
        ("age", Arc::clone(&equal)),
        ("income", equal),
        ("label", Arc::new(StringArray::from(vec!["a"; 200_000]))),
    ]);
    let numbers: ArrayRef = Arc::new(Int32Array::from(vec![1; rows]));
    let texts = table(vec![
        ("age", Arc::clone(&numbers)),
        ("income", numbers),
        ("label", Arc::new(StringArray::from(vec![long.as_str(); rows]))),
    ]);
    for body in [zeros, texts] {
        assert!(body.len() < 20_000, "{}", body.len());
        let answer = server.ask("/invocations", &[KIND], &body);
        assert_eq!(answer.status, 413, "{}", answer.text());
        assert!(message(&answer).contains("longer than 100000 bytes"), "{}", answer.text());
    }
    let many: Vec<String> = (0..2000).map(|at| format!("c{at}")).collect();
    let one: ArrayRef = Arc::new(Int32Array::from(vec![1]));
    let wide = table(many.iter().map(|name| (name.as_str(), Arc::clone(&one))).collect());
    let large = Service::new().with_model(model("sum")).with_invocations("sum");
    let server = Server::start(Host::of(large));
    let answer = server.ask("/invocations", &[KIND], &wide);
    assert_eq!(answer.status, 413, "{}", answer.text());
    assert!(message(&answer).contains("more than 1027 columns"), "{}", answer.text());
}

/// What a table becomes counts as bodies do, and is given back.
#[test]
fn what_a_table_becomes_shares_the_memory_of_bodies() {
    let server = server(HttpConfig::default().with_max_bytes_in_flight(100_000));
    let equal: ArrayRef = Arc::new(Int32Array::from(vec![1; 50_000]));
    let body = table(vec![
        ("age", Arc::clone(&equal)),
        ("income", equal),
        ("label", Arc::new(StringArray::from(vec!["a"; 50_000]))),
    ]);
    assert!(body.len() < 20_000, "{}", body.len());
    for _ in 0..3 {
        let answer = server.ask("/invocations", &[KIND], &body);
        assert_eq!(answer.status, 429, "{}", answer.text());
        assert!(message(&answer).contains("memory"), "{}", answer.text());
        assert_eq!(server.ask("/invocations", &[KIND], &people()).status, 200);
    }
    server.still_answers();
}

/// Each byte of a file changed, and each end cut off: an answer or a named refusal, never a fault.
#[test]
fn hostile_files_are_refused() {
    let server = server(HttpConfig::default().with_max_body_bytes(1 << 20));
    let whole = people();
    let ask = |body: &[u8], what: &str| {
        let answer = server.ask("/invocations", &[KIND], body);
        let status = answer.status.as_u16();
        assert!([200, 400, 413].contains(&status), "{what}: {status} {}", answer.text());
    };
    for cut in (0..whole.len()).step_by(3) {
        ask(&whole[..cut], "cut");
    }
    for at in 0..whole.len() {
        for flip in [0x01, 0x80, 0xff] {
            let mut damaged = whole.clone();
            damaged[at] ^= flip;
            ask(&damaged, &format!("byte {at} flipped by {flip}"));
        }
    }
    server.still_answers();
    let answer = server.ask("/invocations", &[KIND], &whole);
    let first: &Value = &answer.json()["predictions"][0]["sum"];
    assert_eq!(first, &json!(3.0));
}
