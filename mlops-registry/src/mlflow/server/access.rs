//! Who calls, found out before anything of a call is read.

use super::{Shared, refusal::Refusal};
use crate::artifacts::blocking;
use axum::{
    extract::{Request, State},
    http::header::AUTHORIZATION,
    middleware::Next,
    response::{IntoResponse, Response},
};
use std::sync::Arc;

/// What anybody may ask: whether the server is there, and what it speaks.
const OPEN: [&str; 2] = ["/health", "/version"];

/// Lets through who is known.
///
/// Checking a password takes long: it is done here, where it keeps no other call waiting. The call itself
/// asks again what its caller may do; an authenticator remembers for a moment what it has found.
pub(super) async fn known(
    State(shared): State<Arc<Shared>>,
    request: Request,
    next: Next,
) -> Response {
    let Some(authenticator) = &shared.config.authenticator else { return next.run(request).await };
    if OPEN.contains(&request.uri().path()) {
        return next.run(request).await;
    }
    let authenticator = Arc::clone(authenticator);
    let credentials = request.headers().get(AUTHORIZATION);
    // One that is no text is one that nobody has.
    let credentials = credentials.map(|value| value.to_str().unwrap_or_default().to_owned());
    let caller = blocking::run(move || authenticator.authenticate(credentials.as_deref())).await;
    match caller {
        Ok(_) => next.run(request).await,
        Err(error) => Refusal(error).into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::{
        ServerConfig,
        call::Right,
        router,
        routes::{PREFIXES, calls},
    };
    use crate::{SqlStore, StoreConfig};
    use axum::{
        body::Body,
        http::{Method, Request, header},
    };
    use mlops_core::{Error, ErrorKind, Principal, Result, auth::Authenticator};
    use std::sync::Arc;
    use tower::ServiceExt;

    /// Whose credentials are their role.
    #[derive(Debug)]
    struct Roles;

    impl Authenticator for Roles {
        fn authenticate(&self, authorization: Option<&str>) -> Result<Principal> {
            let unknown = || Error::new(ErrorKind::Unauthenticated, "who?");
            Ok(Principal::new("somebody").with_role(authorization.ok_or_else(unknown)?))
        }
    }

    /// What a call does to the record, by its name alone.
    fn expected(method: &Method, path: &str) -> Right {
        let reads = ["/search", "/get-latest-versions", "/batch", "download"];
        let reads = reads.iter().any(|word| path.contains(word));
        if *method == Method::GET || reads { Right::Read } else { Right::Write }
    }

    #[tokio::test]
    async fn each_call_needs_its_role() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("mlops.db");
        let store = SqlStore::open(path, StoreConfig::default()).await.unwrap();
        let app = router(store, ServerConfig::default().with_authenticator(Arc::new(Roles)));
        let calls = calls();
        assert!(!calls.is_empty());
        for route in &calls {
            let wanted = expected(&route.method, route.path);
            assert_eq!(route.needs.max(wanted), route.needs, "{} {}", route.method, route.path);
            for (caller, right) in [
                (None, None),
                (Some("approver"), None),
                (Some("read"), Some(Right::Read)),
                (Some("write"), Some(Right::Write)),
                (Some("admin"), Some(Right::Admin)),
            ] {
                let path = format!("{}{}", PREFIXES[0], route.path).replace(['{', '}'], "");
                let mut request = Request::builder().method(&route.method).uri(&path);
                if let Some(caller) = caller {
                    request = request.header(header::AUTHORIZATION, caller);
                }
                let request = request.header(header::CONTENT_TYPE, "application/json");
                let answer =
                    app.clone().oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
                let status = answer.status().as_u16();
                match (caller, right) {
                    (None, _) => assert_eq!(status, 401, "{path}"),
                    (_, Some(right)) if right >= route.needs => {
                        assert!(![401, 403].contains(&status), "{path} as {caller:?}: {status}");
                    }
                    _ => assert_eq!(status, 403, "{path} as {caller:?}"),
                }
            }
        }
    }
}
