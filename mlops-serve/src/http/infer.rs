//! The route that answers: bytes to tensors, the model's answer, tensors to bytes.

use super::{
    body::{self, Held, in_time},
    coding::{ContentCoding, compressed},
    oip::{self, Decoded, Encoded, OutputForms},
    refusal::Refusal,
    routes::{Target, TargetPath, target},
    service::Service,
};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use futures_util::FutureExt;
use mlops_core::{
    Error, ErrorKind, Predictor, Result,
    arrow::buffer::Buffer,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

const JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");
pub(super) const PREDICTION: HeaderName = HeaderName::from_static("x-prediction-id");

pub(super) async fn infer(
    State(service): State<Arc<Service>>,
    path: TargetPath,
    request: Request,
) -> Result<Response, Refusal> {
    let started = service.clock.instant();
    let Target { name, version } = target(path)?;
    let model = service.model(&name, version.as_deref())?;
    let (parts, body) = request.into_parts();
    let json_bytes = json_bytes(&parts.headers)?;
    let mut held = body::read(&parts.headers, body, &service.config, &service.budget).await?;
    let info = model.info();
    let bytes = std::mem::take(&mut held.bytes);
    let decoded = decode(&service, bytes, json_bytes, Arc::clone(&info)).await?;
    info.check(&decoded.request, service.clock.instant())?;
    let forms = decoded.forms.clone();
    let asked = (decoded.request, decoded.timeout);
    let response = answer(&service, &name, &*model, asked, started).await?;
    check_version(&name, version.as_deref(), &response)?;
    let prediction = response.prediction.to_string();
    let encoded = encode(&service, response, forms).await?;
    drop::<Held>(held);
    let (body, coding) = for_the_wire(&service, &parts.headers, encoded.body).await?;
    Ok(respond(Encoded { body, ..encoded }, coding, &prediction))
}

/// An answer's bytes as the caller takes them: compressed, if it says so and there are many.
pub(super) async fn for_the_wire(
    service: &Service,
    headers: &HeaderMap,
    bytes: Vec<u8>,
) -> Result<(Vec<u8>, Option<ContentCoding>)> {
    if bytes.len() < service.config.min_compressed_bytes {
        return Ok((bytes, None));
    }
    let Some(coding) = ContentCoding::wanted(headers) else { return Ok((bytes, None)) };
    // It takes about as long as writing eight times as much.
    let is_long = bytes.len().saturating_mul(8) > service.config.max_inline_bytes;
    let work = move || match compressed(coding, &bytes) {
        Some(fewer) => Ok((fewer, Some(coding))),
        None => Ok((bytes, None)),
    };
    off_the_timers(is_long, work).await
}

fn json_bytes(headers: &HeaderMap) -> Result<Option<usize>> {
    let Some(value) = headers.get(JSON_BYTES) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| {
        Error::invalid("header Inference-Header-Content-Length is not a whole number of bytes")
    })
}

async fn decode(
    service: &Arc<Service>,
    bytes: Vec<u8>,
    json_bytes: Option<usize>,
    info: Arc<PredictorInfo>,
) -> Result<Decoded> {
    let (length, limits) = (bytes.len(), service.config.limits.clone());
    let body = Buffer::from_vec(bytes);
    let work = move || oip::decode_request(&body, json_bytes, &info.signature, &limits);
    off_the_timers(length > service.config.max_inline_bytes, work).await
}

async fn encode(
    service: &Service,
    response: PredictResponse,
    forms: OutputForms,
) -> Result<Encoded> {
    let elements: usize = response.outputs.iter().map(|(_, tensor)| tensor.len()).sum();
    let is_long = elements.saturating_mul(8) > service.config.max_inline_bytes;
    off_the_timers(is_long, move || oip::encode_response(&response, &forms)).await
}

/// Long work on a thread that may block, short work here.
pub(crate) async fn off_the_timers<T: Send + 'static>(
    is_long: bool,
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    if !is_long {
        return work();
    }
    let joined = tokio::task::spawn_blocking(work).await;
    joined
        .map_err(|cause| Error::internal("reading or writing a body failed").with_source(cause))?
}

/// Asks the model, within the caller's time and ours. A model that panics harms its own request only.
pub(crate) async fn answer(
    service: &Service,
    name: &str,
    model: &dyn Predictor,
    (mut request, timeout): (PredictRequest, Option<Duration>),
    started: Instant,
) -> Result<PredictResponse> {
    let limit = [timeout, service.config.timeout].into_iter().flatten().min();
    // A time so far off that no clock has it is no deadline.
    let deadline = limit.and_then(|limit| started.checked_add(limit));
    request.deadline = deadline;
    let tally = service.tally(name, model, started, &request);
    let left = deadline.map(|at| at.saturating_duration_since(service.clock.instant()));
    let asked = AssertUnwindSafe(model.predict(request)).catch_unwind();
    let answered = match in_time(left, asked).await {
        Some(Ok(answered)) => answered,
        Some(Err(_)) => {
            service.counters.panicked();
            Err(Error::internal(format!("model {name:?} panicked")))
        }
        None => {
            let message = format!("model {name:?} did not answer in time");
            Err(Error::new(ErrorKind::TimedOut, message))
        }
    };
    tally.answered(service, answered.as_ref());
    answered
}

/// Refuses another version's answer: the model was swapped between the question and the answer.
pub(crate) fn check_version(
    name: &str,
    wanted: Option<&str>,
    response: &PredictResponse,
) -> Result<()> {
    match wanted {
        Some(wanted) if *wanted != *response.version => {
            Err(Error::not_found(format!("model {name:?} no longer has version {wanted:?}")))
        }
        _ => Ok(()),
    }
}

fn respond(encoded: Encoded, coding: Option<ContentCoding>, prediction: &str) -> Response {
    let binary = encoded.json_bytes;
    let mut response = (StatusCode::OK, encoded.body).into_response();
    let headers = response.headers_mut();
    let form = if binary.is_some() { "application/octet-stream" } else { "application/json" };
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(form));
    if let Some(length) = binary {
        headers.insert(JSON_BYTES, HeaderValue::from(length));
    }
    say(headers, coding, prediction);
    response
}

/// The headers of every answer of a model.
pub(super) fn say(headers: &mut HeaderMap, coding: Option<ContentCoding>, prediction: &str) {
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, coding.header());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Ok(prediction) = HeaderValue::from_str(prediction) {
        headers.insert(PREDICTION, prediction);
    }
}
