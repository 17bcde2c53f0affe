//! One model behind the paths and forms of MLflow's scoring server, which are `SageMaker`'s too:
//! `POST /invocations`, `GET /ping`. What bytes mean is said by plain functions that know no server.

mod csv;
mod json;
mod predictions;
mod table;
mod walk;

pub use csv::decode_csv;
pub use json::decode_request;
pub use predictions::encode_outputs;

use super::{
    body,
    infer::{PREDICTION, answer, off_the_timers},
    oip::Limits,
    refusal::{Refusal, json},
    routes::Health,
    service::Service,
};
use axum::{
    Router,
    body::Bytes,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mlops_core::{
    Error, Result,
    predictor::{PredictRequest, PredictorInfo},
    signature::{ModelSignature, TensorSpec},
};
use std::sync::Arc;

/// How the answer is to be written: as the question was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A table was asked about: several outputs are its columns, a row an object.
    Table,
    /// Tensors were: several outputs are arrays under their names.
    Tensors,
}

/// The most columns that a table may have: those that the model takes, and so many others.
fn most_columns(signature: &ModelSignature, limits: &Limits) -> usize {
    let width = |spec: &TensorSpec| {
        spec.features().len().max(spec.shape.get(1).copied().flatten().unwrap_or(1))
    };
    signature.inputs.iter().map(width).fold(limits.max_inputs, usize::saturating_add)
}

/// Refuses one column more than the most.
fn one_more_column(columns: usize, most: usize) -> Result<()> {
    if columns < most {
        return Ok(());
    }
    Err(Error::too_large(format!("the table has more than {most} columns")))
}

/// The routes, for the model that the service names for them.
pub(super) fn router(service: Arc<Service>, model: Arc<str>) -> Router {
    Router::new()
        .route("/ping", get(ping))
        .route("/health", get(ping))
        .route("/version", get(version))
        .route("/invocations", post(invocations))
        .route_layer(from_fn_with_state(Arc::clone(&service), super::access::guarded))
        .route_layer(from_fn_with_state(Arc::clone(&service), super::counters::counted))
        .with_state(Scoring { service, model })
}

#[derive(Clone)]
struct Scoring {
    service: Arc<Service>,
    model: Arc<str>,
}

/// 200 if the model would answer, 404 if there is none.
async fn ping(State(Scoring { service, model }): State<Scoring>) -> Response {
    let Ok(found) = service.model(&model, None) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let health = Health::of(&service, &model, &**found).await;
    let status = if health.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, "\n").into_response()
}

async fn version(State(Scoring { service, .. }): State<Scoring>) -> String {
    service.config.server_version.clone()
}

async fn invocations(State(scoring): State<Scoring>, request: Request) -> Response {
    scoring.score(request).await.unwrap_or_else(Refusal::into_scoring_response)
}

impl Scoring {
    async fn score(&self, request: Request) -> Result<Response, Refusal> {
        let Self { service, model: name } = self;
        let started = service.clock.instant();
        let model = Arc::clone(service.model(name, None)?);
        let (parts, body) = request.into_parts();
        let coding = Coding::of(&parts.headers)?;
        let mut held = body::read(&parts.headers, body, &service.config, &service.budget).await?;
        let info = model.info();
        let bytes = std::mem::take(&mut held.bytes);
        let (request, form) = self.decode(coding, bytes, Arc::clone(&info)).await?;
        info.check(&request, service.clock.instant())?;
        let response = answer(service, name, &*model, (request, None), started).await?;
        drop(held);
        let prediction = response.prediction.to_string();
        let elements: usize = response.outputs.iter().map(|(_, tensor)| tensor.len()).sum();
        let is_long = elements.saturating_mul(8) > service.config.max_inline_bytes;
        let write = move || encode_outputs(&response.outputs, form);
        let mut response = json(StatusCode::OK, off_the_timers(is_long, write).await?);
        if let Ok(prediction) = HeaderValue::from_str(&prediction) {
            response.headers_mut().insert(PREDICTION, prediction);
        }
        Ok(response)
    }

    async fn decode(
        &self,
        coding: Coding,
        bytes: Bytes,
        info: Arc<PredictorInfo>,
    ) -> Result<(PredictRequest, Form)> {
        let (is_long, limits) = (
            bytes.len() > self.service.config.max_inline_bytes,
            self.service.config.limits.clone(),
        );
        let read = move || match coding {
            Coding::Json => decode_request(&bytes, &info.signature, &limits),
            Coding::Csv => {
                decode_csv(&bytes, &info.signature, &limits).map(|request| (request, Form::Table))
            }
        };
        off_the_timers(is_long, read).await
    }
}

/// What a body is written in.
#[derive(Clone, Copy, Debug)]
enum Coding {
    Json,
    Csv,
}

impl Coding {
    fn of(headers: &HeaderMap) -> Result<Self, Refusal> {
        let given = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let mut parts = given.unwrap_or_default().split(';').map(str::trim);
        let media = parts.next().unwrap_or_default().to_ascii_lowercase();
        let is_utf8 = |part: &str| {
            let part = part.to_ascii_lowercase();
            part.is_empty() || matches!(part.as_str(), "charset=utf-8" | "charset=\"utf-8\"")
        };
        let refuse = |message: &str| {
            Err(Refusal::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, message.to_owned()))
        };
        if !parts.all(is_utf8) {
            return refuse("a content type has no other parameter than charset=utf-8");
        }
        match media.as_str() {
            "application/json" => Ok(Self::Json),
            "text/csv" => Ok(Self::Csv),
            _ => refuse("the content type is application/json or text/csv"),
        }
    }
}
