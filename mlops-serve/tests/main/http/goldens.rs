//! Bodies that NVIDIA's own client wrote (`oip_requests.py` among the oracle scripts): what it put in comes out.

use super::{Host, same};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use mlops_core::{
    arrow::buffer::Buffer,
    signature::{ModelSignature, TensorSpec},
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::http::{
    Service,
    oip::{Limits, decode_request},
};
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize)]
pub(crate) struct Goldens {
    shape: Vec<usize>,
    pub(crate) cases: Vec<Case>,
}

#[derive(Deserialize)]
pub(crate) struct Case {
    #[serde(rename = "case")]
    pub(crate) title: String,
    pub(crate) body: String,
    json_bytes: Option<usize>,
    pub(crate) inputs: Vec<Input>,
}

#[derive(Deserialize)]
pub(crate) struct Input {
    name: String,
    pub(crate) datatype: String,
    pub(crate) raw: String,
}

impl Goldens {
    /// That a case's tensors are those that went in.
    pub(crate) fn check(&self, case: &Case, inputs: &Tensors) {
        assert_eq!(inputs.len(), case.inputs.len(), "{}", case.title);
        for input in &case.inputs {
            let tensor = inputs.require(&input.name).unwrap();
            assert_eq!(tensor.shape(), self.shape, "{}", case.title);
            assert!(input.matches(tensor), "{}: {}", case.title, input.name);
        }
    }
}

impl Input {
    pub(crate) fn dtype(&self) -> DType {
        DType::from_oip_name(&self.datatype).unwrap()
    }

    /// A tensor's elements as the protocol's binary form has them.
    fn matches(&self, tensor: &Tensor) -> bool {
        let raw = bytes(&self.raw);
        if let Some(bytes) = tensor.as_bytes() {
            return bytes == raw;
        }
        let items = tensor.byte_strings().unwrap();
        let length = |item: &[u8]| u32::try_from(item.len()).unwrap().to_le_bytes();
        items.flat_map(|item| [&length(item)[..], item].concat()).eq(raw)
    }
}

pub(crate) fn bytes(hex: &str) -> Vec<u8> {
    let pair = |at: usize| u8::from_str_radix(&hex[at..at + 2], 16).unwrap();
    (0..hex.len()).step_by(2).map(pair).collect()
}

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../../data/oip/requests.json")).unwrap()
}

pub(crate) fn signature(case: &Case) -> ModelSignature {
    let spec = |input: &Input| TensorSpec::new(input.name.as_str(), input.dtype(), [None, None]);
    let output = |name| TensorSpec::new(name, DType::F32, [None, None]);
    let inputs = case.inputs.iter().map(spec).collect();
    ModelSignature::new(inputs, vec![output("y"), output("z")]).unwrap()
}

#[test]
fn each_body_gives_the_tensors_that_went_in() {
    let goldens = goldens();
    assert_eq!(goldens.cases.len(), 27);
    for case in &goldens.cases {
        let body = Buffer::from_vec(bytes(&case.body));
        let signature = signature(case);
        let decoded = decode_request(&body, case.json_bytes, &signature, &Limits::default());
        let decoded = decoded.unwrap_or_else(|error| panic!("{}: {error}", case.title));
        goldens.check(case, &decoded.request.inputs);
    }
}

#[test]
fn what_travels_beside_the_tensors_is_understood() {
    let goldens = goldens();
    let case = goldens.cases.iter().find(|case| case.title.starts_with("outputs, id")).unwrap();
    let body = Buffer::from_vec(bytes(&case.body));
    let decoded = decode_request(&body, case.json_bytes, &signature(case), &Limits::default());
    let decoded = decoded.unwrap();
    assert_eq!(decoded.request.id.as_deref(), Some("7 é"));
    assert_eq!(decoded.request.priority, 253);
    assert_eq!(decoded.timeout, Some(Duration::from_millis(250)));
    assert_eq!(decoded.request.outputs.as_deref().unwrap(), ["y".into(), "z".into()]);
    assert!(decoded.forms.is_binary("y") && !decoded.forms.is_binary("z"));
    let names: Vec<&String> = decoded.parameters().unwrap().keys().collect();
    assert_eq!(names, ["trace", "tries", "weight"]);
}

/// Through the whole router: the identity gives back the bytes that the client put in.
#[tokio::test]
async fn each_single_tensor_is_answered_bit_for_bit() {
    for case in goldens().cases.iter().filter(|case| case.title.contains(" in ")) {
        let dtype = case.inputs[0].dtype();
        let host = Host::of(Service::new().with_model(same(dtype, 2, false)));
        let mut request = Request::post("/v2/models/same/infer");
        if let Some(length) = case.json_bytes {
            request = request.header("Inference-Header-Content-Length", length);
        }
        let answer = host.send(request.body(Body::from(bytes(&case.body))).unwrap()).await;
        assert_eq!(answer.status, StatusCode::OK, "{}", case.title);
        let length = answer.headers["inference-header-content-length"].to_str().unwrap();
        let tail = &answer.body[length.parse::<usize>().unwrap()..];
        assert_eq!(tail, bytes(&case.inputs[0].raw), "{}", case.title);
    }
}
