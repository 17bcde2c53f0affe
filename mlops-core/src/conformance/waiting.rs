//! Waiting for futures and streams without a library of them.

use crate::event::BoxStream;
use std::{
    future::{Future, poll_fn},
    pin::pin,
    task::Poll,
    time::Duration,
};

/// Both at once, on one task.
pub(super) async fn join<A, B>(
    left: impl Future<Output = A>,
    right: impl Future<Output = B>,
) -> (A, B) {
    let (mut left, mut right) = (pin!(left), pin!(right));
    let (mut first, mut second) = (None, None);
    poll_fn(|context| {
        if first.is_none()
            && let Poll::Ready(value) = left.as_mut().poll(context)
        {
            first = Some(value);
        }
        if second.is_none()
            && let Poll::Ready(value) = right.as_mut().poll(context)
        {
            second = Some(value);
        }
        match (first.take(), second.take()) {
            (Some(a), Some(b)) => Poll::Ready((a, b)),
            (a, b) => {
                (first, second) = (a, b);
                Poll::Pending
            }
        }
    })
    .await
}

/// The next item, which must come soon.
pub(super) async fn next_of<T>(stream: &mut BoxStream<'_, T>) -> Option<T> {
    const SOON: Duration = Duration::from_secs(10);
    let next = poll_fn(|context| stream.as_mut().poll_next(context));
    tokio::time::timeout(SOON, next).await.expect("the next item comes soon")
}

/// Begins some work and gives it up, as a caller does whose own caller went away.
pub(super) async fn poll_once<F: Future>(work: F) {
    let mut work = pin!(work);
    poll_fn(|context| {
        let _ = work.as_mut().poll(context);
        Poll::Ready(())
    })
    .await;
}
