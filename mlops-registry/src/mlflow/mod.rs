//! MLflow's REST API: what travels, and the two ends of it.

#[cfg(feature = "mlflow")]
mod client;
pub(crate) mod wire;

#[cfg(feature = "mlflow")]
pub use client::{Auth, RestConfig, RestStore};
