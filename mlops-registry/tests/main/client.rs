//! The client of MLflow's REST API, against a server that runs.

#[path = "client/mlflow.rs"]
mod mlflow;
#[path = "client/doubtful.rs"]
mod doubtful;
