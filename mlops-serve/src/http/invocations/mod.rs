//! One model behind the paths and forms of MLflow's scoring server, which are `SageMaker`'s too:
//! `POST /invocations`, `GET /ping`. What bytes mean is said by plain functions that know no server.

mod frame;
mod predictions;

pub use frame::{Form, decode_request};
pub use predictions::encode_outputs;

use super::{
    body,
    infer::{PREDICTION, answer, off_the_timers},
    refusal::{Refusal, json},
    routes::Health,
    service::Service,
};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderValue, StatusCode, header},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{get, post},
};

use mlops_core::{
    Result,
    predictor::{PredictRequest, PredictorInfo},
};
use std::sync::Arc;

/// The routes, for the model that the service names for them.
pub(super) fn router(service: Arc<Service>, model: Arc<str>) -> Router {
    let counting = Arc::clone(&service);
    Router::new()
        .route("/ping", get(ping))
        .route("/health", get(ping))
        .route("/version", get(version))
        .route("/invocations", post(invocations))
        .route_layer(from_fn_with_state(counting, super::counters::counted))
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
        bytes: Vec<u8>,
        info: Arc<PredictorInfo>,
    ) -> Result<(PredictRequest, Form)> {
        let (is_long, limits) = (
            bytes.len() > self.service.config.max_inline_bytes,
            self.service.config.limits.clone(),
        );
        let read = move || match coding {
            Coding::Json => decode_request(&bytes, &info.signature, &limits),
            #[cfg(feature = "data")]
            Coding::Csv => table(&bytes, &info).map(|request| (request, Form::Table)),
        };
        off_the_timers(is_long, read).await
    }
}

/// What a body is written in.
#[derive(Clone, Copy, Debug)]
enum Coding {
    Json,
    #[cfg(feature = "data")]
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
            #[cfg(feature = "data")]
            "text/csv" => Ok(Self::Csv),
            #[cfg(not(feature = "data"))]
            "text/csv" => refuse("CSV is read by a build with the feature \"data\""),
            _ => refuse("the content type is application/json or text/csv"),
        }
    }
}

/// A table whose first line names the columns.
#[cfg(feature = "data")]
fn table(bytes: &[u8], info: &PredictorInfo) -> Result<PredictRequest> {
    use mlops_core::{
        data::{CsvOptions, Dataset},
        tensor::Tensors,
    };
    let mut specs = info.signature.inputs.clone();
    if let [only] = specs.as_slice()
        && crate::rows::packs_unnamed(only)
    {
        let untyped = Dataset::from_csv("the table", bytes, &CsvOptions::new())?;
        let columns: Vec<String> = untyped.columns().map(str::to_owned).collect();
        specs = crate::rows::with_columns(&info.signature, &columns)?;
    }
    let dataset = Dataset::from_csv("the table", bytes, &crate::rows::csv_options(&specs))?;
    Ok(PredictRequest::new(Tensors::from_batch(&dataset.batch()?, &specs)?))
}
