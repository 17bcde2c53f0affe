//! What a refused request still sends. A server that closes a connection on bytes that it has not read
//! resets it: a client that writes first then never sees why, and one that keeps its connections finds
//! this one broken at the next request. So the rest is read and dropped, within bounds, while the answer
//! is on its way: nobody waits for it.

use super::{body::in_time, config::HttpConfig, service::Service};
use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Request, State},
    http::{HeaderMap, StatusCode, Version, header},
    middleware::Next,
    response::Response,
};
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt;
use std::{
    mem,
    pin::{Pin, pin},
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

/// For how long the rest is read, at most.
const LINGER: Duration = Duration::from_secs(5);
/// Bytes that are read for the sake of who may not ask, or asks too often.
const MAX_UNKNOWN_BYTES: usize = 64 << 10;

/// Answers, and reads what the answer left of the body.
pub(super) async fn finished(
    State(service): State<Arc<Service>>,
    request: Request,
    next: Next,
) -> Response {
    if request.body().is_end_stream() {
        return next.run(request).await;
    }
    let client = Client::of(request.version(), request.headers());
    let (parts, body) = request.into_parts();
    let (lent, home) = Lent::new(body);
    let response = next.run(Request::from_parts(parts, Body::new(lent))).await;
    let rest = home.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(rest) = rest {
        drop_rest(client, rest, response.status(), &service.config);
    }
    response
}

/// What of a client decides whether the rest of its body is read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Client {
    /// It has a connection that it shares with no other request.
    is_alone: bool,
    /// It sends once it is told to, which reading does.
    waits: bool,
}

impl Client {
    pub(super) fn of(version: Version, headers: &HeaderMap) -> Self {
        let is_alone = version < Version::HTTP_2;
        Self { is_alone, waits: headers.contains_key(header::EXPECT) }
    }
}

/// Reads what is left of a body that is answered with this status, in a task of its own.
///
/// Nothing is read of a body that did not come in time, of one that is too long to wait for, of a client that
/// has not begun, and over HTTP/2, where a stream ends without its connection. Without a runtime or its timers
/// nothing is read either.
pub(super) fn drop_rest(client: Client, mut rest: Rest, answered: StatusCode, config: &HttpConfig) {
    let most = match answered {
        StatusCode::REQUEST_TIMEOUT => return,
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN | StatusCode::TOO_MANY_REQUESTS => {
            config.max_drained_bytes.min(MAX_UNKNOWN_BYTES)
        }
        _ => config.max_drained_bytes,
    };
    let has_begun = !client.waits || rest.is_begun;
    let is_hopeless = usize::try_from(rest.size_hint().lower()).map_or(true, |few| few > most);
    let runtime = tokio::runtime::Handle::try_current();
    let (Some(limit), Ok(runtime)) = (config.timeout, runtime) else { return };
    if client.is_alone && has_begun && !is_hopeless && !rest.is_over() {
        let limit = Some(limit.min(LINGER));
        drop(runtime.spawn(async move { in_time(limit, pin!(rest.read(most))).await }));
    }
}

/// A body that knows whether there is more of it: none may be asked after its end.
#[derive(Debug)]
pub(super) struct Rest {
    body: Body,
    /// Whether anything was asked of it.
    is_begun: bool,
    /// Whether it gave its last, or an error, or panicked.
    has_ended: bool,
}

impl Rest {
    pub(super) fn new(body: Body) -> Self {
        Self { body, is_begun: false, has_ended: false }
    }

    fn is_over(&self) -> bool {
        self.has_ended || self.body.is_end_stream()
    }

    /// Up to so many bytes.
    async fn read(&mut self, mut most: usize) {
        while let Some(Ok(frame)) = self.frame().await {
            let length = frame.data_ref().map_or(0, Bytes::len);
            let Some(fewer) = most.checked_sub(length) else { return };
            most = fewer;
            tokio::task::consume_budget().await;
        }
    }
}

impl HttpBody for Rest {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        // Also if it panics now.
        (self.is_begun, self.has_ended) = (true, true);
        let polled = Pin::new(&mut self.body).poll_frame(context);
        self.has_ended = matches!(polled, Poll::Ready(None | Some(Err(_))));
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Where a body comes back to that was dropped before its end.
type Home = Arc<Mutex<Option<Rest>>>;

/// A body that comes back if it is dropped before its end.
struct Lent {
    body: Rest,
    home: Home,
}

impl Lent {
    fn new(body: Body) -> (Self, Home) {
        let home = Home::default();
        (Self { body: Rest::new(body), home: Arc::clone(&home) }, home)
    }
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let body = mem::replace(&mut self.body, Rest::new(Body::empty()));
        if !body.is_over() {
            *self.home.lock().unwrap_or_else(PoisonError::into_inner) = Some(body);
        }
    }
}
