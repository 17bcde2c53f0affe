//! Bodies, bounded: one by one, all together, and in time.

use super::{
    coding::{ContentCoding, Inflater},
    config::HttpConfig,
    infer::off_the_timers,
    refusal::Refusal,
};
use axum::{
    body::{Bytes, HttpBody},
    http::{HeaderMap, StatusCode, header},
};
use http_body_util::BodyExt;
use mlops_core::{Error, ErrorKind};
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

/// Bytes of bodies that the router may still hold.
#[derive(Debug)]
pub(crate) struct Budget(AtomicUsize);

impl Budget {
    pub(crate) fn new(bytes: usize) -> Self {
        Self(AtomicUsize::new(bytes))
    }

    fn take(&self, bytes: usize) -> bool {
        let less = |left: usize| left.checked_sub(bytes);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less).is_ok()
    }
}

/// What one request has of the budget; dropped, it gives it back.
#[derive(Debug)]
pub(crate) struct Share {
    taken: usize,
    budget: Arc<Budget>,
}

impl Share {
    pub(crate) fn of(budget: &Arc<Budget>) -> Self {
        Self { taken: 0, budget: Arc::clone(budget) }
    }

    /// Takes more; `Overloaded` if others have it.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Error> {
        if !self.budget.take(bytes) {
            let message = "the bodies of other requests fill the memory set aside for them";
            return Err(Error::new(ErrorKind::Overloaded, message));
        }
        self.taken += bytes;
        Ok(())
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.budget.0.fetch_add(self.taken, Ordering::Relaxed);
    }
}

/// A body in memory, with its share of the budget.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) bytes: Bytes,
    /// To be kept for as long as anything shares the bytes' memory.
    pub(super) share: Share,
}

/// A body that is still coming. Most come in one piece, which is kept as it is.
struct Coming {
    first: Bytes,
    /// All of it, once there is more than one piece.
    all: Vec<u8>,
    share: Share,
}

impl Coming {
    fn len(&self) -> usize {
        self.first.len().max(self.all.len())
    }

    /// Takes the next piece; `declared` is how many bytes all are said to have.
    fn push(&mut self, chunk: Bytes, declared: Option<usize>) -> Result<(), Refusal> {
        self.share.grow(chunk.len())?;
        if self.first.is_empty() {
            self.first = chunk;
            return Ok(());
        }
        if self.all.is_empty() {
            let room = declared.unwrap_or(0).min(1 << 20).max(self.first.len() + chunk.len());
            self.all.reserve(room);
            self.all.extend_from_slice(&self.first);
        }
        self.all.extend_from_slice(&chunk);
        Ok(())
    }

    fn whole(self) -> Held {
        let bytes = if self.all.is_empty() { self.first } else { Bytes::from(self.all) };
        Held { bytes, share: self.share }
    }
}

/// A body that is made here, as its compressed bytes come.
pub(super) struct Growing {
    pub(super) bytes: Vec<u8>,
    share: Share,
}

impl Growing {
    fn new(budget: &Arc<Budget>) -> Self {
        Self { bytes: Vec::new(), share: Share::of(budget) }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.share.grow(bytes.len())?;
        self.bytes.extend_from_slice(bytes);
        Ok(())
    }

    /// One without bytes, beside this one.
    pub(super) fn empty(&self) -> Self {
        Self::new(&self.share.budget)
    }

    fn whole(self) -> Held {
        Held { bytes: Bytes::from(self.bytes), share: self.share }
    }
}

/// A request's body, as a router or a layer hands it on.
pub(super) trait Incoming: HttpBody<Data = Bytes, Error = axum::Error> + Unpin {}

impl<B: HttpBody<Data = Bytes, Error = axum::Error> + Unpin> Incoming for B {}

/// Reads a body within its bounds; one that is compressed as what it stands for. What is left of one that
/// is refused is the business of who answers.
pub(super) async fn read(
    headers: &HeaderMap,
    body: &mut impl Incoming,
    config: &HttpConfig,
    budget: &Arc<Budget>,
) -> Result<Held, Refusal> {
    let compressed = ContentCoding::of_request(headers)?;
    let declared = declared_length(headers);
    if declared.is_some_and(|length| length > config.max_body_bytes) {
        return Err(too_large(config));
    }
    let within = async {
        if let Some(coding) = compressed {
            return Box::pin(inflate(coding, body, config, budget)).await;
        }
        let mut coming = Coming { first: Bytes::new(), all: Vec::new(), share: Share::of(budget) };
        while let Some(chunk) = next(body, config).await? {
            if coming.len() + chunk.len() > config.max_body_bytes {
                return Err(too_large(config));
            }
            coming.push(chunk, declared)?;
        }
        Ok(coming.whole())
    };
    in_time(config.timeout, pin!(within)).await.unwrap_or_else(|| Err(late()))
}

fn late() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the body did not come in time")
}

/// The next piece of a body; none if what is next is no piece of it, as trailers are not.
async fn next(body: &mut impl Incoming, config: &HttpConfig) -> Result<Option<Bytes>, Refusal> {
    let frame = in_time(config.pause, pin!(body.frame())).await.ok_or_else(late)?;
    let short = |_| Refusal::new(StatusCode::BAD_REQUEST, "the body ended before its time");
    Ok(frame.transpose().map_err(short)?.and_then(|frame| frame.into_data().ok()))
}

/// What the chunks stand for. Compressed they are bounded too: bytes that stand for nothing would
/// otherwise have no end.
async fn inflate(
    coding: ContentCoding,
    body: &mut impl Incoming,
    config: &HttpConfig,
    budget: &Arc<Budget>,
) -> Result<Held, Refusal> {
    let mut inflater = Inflater::new(coding, Growing::new(budget), config.max_body_bytes)?;
    let mut compressed: usize = 0;
    while let Some(mut chunk) = next(body, config).await? {
        compressed = compressed.saturating_add(chunk.len());
        if compressed > config.max_body_bytes {
            return Err(too_large(config));
        }
        inflater.push(&mut chunk, config.max_inline_bytes)?;
        if !chunk.is_empty() {
            let rest = move || inflater.push(&mut chunk, usize::MAX).map(|()| inflater);
            inflater = off_the_timers(true, rest).await?;
        }
    }
    Ok(inflater.finish()?.whole())
}

/// The future's value, or `None` after this long.
pub(crate) async fn in_time<T>(
    limit: Option<Duration>,
    mut work: Pin<&mut impl Future<Output = T>>,
) -> Option<T> {
    // What is done at once needs no timer, and most is.
    let at_once = poll_fn(|context| Poll::Ready(work.as_mut().poll(context))).await;
    match (at_once, limit) {
        (Poll::Ready(value), _) => Some(value),
        (Poll::Pending, None) => Some(work.await),
        // In a box, as is all that few requests come to: their futures are moved, and so better small.
        (Poll::Pending, Some(limit)) => Box::pin(tokio::time::timeout(limit, work)).await.ok(),
    }
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(config: &HttpConfig) -> Refusal {
    Error::too_large(format!("the body is longer than {} bytes", config.max_body_bytes)).into()
}
