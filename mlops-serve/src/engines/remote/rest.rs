//! The protocol over HTTP.

use super::{
    address::Address,
    config::RemoteConfig,
    failure::{Again, Failure},
    transport::{Reply, Transport},
};
use crate::http::{
    infer::off_the_timers,
    oip::{self, Answered, Described},
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use mlops_core::{
    Error, ErrorKind, Result, arrow::buffer::Buffer, predictor::PredictRequest,
    signature::ModelSignature,
};
use std::{sync::Arc, time::Duration};

const JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");

/// What the server says of the model, and whether it takes raw tensors.
pub(super) async fn describe(
    transport: &Transport,
    config: &RemoteConfig,
) -> Result<(Described, bool), Failure> {
    let binary = match config.binary {
        Some(binary) => binary,
        None => takes_binary(transport).await?,
    };
    let path = Address::model_path(&config.model, config.version.as_deref());
    let reply = get(transport, &path).await?;
    Ok((oip::decode_model_metadata(&reply.body, &config.limits).map_err(corrupt)?, binary))
}

/// The most rows that one request may have, where the server says it: Triton's configuration.
pub(super) async fn most_rows(
    transport: &Transport,
    config: &RemoteConfig,
) -> Result<Option<usize>, Failure> {
    #[derive(serde::Deserialize)]
    struct Configuration {
        #[serde(default)]
        max_batch_size: i64,
    }
    let path = Address::model_path(&config.model, config.version.as_deref());
    let reply = if_it_knows(get(transport, &format!("{path}/config")).await)?;
    let said = reply.and_then(|reply| serde_json::from_slice::<Configuration>(&reply.body).ok());
    Ok(said.and_then(|said| rows(said.max_batch_size)))
}

/// What a server answers that knows the question; others refuse it, and are none the worse for that.
pub(super) fn if_it_knows<T>(answer: Result<T, Failure>) -> Result<Option<T>, Failure> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(failure) if failure.again == Again::Never => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// Of a configuration: 0 is no batching, where the model's own shapes say all.
pub(super) fn rows(max_batch_size: i64) -> Option<usize> {
    usize::try_from(max_batch_size).ok().filter(|rows| *rows > 0)
}

async fn takes_binary(transport: &Transport) -> Result<bool, Failure> {
    #[derive(serde::Deserialize)]
    struct Server {
        #[serde(default)]
        extensions: Vec<String>,
    }
    match get(transport, "/v2").await {
        Ok(reply) => {
            let server: Option<Server> = serde_json::from_slice(&reply.body).ok();
            let all = server.map(|server| server.extensions).unwrap_or_default();
            Ok(all.iter().any(|extension| extension == "binary_tensor_data"))
        }
        // Some have models, and nothing to say of themselves.
        Err(failure) if failure.error.kind() == ErrorKind::NotFound => Ok(false),
        Err(failure) => Err(failure),
    }
}

/// Whether the model would answer now.
pub(super) async fn ready(transport: &Transport, config: &RemoteConfig) -> Result<(), Failure> {
    let path = Address::model_path(&config.model, config.version.as_deref());
    get(transport, &format!("{path}/ready")).await.map(drop)
}

/// Asks the model once.
pub(super) async fn infer(
    transport: &Transport,
    config: &RemoteConfig,
    request: &PredictRequest,
    (signature, binary, left): (&Arc<ModelSignature>, bool, Duration),
) -> Result<Answered, Failure> {
    let is_long = request.inputs.size_bytes() > config.max_inline_bytes;
    let question = request.clone();
    let written =
        off_the_timers(is_long, move || oip::encode_request(&question, binary, Some(left))).await?;
    let mut headers = HeaderMap::new();
    let form = if binary { "application/octet-stream" } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    if let Some(length) = written.json_bytes {
        headers.insert(JSON_BYTES, HeaderValue::from(length));
    }
    let path = Address::model_path(&config.model, config.version.as_deref());
    let path = format!("{path}/infer");
    let reply = answered(transport.send(Method::POST, &path, headers, written.body).await?)?;
    let json_bytes = match reply.headers.get(JSON_BYTES) {
        None => None,
        Some(value) => {
            Some(value.to_str().ok().and_then(|text| text.trim().parse().ok()).ok_or_else(
                || Error::corrupt("the answer's Inference-Header-Content-Length is no number"),
            )?)
        }
    };
    let is_long = reply.body.len() > config.max_inline_bytes;
    let (signature, limits) = (Arc::clone(signature), config.limits.clone());
    let read = off_the_timers(is_long, move || {
        oip::decode_response(&Buffer::from_vec(reply.body), json_bytes, &signature, &limits)
    });
    Ok(read.await.map_err(corrupt)?)
}

async fn get(transport: &Transport, path: &str) -> Result<Reply, Failure> {
    answered(transport.send(Method::GET, path, HeaderMap::new(), Vec::new()).await?)
}

fn answered(reply: Reply) -> Result<Reply, Failure> {
    match reply.status {
        StatusCode::OK => Ok(reply),
        status => Err(Failure::refused(status, &reply.headers, &reply.body)),
    }
}

/// What is wrong with an answer is no fault of the request.
pub(super) fn corrupt(error: Error) -> Error {
    let message = format!("the server's answer is not valid: {}", error.message());
    Error::corrupt(message).with_source(error)
}
