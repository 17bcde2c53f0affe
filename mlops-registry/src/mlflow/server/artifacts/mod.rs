//! Artifacts by their paths: MLflow's proxy over what lies under digests.
//!
//! Bodies stream both ways and are verified: what is sent down is hashed on its way, and its last piece
//! leaves only when the hash is right. Paths are decoded once and never reach a disk: a path is a key.

mod down;
mod kinds;
mod lists;
mod paths;
mod up;

use super::{
    Shared,
    args::Args,
    call::{Right, authorized},
    refusal::Refusal,
    routes::Route,
};
use crate::store::Owner;
use axum::{
    Router,
    extract::{RawPathParams, RawQuery, State, rejection::RawPathParamsRejection},
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::{get, post},
};
use mlops_core::{Error, Result, artifact::ArtifactPath};
use std::sync::Arc;

pub(super) use lists::shown_files;
pub use paths::artifact_path;
pub(super) use paths::artifact_path as checked;

/// The longest file that the pages may send, in bytes: MLflow's.
const MOST_OF_A_PAGE: u64 = 10 << 20;

pub(super) fn routes() -> Vec<Route> {
    lists::routes()
}

pub(super) fn router() -> Router<Arc<Shared>> {
    let mut router = Router::new()
        .route("/get-artifact", get(of_run))
        .route("/model-versions/get-artifact", get(of_version))
        .route("/ajax-api/2.0/mlflow/upload-artifact", post(up::of_page));
    for prefix in ["/api", "/ajax-api"] {
        let proxy = get(of_proxy).put(up::of_proxy).delete(forget);
        router = router
            .route(&format!("{prefix}/2.0/mlflow-artifacts/artifacts/{{*path}}"), proxy)
            .route(
                &format!("{prefix}/2.0/mlflow/logged-models/{{model_id}}/artifacts/files"),
                get(of_model),
            );
    }
    router
}

/// What a path of the URL holds; bytes that are no text are a client's mistake.
type Params = Result<RawPathParams, RawPathParamsRejection>;

/// A part of the URL's path, decoded once.
fn part(params: Params, name: &str) -> Result<String> {
    let params = params.map_err(|_| Error::invalid("Invalid path: it is no text"))?;
    let found = params.iter().find(|(own, _)| *own == name).map(|(_, value)| value.to_owned());
    found.ok_or_else(|| Error::internal(format!("the route has no {name}")))
}

fn answered(answer: Result<Response>) -> Response {
    answer.unwrap_or_else(|error| Refusal(error).into_response())
}

/// `GET …/mlflow-artifacts/artifacts/PATH`
async fn of_proxy(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    params: Params,
) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Read, &headers)?;
        let place = store.place(checked(&part(params, "path")?)?).await?;
        down::file(&store, place, &headers).await
    };
    answered(answer.await)
}

/// `GET /get-artifact?run_id=…&path=…`
async fn of_run(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Read, &headers)?;
        let args = Args::from_query(&query.unwrap_or_default());
        let path = checked(args.required_text("path")?)?;
        let place = lists::run_place(&store, &args, path).await?;
        down::file(&store, place, &headers).await
    };
    answered(answer.await)
}

/// `GET /model-versions/get-artifact?name=…&version=…&path=…`
async fn of_version(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Read, &headers)?;
        let args = Args::from_query(&query.unwrap_or_default());
        let path = checked(args.required_text("path")?)?;
        down::file_of_version(&store, &args, path, &headers).await
    };
    answered(answer.await)
}

/// `GET …/logged-models/ID/artifacts/files?artifact_file_path=…`
async fn of_model(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    params: Params,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Read, &headers)?;
        let args = Args::from_query(&query.unwrap_or_default());
        let path = checked(args.required_text("artifact_file_path")?)?;
        let place = lists::model_place(&part(params, "model_id")?, path);
        down::file(&store, place, &headers).await
    };
    answered(answer.await)
}

/// `GET /ajax-api/…/get-trace-artifact?request_id=…`: the trace's own file, or one attached to it.
pub(super) async fn file_of_trace(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Read, &headers)?;
        let args = Args::from_query(&query.unwrap_or_default());
        let path = match args.text("path")?.filter(|path| !path.is_empty()) {
            Some(path) => checked(&format!("attachments/{path}"))?,
            None => ArtifactPath::new("traces.json")?,
        };
        let owner = Owner::Trace(args.required_text("request_id")?.into());
        down::file(&store, down::at(owner, path), &headers).await
    };
    answered(answer.await)
}

/// `DELETE …/mlflow-artifacts/artifacts/PATH`: with a body or without; what is not there is gone.
async fn forget(State(shared): State<Arc<Shared>>, headers: HeaderMap, params: Params) -> Response {
    let answer = async {
        let store = authorized(&shared, Right::Write, &headers)?;
        let path = checked(&part(params, "path")?)?;
        if path == ArtifactPath::default() {
            return Err(Error::invalid("Invalid path: everything is not to be deleted at once"));
        }
        let place = store.place(path).await?;
        store.remove_place(place).await?;
        Ok(axum::Json(serde_json::json!({})).into_response())
    };
    answered(answer.await)
}
