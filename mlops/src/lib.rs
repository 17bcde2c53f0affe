#![doc = include_str!("../README.md")]

pub use mlops_core::{
    Alias, Clock, Digest, Error, ErrorKind, EventId, EventLog, ExperimentId, Explainer, IdSource,
    ModelName, Observer, Pipeline, PredictionId, Predictor, Principal, RandomIds, Registry, Result,
    ResultExt, RunId, SystemClock, Timestamp, Tracker, VersionId, arrow, artifact, config, event,
    inference_log, model, page, pipeline, predictor, registry, signature, tensor, tracker,
};

#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
