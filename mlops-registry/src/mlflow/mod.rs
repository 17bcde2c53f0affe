//! MLflow's REST API: what travels, and the two ends of it.

#[cfg(feature = "mlflow")]
mod client;
#[cfg(feature = "http")]
pub mod server;
#[cfg(feature = "mlflow")]
pub(crate) mod wire;

#[cfg(feature = "mlflow")]
pub use client::{Auth, RestConfig, RestStore};
