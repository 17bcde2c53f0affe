//! What NVIDIA Triton answered to a hundred requests (`scripts/peers/triton_answers.py`): ours is the same
//! where Triton is right. Where it is not, or where the protocol leaves it open, ours stands here with the reason.

use super::{Host, goldens::bytes};
use axum::{body::Body, http::Request};
use mlops_core::{
    Error,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensors},
    testing::FnPredictor,
};
use mlops_serve::http::Service;
use serde::Deserialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Deserialize)]
struct Goldens {
    server: String,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "case")]
    title: String,
    request: Asked,
    answer: Answered,
}

#[derive(Deserialize)]
struct Asked {
    method: String,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
}

#[derive(Deserialize)]
struct Answered {
    status: u16,
    /// How many of the body's bytes are JSON, if not all.
    head: Option<usize>,
    body: String,
}

/// Where ours answers with another status, and why.
const OTHERS: &[(&str, u16, &str)] = &[
    (
        "GET /v2/models/none/ready",
        404,
        "not found, as Triton says it where it is asked of metadata",
    ),
    ("GET /v2/models/one/versions/9/ready", 404, "the same"),
    ("GET /v2/models/none/stats", 404, "the same"),
    ("an empty id", 200, "an id that is given is echoed"),
    ("axes that overflow", 413, "larger than any request may be"),
    ("null among numbers", 200, "null is how JSON writes NaN, both ways"),
    ("UINT8 300", 400, "Triton computes with 44"),
    ("INT8 128", 400, "Triton computes with -128"),
    ("INT32 2147483648", 400, "Triton computes with -2147483648"),
    ("FP16 as JSON", 200, "the protocol leaves it out; the numbers are exact"),
    ("no rows", 200, "no rows are answered by no rows"),
    ("a coding that nobody has", 415, "HTTP's status for it"),
    ("NaN", 400, "it is no JSON"),
];

const TYPES: [DType; 12] = [
    DType::Bool,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::F32,
    DType::F64,
    DType::Utf8,
];

/// Gives its inputs back, as the model of Triton's does: `in_fp32` as `out_fp32`.
fn same(name: &str, types: &[DType]) -> FnPredictor {
    let spec = |side: &str, dtype: DType| {
        let name = format!("{side}_{}", dtype.oip_name().to_lowercase());
        TensorSpec::new(name, dtype, [None, Some(2)])
    };
    let side = |side| types.iter().map(|&dtype| spec(side, dtype)).collect();
    let signature = ModelSignature::new(side("in"), side("out")).unwrap();
    FnPredictor::new(name, signature, |inputs| {
        let mut outputs = Tensors::new();
        for (name, tensor) in inputs.iter() {
            let name = name.strip_prefix("in").ok_or_else(|| Error::internal("no input"))?;
            outputs.push(format!("out{name}"), tensor.clone())?;
        }
        Ok(outputs)
    })
}

fn host() -> Host {
    let service = Service::new().with_model(same("plain", &TYPES));
    let service = service.with_model(same("half", &[DType::F16]));
    Host::of(service.with_model(same("one", &[DType::F32])))
}

/// An answer as JSON, with the bytes after it as the data of the outputs that they belong to.
fn read(body: &[u8], head: Option<usize>) -> Value {
    let (json, mut raw) = body.split_at(head.unwrap_or(body.len()));
    let mut answer: Value = serde_json::from_slice(json).unwrap();
    for output in answer["outputs"].as_array_mut().into_iter().flatten() {
        if let Some(size) = output["parameters"]["binary_data_size"].as_u64() {
            let (own, rest) = raw.split_at(usize::try_from(size).unwrap());
            (output["data"], raw) = (own.into(), rest);
        }
    }
    assert!(raw.is_empty(), "bytes that are no output's");
    answer
}

/// What two answers to one request say differently.
fn differences(ours: &Value, theirs: &Value) -> Vec<String> {
    let members = ["id", "model_name"].map(|member| (member, &ours[member], &theirs[member]));
    let mut found = Vec::new();
    let mut compare = |what: &str, ours: &Value, theirs: &Value| {
        if ours != theirs {
            found.push(format!("{what} {ours}, not {theirs}"));
        }
    };
    for (member, ours, theirs) in members {
        compare(member, ours, theirs);
    }
    let list = |answer: &Value| answer["outputs"].as_array().cloned().unwrap_or_default();
    let (mut ours, mut theirs) = (list(ours), list(theirs));
    compare("outputs", &ours.len().into(), &theirs.len().into());
    for outputs in [&mut ours, &mut theirs] {
        outputs.sort_by_key(|output| output["name"].to_string());
    }
    for (one, other) in ours.iter().zip(&theirs) {
        for member in ["name", "datatype", "shape"] {
            compare(member, &one[member], &other[member]);
        }
        let size = |one: &Value| one["parameters"]["binary_data_size"].clone();
        compare("size", &size(one), &size(other));
        compare("data", &elements(one).into(), &elements(other).into());
    }
    found
}

/// The names of the outputs, in their order.
fn names(json: &Value) -> Vec<&str> {
    json["outputs"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|one| one["name"].as_str())
        .collect()
}

/// What two descriptions of one model say differently of its tensors, which Triton lists in any order.
fn described(ours: &Value, theirs: &Value) -> Vec<String> {
    let tensors = |json: &Value, side: &str| -> BTreeSet<[String; 3]> {
        let list = json[side].as_array().into_iter().flatten();
        list.map(|one| ["name", "datatype", "shape"].map(|member| one[member].to_string()))
            .collect()
    };
    let mut found = Vec::new();
    for side in ["inputs", "outputs"] {
        if tensors(ours, side) != tensors(theirs, side) {
            found.push(format!("{side} of {}", ours["name"]));
        }
    }
    found
}

/// The elements of an output as its type has them.
fn elements(output: &Value) -> Vec<String> {
    let narrow = output["datatype"] == "FP32";
    let one = |element: &Value| match element.as_f64() {
        #[expect(clippy::cast_possible_truncation, reason = "that is how the element is read")]
        Some(number) if narrow => (number as f32).to_bits().to_string(),
        _ => element.to_string(),
    };
    output["data"].as_array().into_iter().flatten().map(one).collect()
}

#[tokio::test]
async fn answers_are_tritons_where_it_is_right() {
    let goldens: Goldens =
        serde_json::from_str(include_str!("../../data/oip/triton.json")).unwrap();
    assert!(goldens.server.contains("2.51"));
    let (host, mut wrong, mut used) = (host(), Vec::new(), 0);
    for Case { title, request: asked, answer: theirs } in &goldens.cases {
        let mut request = Request::builder().method(asked.method.as_str()).uri(&asked.path);
        for (name, value) in &asked.headers {
            request = request.header(name, value);
        }
        let ours = host.send(request.body(Body::from(bytes(&asked.body))).unwrap()).await;
        let status = ours.status.as_u16();
        let other = OTHERS.iter().find(|(other, ..)| other == title);
        used += usize::from(other.is_some());
        // A caller's mistake is no fault of the server's.
        let expected = match other {
            Some((_, own, _)) => *own,
            None if theirs.status >= 500 => 400,
            None => theirs.status,
        };
        if status != expected {
            wrong.push(format!("{title}: {status}, not {expected}: {:?}", ours.body));
        }
        if status >= 400 {
            assert!(ours.error().len() > 5, "{title}");
        }
        let both = [status, theirs.status] == [200; 2] && asked.path.ends_with("infer");
        if status == 200 && title == "an empty id" {
            assert_eq!(ours.json()["id"], "");
        }
        if status == 200 && title.contains("in the order asked") {
            // Triton's own order is another with every start.
            let asked: Value = serde_json::from_slice(&bytes(&asked.body)).unwrap();
            assert_eq!(names(&ours.json()), names(&asked));
        }
        if [status, theirs.status] == [200; 2] && theirs.body.starts_with("7b226e616d65223a226") {
            wrong.extend(described(&ours.json(), &read(&bytes(&theirs.body), None)));
        }
        if both && other.is_none() {
            let head = ours.headers.get("inference-header-content-length");
            let head = head.map(|length| length.to_str().unwrap().parse().unwrap());
            let (ours, theirs) = (read(&ours.body, head), read(&bytes(&theirs.body), theirs.head));
            let found = differences(&ours, &theirs);
            wrong.extend(found.iter().map(|found| format!("{title}: {found}")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert_eq!(used, OTHERS.len(), "a difference that is no case");
}
