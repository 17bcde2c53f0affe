//! The store's own thread: one current-thread runtime, one connection. Calls are sent to it and wait for
//! one answer each, so that any host can make them: synchronous, or on whatever runtime.

use super::{
    config::StoreConfig,
    connection::{Connection, Location},
    session::{Session, Turn, Tx},
};
use futures_util::{
    FutureExt,
    future::{BoxFuture, Either, LocalBoxFuture, select},
};
use mlops_core::{Error, ErrorKind, Principal, Result, event::Cursor};
use std::{
    panic::AssertUnwindSafe,
    pin::pin,
    sync::{Mutex, mpsc::RecvTimeoutError},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot, watch};

/// A read: has the connection to itself.
pub(super) type Read = Box<dyn for<'a> FnOnce(&'a mut Session) -> LocalBoxFuture<'a, ()> + Send>;
/// A write: does its part of a transaction, then waits with its caller for the commit; nothing is left
/// to wait for if it failed.
pub(super) type Write =
    Box<dyn for<'a> FnOnce(&'a mut Session) -> LocalBoxFuture<'a, Option<Settle>> + Send>;
/// Tells a caller what came of the commit.
pub(super) type Settle = Box<dyn FnOnce(Result<(), &Error>)>;

pub(super) enum Work {
    Read(Read),
    Write(Write),
    /// Something that needs no connection and runs beside the others: moving artifacts.
    Task(BoxFuture<'static, ()>),
}

/// The way to the thread; dropping it closes the file or the connection.
#[derive(Debug)]
pub(super) struct StoreThread {
    work: Option<mpsc::Sender<Work>>,
    changes: watch::Receiver<Cursor>,
    /// Ends when the thread has closed the file.
    closed: Mutex<std::sync::mpsc::Receiver<()>>,
    close_within: Duration,
}

impl StoreThread {
    /// Starts the thread and opens the record.
    pub(super) async fn start(location: Location, config: &StoreConfig) -> Result<Self> {
        let (work, queue) = mpsc::channel(config.queue.max(1));
        let (announce, changes) = watch::channel(Cursor::default());
        let (opened, ready) = oneshot::channel();
        let (closing, closed) = std::sync::mpsc::channel();
        let own = config.clone();
        spawn_thread(closing, move || run(location, own, queue, announce, opened))?;
        ready.await.unwrap_or_else(|_| Err(stopped()))?;
        let close_within = config.close_within;
        Ok(Self { work: Some(work), changes, closed: Mutex::new(closed), close_within })
    }

    /// Reads in one snapshot.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        job: impl AsyncFnOnce(&mut Connection) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let job: Read = Box::new(move |session| {
            Box::pin(async move {
                // Who gave up waiting is not told.
                let _ = reply.send(session.read(job).await);
            })
        });
        self.send(Work::Read(job)).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Writes all of it or nothing; on the disk when this returns. Writes that wait at the same time
    /// share one wait for the disk.
    pub(super) async fn write<T: Send + 'static>(
        &self,
        actor: &Principal,
        job: impl AsyncFnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        self.write_in_turn(actor, Turn::First, job).await
    }

    /// The same for a call that says when its turn has to come.
    pub(super) async fn write_in_turn<T: Send + 'static>(
        &self,
        actor: &Principal,
        turn: Turn,
        job: impl AsyncFnOnce(&mut Tx<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (reply, answer) = oneshot::channel();
        let actor = actor.clone();
        let job: Write = Box::new(move |session| {
            Box::pin(async move {
                match session.part(actor, turn, job).await {
                    Ok(value) => Some(Box::new(move |committed: Result<(), &Error>| {
                        let _ = reply.send(committed.map(|()| value).map_err(again));
                    }) as Settle),
                    Err(error) => {
                        let _ = reply.send(Err(error));
                        None
                    }
                }
            })
        });
        self.send(Work::Write(job)).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Runs something beside the jobs on the thread's runtime; it ends when its caller gives up.
    pub(super) async fn task<T: Send + 'static>(
        &self,
        task: impl Future<Output = Result<T>> + Send + 'static,
    ) -> Result<T> {
        let (mut reply, answer) = oneshot::channel();
        let task = async move {
            let task = pin!(AssertUnwindSafe(task).catch_unwind());
            let outcome = match select(task, pin!(reply.closed())).await {
                Either::Left((outcome, _)) => outcome,
                // Nobody waits any more: dropping what it had begun undoes it.
                Either::Right(_) => return,
            };
            let _ = reply.send(outcome.unwrap_or_else(|_| Err(panicked())));
        };
        self.send(Work::Task(Box::pin(task))).await?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }

    /// Starts something beside the jobs whose outcome nobody waits for.
    pub(super) async fn spawn(
        &self,
        task: impl Future<Output = ()> + Send + 'static,
    ) -> Result<()> {
        self.send(Work::Task(Box::pin(task))).await
    }

    /// The end of the event log, as far as this process has seen it; changes when it grows.
    pub(super) fn changes(&self) -> watch::Receiver<Cursor> {
        self.changes.clone()
    }

    async fn send(&self, work: Work) -> Result<()> {
        let queue = self.work.as_ref().ok_or_else(stopped)?;
        queue.send(work).await.map_err(|_| stopped())
    }
}

impl Drop for StoreThread {
    fn drop(&mut self) {
        // Without a sender the thread finishes what is in line, closes the file and ends.
        self.work = None;
        let closed = self.closed.get_mut().map(|closed| closed.recv_timeout(self.close_within));
        if let Ok(Err(RecvTimeoutError::Timeout)) = closed {
            // Nothing acknowledged depends on it: the next one to open the file recovers.
        }
    }
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Cancelled, "the store was closed")
}

pub(super) fn panicked() -> Error {
    Error::internal("a call panicked on the store's thread; nothing of it was written")
}

/// The same error for another of those who waited for one commit.
fn again(error: &Error) -> Error {
    Error::new(error.kind(), error.message().to_owned())
}

/// Runs something on a thread of its own that has a current-thread runtime. `closing` is held until the
/// very end, whichever way that comes.
fn spawn_thread<F: Future<Output = ()>>(
    closing: std::sync::mpsc::Sender<()>,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<()> {
    let work = move || async move {
        let _closing = closing;
        work().await;
    };
    crate::thread::spawn("store", work)
}

/// Does one thing on such a thread and ends it.
pub(super) async fn once<T: Send + 'static, F: Future<Output = Result<T>>>(
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<T> {
    let (reply, answer) = oneshot::channel();
    let (closing, _closed) = std::sync::mpsc::channel();
    spawn_thread(closing, move || async move {
        let _ = reply.send(work().await);
    })?;
    answer.await.unwrap_or_else(|_| Err(stopped()))
}

async fn run(
    location: Location,
    config: StoreConfig,
    mut queue: mpsc::Receiver<Work>,
    announce: watch::Sender<Cursor>,
    opened: oneshot::Sender<Result<()>>,
) {
    let mut session = match Session::open(location, config, announce).await {
        Ok(session) => session,
        Err(error) => {
            let _ = opened.send(Err(error));
            return;
        }
    };
    if opened.send(Ok(())).is_ok() {
        session.serve(&mut queue).await;
    }
    session.abandon().await;
}
