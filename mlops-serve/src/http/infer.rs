//! The route that answers: bytes to tensors, the model's answer, tensors to bytes.

use super::{
    body::{self, Held, in_time},
    coding::{ContentCoding, compressed},
    digits::Digits,
    oip::{self, Decoded, Encoded, OutputForms},
    refusal::Refusal,
    routes::{self, Target, TargetPath, target},
    service::Service,
    trace,
    unread::{Client, Rest, drop_rest},
};
use crate::compose::{at_once, fenced};
use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, header},
    response::{IntoResponse, Response},
    routing::{MethodRouter, any},
};
use mlops_core::{
    Error, ErrorKind, Predictor, Result,
    arrow::buffer::Buffer,
    predictor::{PredictRequest, PredictResponse, PredictorInfo},
};
use std::{
    mem,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

const JSON_BYTES: HeaderName = HeaderName::from_static("inference-header-content-length");
pub(super) const PREDICTION: HeaderName = HeaderName::from_static("x-prediction-id");

/// Answers for a model that the path names by its parts.
pub(super) async fn infer(
    State(service): State<Arc<Service>>,
    path: TargetPath,
    mut request: Request,
) -> Result<Response, Refusal> {
    let Target { name, version } = target(path)?;
    one(&service, &name, version.as_deref(), &mut request).await
}

/// A route for one model, whose name stands in the path as it is: the busiest, and so found without taking
/// the path apart, and without the boxes that layers put around a request.
pub(super) fn direct(service: &Arc<Service>, name: &Arc<str>) -> MethodRouter {
    let (service, name) = (Arc::clone(service), Arc::clone(name));
    let infer = move |mut request: Request| {
        let (service, name) = (Arc::clone(&service), Arc::clone(&name));
        async move {
            let traced = trace::span(request.headers());
            let answering = async {
                let answered = known(&service, &name, &mut request).await;
                let response = answered.unwrap_or_else(Refusal::into_response);
                if !response.status().is_success() {
                    let rest = Rest::new(mem::take(request.body_mut()));
                    let client = Client::of(request.version(), request.headers());
                    drop_rest(client, rest, response.status(), &service.config);
                }
                response
            };
            service.counted(traced, pin!(answering)).await
        }
    };
    // Without its state now, the route would be made anew for each request.
    any(infer).with_state(())
}

/// Answers for a model that has its own route.
async fn known(
    service: &Arc<Service>,
    name: &str,
    request: &mut Request,
) -> Result<Response, Refusal> {
    service.admitted(request.headers())?;
    if request.method() != Method::POST {
        return Ok(wrong_method(request.method()));
    }
    one(service, name, None, request).await
}

fn wrong_method(method: &Method) -> Response {
    let mut response = routes::wrong_method(method).into_response();
    response.headers_mut().insert(header::ALLOW, HeaderValue::from_static("POST"));
    response
}

/// The request is the caller's: what a future is given by value it holds twice.
async fn one(
    service: &Arc<Service>,
    name: &str,
    version: Option<&str>,
    request: &mut Request,
) -> Result<Response, Refusal> {
    let started = service.clock.instant();
    let model = service.model(name, version)?;
    let json_bytes = json_bytes(request.headers())?;
    let mut body = Rest::new(mem::take(request.body_mut()));
    let read = body::read(request.headers(), &mut body, &service.config, &service.budget).await;
    let Held { bytes, share } = match read {
        Ok(held) => held,
        Err(refusal) => {
            let client = Client::of(request.version(), request.headers());
            drop_rest(client, body, refusal.status(), &service.config);
            return Err(refusal);
        }
    };
    let headers = request.headers();
    let info = model.info();
    let Decoded { mut request, forms, timeout } = decode(service, bytes, json_bytes, &info).await?;
    info.check_by(&request, || service.clock.instant())?;
    let response = answer(service, name, &*model, (&mut request, timeout), started).await?;
    check_version(name, version, &response)?;
    let prediction = Digits::of(response.prediction);
    let encoded = encode(service, response, forms).await?;
    // The request's tensors are views of the body, whose share of memory may be given back only after them.
    drop(request);
    drop(share);
    let (body, coding) = for_the_wire(service, headers, encoded.body).await?;
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
    Box::pin(off_the_timers(is_long, work)).await
}

fn json_bytes(headers: &HeaderMap) -> Result<Option<usize>> {
    let Some(value) = headers.get(JSON_BYTES) else { return Ok(None) };
    let length = value.to_str().ok().and_then(|text| text.trim().parse().ok());
    length.map(Some).ok_or_else(|| {
        Error::invalid("header \"Inference-Header-Content-Length\" is not a whole number of bytes")
    })
}

async fn decode(
    service: &Service,
    bytes: Bytes,
    json_bytes: Option<usize>,
    info: &Arc<PredictorInfo>,
) -> Result<Decoded> {
    let body = Buffer::from(bytes);
    if body.len() <= service.config.max_inline_bytes {
        return oip::decode_request(&body, json_bytes, &info.signature, &service.config.limits);
    }
    let (info, limits) = (Arc::clone(info), service.config.limits.clone());
    let work = move || oip::decode_request(&body, json_bytes, &info.signature, &limits);
    Box::pin(off_the_timers(true, work)).await
}

async fn encode(
    service: &Service,
    response: PredictResponse,
    forms: OutputForms,
) -> Result<Encoded> {
    let elements: usize = response.outputs.iter().map(|(_, tensor)| tensor.len()).sum();
    if elements.saturating_mul(8) <= service.config.max_inline_bytes {
        return oip::encode_response(&response, &forms);
    }
    Box::pin(off_the_timers(true, move || oip::encode_response(&response, &forms))).await
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

/// Asks the model, within the caller's time and ours, and may take the request for it. A model that panics harms its own request only.
pub(crate) async fn answer(
    service: &Service,
    name: &str,
    model: &dyn Predictor,
    (request, timeout): (&mut PredictRequest, Option<Duration>),
    started: Instant,
) -> Result<PredictResponse> {
    let limit = [timeout, service.config.timeout].into_iter().flatten().min();
    // A time so far off that no clock has it is no deadline.
    let deadline = limit.and_then(|limit| started.checked_add(limit));
    request.deadline = deadline;
    let tally = service.tally(name, model, started, request);
    let left = deadline.map(|at| at.saturating_duration_since(tally.began()));
    let mut answered = at_once(model, request);
    if answered.is_none() {
        let request = mem::take(request);
        // In a box, as is all that few requests come to.
        answered = Box::pin(async { in_time(left, pin!(fenced(model, request))).await }).await;
    }
    let answered = match answered {
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
    let mut answered = answered?;
    if *answered.model != *name {
        // Who is asked by a name answers by it: what a cache, a replica or another server calls itself is their own affair.
        answered.model = name.into();
    }
    Ok(answered)
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

fn respond(encoded: Encoded, coding: Option<ContentCoding>, prediction: &Digits) -> Response {
    let binary = encoded.json_bytes;
    let mut response = Response::new(Body::from(encoded.body));
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
pub(super) fn say(headers: &mut HeaderMap, coding: Option<ContentCoding>, prediction: &Digits) {
    if let Some(coding) = coding {
        headers.insert(header::CONTENT_ENCODING, coding.header());
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
    if let Ok(prediction) = HeaderValue::from_bytes(prediction.as_bytes()) {
        headers.insert(PREDICTION, prediction);
    }
}
