//! Which call is answered by what.

use super::{
    Shared, access, aliases, artifacts,
    call::{Answer, Call, Right, Takes, json},
    entries, experiments, info, inputs, logged_models, metrics, models, ours,
    refusal::Refusal,
    runs, traces, versions,
};
use axum::{
    Router,
    body::{Body, Bytes},
    extract::{RawPathParams, RawQuery, State},
    http::{HeaderMap, Method, Uri},
    middleware::from_fn_with_state,
    response::{IntoResponse, Response},
    routing::{MethodFilter, MethodRouter, on},
};
use mlops_core::{Error, ErrorKind};
use std::sync::Arc;

/// Where MLflow's clients and pages look for every call.
pub(super) const PREFIXES: [&str; 4] = ["/api/2.0", "/api/3.0", "/ajax-api/2.0", "/ajax-api/3.0"];

/// A call of MLflow's with arguments and an answer in JSON.
pub(super) struct Route {
    pub(super) method: Method,
    /// Below the prefix: `/mlflow/runs/create`.
    pub(super) path: &'static str,
    pub(super) needs: Right,
    pub(super) takes: Takes,
    pub(super) answer: fn(Call) -> Answer,
}

impl Route {
    /// The call reads its body itself.
    pub(super) fn taking_the_body(self) -> Self {
        Self { takes: Takes::Body, ..self }
    }
}

/// `route!(POST "/mlflow/runs/create" Write create)`: the function takes a [`Call`].
macro_rules! route {
    ($method:ident $path:literal $needs:ident $answer:path) => {
        $crate::mlflow::server::routes::Route {
            method: axum::http::Method::$method,
            path: $path,
            needs: $crate::mlflow::server::call::Right::$needs,
            takes: $crate::mlflow::server::call::Takes::Arguments,
            answer: |call| Box::pin($answer(call)),
        }
    };
}
pub(super) use route;

pub(super) fn router(shared: Arc<Shared>) -> Router {
    let calls = calls().into_iter().fold(Router::new(), |router, route| {
        PREFIXES.iter().fold(router, |router, prefix| {
            router.route(&format!("{prefix}{}", route.path), served(&route))
        })
    });
    let all = calls
        .merge(info::router())
        .merge(artifacts::router())
        .merge(traces::router())
        .fallback(unknown);
    all.layer(from_fn_with_state(Arc::clone(&shared), access::known)).with_state(shared)
}

/// Every call with arguments and an answer in JSON.
pub(super) fn calls() -> Vec<Route> {
    let all = [
        experiments::routes(),
        runs::routes(),
        entries::routes(),
        inputs::routes(),
        metrics::routes(),
        models::routes(),
        versions::routes(),
        aliases::routes(),
        logged_models::routes(),
        traces::routes(),
        ours::routes(),
        artifacts::routes(),
    ];
    all.into_iter().flatten().collect()
}

fn served(route: &Route) -> MethodRouter<Arc<Shared>> {
    let (kind, answer) = ((route.needs, route.takes), route.answer);
    let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
    let serve = async move |State(shared): State<Arc<Shared>>,
                            method: Method,
                            headers: HeaderMap,
                            path: RawPathParams,
                            RawQuery(query): RawQuery,
                            body: Body|
                -> Response {
        let body = match read(body, shared.config.max_body_bytes).await {
            Ok(body) => body,
            Err(error) => return Refusal(error).into_response(),
        };
        let query = query.unwrap_or_default();
        match Call::new(&shared, kind, (&method, &headers), &path, &query, body) {
            Ok(call) => json(answer(call).await),
            Err(error) => Refusal(error).into_response(),
        }
    };
    on(filter, serve)
}

async fn read(body: Body, most: usize) -> Result<Bytes, Error> {
    let too_long = |cause: axum::Error| {
        let text = format!("a body that is cut off, or longer than {most} bytes");
        Error::new(ErrorKind::TooLarge, text).with_source(cause)
    };
    axum::body::to_bytes(body, most).await.map_err(too_long)
}

/// What MLflow has and this server has not, and what nobody has.
async fn unknown(method: Method, uri: Uri) -> Refusal {
    let path = uri.path();
    let known = PREFIXES.iter().any(|prefix| path.starts_with(prefix));
    let kind = if known { ErrorKind::Unsupported } else { ErrorKind::NotFound };
    Refusal(Error::new(kind, format!("{method} {path}: this server has no such call")))
}
