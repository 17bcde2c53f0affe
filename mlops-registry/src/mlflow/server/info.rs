//! What clients ask before they begin: is it there, and what is it.

use super::{Shared, ours};
use axum::{Json, Router, routing::get};
use serde_json::{Value, json};
use std::sync::Arc;

/// The version of MLflow whose calls these are: what its clients compare with their own.
const SPEAKS: &str = "3.17.2";

pub(super) fn router() -> Router<Arc<Shared>> {
    let info = async || Json(server_info());
    Router::new()
        .route("/health", get(async || "OK"))
        .route("/version", get(async || SPEAKS))
        .route("/api/3.0/mlflow/server-info", get(info))
        .route("/ajax-api/3.0/mlflow/server-info", get(info))
}

fn server_info() -> Value {
    json!({
        "store_type": "SqlStore",
        "workspaces_enabled": false,
        "trace_archival_enabled": false,
        "multipart_uploads_enabled": false,
        "multipart_downloads_enabled": false,
        "presigned_upload_run_id_supported": false,
        "presigned_upload_model_id_supported": false,
        "features_enabled": { "gateway": false },
        "mlops": { "protocol": ours::PROTOCOL },
    })
}
