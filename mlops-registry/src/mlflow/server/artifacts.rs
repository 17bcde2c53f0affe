//! Artifacts by their paths: MLflow's proxy over what lies under digests.

use super::Shared;
use axum::Router;
use std::sync::Arc;

pub(super) fn router() -> Router<Arc<Shared>> {
    Router::new()
}
