//! The record on MLflow's wire.

pub mod server;
