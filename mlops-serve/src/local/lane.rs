//! Threads of a predictor's own, behind a queue with a bound. Each starts when there is a call for it: a model that
//! nobody asks, or that answers where it is asked, has none.

use super::Compute;
use crate::engines::Stop;
use mlops_core::{Clock, Error, ErrorKind, Result, tensor::Tensors};
use std::{
    collections::VecDeque,
    fmt,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::Instant,
};
use tokio::sync::oneshot;

/// One computation that is asked for.
pub(super) struct Call {
    pub(super) inputs: Tensors,
    pub(super) outputs: Option<Vec<Arc<str>>>,
    /// After this it is worth nothing, and who says how late it is.
    pub(super) deadline: Option<(Instant, Arc<dyn Clock>)>,
    /// Higher goes first.
    pub(super) priority: u8,
}

/// Threads that compute, and what waits for them. Dropping it lets them end.
pub(super) struct Lane {
    shared: Arc<Shared>,
}

struct Shared {
    queue: Mutex<Queue>,
    arrived: Condvar,
    capacity: usize,
    /// The most that there may be.
    threads: usize,
    compute: Arc<Compute>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
    /// Threads that have been started, and those of them that wait for a job.
    started: usize,
    idle: usize,
}

struct Job {
    call: Call,
    stop: Stop,
    reply: oneshot::Sender<Result<Tensors>>,
}

impl Lane {
    /// So many threads, at least one, and room for at least one call.
    pub(super) fn new(compute: &Arc<Compute>, threads: usize, capacity: usize) -> Self {
        let shared = Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            capacity: capacity.max(1),
            threads: threads.max(1),
            compute: Arc::clone(compute),
        };
        Self { shared: Arc::new(shared) }
    }

    /// Puts a call into the queue; `Overloaded` if it is full. The future gives what was computed;
    /// dropping it gives the call up.
    pub(super) fn submit(
        &self,
        call: Call,
    ) -> Result<impl Future<Output = Result<Tensors>> + Send + use<>> {
        let (reply, answer) = oneshot::channel();
        let stop = stop_at(Stop::new(), call.deadline.clone());
        let given_up = StopOnDrop(stop.clone());
        self.shared.push(Job { call, stop, reply })?;
        let label = Arc::clone(&self.shared.compute.label);
        Ok(async move {
            let answered = answer.await;
            drop(given_up);
            answered.unwrap_or_else(|_| {
                Err(Error::new(ErrorKind::Cancelled, format!("{label} was shut down")))
            })
        })
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        let mut queue = self.shared.queue();
        queue.closed = true;
        queue.jobs.clear();
        drop(queue);
        self.shared.arrived.notify_all();
    }
}

impl fmt::Debug for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Lane({} of {} waiting)", self.shared.queue().jobs.len(), self.shared.capacity)
    }
}

/// By itself, it tells to stop from this time on.
pub(super) fn stop_at(stop: Stop, deadline: Option<(Instant, Arc<dyn Clock>)>) -> Stop {
    match deadline {
        Some((deadline, clock)) => stop.with_deadline(deadline, clock),
        None => stop,
    }
}

/// Tells a computation to stop when nobody waits for it any more.
struct StopOnDrop(Stop);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop();
    }
}

impl Shared {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics while it is held, and a queue has no invariant that half a change breaks.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(self: &Arc<Self>, job: Job) -> Result<()> {
        let mut queue = self.queue();
        if queue.jobs.len() >= self.capacity {
            queue.jobs.retain(|job| !job.stop.is_stopped());
        }
        if queue.jobs.len() >= self.capacity {
            return Err(Error::new(
                ErrorKind::Overloaded,
                format!("{} requests wait for {} already", self.capacity, self.compute.label),
            ));
        }
        self.staff(&mut queue)?;
        let priority = job.call.priority;
        let behind = queue.jobs.iter().rposition(|other| other.call.priority >= priority);
        queue.jobs.insert(behind.map_or(0, |at| at + 1), job);
        drop(queue);
        self.arrived.notify_one();
        Ok(())
    }

    /// Starts a thread for one job more, if none is idle for it and there may be more. Fails if there is
    /// none at all.
    fn staff(self: &Arc<Self>, queue: &mut Queue) -> Result<()> {
        if queue.idle > queue.jobs.len() || queue.started == self.threads {
            return Ok(());
        }
        let shared = Arc::clone(self);
        let thread = std::thread::Builder::new().name(format!("mlops-lane-{}", queue.started));
        // It waits for the queue, which is held here.
        match thread.spawn(move || shared.work()) {
            Ok(_) => queue.started += 1,
            Err(source) if queue.started == 0 => {
                return Err(Error::io("a thread to compute on", source));
            }
            // Those that there are compute it later.
            Err(error) => tracing::warn!(%error, "a thread to compute on cannot be started"),
        }
        Ok(())
    }

    /// What each thread does until the lane is dropped.
    fn work(&self) {
        while let Some(job) = self.next() {
            let Job { call, stop, reply } = job;
            if stop.is_stopped() {
                continue;
            }
            // The other end may have gone meanwhile; then nobody is interested.
            let _ = reply.send(self.run(&call, &stop));
        }
    }

    fn next(&self) -> Option<Job> {
        let mut queue = self.queue();
        loop {
            match queue.jobs.pop_front() {
                Some(job) => return Some(job),
                None if queue.closed => return None,
                None => {
                    queue.idle += 1;
                    queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
                    queue.idle -= 1;
                }
            }
        }
    }

    fn run(&self, call: &Call, stop: &Stop) -> Result<Tensors> {
        if let Some((deadline, clock)) = &call.deadline
            && *deadline <= clock.instant()
        {
            let label = &self.compute.label;
            let message = format!("the deadline of a request to {label} passed while it waited");
            return Err(Error::new(ErrorKind::TimedOut, message));
        }
        self.compute.run(&call.inputs, call.outputs.as_deref(), stop)
    }
}
