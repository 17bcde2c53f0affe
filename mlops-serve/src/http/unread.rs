//! What a refused request still sends. A server that closes a connection on bytes that it has not read
//! resets it: a client that writes first then never sees why, and one that keeps its connections finds
//! this one broken at the next request. So the rest is read and dropped, within bounds.

use super::{body::in_time, config::HttpConfig, service::Service};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, header},
    middleware::Next,
    response::Response,
};
use http_body_util::BodyExt;
use std::{
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
};

/// Answers, and reads what the answer left of the body.
pub(super) async fn finished(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    let headers = parts.headers.clone();
    let (lent, home) = Lent::new(body);
    let response = next.run(Request::from_parts(parts, Body::new(lent))).await;
    let rest = home.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(mut rest) = rest {
        drop_rest(&headers, &mut rest, response.status(), &service.config).await;
    }
    response
}

/// Reads what is left of a body that was answered with this status; nothing of one that is too long
/// to wait for, of one that did not come in time, and of one whose client asked before it sends:
/// that has sent nothing, and need not begin.
pub(super) async fn drop_rest(
    headers: &HeaderMap,
    body: &mut Body,
    answered: StatusCode,
    config: &HttpConfig,
) {
    let declared = body.size_hint().lower();
    let is_hopeless = usize::try_from(declared).map_or(true, |few| few > config.max_drained_bytes);
    let is_late = answered == StatusCode::REQUEST_TIMEOUT;
    if body.is_end_stream() || is_hopeless || is_late || headers.contains_key(header::EXPECT) {
        return;
    }
    let rest = async {
        let mut left = config.max_drained_bytes;
        while let Some(Some(Ok(frame))) = in_time(config.pause, pin!(body.frame())).await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(fewer) = left.checked_sub(length) else { return };
            left = fewer;
        }
    };
    in_time(config.timeout, pin!(rest)).await;
}

/// Where a body comes back to that was dropped before its end.
type Home = Arc<Mutex<Option<Body>>>;

/// A body that comes back if it is dropped before its end.
struct Lent {
    body: Body,
    home: Home,
}

impl Lent {
    fn new(body: Body) -> (Self, Home) {
        let home = Home::default();
        (Self { body, home: Arc::clone(&home) }, home)
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> http_body::SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let body = mem::take(&mut self.body);
        if !body.is_end_stream() {
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
