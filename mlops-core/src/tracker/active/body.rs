//! Bytes on their way into an artifact.

use crate::{Error, Result, artifact::ByteStream};
use bytes::Bytes;
use futures_core::Stream;
use std::{
    fs::File,
    io::Read,
    path::Path,
    pin::Pin,
    task::{Context, Poll},
};

/// How much of a file is read at once.
const PIECE: usize = 256 * 1024;

/// These bytes in one piece.
pub(super) fn bytes_stream(bytes: Bytes) -> ByteStream {
    struct Once(Option<Bytes>);
    impl Stream for Once {
        type Item = Result<Bytes>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            Poll::Ready(self.0.take().map(Ok))
        }
    }
    Box::pin(Once(Some(bytes)))
}

/// A file's bytes, read when they are asked for.
pub(super) fn file_stream(path: &Path) -> Result<ByteStream> {
    struct Pieces(Option<File>, String);
    impl Stream for Pieces {
        type Item = Result<Bytes>;
        fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
            let Some(file) = &mut self.0 else { return Poll::Ready(None) };
            let mut piece = Vec::with_capacity(PIECE);
            let read = file.take(PIECE as u64).read_to_end(&mut piece);
            if !matches!(read, Ok(1..)) {
                self.0 = None;
            }
            Poll::Ready(match read {
                Ok(0) => None,
                Ok(_) => Some(Ok(piece.into())),
                Err(source) => Some(Err(Error::io(&self.1, source))),
            })
        }
    }
    let name = path.display().to_string();
    let file = File::open(path).map_err(|source| Error::io(&name, source))?;
    Ok(Box::pin(Pieces(Some(file), name)))
}
