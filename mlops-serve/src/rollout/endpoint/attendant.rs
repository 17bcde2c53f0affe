//! One thread of an endpoint's own: what blocks happens there, and so does waiting.
//!
//! Reading, hashing and loading a model would hold up a host's runtime; and its timers may not
//! exist, since a follower is polled by any executor.

use mlops_core::{Error, ErrorKind, Result};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::mpsc,
    time::Duration,
};
use tokio::sync::oneshot;

/// A follower does one thing at a time; what it gave up may still be in front.
const QUEUE: usize = 8;

type Work = Box<dyn FnOnce() + Send>;

/// The thread; it ends when this is dropped and it has done what it does.
#[derive(Debug)]
pub(super) struct Attendant {
    work: mpsc::SyncSender<Work>,
}

impl Attendant {
    pub(super) fn open() -> Result<Self> {
        let (work, queue) = mpsc::sync_channel::<Work>(QUEUE);
        std::thread::Builder::new()
            .name("mlops-endpoint".to_owned())
            .spawn(move || {
                for work in queue {
                    // One that panics drops its reply, which its caller sees.
                    let _ = catch_unwind(AssertUnwindSafe(work));
                }
            })
            .map_err(|source| Error::io("a thread to load models on", source))?;
        Ok(Self { work })
    }

    /// Does something that blocks.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let answer = self.send(work)?;
        answer.await.unwrap_or_else(|_| Err(Error::internal("the work on a model panicked")))
    }

    /// Waits. Dropping the future sets the thread free at once.
    pub(super) async fn pause(&self, how_long: Duration) -> Result<()> {
        let (wanted, given_up) = mpsc::channel::<()>();
        let woken = self.send(move || {
            // Nothing is ever sent: it ends by time, or because nobody waits any more.
            let _ = given_up.recv_timeout(how_long);
            Ok(())
        })?;
        let result = woken.await;
        drop(wanted);
        result.unwrap_or_else(|_| Err(Error::internal("a wait panicked")))
    }

    fn send<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Result<oneshot::Receiver<Result<T>>> {
        let (reply, answer) = oneshot::channel();
        let work = Box::new(move || {
            // Whoever asked may have gone.
            let _ = reply.send(work());
        });
        self.work.try_send(work).map_err(|_| {
            Error::new(ErrorKind::Overloaded, "too much waits for an endpoint's thread")
        })?;
        Ok(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::{FutureExt, future};
    use std::time::Instant;

    #[test]
    fn it_works_waits_and_survives_a_panic_without_a_runtime() {
        let attendant = Attendant::open().unwrap();
        let began = Instant::now();
        let block = |work| futures_executor(work);
        block(attendant.pause(Duration::from_millis(20)).boxed()).unwrap();
        assert!(began.elapsed() >= Duration::from_millis(20));

        let dropped = attendant.pause(Duration::from_hours(1));
        drop(future::select(Box::pin(dropped), future::ready(())).now_or_never());
        let panics: Result<()> = block(attendant.run(|| panic!("as planned")).boxed());
        assert_eq!(panics.unwrap_err().kind(), ErrorKind::Internal);
        assert!(began.elapsed() < Duration::from_mins(1), "a wait given up ends at once");
        block(attendant.run(|| Ok(())).boxed()).unwrap();
    }

    /// Polls without any runtime.
    fn futures_executor<T>(mut work: future::BoxFuture<'_, T>) -> T {
        struct Unpark(std::thread::Thread);
        impl std::task::Wake for Unpark {
            fn wake(self: std::sync::Arc<Self>) {
                self.0.unpark();
            }
        }
        let waker = std::sync::Arc::new(Unpark(std::thread::current())).into();
        loop {
            match work.poll_unpin(&mut std::task::Context::from_waker(&waker)) {
                std::task::Poll::Ready(value) => return value,
                std::task::Poll::Pending => std::thread::park(),
            }
        }
    }
}
