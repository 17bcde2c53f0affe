//! Spans of requests for a collector of OpenTelemetry: OTLP over HTTP, in protobuf.
//!
//! A request that carries a `traceparent` continues its caller's trace, sampled or not as the caller says;
//! another one begins a trace. The program owns its process: what is installed here no library installs.

use crate::{Error, Result};
use async_trait::async_trait;
use axum::{
    Router,
    extract::{MatchedPath, Request},
    middleware::{Next, from_fn},
    response::Response,
};
use bytes::Bytes;
use clap::Args;
use mlops_core::tls;
use opentelemetry::{propagation::TextMapPropagator, trace::TracerProvider};
use opentelemetry_http::{HeaderExtractor, HttpClient, HttpError};
use opentelemetry_otlp::{SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::{
    Resource,
    propagation::TraceContextPropagator,
    trace::{SdkTracerProvider, Tracer},
};
use std::time::Duration;
use tracing::{Instrument, Span, field::Empty};
use tracing_opentelemetry::{OpenTelemetryLayer, OpenTelemetrySpanExt};
use tracing_subscriber::registry::LookupSpan;

/// The longest that a collector may take to answer.
const LATE: Duration = Duration::from_secs(10);
/// Of an answer no more is read; who refuses says why in less.
const MOST_ANSWER: usize = 64 << 10;

/// The flag.
#[expect(clippy::doc_markdown, reason = "help is printed as it stands")]
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct OtlpFlags {
    /// Send a span of each request to the OpenTelemetry collector at this URL, as OTLP over HTTP (/v1/traces); OTEL_EXPORTER_OTLP_ENDPOINT if absent
    #[arg(long, value_name = "URL")]
    otlp_endpoint: Option<String>,
}

impl OtlpFlags {
    /// Where spans go, by the flag or by the variables that OpenTelemetry's specification has.
    pub(crate) fn endpoint(&self) -> Option<String> {
        let below = |base: String| format!("{}/v1/traces", base.trim_end_matches('/'));
        let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
        let flag = self.otlp_endpoint.clone().map(below);
        flag.or_else(|| variable("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"))
            .or_else(|| variable("OTEL_EXPORTER_OTLP_ENDPOINT").map(below))
    }
}

/// What collects spans and sends them, on a thread of its own, in batches of a bounded queue.
#[derive(Debug)]
pub(crate) struct Traces(SdkTracerProvider);

impl Traces {
    /// To the collector at this URL. Connects to nothing yet; `InvalidInput` for what is no URL.
    pub(crate) fn to(endpoint: &str) -> Result<Self> {
        let wrong = |cause: opentelemetry_otlp::ExporterBuildError| {
            Error::invalid("spans cannot be sent to this OTLP endpoint").with_source(cause)
        };
        let exporter = SpanExporter::builder().with_http().with_http_client(Client::new(endpoint)?);
        let exporter =
            exporter.with_endpoint(endpoint).with_timeout(LATE).build().map_err(wrong)?;
        let mut resource = Resource::builder();
        if std::env::var_os("OTEL_SERVICE_NAME").is_none() {
            resource = resource.with_service_name("mlops");
        }
        let provider = SdkTracerProvider::builder().with_batch_exporter(exporter);
        Ok(Self(provider.with_resource(resource.build()).build()))
    }

    /// Makes spans of `tracing` into those that are sent.
    pub(crate) fn layer<S>(&self) -> OpenTelemetryLayer<S, Tracer>
    where
        S: tracing::Subscriber + for<'span> LookupSpan<'span>,
    {
        tracing_opentelemetry::layer().with_tracer(self.0.tracer("mlops")).with_location(false)
    }

    /// Sends what has not been sent yet.
    pub(crate) fn end(&self) {
        if let Err(error) = self.0.shutdown_with_timeout(LATE) {
            tracing::warn!(%error, "the last spans were not sent");
        }
    }
}

/// The same router, each request in a span.
pub(crate) fn traced(router: Router) -> Router {
    router.layer(from_fn(in_a_span))
}

async fn in_a_span(request: Request, next: Next) -> Response {
    let span = span(&request);
    let parent = TraceContextPropagator::new().extract(&HeaderExtractor(request.headers()));
    // It fails only where nobody sends spans.
    let _ = span.set_parent(parent);
    let response = next.run(request).instrument(span.clone()).await;
    let status = response.status();
    span.record("http.response.status_code", status.as_u16());
    if status.is_server_error() {
        span.record("otel.status_code", "ERROR");
    }
    response
}

/// Named as OpenTelemetry's conventions for servers have it: the route, and not the path.
fn span(request: &Request) -> Span {
    let method = request.method().as_str();
    let route = request.extensions().get::<MatchedPath>().map(MatchedPath::as_str);
    let name = route.map_or_else(|| method.to_owned(), |route| format!("{method} {route}"));
    tracing::info_span!(
        "http",
        otel.name = name,
        otel.kind = "server",
        otel.status_code = Empty,
        http.request.method = method,
        http.route = route,
        http.response.status_code = Empty,
    )
}

/// Sends requests from the thread of the exporter, which waits for nothing else.
#[derive(Debug)]
struct Client {
    http: reqwest::Client,
    runtime: tokio::runtime::Runtime,
}

impl Client {
    fn new(endpoint: &str) -> Result<Self> {
        let failed = |cause: reqwest::Error| {
            Error::internal("no HTTP client can be made").with_source(cause.without_url())
        };
        let http = reqwest::Client::builder()
            .timeout(LATE)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("mlops/", env!("CARGO_PKG_VERSION")))
            .tls_backend_preconfigured(tls::client_config(endpoint.starts_with("https"))?)
            .build()
            .map_err(failed)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|source| Error::io("starting a runtime", source))?;
        Ok(Self { http, runtime })
    }
}

#[async_trait]
impl HttpClient for Client {
    async fn send_bytes(
        &self,
        request: axum::http::Request<Bytes>,
    ) -> Result<axum::http::Response<Bytes>, HttpError> {
        let request = reqwest::Request::try_from(request)?;
        self.runtime.block_on(async {
            let mut answer = self.http.execute(request).await?;
            let mut response = axum::http::Response::builder().status(answer.status());
            if let Some(headers) = response.headers_mut() {
                headers.clone_from(answer.headers());
            }
            let mut body = Vec::new();
            while let Some(piece) = answer.chunk().await? {
                let room = MOST_ANSWER - body.len();
                body.extend_from_slice(&piece[..piece.len().min(room)]);
                if piece.len() >= room {
                    break;
                }
            }
            Ok(response.body(Bytes::from(body))?)
        })
    }
}
