//! Requests and answers in the Open Inference Protocol, and requests of MLflow's scoring server.

use mlops_core::{
    ErrorKind, PredictionId,
    arrow::buffer::Buffer,
    predictor::{PredictResponse, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
    tensor::DType,
};
use mlops_serve::{
    grpc::{self, InferMessage},
    http::{
        invocations,
        oip::{
            Answered, Limits, OutputForms, decode_model_metadata, decode_request, decode_response,
            encode_response,
        },
    },
};

/// A body that is JSON all through.
pub fn oip_json(bytes: &[u8]) {
    decode(bytes, None);
}

/// A body whose first part is JSON: two bytes say how long it is, little-endian.
pub fn oip_binary(bytes: &[u8]) {
    if let Some((length, body)) = bytes.split_first_chunk() {
        decode(body, Some(u16::from_le_bytes(*length).into()));
    }
}

/// What is read is what the signature asks for, and can be written in either form.
fn decode(body: &[u8], json_bytes: Option<usize>) {
    let limits = limits();
    let body = Buffer::from(body);
    for signature in signatures() {
        let Ok(decoded) = decode_request(&body, json_bytes, &signature, &limits) else { continue };
        if signature.check_inputs(&decoded.request.inputs).is_err() {
            continue;
        }
        let info = PredictorInfo::new("echo", "1", signature.clone());
        let (id, inputs) = (PredictionId::from_u128(1), decoded.request.inputs.clone());
        let response = PredictResponse::new(id, &info, &decoded.request, inputs);
        for binary in [false, true] {
            let encoded = encode_response(&response, &OutputForms::new(binary));
            assert!(encoded.is_ok(), "inputs that were read are written: {encoded:?}");
        }
    }
}

/// A message of gRPC: what is read is what the signature asks for, and can be written; what is not is
/// the caller's mistake.
pub fn grpc_infer(bytes: &[u8]) {
    let (limits, message) = (limits(), Buffer::from(bytes));
    for signature in signatures() {
        let read = InferMessage::read(&message, &limits);
        let decoded = match read.and_then(|message| message.decode(&signature, &limits)) {
            Ok(decoded) => decoded,
            Err(error) => {
                let kinds = [ErrorKind::InvalidInput, ErrorKind::TooLarge, ErrorKind::Unsupported];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                continue;
            }
        };
        if signature.check_inputs(&decoded.request.inputs).is_err() {
            continue;
        }
        let info = PredictorInfo::new("echo", "1", signature.clone());
        let (id, inputs) = (PredictionId::from_u128(1), decoded.request.inputs.clone());
        let response = PredictResponse::new(id, &info, &decoded.request, inputs);
        let encoded = grpc::encode_response(&response);
        assert!(encoded.is_ok(), "inputs that were read are written: {encoded:?}");
    }
}

/// An answer of another server over HTTP: two bytes say how long its JSON is, little-endian, and 65,535
/// that it is JSON all through; then the same bytes as what a server says of a model.
pub fn oip_answer(bytes: &[u8]) {
    if let Some((length, body)) = bytes.split_first_chunk() {
        let json_bytes = Some(u16::from_le_bytes(*length)).filter(|&length| length != u16::MAX);
        let body = Buffer::from(body);
        for signature in answers() {
            let read = decode_response(&body, json_bytes.map(Into::into), &signature, &limits());
            is_as_declared(read, &signature);
        }
    }
    if let Ok(described) = decode_model_metadata(bytes, &limits()) {
        assert!(described.signature.inputs.iter().all(|spec| spec.shape.len() <= 64));
    }
}

/// The same over gRPC: a message of an answer, then of what a server says of a model.
pub fn grpc_answer(bytes: &[u8]) {
    let message = Buffer::from(bytes);
    for signature in answers() {
        let read = grpc::decode_response(&message, &signature, &limits());
        is_as_declared(read, &signature);
    }
    let _ = grpc::decode_model_metadata(bytes, &limits());
}

/// The signatures that requests are read by, as what a model gives.
fn answers() -> impl Iterator<Item = ModelSignature> {
    signatures().map(|signature| ModelSignature::new(vec![], signature.inputs).expect("one name"))
}

fn is_as_declared(read: mlops_core::Result<Answered>, signature: &ModelSignature) {
    match read {
        Ok(answered) => {
            for (name, tensor) in answered.outputs.iter() {
                let spec = signature.output(name).expect("what is not declared is left out");
                spec.check(tensor).expect("it is as declared");
            }
        }
        Err(error) => {
            let kinds = [ErrorKind::InvalidInput, ErrorKind::TooLarge, ErrorKind::Unsupported];
            assert!(kinds.contains(&error.kind()), "{error:?}");
        }
    }
}

fn limits() -> Limits {
    Limits::default().with_max_elements(1 << 16).with_max_strings(1 << 10)
}

/// A scoring request in JSON: what is read and fits the signature can be written in either form.
pub fn scoring_json(bytes: &[u8]) {
    for signature in signatures() {
        let Ok((request, _)) = invocations::decode_request(bytes, &signature, &limits()) else {
            continue;
        };
        if signature.check_inputs(&request.inputs).is_ok() {
            for form in [invocations::Form::Table, invocations::Form::Tensors] {
                let written = invocations::encode_outputs(&request.inputs, form);
                assert!(written.is_ok(), "inputs that were read are written: {written:?}");
            }
        }
    }
}

/// The same in CSV.
pub fn scoring_csv(bytes: &[u8]) {
    for signature in signatures() {
        let Ok(request) = invocations::decode_csv(bytes, &signature, &limits()) else { continue };
        if signature.check_inputs(&request.inputs).is_ok() {
            let written = invocations::encode_outputs(&request.inputs, invocations::Form::Table);
            assert!(written.is_ok(), "inputs that were read are written: {written:?}");
        }
    }
}

/// One input of each kind of element, with open axes; and one of which the last axis is closed.
fn signatures() -> impl Iterator<Item = ModelSignature> {
    use DType as D;
    let kinds = [D::Bool, D::I64, D::U8, D::F16, D::BF16, D::F32, D::F64, D::Utf8, D::Bytes];
    let open = |dtype: DType| TensorSpec::new("x", dtype, [None, None]).with_nullable(true);
    let closed = TensorSpec::new("x", D::F32, [None, Some(3)]);
    let specs = kinds.into_iter().map(open).chain([closed]);
    specs.map(|spec| ModelSignature::new(vec![spec], vec![]).expect("one name"))
}
