//! Calls of gRPC, by frames of HTTP/2: a client that may also send what no client would.

use super::{Silence, in_time};
use http_body_util::{BodyExt, Full};
use hyper::{
    Request,
    body::Bytes,
    client::conn::http2::{self, SendRequest},
    header::HeaderMap,
};
use hyper_util::rt::{TokioExecutor, TokioIo};
use percent_encoding::percent_decode_str;
use prost::Message;
use std::time::Duration;
use tokio::{net::TcpStream, sync::Mutex};

/// Codes of gRPC that checks name.
pub(in super::super) const OK: i32 = 0;
pub(in super::super) const INVALID_ARGUMENT: i32 = 3;
pub(in super::super) const NOT_FOUND: i32 = 5;
pub(in super::super) const RESOURCE_EXHAUSTED: i32 = 8;
pub(in super::super) const OUT_OF_RANGE: i32 = 11;
pub(in super::super) const UNIMPLEMENTED: i32 = 12;

const NAMES: [&str; 17] = [
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
];

/// Where a server listens.
#[derive(Debug)]
pub(in super::super) struct Grpc {
    authority: String,
    timeout: Duration,
    connection: Mutex<Option<SendRequest<Full<Bytes>>>>,
}

/// How a call ended, and the messages before that.
#[derive(Clone, Debug)]
pub(in super::super) struct Reply {
    pub(in super::super) code: i32,
    pub(in super::super) message: String,
    pub(in super::super) messages: Vec<Bytes>,
}

impl Reply {
    /// The only message, if the call succeeded.
    pub(in super::super) fn decode<M: Message + Default>(&self) -> Option<M> {
        match (self.code, self.messages.as_slice()) {
            (OK, [only]) => M::decode(only.clone()).ok(),
            _ => None,
        }
    }

    pub(in super::super) fn shown(&self) -> String {
        let name = usize::try_from(self.code).ok().and_then(|code| NAMES.get(code));
        let count = self.messages.len();
        format!("{} {:?}, {count} messages", name.unwrap_or(&"an unknown code"), self.message)
    }
}

/// A message in its frame.
pub(in super::super) fn frame(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap_or(u32::MAX);
    [&[0], &length.to_be_bytes()[..], message].concat()
}

impl Grpc {
    pub(in super::super) fn new(address: &str, timeout: Duration) -> Self {
        let authority = address.rsplit_once("://").map_or(address, |(_, rest)| rest);
        let authority = authority.trim_end_matches('/').to_owned();
        Self { authority, timeout, connection: Mutex::new(None) }
    }

    /// Calls a method of the protocol's service with one message.
    pub(in super::super) async fn call(
        &self,
        method: &str,
        message: &impl Message,
    ) -> Result<Reply, Silence> {
        self.send(method, frame(&message.encode_to_vec())).await
    }

    /// Calls a method with this body, whatever it is.
    pub(in super::super) async fn send(
        &self,
        method: &str,
        body: Vec<u8>,
    ) -> Result<Reply, Silence> {
        in_time(self.timeout, async {
            let authority = &self.authority;
            let uri = format!("http://{authority}/inference.GRPCInferenceService/{method}");
            let request = Request::post(uri)
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .body(Full::from(body))
                .map_err(|cause| format!("the request cannot be sent: {cause}"))?;
            let mut sender = self.sender().await?;
            let closed = |cause: hyper::Error| format!("no answer: {cause}");
            let (parts, body) = sender.send_request(request).await.map_err(closed)?.into_parts();
            if parts.status != 200 {
                return Err(format!("HTTP status {}, which gRPC does not have", parts.status));
            }
            let cut = |cause: hyper::Error| format!("the answer ended before its time: {cause}");
            let body = body.collect().await.map_err(cut)?;
            let trailers = body.trailers().cloned().unwrap_or(parts.headers);
            reply(&trailers, &body.to_bytes())
        })
        .await
    }

    /// The connection, a new one if the last was closed.
    async fn sender(&self) -> Result<SendRequest<Full<Bytes>>, Silence> {
        let mut connection = self.connection.lock().await;
        if let Some(mut sender) = connection.take()
            && sender.ready().await.is_ok()
        {
            *connection = Some(sender.clone());
            return Ok(sender);
        }
        let refused = |cause| format!("the connection was refused: {cause}");
        let stream = TcpStream::connect(&self.authority).await.map_err(refused)?;
        let failed = |cause| format!("no HTTP/2 connection: {cause}");
        let (sender, driver) =
            http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.map_err(failed)?;
        tokio::spawn(async move { drop(driver.await) });
        *connection = Some(sender.clone());
        Ok(sender)
    }
}

fn reply(trailers: &HeaderMap, body: &Bytes) -> Result<Reply, Silence> {
    let text = |name: &str| trailers.get(name).and_then(|value| value.to_str().ok());
    let code = text("grpc-status").and_then(|code| code.parse().ok());
    let code = code.ok_or("the answer has no grpc-status")?;
    let message = percent_decode_str(text("grpc-message").unwrap_or_default());
    let message = message.decode_utf8_lossy().into_owned();
    let (mut messages, mut rest) = (Vec::new(), body.clone());
    while !rest.is_empty() {
        let head = rest.first_chunk::<5>().ok_or("the answer's last frame is cut off")?;
        let length = u32::from_be_bytes([head[1], head[2], head[3], head[4]]);
        let end = usize::try_from(length).unwrap_or(usize::MAX).saturating_add(5);
        if head[0] != 0 || end > rest.len() {
            return Err(
                "a frame of the answer is compressed, though nobody asked, or cut off".into()
            );
        }
        messages.push(rest.slice(5..end));
        rest = rest.slice(end..);
    }
    Ok(Reply { code, message, messages })
}
