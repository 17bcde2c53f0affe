//! MLflow's REST API over the record, as a router that nests in any axum app.
//!
//! Unmodified MLflow clients 2.22 to 3.17 track, register and load with it. No listener, no global: a
//! route reads arguments, asks the store and writes JSON. Every call is served below `/api/2.0`,
//! `/api/3.0` and the same below `/ajax-api`.
//!
//! # Behavior
//!
//! - what is answered with 200 is on the disk
//! - an error is `{"error_code": …, "message": …}` with MLflow's code and status for its kind
//! - a call that MLflow has and this server has not is 501 and says so
//! - with an [`Authenticator`](mlops_core::auth::Authenticator) every call needs a role: `read`, `write` or `admin`, each including the
//!   ones before it
//! - a body over [`ServerConfig::max_body_bytes`] is refused before it is read to its end
//! - creating with the header `Idempotency-Key` again gives what the first call created

mod access;
mod aliases;
mod args;
mod artifacts;
mod call;
mod config;
mod described;
mod entries;
mod experiments;
mod info;
mod inputs;
mod limits;
mod logged_models;
mod metrics;
mod models;
mod named;
mod ours;
mod points;
mod refusal;
mod routes;
mod runs;
mod shown;
mod sources;
mod traces;
mod versions;

pub use artifacts::artifact_path;
pub use config::ServerConfig;

use crate::SqlStore;
use std::sync::Arc;

/// MLflow's REST API over this store.
pub fn router(store: SqlStore, config: ServerConfig) -> axum::Router {
    routes::router(Arc::new(Shared { store, config }))
}

/// What every call needs.
#[derive(Debug)]
struct Shared {
    store: SqlStore,
    config: ServerConfig,
}
