#![doc = include_str!("../README.md")]

pub mod artifact;
pub mod auth;
pub mod clock;
pub mod config;
#[cfg(feature = "conformance")]
pub mod conformance;
#[cfg(feature = "data")]
pub mod data;
pub mod digest;
#[cfg(any(feature = "inference-log", feature = "pipeline"))]
mod disk;
pub mod drift;
pub mod error;
#[cfg(feature = "evaluation")]
pub mod evaluation;
pub mod event;
pub mod features;
pub mod id;
pub mod inference_log;
pub mod model;
pub mod page;
pub mod pipeline;
pub mod predictor;
pub mod registry;
pub mod search;
mod seed;
mod setters;
pub mod signature;
pub mod stats;
mod stored;
pub mod tensor;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
#[cfg(feature = "tls")]
pub mod tls;
pub mod tracker;
pub mod transform;
pub mod typed;

pub use auth::Principal;
pub use clock::{Clock, SystemClock};
pub use digest::Digest;
pub use drift::DriftDetector;
pub use error::{Error, ErrorKind, Result, ResultExt};
pub use event::EventLog;
pub use features::OnlineStore;
pub use id::{
    Alias, EventId, ExperimentId, IdSource, ModelName, PooledIds, PredictionId, RandomIds, RunId,
    VersionId,
};
pub use pipeline::Pipeline;
pub use predictor::{Explainer, Observer, Predictor};
pub use registry::Registry;
pub use time::Timestamp;
pub use tracker::Tracker;
pub use transform::Transform;

/// The family's data format: Arrow arrays, schemas and buffers, at the version that the traits use.
pub mod arrow {
    pub use arrow_array as array;
    pub use arrow_buffer as buffer;
    pub use arrow_schema as schema;
}
