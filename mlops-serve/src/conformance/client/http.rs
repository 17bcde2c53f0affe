//! Requests over HTTP/1.1, a connection each.

use super::{Silence, in_time};
use http_body_util::{BodyExt, Full, StreamBody, combinators::BoxBody};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Frame, Incoming},
    client::conn::http1::{self, SendRequest},
    header::HeaderMap,
};
use hyper_util::rt::TokioIo;
use mlops_core::{Error, ErrorKind, Result};
use serde_json::Value;
use std::{convert::Infallible, time::Duration};
use tokio::net::TcpStream;

/// Where a server listens, and the path above `/v2`.
#[derive(Debug)]
pub(in super::super) struct Http {
    authority: String,
    prefix: String,
    timeout: Duration,
}

type Body = BoxBody<Bytes, Infallible>;

/// A request as it is sent.
#[derive(Clone, Debug)]
pub(in super::super) struct Asked {
    method: Method,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
    is_chunked: bool,
}

impl Asked {
    pub(in super::super) fn new(method: &str, path: impl Into<String>) -> Self {
        let method = Method::from_bytes(method.as_bytes()).unwrap_or(Method::GET);
        let (headers, body) = (Vec::new(), Vec::new());
        Self { method, path: path.into(), headers, body, is_chunked: false }
    }

    pub(in super::super) fn get(path: impl Into<String>) -> Self {
        Self::new("GET", path)
    }

    /// A body that says it is JSON.
    pub(in super::super) fn post(path: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        let asked = Self { body: body.into(), ..Self::new("POST", path) };
        asked.with_header("content-type", "application/json")
    }

    /// A body that does not say what it is.
    pub(in super::super) fn untyped(mut self) -> Self {
        self.headers.retain(|(name, _)| *name != "content-type");
        self
    }

    pub(in super::super) fn with_header(
        mut self,
        name: &'static str,
        value: impl Into<String>,
    ) -> Self {
        self.headers.retain(|(own, _)| *own != name);
        self.headers.push((name, value.into()));
        self
    }

    /// The body comes in chunks and its length is not said.
    pub(in super::super) fn chunked(mut self) -> Self {
        self.is_chunked = true;
        self
    }

    fn into_request(self, http: &Http) -> Result<Request<Body>, Silence> {
        let path = format!("{}{}", http.prefix, self.path);
        let mut request =
            Request::builder().method(self.method).uri(path).header("host", &http.authority);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let body = if self.is_chunked { chunks(&self.body) } else { Full::from(self.body).boxed() };
        request.body(body).map_err(|cause| format!("the request cannot be sent: {cause}"))
    }
}

fn chunks(bytes: &[u8]) -> Body {
    let size = bytes.len().div_ceil(3).max(1);
    let chunks: Vec<_> = bytes.chunks(size).map(Bytes::copy_from_slice).collect();
    let frames = chunks.into_iter().map(|chunk| Ok(Frame::data(chunk)));
    StreamBody::new(futures_util::stream::iter(frames)).boxed()
}

/// What came back.
#[derive(Clone, Debug)]
pub(in super::super) struct Answer {
    pub(in super::super) status: u16,
    pub(in super::super) headers: HeaderMap,
    pub(in super::super) body: Bytes,
}

impl Answer {
    pub(in super::super) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }

    /// The body as JSON, as strictly as JSON is defined.
    pub(in super::super) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The text of an error as the protocol has it: `{"error": string}`.
    pub(in super::super) fn error(&self) -> Option<String> {
        self.json()?["error"].as_str().map(str::to_owned)
    }

    pub(in super::super) fn shown(&self) -> String {
        format!("{} {}", self.status, String::from_utf8_lossy(&self.body))
    }
}

impl Http {
    /// Reads a URL; connects to nobody yet.
    pub(in super::super) fn new(url: &str, timeout: Duration) -> Result<Self> {
        if url.starts_with("https://") {
            return Err(Error::unsupported("https is not spoken here: ask the server behind it"));
        }
        let rest = url.strip_prefix("http://").unwrap_or(url).trim_end_matches('/');
        let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
        let has_port = authority.rsplit_once(':').is_some_and(|(host, port)| {
            !host.is_empty()
                && (host.ends_with(']') || !host.contains(':'))
                && port.parse::<u16>().is_ok()
        });
        if authority.is_empty()
            || authority.contains('@')
            || authority.contains(char::is_whitespace)
        {
            return Err(Error::invalid("the URL is not http://HOST[:PORT][/PATH]"));
        }
        let authority = if has_port { authority.to_owned() } else { format!("{authority}:80") };
        let path = path.strip_suffix("v2").unwrap_or(path).trim_end_matches('/');
        let prefix = if path.is_empty() { String::new() } else { format!("/{path}") };
        Ok(Self { authority, prefix, timeout })
    }

    /// That somebody listens.
    pub(in super::super) async fn open(&self) -> Result<()> {
        let absent = |cause: Silence| {
            let message = format!("nobody listens at {}: {cause}", self.authority);
            Error::new(ErrorKind::Unavailable, message)
        };
        in_time(self.timeout, self.connect()).await.map(drop).map_err(absent)
    }

    /// Whether somebody listens, a second from now, in which a server ends that is ending, or within
    /// some: it may be restarted.
    pub(in super::super) async fn listens(&self) -> bool {
        tokio::time::sleep(Duration::from_secs(1)).await;
        for _ in 0..10 {
            if in_time(self.timeout, self.connect()).await.is_ok() {
                return true;
            }
            tokio::time::sleep(Duration::from_millis(300)).await;
        }
        false
    }

    async fn connect(&self) -> Result<SendRequest<Body>, Silence> {
        let refused = |cause| format!("the connection was refused: {cause}");
        let stream = TcpStream::connect(&self.authority).await.map_err(refused)?;
        // Small writes must not wait for each other.
        let _ = stream.set_nodelay(true);
        let failed = |cause| format!("no HTTP connection: {cause}");
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(failed)?;
        // It ends with its sender, and how it ends is what the request sees.
        tokio::spawn(async move { drop(connection.await) });
        Ok(sender)
    }

    pub(in super::super) async fn ask(&self, asked: Asked) -> Result<Answer, Silence> {
        in_time(self.timeout, async {
            let mut sender = self.connect().await?;
            read(sender.send_request(asked.into_request(self)?).await).await
        })
        .await
    }

    /// Two requests on one connection. The second has no answer if the server closed it after the first.
    pub(in super::super) async fn ask_twice(
        &self,
        first: Asked,
        second: Asked,
    ) -> Result<(Answer, Option<Answer>), Silence> {
        in_time(self.timeout, async {
            let mut sender = self.connect().await?;
            let first = read(sender.send_request(first.into_request(self)?).await).await?;
            if sender.ready().await.is_err() {
                return Ok((first, None));
            }
            let second = read(sender.send_request(second.into_request(self)?).await).await;
            Ok((first, second.ok()))
        })
        .await
    }
}

async fn read(answered: hyper::Result<Response<Incoming>>) -> Result<Answer, Silence> {
    let closed = |cause: hyper::Error| format!("no answer: {cause}");
    let (parts, body) = answered.map_err(closed)?.into_parts();
    let cut = |cause: hyper::Error| format!("the answer ended before its time: {cause}");
    let body = body.collect().await.map_err(cut)?.to_bytes();
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn parts(url: &str) -> Option<(String, String)> {
        let http = Http::new(url, Duration::from_secs(1)).ok()?;
        Some((http.authority, http.prefix))
    }

    #[test]
    fn a_url_is_a_host_a_port_and_a_path_above_the_protocol() {
        let of = |url: &str| parts(url).unwrap();
        let pair = |host: &str, path: &str| (host.to_owned(), path.to_owned());
        assert_eq!(of("http://127.0.0.1:8000"), pair("127.0.0.1:8000", ""));
        assert_eq!(of("localhost:8000/"), pair("localhost:8000", ""));
        assert_eq!(of("http://a/b/v2/"), pair("a:80", "/b"));
        assert_eq!(of("http://[::1]:9/v2"), pair("[::1]:9", ""));
        for wrong in ["", "http://", "http://a b/", "https://a", "http://user@a"] {
            assert_eq!(parts(wrong), None, "{wrong:?}");
        }
    }
}
