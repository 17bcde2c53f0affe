//! Clients that say what they are told to, right or wrong.

pub(super) mod grpc;
pub(super) mod http;

use std::{future::Future, time::Duration};

/// Why there is no answer, in words for a report.
pub(super) type Silence = String;

/// The value of work, or that it did not end in time.
async fn in_time<T>(
    limit: Duration,
    work: impl Future<Output = Result<T, Silence>>,
) -> Result<T, Silence> {
    let late = |_| format!("no answer within {} s", limit.as_secs());
    tokio::time::timeout(limit, work).await.map_err(late)?
}
