//! The whole record in memory: what a host's tests use where the host uses a database.

mod aliases;
mod batch;
mod bytes;
mod event_log;
mod experiments;
mod files;
mod log;
mod models;
mod pages;
mod registry;
mod runs;
mod tracker;
mod versions;

pub use bytes::MemoryBytes;

use crate::{
    Clock, EventId, IdSource, ModelName, Principal, RandomIds, RunId, SystemClock, Timestamp,
    event::{Event, EventKind},
    tracker::Experiment,
};
use std::{
    collections::{BTreeMap, HashMap},
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::Waker,
};

/// Experiments, runs, models, versions, events and bytes, gone with the last handle.
///
/// Implements [`Tracker`](crate::Tracker), [`Registry`](crate::Registry) and
/// [`EventLog`](crate::EventLog), and passes their suites. A handle: clones share the store, and each
/// says [who acts](Self::acting_as). It needs no runtime and no thread.
///
/// ```
/// use mlops_core::{Tracker, page::Search, testing::MemoryStore};
///
/// # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
/// let store = MemoryStore::new();
/// let experiments = store.experiments(Search::new()).await?.items;
/// assert_eq!(experiments[0].name.as_ref(), "Default");
/// # Ok::<(), mlops_core::Error>(()) }).unwrap();
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
    actor: Principal,
}

struct Shared {
    state: Mutex<State>,
    bytes: MemoryBytes,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
}

impl MemoryStore {
    /// An empty record on the system's clock, with random identities.
    pub fn new() -> Self {
        Self::with_clock_and_ids(Arc::new(SystemClock), Arc::new(RandomIds))
    }

    /// An empty record that takes time and identities from here.
    pub fn with_clock_and_ids(clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        let state = Mutex::new(State::new(clock.now()));
        let shared = Shared { state, bytes: MemoryBytes::default(), clock, ids };
        Self { shared: Arc::new(shared), actor: Principal::host() }
    }

    /// The same store with another who acts: every event says who did it.
    #[must_use]
    pub fn acting_as(&self, principal: Principal) -> Self {
        Self { shared: Arc::clone(&self.shared), actor: principal }
    }

    /// Who acts through this handle; the [host](Principal::host) if nobody has said.
    pub fn actor(&self) -> &Principal {
        &self.actor
    }

    /// The bytes of runs and versions.
    pub fn bytes(&self) -> &MemoryBytes {
        &self.shared.bytes
    }

    /// Looks at the record as it is now.
    fn read<T>(&self, look: impl FnOnce(&State) -> T) -> T {
        look(&self.shared.state())
    }

    /// Changes the record at one moment, then wakes all who wait, if anything happened. The change
    /// must check before it changes anything: there is no way back.
    fn write<T>(&self, change: impl FnOnce(&mut Tx<'_>) -> T) -> T {
        let mut state = self.shared.state();
        let (before, now) = (state.log.end(), self.shared.clock.now());
        let mut tx = Tx { state: &mut state, now, actor: &self.actor, ids: &*self.shared.ids };
        runs::expire(&mut tx);
        let outcome = change(&mut tx);
        // Whatever a stream could show is an event, too.
        let happened = state.log.end() > before;
        let waiting = if happened { std::mem::take(&mut state.waiting) } else { HashMap::new() };
        drop(state);
        waiting.into_values().for_each(Waker::wake);
        outcome
    }
}

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MemoryStore(acting as {})", self.actor)
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // Only a clock or a source of identities that panics could poison it. What they are asked for
        // is asked before a change begins, so that the record is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Everything but bytes.
struct State {
    experiments: BTreeMap<i64, Experiment>,
    runs: BTreeMap<RunId, runs::Held>,
    /// The run that an idempotency key made.
    run_keys: HashMap<Arc<str>, RunId>,
    models: BTreeMap<ModelName, models::Held>,
    /// The last number that a name has given, for good.
    numbers: HashMap<ModelName, u64>,
    /// How many models there ever were: what tells two of one name apart.
    models_made: u64,
    log: log::Log,
    /// Who waits for the next change, one waker a stream.
    waiting: HashMap<u64, Waker>,
    streams_made: u64,
}

impl State {
    fn new(now: Timestamp) -> Self {
        Self {
            experiments: experiments::first(now),
            runs: BTreeMap::new(),
            run_keys: HashMap::new(),
            models: BTreeMap::new(),
            numbers: HashMap::new(),
            models_made: 0,
            log: log::Log::default(),
            waiting: HashMap::new(),
            streams_made: 0,
        }
    }
}

/// One change: the record, when it happens and who makes it happen.
struct Tx<'a> {
    state: &'a mut State,
    now: Timestamp,
    actor: &'a Principal,
    ids: &'a dyn IdSource,
}

impl Tx<'_> {
    fn id(&self) -> u128 {
        self.ids.next(self.now)
    }

    fn event(&self, kind: EventKind, subject: String) -> Event {
        Event::new(EventId::from_u128(self.id()), self.now, kind, subject, self.actor)
    }
}
