#![doc = include_str!("../README.md")]

pub mod batching;
pub mod compose;
#[cfg(feature = "conformance")]
pub mod conformance;
pub mod engines;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
pub mod local;
pub mod rollout;

pub use batching::{Batcher, BatchingConfig};
pub use engines::{Engine, InferOptions, LoadOptions, Session, SessionInfo, Stop};
pub use local::{LocalConfig, LocalPredictor, load_package};
pub use rollout::endpoint::{Endpoint, EndpointConfig};
