//! Bounds on messages: one, all together, decompressed, and on what a few bytes may become.

use super::{Server, call, good, input, proto::ModelInferRequest};
use axum::body::{Body, Bytes};
use futures_util::{StreamExt, stream};
use mlops_core::arrow::buffer::Buffer;
use mlops_serve::{
    grpc::InferMessage,
    http::{HttpConfig, oip::Limits},
};
use prost::Message;
use std::{convert::Infallible, io::Write, time::Duration};
use tonic::Code;

fn padded(bytes: usize) -> ModelInferRequest {
    let mut request = good();
    // A parameter's text may not be so long; a list of positions may.
    request.inputs[0]
        .parameters
        .insert("nulls".to_owned(), super::proto::Choice::Text(" ".repeat(bytes)).parameter());
    request
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&[0], &u32::try_from(message.len()).unwrap().to_be_bytes()[..], message].concat()
}

#[tokio::test]
async fn a_message_over_the_bound_is_refused_and_one_below_is_not() {
    let server = Server::start(HttpConfig::default().with_max_body_bytes(1 << 20)).await;
    server.infer(&padded(1 << 19)).await.unwrap();
    let status = server.infer(&padded(2 << 20)).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "the message is longer than 1048576 bytes");
    server.still_answers().await;
}

/// A length is a promise: nobody waits for it, or makes room for it.
#[tokio::test]
async fn the_length_alone_is_refused() {
    let server = Server::start(HttpConfig::default()).await;
    let hangs =
        stream::once(async { Ok::<_, Infallible>(Bytes::from_static(&[0, 255, 255, 255, 255])) });
    let body = Body::from_stream(hangs.chain(stream::pending()));
    let (code, message) = server.raw(&[], body).await;
    assert_eq!(code, Code::ResourceExhausted);
    assert_eq!(message, "the message is longer than 67108864 bytes");
}

/// 8 MB of spaces are 8 kB of gzip.
#[tokio::test]
async fn what_gzip_makes_of_a_message_is_bounded_too() {
    let server = Server::start(HttpConfig::default().with_max_body_bytes(1 << 20)).await;
    let request = tonic::Request::new(padded(8 << 20).encode_to_vec());
    let status = call(server.gzip(), "ModelInfer", request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert_eq!(status.message(), "the message is longer than 1048576 bytes");
    server.still_answers().await;

    let config = HttpConfig::default().with_max_bytes_in_flight(1 << 20);
    let server = Server::start(config).await;
    let request = tonic::Request::new(padded(8 << 20).encode_to_vec());
    let status = call(server.gzip(), "ModelInfer", request).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(status.message().contains("memory set aside"), "{status:?}");
    server.still_answers().await;
}

/// The messages of all calls share one memory; what one gives back, the next may have.
#[tokio::test]
async fn messages_share_a_bound_and_give_it_back() {
    let server = Server::start(HttpConfig::default().with_max_bytes_in_flight(500)).await;
    for _ in 0..3 {
        let part = [&[0, 0, 0, 1, 244], &[0; 450][..]].concat();
        let some = stream::once(async { Ok::<_, Infallible>(Bytes::from(part)) });
        let first = server.raw(&[], Body::from_stream(some.chain(stream::pending())));
        tokio::pin!(first);
        let waited = tokio::time::timeout(Duration::from_millis(50), &mut first).await;
        assert!(waited.is_err(), "the first message is still coming");
        let status = server.infer(&good()).await.unwrap_err();
        assert_eq!(status.code(), Code::ResourceExhausted);
        assert!(status.message().contains("memory set aside"), "{status:?}");
    }
    server.still_answers().await;
}

#[tokio::test]
async fn a_message_that_does_not_come_in_time_is_not_waited_for() {
    let config = HttpConfig::default().with_timeout(Some(Duration::from_millis(100)));
    let server = Server::start(config).await;
    let hangs = Body::from_stream(stream::pending::<Result<Bytes, Infallible>>());
    let (code, message) = server.raw(&[], hangs).await;
    assert_eq!((code, &*message), (Code::DeadlineExceeded, "the message did not come in time"));
}

#[tokio::test]
async fn framing_that_is_wrong_is_the_callers_mistake() {
    let server = Server::start(HttpConfig::default()).await;
    let good = framed(&good().encode_to_vec());
    let gzip = |bytes: &[u8]| {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    };
    let mut zipped = framed(&gzip(&good[5..]));
    zipped[0] = 1;
    let mut broken = zipped.clone();
    broken[20] ^= 0xff;
    let coded = [("grpc-encoding", "gzip")];
    for (names, headers, body) in [
        ("no message", &[][..], Vec::new()),
        ("inside of a message", &[], vec![0, 0]),
        ("inside of a message", &[], good[..30].to_vec()),
        ("flag", &[], [&[7], &good[1..]].concat()),
        ("more than one message", &[], good.repeat(2)),
        ("inside of a message", &[], [&good[..], b"x"].concat()),
        ("does not say how", &[], zipped.clone()),
        ("not valid gzip", &coded, broken),
        ("not valid gzip", &coded, [1, 0, 0, 0, 1, 9].to_vec()),
    ] {
        let (code, message) = server.raw(headers, body).await;
        assert_eq!(code, Code::InvalidArgument, "{message}");
        assert!(message.contains(names), "{message:?} does not name {names:?}");
    }
    let gone = stream::iter([Ok(Bytes::from_static(&[0, 0])), Err(std::io::Error::other("reset"))]);
    let (code, message) = server.raw(&[], Body::from_stream(gone)).await;
    assert_eq!((code, &*message), (Code::InvalidArgument, "the body ended before its time"));
    assert_eq!(server.raw(&coded, zipped).await.0, Code::Ok);
    // One byte at a time, as a slow client sends.
    let bytes = good.into_iter().map(|byte| Ok::<_, Infallible>(Bytes::from(vec![byte])));
    assert_eq!(server.raw(&[], Body::from_stream(stream::iter(bytes))).await.0, Code::Ok);
    server.still_answers().await;
}

/// Two bytes make an element of a repeated field; millions of them stay two bytes each.
#[test]
fn many_empty_elements_are_counted_before_they_take_memory() {
    let limits = Limits::default();
    for (key, names) in [
        (0x2a_u8, "\"inputs\" has more than 1024"),
        (0x32, "\"outputs\" has more than 1024"),
        (0x3a, "\"raw_input_contents\" has more than 1024"),
        (0x22, "the request has more than 256 \"parameters\""),
    ] {
        let bytes = Buffer::from_vec([key, 0].repeat(1 << 20));
        let error = InferMessage::read(&bytes, &limits).unwrap_err();
        assert!(error.message().contains(names), "{error}");
    }
    let signature = mlops_core::Predictor::info(&crate::http::model("sum")).signature.clone();
    let decode = |bytes: Vec<u8>, limits: &Limits| {
        let bytes = Buffer::from_vec(bytes);
        let message = InferMessage::read(&bytes, limits).unwrap();
        message.decode(&signature, limits).map(drop).unwrap_err().to_string()
    };
    // An input named `label` of one element, and in its contents 2²⁰ empty strings.
    let mut request =
        ModelInferRequest { inputs: vec![input("label", "BYTES", &[1])], ..Default::default() };
    let contents = super::proto::InferTensorContents {
        bytes_contents: vec![Vec::new(); 1 << 20],
        ..Default::default()
    };
    request.inputs[0].contents = Some(contents);
    let error = decode(request.encode_to_vec(), &limits);
    assert_eq!(error, "input \"label\": \"contents\" has more elements where shape [1] wants 1");
    // A shape of 2²⁰ axes.
    let deep =
        ModelInferRequest { inputs: vec![input("x", "FP32", &[1; 1 << 20])], ..Default::default() };
    let error = decode(deep.encode_to_vec(), &limits);
    assert_eq!(error, "input 0: \"shape\" has more than 32 axes");
}
