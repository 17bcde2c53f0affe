//! The client's own thread: calls are sent to it and wait for one answer each.

use super::RestConfig;
use futures_util::{FutureExt, future::BoxFuture};
use mlops_core::{Error, ErrorKind, Result};
use std::panic::AssertUnwindSafe;
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

/// The way to the thread, which ends when this is dropped; what is under way then is given up.
#[derive(Debug)]
pub(super) struct ClientThread {
    work: mpsc::Sender<BoxFuture<'static, ()>>,
}

impl ClientThread {
    pub(super) fn start(config: &RestConfig) -> Result<Self> {
        let (work, mut queue) = mpsc::channel(config.queue.max(1));
        let calls = config.calls.max(1);
        crate::thread::spawn("client", move || async move {
            let mut under_way = JoinSet::new();
            while let Some(call) = queue.recv().await {
                while under_way.len() >= calls {
                    under_way.join_next().await;
                }
                under_way.spawn(call);
                while under_way.try_join_next().is_some() {}
            }
        })?;
        Ok(Self { work })
    }

    /// Does something on the thread.
    pub(super) async fn call<T: Send + 'static>(
        &self,
        call: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let call = async move {
            let outcome = AssertUnwindSafe(call).catch_unwind().await;
            let panicked = |_| Err(Error::internal("a call panicked on the client's thread"));
            // Who gave up waiting is not told.
            let _ = reply.send(outcome.unwrap_or_else(panicked));
        };
        self.work.send(Box::pin(call)).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "the client was closed")
}
