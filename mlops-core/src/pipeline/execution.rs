//! Where one execution stands: its events, who follows them, whether it was given up.

use super::ExecutionEvent;
use crate::{Result, tracker::RunStatus};
use futures_core::Stream;
use std::{
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::{Context, Poll, Waker},
};

/// One execution. Its events are at most two a step and one at the end.
#[derive(Debug, Default)]
pub(super) struct Execution {
    state: Mutex<State>,
    pub(super) cancelled: Arc<AtomicBool>,
}

#[derive(Debug, Default)]
struct State {
    events: Vec<ExecutionEvent>,
    /// Those that wait for a change.
    wakers: Vec<Waker>,
}

impl Execution {
    /// An execution that has ended, or was left by a process that is gone.
    pub(super) fn past(mut events: Vec<ExecutionEvent>) -> Self {
        if !matches!(events.last(), Some(ExecutionEvent::Ended { .. })) {
            events.push(ExecutionEvent::Ended { status: RunStatus::Failed });
        }
        let state = Mutex::new(State { events, wakers: Vec::new() });
        Self { state, cancelled: Arc::default() }
    }

    pub(super) fn push(&self, event: ExecutionEvent) {
        let mut state = self.state();
        state.events.push(event);
        let wakers = std::mem::take(&mut state.wakers);
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn events(&self) -> Vec<ExecutionEvent> {
        self.state().events.clone()
    }

    /// Tells the step that runs to stop, and that no other shall begin.
    pub(super) fn cancel(&self) {
        self.cancelled.store(true, Relaxed);
        let wakers = std::mem::take(&mut self.state().wakers);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Relaxed)
    }

    /// Does some work unless the execution is given up before it is done; then it is dropped.
    pub(super) async fn unless_cancelled<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut work = pin!(work);
        poll_fn(|context| {
            self.state().wait(context);
            if self.is_cancelled() {
                return Poll::Ready(None);
            }
            work.as_mut().poll(context).map(Some)
        })
        .await
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // What a panic elsewhere left is still a list of events.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wait(&mut self, context: &Context<'_>) {
        if !self.wakers.iter().any(|waker| waker.will_wake(context.waker())) {
            self.wakers.push(context.waker().clone());
        }
    }
}

/// All events of an execution, from its beginning to its end.
pub(super) struct Follow {
    execution: Arc<Execution>,
    at: usize,
    ended: bool,
}

impl Follow {
    pub(super) fn new(execution: Arc<Execution>) -> Self {
        Self { execution, at: 0, ended: false }
    }
}

impl Stream for Follow {
    type Item = Result<ExecutionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.ended {
            return Poll::Ready(None);
        }
        let event = {
            let mut state = self.execution.state();
            let event = state.events.get(self.at).cloned();
            if event.is_none() {
                state.wait(context);
            }
            event
        };
        let Some(event) = event else { return Poll::Pending };
        self.at += 1;
        self.ended = matches!(event, ExecutionEvent::Ended { .. });
        Poll::Ready(Some(Ok(event)))
    }
}

/// A stream of one error.
pub(super) struct Failure(pub(super) Option<crate::Error>);

impl Stream for Failure {
    type Item = Result<ExecutionEvent>;

    fn poll_next(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(self.0.take().map(Err))
    }
}
