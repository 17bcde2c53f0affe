//! What a port answers with: at once something small, and the rest when it is there.

use axum::{Router, extract::Request};
use hyper::service::Service;
use hyper_util::service::TowerToHyperService;
use std::sync::{Arc, OnceLock};

/// A router, or one that comes later and another until then. Clones share what comes.
#[derive(Clone, Debug)]
pub(crate) struct App {
    until_then: Router,
    whole: Arc<OnceLock<Router>>,
}

impl App {
    /// Answers with this until there is more.
    pub(crate) fn starting(until_then: Router) -> Self {
        Self { until_then, whole: Arc::default() }
    }

    /// From now on this answers, on connections that are open too. The first stays.
    pub(crate) fn complete(&self, whole: Router) {
        let _ = self.whole.set(whole);
    }

    /// For the requests of one connection. Only those who came early look again at each request.
    pub(super) fn of_connection(&self) -> Router {
        if let Some(whole) = self.whole.get() {
            return whole.clone();
        }
        let app = self.clone();
        Router::new().fallback(move |request: Request| async move {
            let now = app.whole.get().unwrap_or(&app.until_then).clone();
            TowerToHyperService::new(now).call(request).await
        })
    }
}

impl From<Router> for App {
    fn from(whole: Router) -> Self {
        let app = Self::starting(Router::new());
        app.complete(whole);
        app
    }
}
