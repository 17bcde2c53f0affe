//! A thread that looks, for hosts that have no task for it.

use super::Shared;
use mlops_core::{Error, Result};
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, PoisonError, Weak, atomic::Ordering::Relaxed},
    thread::JoinHandle,
    time::Duration,
};

/// Looks as often as it was told to, until it is dropped or the monitor is gone: see
/// [`Monitor::watch`](super::Monitor::watch).
#[derive(Debug)]
#[must_use = "it ends when it is dropped"]
pub struct Watch {
    stop: Arc<(Mutex<bool>, Condvar)>,
    thread: Option<JoinHandle<()>>,
}

impl Watch {
    pub(super) fn start(monitor: Weak<Shared>, every: Duration) -> Result<Self> {
        if every.is_zero() {
            return Err(Error::invalid("a watch that looks without a pause"));
        }
        let stop = Arc::new((Mutex::new(false), Condvar::new()));
        let stopped = Arc::clone(&stop);
        let look = move || {
            while !waited(&stopped, every) {
                let Some(shared) = monitor.upgrade() else { return };
                let monitor = super::Monitor { shared };
                // A clock of the host's may panic; what is counted is whole after each step.
                let looked = catch_unwind(AssertUnwindSafe(|| monitor.look()));
                if !matches!(looked, Ok(Ok(_))) {
                    monitor.shared.failed_looks.fetch_add(1, Relaxed);
                }
            }
        };
        let thread = std::thread::Builder::new().name("mlops-drift-watch".to_owned()).spawn(look);
        let thread = thread.map_err(|cause| Error::io("starting a watch", cause))?;
        Ok(Self { stop, thread: Some(thread) })
    }
}

/// Waits for the next look; whether it was told to stop.
fn waited((stop, changed): &(Mutex<bool>, Condvar), every: Duration) -> bool {
    let told = stop.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = changed.wait_timeout_while(told, every, |told| !*told);
    *waited.unwrap_or_else(PoisonError::into_inner).0
}

impl Drop for Watch {
    fn drop(&mut self) {
        *self.stop.0.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.stop.1.notify_all();
        if let Some(thread) = self.thread.take() {
            // A callback may own the watch: a thread does not wait for itself.
            if thread.thread().id() != std::thread::current().id() {
                let _ = thread.join();
            }
        }
    }
}
