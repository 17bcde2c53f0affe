//! What candle says when it fails, as one of ours.

use mlops_core::{Error, ErrorKind};

/// Candle's own text may carry a backtrace, so it stays in the source.
pub(super) fn candle_failed(kind: ErrorKind, doing: &str) -> impl Fn(candle_core::Error) -> Error {
    let message = format!("candle failed at {doing}");
    move |cause| Error::new(kind, message.clone()).with_source(cause)
}

/// For what was checked before: then it is a bug of ours or candle's.
pub(super) fn internal(doing: &str) -> impl Fn(candle_core::Error) -> Error {
    candle_failed(ErrorKind::Internal, doing)
}
