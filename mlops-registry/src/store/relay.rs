//! Bytes between a caller and the store's thread, a few pieces at a time.
//!
//! Each side polls its own stream where it belongs: the host's in the host, the store's on its thread.
//! A stream that just stops, because the other side is gone, is never mistaken for one that ended.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use mlops_core::{Error, ErrorKind, Result, artifact::ByteStream};
use tokio::sync::mpsc;

/// How many pieces wait between the two sides.
const WAITING: usize = 4;

/// `None` says that the stream ended as it should.
type Item = Option<Result<Bytes>>;

/// One side forwards its stream with [`Sending::pump`], the other reads what comes.
pub(super) fn relay() -> (Sending, ByteStream) {
    let (pieces, coming) = mpsc::channel::<Item>(WAITING);
    let received = stream::unfold(Some(coming), |coming| async move {
        let mut coming = coming?;
        match coming.recv().await {
            Some(Some(Ok(piece))) => Some((Ok(piece), Some(coming))),
            Some(Some(Err(error))) => Some((Err(error), None)),
            Some(None) => None,
            None => {
                let error = Error::new(ErrorKind::Cancelled, "the other side of a stream is gone");
                Some((Err(error), None))
            }
        }
    });
    (Sending(pieces), Box::pin(received))
}

/// The side that has the bytes.
pub(super) struct Sending(mpsc::Sender<Item>);

impl Sending {
    /// Forwards a stream to its end, or until nobody reads any more.
    pub(super) async fn pump(self, mut stream: ByteStream) {
        while let Some(piece) = stream.next().await {
            let failed = piece.is_err();
            if self.0.send(Some(piece)).await.is_err() || failed {
                return;
            }
        }
        // Who reads may have stopped at this very moment.
        let _ = self.0.send(None).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{TryStreamExt, future::join};

    #[tokio::test]
    async fn an_end_arrives_and_a_stop_is_an_error() {
        let pieces = || stream::iter([Ok(Bytes::from_static(b"a")), Ok(Bytes::from_static(b"b"))]);
        let (sending, received) = relay();
        let read = received.try_collect::<Vec<Bytes>>();
        let ((), read) = join(sending.pump(Box::pin(pieces())), read).await;
        assert_eq!(read.unwrap().concat(), b"ab");

        let (sending, mut received) = relay();
        sending.0.send(Some(Ok(Bytes::from_static(b"a")))).await.unwrap();
        drop(sending);
        assert!(received.next().await.unwrap().is_ok());
        assert_eq!(received.next().await.unwrap().unwrap_err().kind(), ErrorKind::Cancelled);
        assert!(received.next().await.is_none());
    }
}
