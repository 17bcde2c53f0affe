//! Work that waits for a disk or computes for long, kept off the caller's reactor.

use mlops_core::{Error, ErrorKind, Result};

/// Runs on a blocking thread of the runtime that the caller is in, or here if there is none.
pub(crate) async fn run<T: Send + 'static>(
    work: impl FnOnce() -> Result<T> + Send + 'static,
) -> Result<T> {
    match tokio::runtime::Handle::try_current() {
        Ok(runtime) => runtime.spawn_blocking(work).await.unwrap_or_else(|cause| {
            let kind = if cause.is_panic() { ErrorKind::Internal } else { ErrorKind::Cancelled };
            Err(Error::new(kind, "a read or write of artifacts was given up").with_source(cause))
        }),
        Err(_) => work(),
    }
}
