//! Alarms for those who wait for them: each has a queue of its own, with a bound.

use super::Alarm;
use futures_core::Stream;
use std::{
    collections::VecDeque,
    future::poll_fn,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError, Weak},
    task::{Context, Poll, Waker},
};

/// The alarms of a [`Monitor`](super::Monitor) from now on; ends when the last handle of it is gone.
///
/// At most `max_waiting` wait; then the oldest make room, and [`missed`](Self::missed) counts them.
#[derive(Debug)]
pub struct AlarmStream {
    queue: Arc<Mutex<Queue>>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Alarm>,
    missed: u64,
    ended: bool,
    waker: Option<Waker>,
}

impl AlarmStream {
    /// The next alarm; `None` at the end.
    pub async fn next(&mut self) -> Option<Alarm> {
        poll_fn(|context| self.poll(context)).await
    }

    /// The next alarm, if one waits.
    pub fn try_next(&mut self) -> Option<Alarm> {
        locked(&self.queue).waiting.pop_front()
    }

    /// Alarms that had to make room before they were received.
    pub fn missed(&self) -> u64 {
        locked(&self.queue).missed
    }

    fn poll(&self, context: &Context<'_>) -> Poll<Option<Alarm>> {
        let mut queue = locked(&self.queue);
        if let Some(alarm) = queue.waiting.pop_front() {
            return Poll::Ready(Some(alarm));
        }
        if queue.ended {
            return Poll::Ready(None);
        }
        queue.waker = Some(context.waker().clone());
        Poll::Pending
    }
}

impl Stream for AlarmStream {
    type Item = Alarm;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Alarm>> {
        self.poll(context)
    }
}

/// A queue is whole after each operation on it.
fn locked<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Everyone who receives alarms.
#[derive(Debug, Default)]
pub(super) struct Receivers(Mutex<Vec<Weak<Mutex<Queue>>>>);

impl Receivers {
    pub(super) fn open(&self) -> AlarmStream {
        let mut receivers = locked(&self.0);
        receivers.retain(|queue| queue.strong_count() > 0);
        let queue = Arc::new(Mutex::new(Queue::default()));
        receivers.push(Arc::downgrade(&queue));
        AlarmStream { queue }
    }

    pub(super) fn send(&self, alarm: &Alarm, most: usize) {
        let receivers: Vec<_> = locked(&self.0).iter().filter_map(Weak::upgrade).collect();
        for receiver in receivers {
            let waker = {
                let mut queue = locked(&receiver);
                if queue.waiting.len() >= most {
                    queue.waiting.pop_front();
                    queue.missed += 1;
                }
                queue.waiting.push_back(alarm.clone());
                queue.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}

impl Drop for Receivers {
    fn drop(&mut self) {
        for receiver in locked(&self.0).iter().filter_map(Weak::upgrade) {
            let waker = {
                let mut queue = locked(&receiver);
                queue.ended = true;
                queue.waker.take()
            };
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }
}
