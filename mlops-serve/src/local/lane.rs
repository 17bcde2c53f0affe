//! Threads of a predictor's own, behind a queue with a bound.

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
    compute: Arc<Compute>,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    closed: bool,
}

struct Job {
    call: Call,
    stop: Stop,
    reply: oneshot::Sender<Result<Tensors>>,
}

impl Lane {
    /// Starts the threads; at least one, and room for at least one call.
    pub(super) fn open(compute: &Arc<Compute>, threads: usize, capacity: usize) -> Result<Self> {
        let shared = Shared {
            queue: Mutex::default(),
            arrived: Condvar::new(),
            capacity: capacity.max(1),
            compute: Arc::clone(compute),
        };
        // Made first, so that threads already started end if a later one cannot be.
        let lane = Self { shared: Arc::new(shared) };
        for number in 0..threads.max(1) {
            let shared = Arc::clone(&lane.shared);
            std::thread::Builder::new()
                .name(format!("mlops-lane-{number}"))
                .spawn(move || shared.work())
                .map_err(|source| Error::io("a thread to compute on", source))?;
        }
        Ok(lane)
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

    fn push(&self, job: Job) -> Result<()> {
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
        let priority = job.call.priority;
        let behind = queue.jobs.iter().rposition(|other| other.call.priority >= priority);
        queue.jobs.insert(behind.map_or(0, |at| at + 1), job);
        drop(queue);
        self.arrived.notify_one();
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
                    queue = self.arrived.wait(queue).unwrap_or_else(PoisonError::into_inner);
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
