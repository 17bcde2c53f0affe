//! Requests on their way, and what comes back, bounded.

use super::{
    address::Address,
    config::{HeaderSource, RemoteConfig},
    failure::Failure,
};
use axum::{
    body::{Body, Bytes},
    http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, header},
};
use http_body::Body as _;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use mlops_core::{Error, Result, ResultExt, tls};
use std::{future::poll_fn, pin::Pin, time::Duration};

/// So often a server that has something to answer is asked whether it is still there.
const PING: Duration = Duration::from_secs(20);

/// One server, and the connections to it.
pub(super) struct Transport {
    pub(super) address: Address,
    client: Client<HttpsConnector<HttpConnector>, Body>,
    headers: HeaderMap,
    max_answer_bytes: usize,
}

/// An answer, all of it.
#[derive(Debug)]
pub(super) struct Reply {
    pub(super) status: StatusCode,
    /// The head's, and over gRPC the trailers' too.
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

impl Transport {
    /// Reads the secrets; connects to nothing yet.
    pub(super) fn new(config: &RemoteConfig) -> Result<Self> {
        let address = Address::parse(&config.url)?;
        let mut http = HttpConnector::new();
        http.enforce_http(false);
        http.set_nodelay(true);
        http.set_connect_timeout(Some(config.connect_timeout));
        let https = HttpsConnectorBuilder::new()
            .with_tls_config(tls::client_config(address.is_encrypted)?)
            .https_or_http();
        let connector = if address.is_grpc {
            https.enable_http2().wrap_connector(http)
        } else {
            https.enable_http1().wrap_connector(http)
        };
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .timer(TokioTimer::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(config.idle_timeout)
            .pool_max_idle_per_host(config.max_idle);
        if address.is_grpc {
            // A server that is gone without a word is noticed.
            builder.http2_only(true).http2_adaptive_window(true);
            builder.http2_keep_alive_interval(PING);
        }
        let client = builder.build(connector);
        let headers = headers(config)?;
        Ok(Self { address, client, headers, max_answer_bytes: config.max_answer_bytes })
    }

    /// Sends one request, and reads all of its answer.
    pub(super) async fn send(
        &self,
        method: Method,
        path: &str,
        own: HeaderMap,
        body: Vec<u8>,
    ) -> Result<Reply, Failure> {
        let mut request = Request::new(Body::from(body));
        *request.method_mut() = method;
        *request.uri_mut() = self.address.uri(path)?;
        request.headers_mut().extend(self.headers.clone());
        request.headers_mut().extend(own);
        let response = self.client.request(request).await.map_err(Failure::unanswered)?;
        let (head, mut body) = response.into_parts();
        let mut headers = head.headers;
        let body = self.read(&mut body, &mut headers).await?;
        Ok(Reply { status: head.status, headers, body })
    }

    /// Reads a body within the bound; trailers go to the headers.
    async fn read(
        &self,
        body: &mut hyper::body::Incoming,
        headers: &mut HeaderMap,
    ) -> Result<Vec<u8>> {
        let most = self.max_answer_bytes;
        let too_large = || Error::too_large(format!("the answer is longer than {most} bytes"));
        let declared = body.size_hint().lower();
        if usize::try_from(declared).map_or(true, |bytes| bytes > most) {
            return Err(too_large());
        }
        let mut bytes = Vec::with_capacity(usize::try_from(declared).unwrap_or(0).min(1 << 20));
        loop {
            let frame = poll_fn(|context| Pin::new(&mut *body).poll_frame(context)).await;
            let Some(frame) = frame else { return Ok(bytes) };
            let frame = frame.map_err(|cause| {
                Error::unavailable("the connection broke inside of the answer").with_source(cause)
            })?;
            match frame.into_data() {
                Ok(data) => push(&mut bytes, &data, most).ok_or_else(too_large)?,
                Err(other) => headers.extend(other.into_trailers().unwrap_or_default()),
            }
        }
    }
}

fn push(bytes: &mut Vec<u8>, data: &Bytes, most: usize) -> Option<()> {
    let fits = bytes.len().checked_add(data.len()).is_some_and(|length| length <= most);
    fits.then(|| bytes.extend_from_slice(data))
}

/// The headers of every request; a secret's value is marked, so that nothing prints it.
fn headers(config: &RemoteConfig) -> Result<HeaderMap> {
    let mut headers = HeaderMap::new();
    let agent = concat!("mlops/", env!("CARGO_PKG_VERSION"));
    headers.insert(header::USER_AGENT, HeaderValue::from_static(agent));
    for (name, source) in &config.headers {
        let what = || format!("header {name:?} of a remote model");
        let wrong = || Error::invalid(format!("{} is not valid", what()));
        let key = HeaderName::try_from(name.as_str()).map_err(|_| wrong())?;
        let value = match source {
            HeaderSource::Plain(value) => HeaderValue::try_from(value.as_str()),
            HeaderSource::Secret(before, secret) => {
                let revealed = secret.reveal().context(what)?;
                HeaderValue::try_from(format!("{before}{}", revealed.expose()))
            }
        };
        let mut value = value.map_err(|_| wrong())?;
        value.set_sensitive(true);
        headers.insert(key, value);
    }
    Ok(headers)
}
