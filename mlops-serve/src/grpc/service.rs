//! The service: which method a path names, and the answer's head and body.

use super::{
    call::{self, Call, status},
    config::GrpcConfig,
    describe,
    frames::{Answered, Messages},
    infer, repository,
};
use crate::http::{Service, trace};
use axum::{
    Router,
    body::{Body, Bytes, HttpBody},
    http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Shared},
};
use mlops_core::{Error, Result};
use std::{
    convert::Infallible,
    error::Error as StdError,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tonic::server::NamedService;
use tracing::Instrument;

/// The models of a [`Service`] over gRPC: `inference.GRPCInferenceService`.
///
/// A `tower::Service`, for `tonic`'s server or any other of HTTP/2. Its bounds, clock, counts and models
/// are those of the service that it is made of; clones share them.
#[derive(Clone, Debug)]
pub struct GrpcService {
    service: Arc<Service>,
    config: GrpcConfig,
    end: Option<End>,
}

/// Done when no more requests are to be read from streams.
pub(super) type End = Shared<BoxFuture<'static, ()>>;

impl GrpcService {
    /// Serves what this serves.
    pub fn new(service: Service) -> Self {
        Self { service: Arc::new(service), config: GrpcConfig::default(), end: None }
    }

    /// Sets the bounds that only gRPC has.
    #[must_use]
    pub fn with_config(mut self, config: GrpcConfig) -> Self {
        self.config = config;
        self
    }

    /// Ends streams once this is done: what was read is answered, then they end with `UNAVAILABLE`. A
    /// server that waits for its calls before it stops waits for streams that are open, too.
    #[must_use]
    pub fn with_end(mut self, end: impl Future<Output = ()> + Send + 'static) -> Self {
        self.end = Some(end.boxed().shared());
        self
    }

    /// A router with the service's paths, to merge into a host's own; no fallback, no state left to
    /// give. Clients of gRPC know no paths above it: it cannot be nested.
    pub fn into_router(self) -> Router {
        Router::new().route_service(&format!("/{}/{{method}}", Self::NAME), self)
    }
}

impl NamedService for GrpcService {
    const NAME: &'static str = "inference.GRPCInferenceService";
}

impl<B> tonic::codegen::Service<Request<B>> for GrpcService
where
    B: HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn StdError + Send + Sync>>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let (service, request) = (self.clone(), request.map(Body::new));
        let traced = trace::span(request.headers());
        let answer = async move { Ok(service.answer(request).await) };
        match traced {
            None => Box::pin(answer),
            Some(span) => Box::pin(answer.instrument(span)),
        }
    }
}

impl GrpcService {
    async fn answer(self, request: Request<Body>) -> Response<Body> {
        if let Some(refused) = not_grpc(&request) {
            self.service.counters.answered(refused);
            return bare(refused);
        }
        let (parts, body) = request.into_parts();
        let method = parts.uri.path().rsplit('/').next().unwrap_or_default();
        let answered = call::guarded(&self.service, async {
            let call = Call::of(&self.service, &parts.headers)?;
            let call = call.admitted(method, &parts.headers)?;
            self.call(&call, method, &parts.headers, body).await
        });
        let answered = answered.await;
        // A stream's requests are counted one by one.
        if method != "ModelStreamInfer" || answered.is_err() {
            call::count(&self.service, answered.as_ref().err());
        }
        let mut response = answered.unwrap_or_else(|error| status(&error).into_http());
        let coding = HeaderValue::from_static("identity,gzip");
        response.headers_mut().insert("grpc-accept-encoding", coding);
        response
    }

    async fn call(
        &self,
        call: &Call,
        method: &str,
        headers: &HeaderMap,
        body: Body,
    ) -> Result<Response<Body>> {
        let mut messages = Messages::of(call, body);
        let (answered, prediction) = match method {
            "ModelInfer" => {
                let (message, prediction) = infer::unary(call, &mut messages).await?;
                (Answered::one(message), HeaderValue::from_str(&prediction).ok())
            }
            "ModelStreamInfer" => {
                let end = self.end.clone();
                (Answered::many(infer::many(call.clone(), messages, &self.config, end)), None)
            }
            method if describe::METHODS.contains(&method) => {
                let message = call.in_time(messages.only()).await?;
                let gzip = call.answers_gzip;
                let about = describe::describe(&self.service, method, &message.bytes, gzip);
                (Answered::one(about.await?), None)
            }
            method if repository::METHODS.contains(&method) => {
                let changed = repository::change(call, method, headers, &mut messages);
                (Answered::one(changed.await?), None)
            }
            method => {
                let method: String = method.chars().take(100).collect();
                let message = format!("there is no method {method:?} of {}", Self::NAME);
                return Err(Error::unsupported(message));
            }
        };
        Ok(respond(answered, prediction, call.answers_gzip))
    }
}

fn respond(answered: Answered, prediction: Option<HeaderValue>, gzip: bool) -> Response<Body> {
    let mut response = bare(StatusCode::OK);
    *response.body_mut() = Body::new(answered);
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    if gzip {
        headers.insert("grpc-encoding", HeaderValue::from_static("gzip"));
    }
    if let Some(prediction) = prediction {
        headers.insert("x-prediction-id", prediction);
    }
    response
}

/// What to say to a request that is none of gRPC: it reads no trailers.
fn not_grpc(request: &Request<Body>) -> Option<StatusCode> {
    if request.method() != Method::POST {
        return Some(StatusCode::METHOD_NOT_ALLOWED);
    }
    (!has_grpc(request.headers())).then_some(StatusCode::UNSUPPORTED_MEDIA_TYPE)
}

fn has_grpc(headers: &HeaderMap) -> bool {
    let form = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let form = form.unwrap_or_default().split(';').next().unwrap_or_default().trim();
    ["application/grpc", "application/grpc+proto"].contains(&form)
}

fn bare(code: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = code;
    response
}
