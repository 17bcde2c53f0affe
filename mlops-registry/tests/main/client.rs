//! The client of MLflow's REST API, against servers that run.

#[path = "client/doubtful.rs"]
mod doubtful;
#[path = "client/mlflow.rs"]
mod mlflow;
#[cfg(feature = "http")]
#[path = "client/ours.rs"]
pub(crate) mod ours;
