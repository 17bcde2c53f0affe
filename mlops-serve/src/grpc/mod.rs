//! The Open Inference Protocol v2 over gRPC: the service `inference.GRPCInferenceService`, for a host's
//! own tonic server, axum app or hyper.
//!
//! The same models as [`http`](crate::http), in another encoding: both read a [`Service`](crate::http::Service)
//! and neither holds logic. No listener and no global here; a connection of HTTP/2 is the host's.
//!
//! | method | answers |
//! |---|---|
//! | `ServerLive`, `ServerReady`, `ModelReady` | true or false; a model that is not here is not ready |
//! | `ServerMetadata`, `ModelMetadata` | names, versions, extensions; inputs and outputs |
//! | `ModelInfer` | the outputs, as raw bytes |
//! | `ModelStreamInfer` | an answer to each request of a stream, in order; Triton's message, which has place for an error |
//! | `ModelConfig`, `ModelStatistics`, `RepositoryIndex` | what Triton's clients ask beside; see [`http`](crate::http) |
//! | `RepositoryModelLoad`, `RepositoryModelUnload` | nothing, once it is done; for whom it is done over HTTP |
//!
//! # Behavior
//!
//! - tensors come in `raw_input_contents` or typed in `contents`, never both; FP16 and BF16 are raw
//!   only. Answers are raw, and have the bits that the same request over HTTP gets
//! - parameters `timeout`, `priority`, `key` and an input's `nulls` are obeyed as over HTTP;
//!   `binary_data_output` says nothing here
//! - an answer carries its prediction id in the parameter `prediction` and in the metadata
//!   `x-prediction-id`
//! - `grpc-timeout` becomes the request's deadline, if it is before the service's own; a call that is
//!   cancelled drops its work
//! - an error has the status of its [kind](mlops_core::ErrorKind) and a message that names the thing
//!   and echoes no input; a caller's mistake is never `INTERNAL`, also where it is one of framing
//! - in a stream a request that fails is an answer with `error_message`, and the next is read; what
//!   breaks the framing ends it
//! - bounds are those of [`HttpConfig`](crate::http::HttpConfig): a message over `max_body_bytes`,
//!   compressed or not, is refused by its length before it is read; messages share the memory set
//!   aside for bodies, else `RESOURCE_EXHAUSTED`
//! - messages compressed with gzip are taken, and answered so if the caller takes that
//!
//! ```
//! use mlops_core::{signature::ModelSignature, testing::FnPredictor};
//! use mlops_serve::{grpc::GrpcService, http::Service};
//!
//! let model = FnPredictor::new("risk", ModelSignature::default(), |inputs| Ok(inputs.clone()));
//! let service = Service::new().with_model(model);
//! // Beside the same models over HTTP, in one app.
//! let app: axum::Router = GrpcService::new(service.clone()).into_router().merge(service.into_router());
//! ```

#[cfg(feature = "remote")]
mod answered;
#[cfg(feature = "remote")]
mod asking;
mod call;
mod config;
mod contents;
mod describe;
mod frames;
mod infer;
mod messages;
mod parameters;
mod repository;
mod request;
mod response;
mod service;
mod wire;

#[cfg(feature = "remote")]
pub use {
    answered::{decode_model_metadata, decode_response},
    asking::encode_request,
};

#[cfg(feature = "remote")]
pub(crate) use messages::{Flag, ModelTarget, MostRows};

pub use config::GrpcConfig;
pub use request::InferMessage;
pub use response::encode_response;
pub use service::GrpcService;
