//! Integration tests of the core: one binary, modules inside.

#![allow(clippy::unwrap_used, reason = "a test may panic")]
#![allow(clippy::float_cmp, reason = "a test asks for the exact number")]
#![allow(clippy::format_push_string, reason = "a test writes small tables")]

#[cfg(feature = "tracking")]
#[path = "main/active_run.rs"]
mod active_run;
#[cfg(feature = "data")]
#[path = "main/data.rs"]
mod data;
#[cfg(feature = "conformance")]
#[path = "main/doubles.rs"]
mod doubles;
#[cfg(feature = "conformance")]
#[path = "main/drift_saboteurs.rs"]
mod drift_saboteurs;
#[cfg(feature = "evaluation")]
#[path = "main/evaluation.rs"]
mod evaluation;
#[cfg(all(feature = "inference-log", feature = "testing"))]
#[path = "main/inference_log.rs"]
mod inference_log;
#[path = "main/online.rs"]
mod online;
#[cfg(feature = "evaluation")]
#[path = "main/oracles.rs"]
mod oracles;
#[cfg(all(feature = "pipeline", feature = "conformance"))]
#[path = "main/pipeline.rs"]
mod pipeline;
#[cfg(feature = "conformance")]
#[path = "main/record.rs"]
mod record;
#[path = "main/tensor.rs"]
mod tensor;
