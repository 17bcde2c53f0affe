//! Messages that NVIDIA's own client and Google's protobuf wrote (`oip_grpc_requests.py` among the oracle
//! scripts): what was put in comes out.

use super::{Server, proto::ModelInferResponse};
use crate::http::{
    goldens::{Goldens, bytes, signature},
    same,
};
use mlops_core::arrow::buffer::Buffer;
use mlops_serve::{
    grpc::InferMessage,
    http::{Service, oip::Limits},
};
use prost::Message;
use std::time::Duration;

fn goldens() -> Goldens {
    serde_json::from_str(include_str!("../../data/oip/grpc_requests.json")).unwrap()
}

#[test]
fn each_message_gives_the_tensors_that_went_in() {
    let goldens = goldens();
    assert_eq!(goldens.cases.len(), 27);
    for case in &goldens.cases {
        let body = Buffer::from_vec(bytes(&case.body));
        let message = InferMessage::read(&body, &Limits::default()).unwrap();
        assert_eq!((message.model(), message.version()), ("golden", None));
        let decoded = message.decode(&signature(case), &Limits::default());
        let decoded = decoded.unwrap_or_else(|error| panic!("{}: {error}", case.title));
        goldens.check(case, &decoded.request.inputs);
    }
}

#[test]
fn what_travels_beside_the_tensors_is_understood() {
    let goldens = goldens();
    let case = goldens.cases.iter().find(|case| case.title.starts_with("outputs, id")).unwrap();
    let body = Buffer::from_vec(bytes(&case.body));
    let message = InferMessage::read(&body, &Limits::default()).unwrap();
    let decoded = message.decode(&signature(case), &Limits::default()).unwrap();
    assert_eq!(decoded.request.id.as_deref(), Some("7 é"));
    assert_eq!(decoded.request.priority, 253);
    assert_eq!(decoded.timeout, Some(Duration::from_millis(250)));
    assert_eq!(decoded.request.outputs.as_deref().unwrap(), ["y".into(), "z".into()]);
    let names: Vec<&String> = decoded.parameters().unwrap().keys().collect();
    assert_eq!(names, ["trace", "tries", "weight"]);
}

/// Through the whole service: the identity gives back the bytes that were put in, raw or typed.
#[tokio::test]
async fn each_single_tensor_is_answered_bit_for_bit() {
    for case in goldens().cases.iter().filter(|case| case.inputs.len() == 1) {
        if case.title.starts_with("outputs") {
            continue;
        }
        let dtype = case.inputs[0].dtype();
        let service = Service::new().with_named("golden", same(dtype, 2, false));
        let server = Server::of(service).await;
        let (answer, _) = server.call("ModelInfer", bytes(&case.body)).await.unwrap();
        let answer = ModelInferResponse::decode(&*answer).unwrap();
        assert_eq!(answer.model_name, "golden", "the name that was asked");
        assert_eq!(answer.raw_output_contents, [bytes(&case.inputs[0].raw)], "{}", case.title);
        assert_eq!(answer.outputs[0].datatype, case.inputs[0].datatype, "{}", case.title);
        assert_eq!(answer.outputs[0].shape, [2, 3], "{}", case.title);
    }
}
