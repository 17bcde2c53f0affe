#![doc = include_str!("../README.md")]

#[cfg(feature = "data")]
pub use mlops_core::data;
#[cfg(feature = "evaluation")]
pub use mlops_core::evaluation;
pub use mlops_core::{
    Alias, Clock, Digest, DriftDetector, Error, ErrorKind, EventId, EventLog, ExperimentId,
    Explainer, IdSource, ModelName, Observer, OnlineStore, Pipeline, PooledIds, PredictionId,
    Predictor, Principal, RandomIds, Registry, Result, ResultExt, RunId, SystemClock, Timestamp,
    Tracker, Transform, VersionId, arrow, artifact, auth, clock, config, drift, event, features,
    inference_log, model, page, pipeline, predictor, registry, signature, stats, tensor, time,
    tracker, typed,
};
/// Rows of your own types: see [`typed`].
#[cfg(feature = "derive")]
pub use mlops_derive::{Input, Output};

#[cfg(feature = "cli")]
#[doc(hidden)]
pub mod cli;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mlflow"))]
pub mod home;
#[cfg(all(
    feature = "inference-log",
    any(feature = "tabular", feature = "onnx", feature = "candle")
))]
pub mod replay;
#[cfg(feature = "cli")]
mod server;

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mlflow"))]
pub use home::{Home, connect};
#[cfg(feature = "drift")]
pub use mlops_drift as watch;
#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mlflow"))]
pub use mlops_registry as store;
#[cfg(any(
    feature = "tabular",
    feature = "onnx",
    feature = "http",
    feature = "candle",
    feature = "definitions",
    feature = "metrics",
    feature = "remote"
))]
pub use mlops_serve as serve;

#[cfg(all(feature = "conformance", feature = "pipeline"))]
pub use mlops_core::pipeline_conformance;
#[cfg(feature = "testing")]
pub use mlops_core::testing;
#[cfg(feature = "conformance")]
pub use mlops_core::{
    conformance, drift_conformance, event_log_conformance, online_store_conformance,
    predictor_conformance, registry_conformance, tracker_conformance,
};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
