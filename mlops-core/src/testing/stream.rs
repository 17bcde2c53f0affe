//! Bytes as a stream and back.

use crate::{Result, artifact::ByteStream};
use bytes::Bytes;
use futures_core::Stream;
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

/// These bytes as a stream of two pieces, as if they came over a network.
pub fn stream_of(bytes: impl Into<Bytes>) -> ByteStream {
    let mut first = bytes.into();
    let second = first.split_off(first.len() / 2);
    Box::pin(Pieces([Ok(first), Ok(second)].into()))
}

/// All bytes of a stream, or its first error.
pub async fn collected(mut stream: ByteStream) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    while let Some(piece) = poll_fn(|context| stream.as_mut().poll_next(context)).await {
        bytes.extend_from_slice(&piece?);
    }
    Ok(bytes)
}

/// Pieces that are there already.
pub(super) struct Pieces(pub(super) VecDeque<Result<Bytes>>);

impl Stream for Pieces {
    type Item = Result<Bytes>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.pop_front())
    }
}
