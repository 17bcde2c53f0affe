#![doc = include_str!("../README.md")]

pub mod batching;
mod breaker;
pub mod compose;
#[cfg(feature = "conformance")]
pub mod conformance;
mod durations;
pub mod engines;
#[cfg(feature = "grpc")]
pub mod grpc;
#[cfg(feature = "http")]
pub mod http;
pub mod local;
mod own_runtime;
pub mod rollout;
#[cfg(feature = "metrics")]
pub mod telemetry;

pub use batching::{Batcher, BatchingConfig};
pub use durations::{DURATION_BOUNDS, Durations};
pub use engines::{Engine, InferOptions, LoadOptions, Session, SessionInfo, Stop};
pub use local::{LocalConfig, LocalPredictor, load_package};
pub use rollout::{
    MemoryBudget,
    endpoint::{Endpoint, EndpointConfig},
};
