//! Who may ask, and how often.

mod keys;
mod rate;

pub use keys::ApiKeys;
pub(super) use rate::Limiter;
pub use rate::RateLimit;

use super::{refusal::Refusal, service::Service};
use axum::{
    extract::{Request, State},
    http::{HeaderMap, HeaderName, header},
    middleware::Next,
    response::{IntoResponse, Response},
};
use mlops_core::{Error, ErrorKind, Result};
use std::sync::Arc;

const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// What probes ask, which have no key: whether the server is there, and ready.
pub(super) const OPEN: [&str; 4] = ["/v2/health/live", "/v2/health/ready", "/ping", "/health"];

/// Lets through who is known and does not ask too often; before anything of a body is read.
pub(super) async fn guarded(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    let path = request.uri().path();
    if OPEN.contains(&path) {
        return next.run(request).await;
    }
    let is_scoring = path == "/invocations" || path.starts_with("/models");
    match service.admitted(request.headers()) {
        Ok(()) => next.run(request).await,
        Err(refusal) if is_scoring => refusal.into_scoring_response(),
        Err(refusal) => refusal.into_response(),
    }
}

/// Why somebody is not let through, and how many seconds later would do.
#[derive(Debug)]
pub(crate) struct Denied {
    pub(crate) error: Error,
    wait: Option<u64>,
}

impl From<Error> for Denied {
    fn from(error: Error) -> Self {
        Self { error, wait: None }
    }
}

impl Service {
    /// Whether one more request of whoever has these headers is answered; counts it.
    pub(super) fn admitted(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        if self.authenticator.is_none() && self.limiter.is_none() {
            return Ok(());
        }
        let caller = self.caller(headers).map_err(Denied::from);
        let admitted = caller.and_then(|caller| self.one_more(&caller));
        admitted.map_err(|Denied { error, wait }| Refusal::from(error).with_retry_after(wait))
    }

    /// Who asks; nobody in particular where nobody is asked for credentials. `Unauthenticated` for who
    /// is not known.
    pub(crate) fn caller(&self, headers: &HeaderMap) -> Result<Arc<str>> {
        let Some(authenticator) = &self.authenticator else { return Ok(Arc::default()) };
        let caller = authenticator.authenticate(credentials(headers)?.as_deref())?;
        Ok(caller.name)
    }

    /// `PermissionDenied` for a caller without this role; nobody has one where nobody is asked for
    /// credentials.
    pub(super) fn require_role(&self, headers: &HeaderMap, role: &str) -> Result<()> {
        let has_role = match &self.authenticator {
            None => false,
            Some(known) => known.authenticate(credentials(headers)?.as_deref())?.has_role(role),
        };
        if has_role {
            Ok(())
        } else {
            let message = format!("this needs a caller of the role {role:?}");
            Err(Error::new(ErrorKind::PermissionDenied, message))
        }
    }

    /// Counts one more request of this caller; `Overloaded` for who asks too often.
    pub(crate) fn one_more(&self, caller: &str) -> Result<(), Denied> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.take(caller, self.clock.instant())
    }
}

/// What stands in `Authorization`, or, as a bearer's token, in `X-API-Key`.
fn credentials(headers: &HeaderMap) -> Result<Option<String>> {
    let text = |name: HeaderName| match headers.get(&name).map(|value| value.to_str()) {
        None => Ok(None),
        Some(Ok(text)) => Ok(Some(text.to_owned())),
        Some(Err(_)) => {
            let message = format!("header {name} is no text");
            Err(Error::new(ErrorKind::Unauthenticated, message))
        }
    };
    Ok(match text(header::AUTHORIZATION)? {
        Some(own) => Some(own),
        None => text(API_KEY)?.map(|key| format!("Bearer {key}")),
    })
}
