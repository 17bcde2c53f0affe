//! The forms of MLflow's scoring server.

use super::{Answer, Host, model, same};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use mlops_core::{
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
    testing::FnPredictor,
};
use mlops_serve::http::{HttpConfig, Service};
use serde_json::{Value, json};

fn host() -> Host {
    Host::of(Service::new().with_model(model("sum")).with_invocations("sum"))
}

async fn score(host: &Host, kind: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post("/invocations").header("content-type", kind);
    host.send(request.body(body.into()).unwrap()).await
}

async fn predictions(host: &Host, body: Value) -> Value {
    let answer = score(host, "application/json", body.to_string()).await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.text());
    assert!(answer.headers.contains_key("x-prediction-id"));
    answer.json()["predictions"].clone()
}

#[tokio::test]
async fn four_shapes_of_json_and_csv_ask_the_same() {
    let host = host();
    let table = json!([{ "sum": 3.0, "label": "a" }, { "sum": 7.5, "label": "é" }]);
    let split = json!({ "dataframe_split": {
        "columns": ["label", "more", "income", "age"], "index": [7, 8],
        "data": [["a", {}, 2, 1], ["é", null, 4.5, 3]],
    }});
    assert_eq!(predictions(&host, split).await, table);
    let rows = json!([
        { "age": 1, "income": 2, "label": "a" },
        { "more": [1], "label": "é", "income": 4.5, "age": 3 },
    ]);
    for shape in ["dataframe_records", "instances"] {
        assert_eq!(predictions(&host, json!({ shape: rows })).await, table, "{shape}");
    }
    let tensors = json!({ "sum": [3.0, 7.5], "label": ["a", "é"] });
    for inputs in [
        json!({ "age": [1, 3], "income": [2, 4.5], "label": ["a", "é"] }),
        json!({ "x": [[1, 2], [3, 4.5]], "label": ["a", "é"] }),
    ] {
        assert_eq!(predictions(&host, json!({ "inputs": inputs })).await, tensors);
    }
    let csv = "label,age,income,more\na,1,2,\né,3,4.5,x\n";
    let answer = score(&host, "text/csv; charset=UTF-8", csv).await;
    assert_eq!(answer.json()["predictions"], table, "{}", answer.text());
    host.still_answers().await;
}

#[tokio::test]
async fn an_only_input_needs_no_name_and_digits_are_read_once() {
    let one = |dtype, axes| {
        let same = Service::new().with_model(same(dtype, axes, false));
        Host::of(same.with_invocations("same"))
    };
    // By way of 64 bits these digits would round to another number of 32.
    let digits = "1.00000017881393432617187499";
    let body = format!("{{\"instances\": [{digits}, null]}}");
    let answer = score(&one(DType::F32, 1), "application/json", body).await;
    assert_eq!(answer.text(), "{\"predictions\":[1.0000001,null]}");

    let matrix = json!([[1, 2, 3], [4, 5, 6]]);
    let host = one(DType::I64, 2);
    for shape in ["instances", "inputs"] {
        assert_eq!(predictions(&host, json!({ shape: matrix })).await, matrix);
    }
    let split = json!({ "dataframe_split": { "data": matrix } });
    assert_eq!(predictions(&host, split).await, matrix);
    let csv = score(&host, "text/csv", "a,b,c\n1,2,3\n4,5,6\n").await;
    assert_eq!(csv.json()["predictions"], matrix);
    let cube = json!([[[1, 2], [3, 4]], [[5, 6], [7, 8]]]);
    let answer = predictions(&one(DType::U8, 3), json!({ "inputs": { "x": cube } })).await;
    assert_eq!(answer, cube);
    assert_eq!(predictions(&host, json!({ "inputs": { "x": [] } })).await, json!([]));
}

#[tokio::test]
async fn mistakes_are_named_and_echo_nothing() {
    let host = host();
    let long = "secret".repeat(10);
    let deep = format!("{{\"instances\": {}1", "[".repeat(100_000));
    let column = |name: &str| json!({ "dataframe_split": { "columns": [name], "data": [[1]] } });
    let age = json!({ "dataframe_records": [{ "age": long, "income": 1, "label": "a" }] });
    let ragged = json!({ "dataframe_split": { "columns": ["a", "b"], "data": [[1, 2], [3]] } });
    let cases: Vec<(String, &str)> = vec![
        ("{".to_owned(), "the request is not valid JSON"),
        ("[1]".to_owned(), "no object of the form"),
        (deep, "not valid JSON"),
        (json!({}).to_string(), "exactly one of"),
        (json!({ "inputs": [], "instances": [] }).to_string(), "exactly one of"),
        (json!({ "dataframe_split": 3 }).to_string(), "\"dataframe_split\" is no object of"),
        (column("age").to_string(), "column \"income\" is missing"),
        (ragged.to_string(), "row 1 has 1 cells for 2 columns"),
        (age.to_string(), "input \"x\": element 0 is no number"),
        (json!({ "inputs": [1] }).to_string(), "the model has 2 inputs"),
        (
            json!({ "inputs": { "x": [[1, 2]], "label": ["a", "b"] } }).to_string(),
            "has 1 rows, not 2",
        ),
        (json!({ "instances": [], "params": { "a": [] } }).to_string(), "parameter \"a\""),
    ];
    for (body, says) in cases {
        let answer = score(&host, "application/json", body).await;
        let json = answer.json();
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{json}");
        assert_eq!(json["error_code"], "INVALID_PARAMETER_VALUE");
        let message = json["message"].as_str().unwrap();
        assert!(message.contains(says) && !message.contains("secret"), "{message}");
    }
    for kind in ["text/plain", "application/json; format=pandas-split", ""] {
        let answer = score(&host, kind, "{}").await;
        assert_eq!(answer.status, StatusCode::UNSUPPORTED_MEDIA_TYPE, "{kind}");
    }
    let csv = score(&host, "text/csv", "age,income,label\nsecret,2,a\n").await;
    assert_eq!(csv.status, StatusCode::BAD_REQUEST);
    assert!(csv.text().contains("line 2") && !csv.text().contains("secret"), "{}", csv.text());
    host.still_answers().await;
}

#[tokio::test]
async fn csv_says_what_json_says() {
    let floats =
        Host::of(Service::new().with_model(same(DType::F32, 2, false)).with_invocations("same"));
    // By way of 64 bits these digits would round to another number of 32.
    let csv = "\u{feff}a,\"b, c\"\r\n1.00000017881393432617187499,\"-2.5e0\"\r\n\r\n,+.5\r\n";
    let answer = score(&floats, "text/csv", csv).await;
    assert_eq!(answer.text(), "{\"predictions\":[[1.0000001,-2.5],[null,0.5]]}");
    let answer = score(&floats, "text/csv", "a,b\nInfinity,nan\n-inf,inf").await;
    assert_eq!(
        (answer.status, answer.text()),
        (StatusCode::OK, "{\"predictions\":[[null,null],[null,null]]}")
    );

    let texts =
        Host::of(Service::new().with_model(same(DType::Utf8, 1, true)).with_invocations("same"));
    let answer = score(&texts, "text/csv", "more,x\n1,\"say \"\"hi\"\",\n\"\n2,\n3,007\n").await;
    assert_eq!(answer.json()["predictions"], json!(["say \"hi\",\n", null, "007"]));

    for (csv, says) in [
        ("", "no line that names its columns"),
        ("a,b\n1,2\n\n3\n", "line 4 has 1 cells for 2 columns"),
        ("a\r\n1\r\nsecret\r\n", "line 3: column \"a\" is no number"),
        ("a,a\n1,2\n", "column \"a\" stands there twice"),
        ("a\n1e99\n", "out of the range"),
    ] {
        let answer = score(&floats, "text/csv", csv).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{csv:?}");
        assert!(answer.text().contains(&says.replace('"', "\\\"")), "{}", answer.text());
        assert!(!answer.text().contains("secret"));
    }
    let latin = score(&floats, "text/csv", b"a\n1\n\xe9\n".to_vec()).await;
    assert!(latin.text().contains("line 3 is not UTF-8"), "{}", latin.text());
}

#[tokio::test]
async fn what_is_held_is_bounded_by_what_is_sent() {
    let names: Vec<String> = (0..500).map(|at| format!("c{at}")).collect();
    let wide = TensorSpec::new("x", DType::F32, [None, Some(500)]);
    let wide = wide.with_columns(names.iter().map(String::as_str));
    let count = TensorSpec::column("nulls", DType::U64);
    let signature = ModelSignature::new(vec![wide], vec![count]).unwrap();
    let model = FnPredictor::new("wide", signature, |inputs| {
        let rows = inputs.require("x")?.as_slice::<f32>()?.chunks(500);
        let nulls = rows.map(|row| row.iter().filter(|value| value.is_nan()).count() as u64);
        let nulls: Vec<u64> = nulls.collect();
        Ok(Tensors::one("nulls", Tensor::from_vec([nulls.len()], nulls)?))
    });
    let host = Host::of(Service::new().with_model(model).with_invocations("wide"));
    let too_large = async |kind: &str, body: String, says: &str| {
        let answer = score(&host, kind, body).await;
        assert_eq!(answer.status, StatusCode::PAYLOAD_TOO_LARGE, "{}", answer.text());
        assert!(answer.text().contains(says), "{}", answer.text());
    };
    // A row of three bytes would become one of two thousand.
    let empty = format!("{{\"dataframe_records\": [{}{{}}]}}", "{},".repeat(100_000));
    too_large("application/json", empty, "leave out more cells").await;
    let head = format!("{}\n", "a,".repeat(100_000));
    too_large("text/csv", head, "more than 1524 columns").await;
    let columns = format!("{}\"b\"", "\"a\",".repeat(100_000));
    let split = format!("{{\"dataframe_split\": {{\"columns\": [{columns}], \"data\": []}}}}");
    too_large("application/json", split, "more than 1524 columns").await;
    let row = format!("{}1", "1,".repeat(100_000));
    let unnamed = format!("{{\"dataframe_split\": {{\"data\": [[{row}]]}}}}");
    too_large("application/json", unnamed, "more than 1524 columns").await;
    let members: Vec<String> = (0..100_000).map(|at| format!("\"m{at}\": []")).collect();
    let inputs = format!("{{\"inputs\": {{{}}}}}", members.join(","));
    too_large("application/json", inputs, "more than 1524 columns").await;

    // A few cells left out are null.
    let full: serde_json::Map<String, Value> =
        names.iter().map(|name| (name.clone(), json!(1))).collect();
    let answer = predictions(&host, json!({ "dataframe_records": [full, { "c7": 1 }] })).await;
    assert_eq!(answer, json!([0, 499]));
}

#[tokio::test]
async fn a_model_that_is_not_there_does_not_answer_the_ping() {
    let host = host();
    for path in ["/ping", "/health"] {
        let answer = host.get(path).await;
        assert_eq!((answer.status, answer.text()), (StatusCode::OK, "\n"));
    }
    assert_eq!(host.get("/version").await.text(), HttpConfig::default().server_version);
    let nobody = Host::of(Service::new().with_invocations("sum"));
    assert_eq!(nobody.get("/ping").await.status, StatusCode::NOT_FOUND);
    let answer = score(&nobody, "application/json", "{}").await;
    assert_eq!(answer.json()["error_code"], "RESOURCE_DOES_NOT_EXIST");
    let none = Host::new(HttpConfig::default());
    assert_eq!(none.get("/ping").await.status, StatusCode::NOT_FOUND);
}
