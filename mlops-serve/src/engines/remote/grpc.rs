//! The protocol over gRPC.

use super::{
    config::RemoteConfig,
    failure::Failure,
    rest::{corrupt, if_it_knows, rows},
    transport::Transport,
};
use crate::{
    grpc::{self, Flag, ModelTarget, MostRows},
    http::{
        infer::off_the_timers,
        oip::{Answered, Described},
    },
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use mlops_core::{
    Error, Result, arrow::buffer::Buffer, predictor::PredictRequest, signature::ModelSignature,
};
use prost::Message;
use std::{sync::Arc, time::Duration};
use tonic::{Code, Status};

/// Bytes before a message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// What the server says of the model.
pub(super) async fn describe(
    transport: &Transport,
    config: &RemoteConfig,
) -> Result<Described, Failure> {
    let message = call(transport, "ModelMetadata", &target(config), None).await?;
    Ok(grpc::decode_model_metadata(&message, &config.limits).map_err(corrupt)?)
}

/// The most rows that one request may have, where the server says it: Triton's configuration.
pub(super) async fn most_rows(
    transport: &Transport,
    config: &RemoteConfig,
) -> Result<Option<usize>, Failure> {
    let answer = call(transport, "ModelConfig", &target(config), None).await;
    let said = if_it_knows(answer)?.and_then(|message| MostRows::decode(&*message).ok());
    Ok(said.and_then(|said| rows(said.config?.max_batch_size.into())))
}

/// Whether the model would answer now.
pub(super) async fn ready(transport: &Transport, config: &RemoteConfig) -> Result<(), Failure> {
    let message = call(transport, "ModelReady", &target(config), None).await?;
    let flag = Flag::decode(&*message).map_err(|_| Error::corrupt("the answer is no flag"))?;
    let unready = || Error::unavailable("the server says that the model is not ready").into();
    flag.value.then_some(()).ok_or_else(unready)
}

/// Asks the model once.
pub(super) async fn infer(
    transport: &Transport,
    config: &RemoteConfig,
    request: &PredictRequest,
    (signature, left): (&Arc<ModelSignature>, Duration),
) -> Result<Answered, Failure> {
    let is_long = request.inputs.size_bytes() > config.max_inline_bytes;
    let (question, model, version) =
        (request.clone(), Arc::clone(&config.model), config.version.clone());
    let written = off_the_timers(is_long, move || {
        grpc::encode_request(&model, version.as_deref(), &question, Some(left))
    });
    let message = call(transport, "ModelInfer", &written.await?, Some(left)).await?;
    let is_long = message.len() > config.max_inline_bytes;
    let (signature, limits) = (Arc::clone(signature), config.limits.clone());
    let read = off_the_timers(is_long, move || {
        grpc::decode_response(&Buffer::from_vec(message), &signature, &limits)
    });
    Ok(read.await.map_err(corrupt)?)
}

fn target(config: &RemoteConfig) -> Vec<u8> {
    let version = config.version.as_deref().unwrap_or_default().to_owned();
    ModelTarget { name: config.model.to_string(), version }.encode_to_vec()
}

/// One call of one message; the message that answers it.
async fn call(
    transport: &Transport,
    method: &str,
    message: &[u8],
    left: Option<Duration>,
) -> Result<Vec<u8>, Failure> {
    let length = u32::try_from(message.len())
        .map_err(|_| Error::too_large("the request is longer than gRPC can say"))?;
    let body = [&[0][..], &length.to_be_bytes(), message].concat();
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    headers.insert(header::TE, HeaderValue::from_static("trailers"));
    if let Some(left) = left.and_then(timeout) {
        headers.insert(HeaderName::from_static("grpc-timeout"), left);
    }
    let path = format!("/inference.GRPCInferenceService/{method}");
    let reply = transport.send(Method::POST, &path, headers, body).await?;
    if reply.status != StatusCode::OK {
        return Err(Failure::refused(reply.status, &reply.headers, b""));
    }
    match Status::from_header_map(&reply.headers) {
        None => Err(Error::corrupt("the server's answer has no grpc-status").into()),
        Some(status) if status.code() == Code::Ok => Ok(only_message(reply.body)?),
        Some(status) => Err(Failure::status(&status, !reply.body.is_empty())),
    }
}

/// At most eight digits and a unit.
fn timeout(left: Duration) -> Option<HeaderValue> {
    const MOST: u128 = 99_999_999;
    let (micros, millis) = (left.as_micros().max(1), left.as_millis());
    let text = match () {
        () if micros <= MOST => format!("{micros}u"),
        () if millis <= MOST => format!("{millis}m"),
        () => format!("{}S", left.as_secs().min(99_999_999)),
    };
    HeaderValue::try_from(text).ok()
}

/// What stands after the head of the only message.
fn only_message(mut body: Vec<u8>) -> Result<Vec<u8>> {
    let head = body.get(..HEAD).and_then(|head| <[u8; HEAD]>::try_from(head).ok());
    let [flag, length @ ..] =
        head.ok_or_else(|| Error::corrupt("the server's answer has no message"))?;
    if flag != 0 {
        return Err(Error::corrupt("the server's answer is compressed, which nobody asked for"));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    if length != body.len() - HEAD {
        let has = body.len() - HEAD;
        return Err(Error::corrupt(format!(
            "the server's answer says that its message has {length} bytes, and has {has}"
        )));
    }
    body.drain(..HEAD);
    Ok(body)
}
