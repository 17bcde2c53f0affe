//! Messages in bodies: a flag, a length of four bytes, then so many bytes; the status in the trailers.
//!
//! Read here and not by tonic, for three things that it does not offer: a message's bytes come out of
//! the memory that all bodies share, also while gzip makes more of them; what takes long is done off the
//! runtime's own threads; and a caller's mistake is `INVALID_ARGUMENT` rather than `INTERNAL`.

use super::call::{Call, status};
use crate::http::{
    body::{Budget, Share},
    infer::off_the_timers,
};
use axum::{
    body::{Body, BodyDataStream, Bytes},
    http::{HeaderMap, HeaderValue},
};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use futures_util::{Stream, StreamExt, stream::BoxStream};
use http_body::Frame;
use mlops_core::{Error, Result, arrow::buffer::Buffer};
use std::{
    convert::Infallible,
    io::{Read, Write},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

/// Bytes before a message: whether it is compressed, and its length.
const HEAD: usize = 5;

/// The messages of a request's body.
pub(super) struct Messages {
    body: BodyDataStream,
    /// Of the body, what nobody has read yet.
    left: Bytes,
    max_bytes: usize,
    max_inline_bytes: usize,
    is_gzip: bool,
    budget: Arc<Budget>,
}

/// One message, with its share of the memory of all bodies.
pub(super) struct Message {
    pub(super) bytes: Buffer,
    /// To be kept for as long as anything shares the bytes' memory.
    pub(super) share: Share,
}

impl Messages {
    pub(super) fn of(call: &Call, body: Body) -> Self {
        let config = &call.service.config;
        Self {
            body: body.into_data_stream(),
            left: Bytes::new(),
            max_bytes: config.max_body_bytes,
            max_inline_bytes: config.max_inline_bytes,
            is_gzip: call.is_gzip,
            budget: Arc::clone(&call.service.budget),
        }
    }

    /// The only message of a call that has one.
    pub(super) async fn only(&mut self) -> Result<Message> {
        let message = self.next().await?;
        let message = message.ok_or_else(|| Error::invalid("the call has no message"))?;
        match self.next().await? {
            None => Ok(message),
            Some(_) => Err(Error::invalid("the call has more than one message")),
        }
    }

    /// The next message; none once the body has ended after one.
    pub(super) async fn next(&mut self) -> Result<Option<Message>> {
        let Some((is_compressed, length)) = self.head().await? else { return Ok(None) };
        if length > self.max_bytes {
            return Err(too_large(self.max_bytes));
        }
        let mut share = Share::of(&self.budget);
        let bytes = self.take(length, &mut share).await?;
        if !is_compressed {
            return Ok(Some(Message { bytes, share }));
        }
        if !self.is_gzip {
            let message = "a message is compressed, and \"grpc-encoding\" does not say how";
            return Err(Error::invalid(message));
        }
        let (budget, max) = (Arc::clone(&self.budget), self.max_bytes);
        // Of one byte gzip makes at most so many.
        let is_long = length.saturating_mul(1032) > self.max_inline_bytes;
        let inflated = off_the_timers(is_long, move || inflate(&bytes, &budget, max)).await?;
        Ok(Some(inflated))
    }

    async fn head(&mut self) -> Result<Option<(bool, usize)>> {
        let (mut head, mut filled) = ([0_u8; HEAD], 0);
        while filled < HEAD {
            if self.left.is_empty() && !self.more().await? {
                return if filled == 0 { Ok(None) } else { Err(cut_off()) };
            }
            let taken = self.left.split_to(self.left.len().min(HEAD - filled));
            head[filled..filled + taken.len()].copy_from_slice(&taken);
            filled += taken.len();
        }
        let [flag, length @ ..] = head;
        let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
        match flag {
            0 | 1 => Ok(Some((flag == 1, length))),
            _ => Err(Error::invalid("the flag before a message is neither 0 nor 1")),
        }
    }

    /// So many bytes; they share the memory of the body's chunk if they came in one.
    async fn take(&mut self, length: usize, share: &mut Share) -> Result<Buffer> {
        if self.left.is_empty() && length > 0 && !self.more().await? {
            return Err(cut_off());
        }
        if self.left.len() >= length {
            share.grow(length)?;
            return Ok(Buffer::from(self.left.split_to(length)));
        }
        let mut bytes = Vec::with_capacity(length.min(1 << 20));
        while bytes.len() < length {
            if self.left.is_empty() && !self.more().await? {
                return Err(cut_off());
            }
            let taken = self.left.split_to(self.left.len().min(length - bytes.len()));
            share.grow(taken.len())?;
            bytes.extend_from_slice(&taken);
        }
        Ok(Buffer::from_vec(bytes))
    }

    /// Waits for more of the body; false at its end.
    async fn more(&mut self) -> Result<bool> {
        match self.body.next().await {
            None => Ok(false),
            Some(Ok(chunk)) => {
                self.left = chunk;
                Ok(true)
            }
            Some(Err(_)) => Err(Error::invalid("the body ended before its time")),
        }
    }
}

fn inflate(bytes: &[u8], budget: &Arc<Budget>, max: usize) -> Result<Message> {
    let (mut share, mut reader) = (Share::of(budget), GzDecoder::new(bytes));
    let (mut inflated, mut chunk) = (Vec::new(), vec![0_u8; 64 << 10]);
    loop {
        let read = reader.read(&mut chunk);
        let read = read.map_err(|_| Error::invalid("a message is not valid gzip"))?;
        if read == 0 {
            return Ok(Message { bytes: Buffer::from_vec(inflated), share });
        }
        if inflated.len() + read > max {
            return Err(too_large(max));
        }
        share.grow(read)?;
        inflated.extend_from_slice(&chunk[..read]);
    }
}

fn too_large(max: usize) -> Error {
    Error::too_large(format!("the message is longer than {max} bytes"))
}

fn cut_off() -> Error {
    Error::invalid("the body ends inside of a message")
}

/// A message with the bytes that stand before it.
pub(super) fn framed(message: &impl prost::Message, gzip: bool) -> Result<Bytes> {
    let room = if gzip { 0 } else { message.encoded_len() };
    let mut bytes = Vec::with_capacity(HEAD + room);
    bytes.extend_from_slice(&[u8::from(gzip), 0, 0, 0, 0]);
    if gzip {
        let mut writer = GzEncoder::new(bytes, Compression::fast());
        let written = writer.write_all(&message.encode_to_vec()).and_then(|()| writer.finish());
        bytes = written.expect("a Vec takes every byte");
    } else {
        message.encode(&mut bytes).expect("a Vec takes every byte");
    }
    let length = u32::try_from(bytes.len() - HEAD)
        .map_err(|_| Error::too_large("the answer is longer than gRPC can say"))?;
    bytes[1..HEAD].copy_from_slice(&length.to_be_bytes());
    Ok(Bytes::from(bytes))
}

/// The body of an answer: messages with their heads, then the status as trailers.
pub(super) struct Answered {
    messages: Framed,
    is_done: bool,
}

enum Framed {
    One(Option<Bytes>),
    /// An error ends it, and is the status.
    Many(BoxStream<'static, Result<Bytes>>),
}

impl Answered {
    pub(super) fn one(message: Bytes) -> Self {
        Self { messages: Framed::One(Some(message)), is_done: false }
    }

    pub(super) fn many(messages: impl Stream<Item = Result<Bytes>> + Send + 'static) -> Self {
        Self { messages: Framed::Many(messages.boxed()), is_done: false }
    }
}

impl http_body::Body for Answered {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.is_done {
            return Poll::Ready(None);
        }
        let next = match &mut self.messages {
            Framed::One(message) => message.take().map(Ok),
            Framed::Many(messages) => ready!(messages.poll_next_unpin(context)),
        };
        let trailers = match next {
            Some(Ok(message)) => return Poll::Ready(Some(Ok(Frame::data(message)))),
            None => trailers(None),
            Some(Err(error)) => trailers(Some(&error)),
        };
        self.is_done = true;
        Poll::Ready(Some(Ok(Frame::trailers(trailers))))
    }

    fn is_end_stream(&self) -> bool {
        self.is_done
    }
}

fn trailers(error: Option<&Error>) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    match error {
        None => drop(trailers.insert("grpc-status", HeaderValue::from_static("0"))),
        // It percent-encodes whatever a message holds.
        Some(error) => status(error)
            .add_header(&mut trailers)
            .expect("a status with neither details nor metadata is valid headers"),
    }
    trailers
}
