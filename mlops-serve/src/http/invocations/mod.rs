//! Models behind the paths and forms of MLflow's scoring server, which are `SageMaker`'s too:
//! `POST /invocations`, `GET /ping`. What bytes mean is said by plain functions that know no server.

mod csv;
mod hosting;
mod json;
#[cfg(feature = "data")]
mod parquet;
mod predictions;
mod table;
mod walk;

pub use csv::decode_csv;
pub use json::decode_request;
#[cfg(feature = "data")]
pub use parquet::decode_parquet;
#[cfg(feature = "data")]
use parquet::decode_parquet_within;
pub use predictions::encode_outputs;

use super::{
    HttpConfig,
    body::{self, Held, Share},
    digits::Digits,
    infer::{answer, for_the_wire, off_the_timers, say},
    oip::Limits,
    refusal::{Refusal, json},
    routes::Health,
    service::Service,
};
use axum::{
    Router,
    extract::{Request, State},
    http::{HeaderMap, HeaderName, StatusCode, header},
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

/// The model that `SageMaker`'s caller wants.
const TARGET: HeaderName = HeaderName::from_static("x-amzn-sagemaker-target-model");

/// The routes, for the model that the service names for them, if any, and perhaps for all by name.
pub(super) fn router(service: Arc<Service>, model: Option<Arc<str>>, hosting: bool) -> Router {
    let routes = Router::new()
        .route("/ping", get(ping))
        .route("/health", get(ping))
        .route("/version", get(version))
        .route("/invocations", post(invocations));
    let routes = if hosting { routes.merge(hosting::routes()) } else { routes };
    routes
        .route_layer(from_fn_with_state(Arc::clone(&service), super::access::guarded))
        .route_layer(from_fn_with_state(Arc::clone(&service), super::unread::finished))
        .route_layer(from_fn_with_state(Arc::clone(&service), super::counters::counted))
        .with_state(Scoring { service, model, hosting })
}

#[derive(Clone)]
struct Scoring {
    service: Arc<Service>,
    model: Option<Arc<str>>,
    hosting: bool,
}

/// 200 if the model would answer, 404 if there is none; for all by name, if each of them would.
async fn ping(State(Scoring { service, model, .. }): State<Scoring>) -> Response {
    let is_ready = if let Some(model) = model {
        let Ok(found) = service.model(&model, None) else {
            return StatusCode::NOT_FOUND.into_response();
        };
        Health::of(&service, &model, &*found).await.is_ready()
    } else {
        let models = Health::of_all(&service).await;
        let is_there = !models.is_empty() || service.may_be_empty();
        is_there && models.iter().all(Health::is_ready)
    };
    let status = if is_ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, "\n").into_response()
}

async fn version(State(Scoring { service, .. }): State<Scoring>) -> String {
    service.config.server_version.clone()
}

async fn invocations(State(scoring): State<Scoring>, request: Request) -> Response {
    let answered = async { scoring.score(&scoring.wanted(request.headers())?, request).await };
    answered.await.unwrap_or_else(Refusal::into_scoring_response)
}

impl Scoring {
    /// The name of the model that is asked.
    fn wanted(&self, headers: &HeaderMap) -> Result<Arc<str>> {
        let named = headers.get(TARGET).filter(|_| self.hosting);
        let Some(named) = named else {
            let unnamed = || {
                let which = || Error::invalid(format!("say in the header {TARGET} which model"));
                self.service.not_yet().err().unwrap_or_else(which)
            };
            return self.model.clone().ok_or_else(unnamed);
        };
        let named = named.to_str().map(Into::into);
        named.map_err(|_| Error::invalid(format!("header {TARGET} is no text")))
    }

    async fn score(&self, name: &str, request: Request) -> Result<Response, Refusal> {
        let service = &self.service;
        let started = service.clock.instant();
        let model = service.model(name, None)?;
        let (parts, mut body) = request.into_parts();
        let coding = Coding::of(&parts.headers)?;
        let Held { bytes, share } =
            body::read(&parts.headers, &mut body, &service.config, &service.budget).await?;
        let info = model.info();
        let decoded = self.decode(coding, Held { bytes, share }, Arc::clone(&info)).await?;
        let (mut request, form, share) = decoded;
        info.check(&request, service.clock.instant())?;
        let response = answer(service, name, &*model, (&mut request, None), started).await?;
        drop(share);
        let prediction = Digits::of(response.prediction);
        let elements: usize = response.outputs.iter().map(|(_, tensor)| tensor.len()).sum();
        let is_long = elements.saturating_mul(8) > service.config.max_inline_bytes;
        let write = move || encode_outputs(&response.outputs, form);
        let written = off_the_timers(is_long, write).await?;
        let (body, coding) = for_the_wire(service, &parts.headers, written).await?;
        let mut response = json(StatusCode::OK, body);
        say(response.headers_mut(), coding, &prediction);
        Ok(response)
    }

    /// The request, and the memory that it has of all bodies': a table in Parquet takes more than its bytes.
    async fn decode(
        &self,
        coding: Coding,
        Held { bytes, share }: Held,
        info: Arc<PredictorInfo>,
    ) -> Result<(PredictRequest, Form, Share)> {
        let config = &self.service.config;
        let (is_long, limits) = (coding.is_long(bytes.len(), config), config.limits.clone());
        #[cfg(feature = "data")]
        let max_bytes = config.max_body_bytes;
        #[cfg_attr(not(feature = "data"), expect(unused_mut, reason = "only Parquet grows"))]
        let mut share = share;
        let read = move || {
            let (request, form) = match coding {
                Coding::Json => decode_request(&bytes, &info.signature, &limits)?,
                Coding::Csv => (decode_csv(&bytes, &info.signature, &limits)?, Form::Table),
                #[cfg(feature = "data")]
                Coding::Parquet => {
                    let (signature, room) = (&info.signature, |more| share.grow(more));
                    let bytes = bytes.into();
                    let read = decode_parquet_within(bytes, signature, &limits, max_bytes, room);
                    (read?, Form::Table)
                }
            };
            Ok((request, form, share))
        };
        off_the_timers(is_long, read).await
    }
}

/// What a body is written in.
#[derive(Clone, Copy, Debug)]
enum Coding {
    Json,
    Csv,
    #[cfg(feature = "data")]
    Parquet,
}

impl Coding {
    /// Whether reading so many bytes may take long.
    fn is_long(self, bytes: usize, config: &HttpConfig) -> bool {
        match self {
            Self::Json | Self::Csv => bytes > config.max_inline_bytes,
            // A few bytes of it may be a long table.
            #[cfg(feature = "data")]
            Self::Parquet => true,
        }
    }

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
            #[cfg(feature = "data")]
            "application/vnd.apache.parquet" | "application/x-parquet" => Ok(Self::Parquet),
            _ if cfg!(feature = "data") => refuse(
                "the content type is application/json, text/csv or application/vnd.apache.parquet",
            ),
            _ => refuse("the content type is application/json or text/csv"),
        }
    }
}
