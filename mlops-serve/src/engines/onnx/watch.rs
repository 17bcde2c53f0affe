//! Ends runs that nobody waits for any more.
//!
//! ONNX Runtime computes until it is done or told to end, and a [`Stop`] tells nobody: it is asked. So
//! one thread asks for all runs of an engine every few milliseconds, and sleeps when there were none
//! for a while. A run shorter than that never hears of it.

use crate::engines::Stop;
use mlops_core::{Error, Result};
use ort::session::RunOptions;
use std::{
    fmt,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, Thread},
    time::Duration,
};

/// How often runs are asked after; also how often those who wait for their turn ask themselves.
pub(super) const EVERY: Duration = Duration::from_millis(2);
/// So many rounds without a run, and the thread sleeps until there is one.
const IDLE_ROUNDS: u32 = 500;

/// One session's run, if there is one, and how to end it.
pub(super) struct Running {
    options: RunOptions,
    now: Mutex<Option<Now>>,
}

/// A run that is under way.
struct Now {
    stop: Stop,
    told: bool,
}

impl Running {
    fn now(&self) -> MutexGuard<'_, Option<Now>> {
        // Nothing panics while it is held but a clock of the host's; then there is a run, or none.
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the run if it is to end; whether there is one.
    fn look(&self) -> bool {
        let mut now = self.now();
        let Some(now) = &mut *now else { return false };
        if !now.told && now.stop.check().is_err() {
            // It fails only without options, which are there.
            now.told = self.options.terminate().is_ok();
        }
        true
    }
}

/// A run that is watched until this is dropped.
pub(super) struct Watched<'a>(&'a Running);

impl Watched<'_> {
    pub(super) fn options(&self) -> &RunOptions {
        &self.0.options
    }
}

impl Drop for Watched<'_> {
    fn drop(&mut self) {
        // Under the lock: a run that was told to end too late must not end the next one.
        let mut now = self.0.now();
        if now.take().is_some_and(|now| now.told) {
            let _ = self.0.options.unterminate();
        }
    }
}

/// The thread that asks; it ends when this is dropped.
pub(super) struct Watch {
    shared: Arc<Shared>,
    thread: Thread,
}

#[derive(Default)]
struct Shared {
    all: Mutex<Vec<Weak<Running>>>,
    asleep: AtomicBool,
    closed: AtomicBool,
}

impl Watch {
    pub(super) fn open() -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let own = Arc::clone(&shared);
        let thread = thread::Builder::new()
            .name("mlops-onnx-watch".to_owned())
            .spawn(move || own.work())
            .map_err(|source| Error::io("a thread to end runs that take too long", source))?;
        Ok(Self { shared, thread: thread.thread().clone() })
    }

    /// Watches the runs of one session more.
    pub(super) fn add(&self, options: RunOptions) -> Arc<Running> {
        let running = Arc::new(Running { options, now: Mutex::default() });
        let mut all = self.shared.all();
        all.retain(|one| one.strong_count() > 0);
        all.push(Arc::downgrade(&running));
        running
    }

    /// A run begins.
    pub(super) fn begin<'a>(&self, running: &'a Running, stop: &Stop) -> Watched<'a> {
        *running.now() = Some(Now { stop: stop.clone(), told: false });
        // The thread says that it sleeps before it looks a last time, under the same lock: it sees this
        // run, or this sees it asleep.
        if self.shared.asleep.swap(false, Ordering::SeqCst) {
            self.thread.unpark();
        }
        Watched(running)
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.shared.closed.store(true, Ordering::SeqCst);
        self.thread.unpark();
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Watch({} sessions)", self.shared.all().len())
    }
}

impl Shared {
    fn all(&self) -> MutexGuard<'_, Vec<Weak<Running>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the thread does until it is closed.
    fn work(&self) {
        let mut idle = 0;
        while !self.closed.load(Ordering::SeqCst) {
            idle = if self.look() { 0 } else { idle + 1 };
            if idle < IDLE_ROUNDS {
                thread::park_timeout(EVERY);
                continue;
            }
            idle = 0;
            self.asleep.store(true, Ordering::SeqCst);
            if !self.look() && !self.closed.load(Ordering::SeqCst) {
                thread::park();
            }
            self.asleep.store(false, Ordering::SeqCst);
        }
    }

    /// Asks for every run; whether there was one.
    fn look(&self) -> bool {
        let all: Vec<Arc<Running>> = self.all().iter().filter_map(Weak::upgrade).collect();
        // All of them, also once one was found.
        all.iter().filter(|running| running.look()).count() > 0
    }
}
