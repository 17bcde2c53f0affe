//! The Open Inference Protocol v2 over HTTP, as a router that nests in any axum app.
//!
//! No listener, no global, no logic: a route reads a body, asks a [`Predictor`] and writes its answer.
//! The bytes are the business of [`oip`], which knows no server.
//!
//! | route | answers |
//! |---|---|
//! | `GET /v2` | name, version, extensions |
//! | `GET /v2/health/live` | 200 |
//! | `GET /v2/health/ready` | 200 if there is a model and every one is ready, else 503; says which is stale |
//! | `GET /v2/openapi.json`, `/v2/docs` | the routes and what each model takes, as `OpenAPI` 3.1 and as a page |
//! | `GET /v2/models` | the models' names |
//! | `GET /v2/models/{name}[/versions/{v}]` | inputs, outputs, version |
//! | `GET /v2/models/{name}[/versions/{v}]/ready` | 200 or 503; says `stale` |
//! | `GET /v2/models/{name}[/versions/{v}]/config` | types, shapes and the most rows, as Triton says them |
//! | `GET /v2/models/{name}[/versions/{v}]/stats`, `/v2/models/stats` | how often models were asked and how long it took |
//! | `POST /v2/repository/index` | the models, and which of them answer |
//! | `POST /v2/repository/models/{name}/load`, `/unload` | what a [loader](Service::with_loader) of the host's has, else 501 |
//! | `POST /v2/models/{name}[/versions/{v}]/infer` | the outputs, as JSON or raw bytes |
//! | `POST /invocations` | one model's outputs, in the forms of MLflow's scoring server; if [asked for](Service::with_invocations) |
//! | `GET`, `POST /models`, `GET`, `DELETE /models/{name}`, `POST /models/{name}/invoke` | the same for [every model](Service::with_hosting) |
//! | `GET /ping`, `/health`, `/version` | whether that model is ready; the server's version |
//! | `POST /v2/models/{name}/outcomes` | how many outcomes the log has taken: one, or an array |
//!
//! # Behavior
//!
//! - an answer carries its prediction id in the parameter `prediction` and the header `x-prediction-id`
//! - an error is `{"error": "…"}` that names the thing, with the status of its
//!   [kind](mlops_core::ErrorKind); a caller's mistake is a 4xx, where others answer 500
//! - inputs are checked against the model's signature before it is asked; what is not declared is
//!   refused, never ignored
//! - a request never harms another: a model that panics is a 500 to its own caller
//! - `id` is echoed, and absent where the caller gave none
//! - a version in the path must be the one that answers, else 404, also if it was swapped meanwhile
//! - what a refused request still sends is read and dropped, while the answer is on its way: up to
//!   [`HttpConfig::max_drained_bytes`] (64 KiB of who is not known, may not, or asks too often) and for 5 s, so that its
//!   caller sees why and can go on on the same connection; not after a 408, of a caller that still waits for
//!   `100 Continue`, or where there is no [`timeout`](HttpConfig::timeout), for then there may be no timers
//! - an outcome's 200 comes after [`OutcomeLog::append`](mlops_core::inference_log::OutcomeLog::append)
//!   has returned
//! - a body over [`HttpConfig::max_body_bytes`] is 413, one that would fill the memory set aside for
//!   all is 429, one that does not come in time is 408, an answer that does not come in time is 504
//! - with an [authenticator](Service::with_authenticator) every route but health needs credentials: 401
//!   without, and 403 for who loads or unloads models without the role
//!   [`admin`](LoadingConfig::role); with a [rate](Service::with_rate_limit) a caller that asks too often gets 429
//! - requests may be compressed with gzip, deflate (zlib's format) and, with the feature `zstd`, zstd:
//!   the bound on bodies holds for what they stand for, and `Inference-Header-Content-Length` counts
//!   that too; other codings are 415. Answers of [`min_compressed_bytes`](HttpConfig::min_compressed_bytes)
//!   or more are compressed for who asks in `Accept-Encoding`, and for nobody else
//! - what is logged while a request is answered stands in a span with the `trace_id` and `parent_id` of
//!   its header `traceparent` (W3C Trace Context), if it has one
//! - a path's other methods are 405 with `Allow`
//! - unknown paths below `/v2` are answered here; the host keeps its own fallback for the rest
//!
//! Deliberately absent: Triton's shared memory, classification and sequences; each is refused by name or
//! 404.

mod access;
pub(crate) mod body;
mod coding;
mod config;
mod counters;
pub(crate) mod digits;
pub(crate) mod infer;
pub mod invocations;
pub(crate) mod loading;
pub mod oip;
mod openapi;
mod outcomes;
mod refusal;
pub(crate) mod repository;
pub(crate) mod routes;
mod service;
pub(crate) mod statistics;
pub(crate) mod trace;
mod unread;

pub use access::{ApiKeys, RateLimit};
pub use config::HttpConfig;
pub use counters::{HttpCounters, HttpCounts};
pub use loading::{ADMIN, LoadingConfig, ModelLoader};
pub use service::{HealthSource, ModelStatus, Service};

use mlops_core::Predictor;
use std::sync::Arc;

/// A router over these models, each under the name that its `info` gives now.
///
/// [`Service`] has more: outcomes, status, other names.
pub fn router(
    models: impl IntoIterator<Item = Arc<dyn Predictor>>,
    config: HttpConfig,
) -> axum::Router {
    let service = Service::new().with_config(config);
    models.into_iter().fold(service, Service::with_model).into_router()
}
