//! The same rows give the same bits in process, over HTTP and over gRPC, whatever their type.

use super::{
    Server, input,
    proto::{Choice, ModelInferRequest},
};
use crate::http::same;
use axum::{
    body::{Body, to_bytes},
    http::Request,
};
use mlops_core::{
    Predictor,
    predictor::PredictRequest,
    tensor::{DType, Tensor, Tensors},
};
use mlops_serve::http::Service;
use serde_json::{Value, json};
use tower::ServiceExt;

/// Six elements of each type, extremes among them, as raw bytes.
fn raw(dtype: DType) -> Vec<u8> {
    match dtype {
        DType::Bool => vec![1, 0, 1, 1, 0, 0],
        DType::Utf8 => {
            strings(&[b"", b"a", "é".as_bytes(), b"\"\\\n", b"employed", "😀".as_bytes()])
        }
        DType::Bytes => strings(&[b"", b"\xff\xfe", b"a", b"\0", b"b", b"c"]),
        dtype => {
            let size = dtype.size().unwrap();
            let pattern = [0x00, 0x01, 0x7f, 0x80, 0xff, 0x3c, 0xc0, 0x42];
            (0..6 * size).map(|at| pattern[(at * 7 + at / 3) % pattern.len()]).collect()
        }
    }
}

fn strings(items: &[&[u8]]) -> Vec<u8> {
    let one = |item: &&[u8]| [&u32::try_from(item.len()).unwrap().to_le_bytes()[..], item].concat();
    items.iter().flat_map(one).collect()
}

fn request(dtype: DType, raw: Vec<u8>) -> ModelInferRequest {
    ModelInferRequest {
        model_name: "same".to_owned(),
        inputs: vec![input("x", dtype.oip_name(), &[2, 3])],
        raw_input_contents: vec![raw],
        ..Default::default()
    }
}

/// The outputs over HTTP, as raw bytes, and what its JSON says of them.
async fn over_http(server: &Server, dtype: DType, raw: &[u8], nulls: &str) -> (Value, Vec<u8>) {
    let mut parameters = json!({ "binary_data_size": raw.len() });
    if !nulls.is_empty() {
        parameters["nulls"] = json!(nulls);
    }
    let x = json!({ "name": "x", "datatype": dtype.oip_name(), "shape": [2, 3], "parameters": parameters });
    let head = json!({ "inputs": [x], "parameters": { "binary_data_output": true } }).to_string();
    let body = [head.as_bytes(), raw].concat();
    let request = Request::post("/v2/models/same/infer");
    let request = request.header("inference-header-content-length", head.len());
    let response =
        server.app.clone().oneshot(request.body(Body::from(body)).unwrap()).await.unwrap();
    let length = response.headers()["inference-header-content-length"].to_str().unwrap();
    let length: usize = length.parse().unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    (serde_json::from_slice(&body[..length]).unwrap(), body[length..].to_vec())
}

const ALL: [DType; 15] = [
    DType::Bool,
    DType::U8,
    DType::U16,
    DType::U32,
    DType::U64,
    DType::I8,
    DType::I16,
    DType::I32,
    DType::I64,
    DType::F16,
    DType::BF16,
    DType::F32,
    DType::F64,
    DType::Utf8,
    DType::Bytes,
];

#[tokio::test]
async fn of_every_type_by_every_way() {
    for dtype in ALL {
        let (model, raw) = (same(dtype, 2, false), raw(dtype));
        let server = Server::of(Service::new().with_model(model.clone())).await;
        let answer = server.infer(&request(dtype, raw.clone())).await.unwrap();
        assert_eq!(answer.raw_output_contents, std::slice::from_ref(&raw), "{dtype}");
        assert_eq!(over_http(&server, dtype, &raw, "").await.1, raw, "{dtype}");
        if dtype.size().is_some() {
            let x = Tensor::from_buffer(dtype, [2, 3], raw.clone().into()).unwrap();
            let asked = PredictRequest::new(Tensors::one("x", x));
            let outputs = model.predict(asked).await.unwrap().outputs;
            assert_eq!(outputs.require("y").unwrap().as_bytes().unwrap(), raw, "{dtype}");
        }
    }
}

/// A null crosses as its position, and under it no bytes of the caller's.
#[tokio::test]
async fn with_nulls_too() {
    for dtype in [DType::F32, DType::F64, DType::I64, DType::Utf8] {
        let server = Server::of(Service::new().with_model(same(dtype, 2, true))).await;
        let raw = raw(dtype);
        let mut asked = request(dtype, raw.clone());
        asked.inputs[0].parameters.insert("nulls".into(), Choice::Text("1 5".into()).parameter());
        let answer = server.infer(&asked).await.unwrap();
        let (head, bytes) = over_http(&server, dtype, &raw, "1 5").await;
        assert_eq!(answer.raw_output_contents, [bytes], "{dtype}");
        assert_eq!(head["outputs"][0]["parameters"]["nulls"], "1 5");
        let said = &answer.outputs[0].parameters["nulls"];
        assert_eq!(said, &Choice::Text("1 5".into()).parameter());
    }
}

/// Bytes that begin anywhere in a message, and messages that come in many pieces.
#[tokio::test]
async fn a_large_tensor_at_any_place() {
    let values: Vec<u8> = (0..6 * 300_000_u32).flat_map(u32::to_le_bytes).collect();
    let server = Server::of(Service::new().with_model(same(DType::U32, 2, false))).await;
    for id in ["", "a", "ab", "abc"] {
        let mut asked = request(DType::U32, values.clone());
        (asked.id, asked.inputs[0].shape) = (id.to_owned(), vec![600_000, 3]);
        let answer = server.infer(&asked).await.unwrap();
        assert!(answer.raw_output_contents[0] == values, "{id:?}");
    }
}

/// Texts to embeddings, without batching: JSON has the digits, the others the bytes.
#[cfg(feature = "candle")]
#[tokio::test]
async fn of_an_encoder() {
    use mlops_serve::{LocalConfig, LocalPredictor};
    let local = LocalConfig::default();
    let session = crate::encoder::small();
    let model = std::sync::Arc::new(LocalPredictor::open("same", "1", session, &local).unwrap());
    let server = Server::of(Service::new().with_model(std::sync::Arc::clone(&model))).await;
    let texts: Vec<String> = crate::encoder::texts().into_iter().take(40).collect();
    let asked = PredictRequest::new(crate::encoder::inputs(&texts));
    let outputs = model.predict(asked).await.unwrap().outputs;
    let wanted = outputs.require("embedding").unwrap();

    let raw = strings(&texts.iter().map(String::as_bytes).collect::<Vec<_>>());
    let grpc = ModelInferRequest {
        model_name: "same".to_owned(),
        inputs: vec![input("text", "BYTES", &[40])],
        raw_input_contents: vec![raw],
        ..Default::default()
    };
    let answer = server.infer(&grpc).await.unwrap();
    assert_eq!(answer.raw_output_contents[0], wanted.as_bytes().unwrap());

    let text = json!({ "name": "text", "datatype": "BYTES", "shape": [40], "data": texts });
    let body = Body::from(json!({ "inputs": [text] }).to_string());
    let request = Request::post("/v2/models/same/infer").body(body).unwrap();
    let response = server.app.clone().oneshot(request).await.unwrap();
    let body = to_bytes(response.into_body(), usize::MAX).await.unwrap();
    let body: Value = serde_json::from_slice(&body).unwrap();
    let digits = body["outputs"][0]["data"].as_array().unwrap().iter();
    let digits: Vec<f32> = digits.map(|digits| digits.to_string().parse().unwrap()).collect();
    assert_eq!(digits, wanted.as_slice::<f32>().unwrap());
}
