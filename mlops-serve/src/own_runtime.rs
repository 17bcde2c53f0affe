//! A thread with a small runtime of its own, for what needs timers or sockets: whoever is asked for an
//! answer may be polled by any executor, or by none that has either.

#[cfg(feature = "remote")]
use mlops_core::ErrorKind;
use mlops_core::{Error, Result};
use std::{convert::Infallible, fmt, time::Duration};
#[cfg(feature = "remote")]
use std::{
    pin::Pin,
    task::{Context, Poll},
};
#[cfg(feature = "remote")]
use tokio::task::JoinHandle;
use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
};

/// The way to the thread, which ends when this is dropped; what is under way then is given up.
pub(crate) struct OwnRuntime {
    handle: Handle,
    /// Dropped with this, which tells the thread to end.
    _running: oneshot::Sender<Infallible>,
}

impl OwnRuntime {
    pub(crate) fn start(name: &str) -> Result<Self> {
        let failed = |source| Error::io(format!("a thread for {name:?}"), source);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let (running, ended) = oneshot::channel::<Infallible>();
        let thread = std::thread::Builder::new().name(name.to_owned());
        let run = move || {
            // Nothing is ever sent: it ends when the sender is gone.
            let _ = runtime.block_on(ended);
            runtime.shutdown_background();
        };
        thread.spawn(run).map_err(failed)?;
        Ok(Self { handle, _running: running })
    }

    /// Done after this long, as the thread's timers say, whoever polls it.
    pub(crate) fn sleep(&self, time: Duration) -> tokio::time::Sleep {
        let _within = self.handle.enter();
        tokio::time::sleep(time)
    }

    /// Does something on the thread. Whoever drops this future gives the work up.
    #[cfg(feature = "remote")]
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        match Given(self.handle.spawn(work)).await {
            Ok(outcome) => outcome,
            Err(cause) if cause.is_panic() => Err(Error::internal("a call panicked on its thread")),
            Err(_) => Err(Error::new(ErrorKind::Cancelled, "the client was closed")),
        }
    }
}

impl fmt::Debug for OwnRuntime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OwnRuntime")
    }
}

/// Work on the thread, ended when this is dropped.
#[cfg(feature = "remote")]
struct Given<T>(JoinHandle<T>);

#[cfg(feature = "remote")]
impl<T> Future for Given<T> {
    type Output = Result<T, tokio::task::JoinError>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        Pin::new(&mut self.0).poll(context)
    }
}

#[cfg(feature = "remote")]
impl<T> Drop for Given<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
