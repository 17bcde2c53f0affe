//! A record behind MLflow's REST API.

mod aliases;
mod batch;
mod config;
mod experiments;
mod failure;
mod fetch;
mod http;
mod models;
mod proxy;
mod registry;
mod request;
mod run_artifacts;
mod runs;
mod search;
mod sign_in;
#[cfg(feature = "sqlite")]
mod source;
mod thread;
mod tracker;
mod transfer;
mod versions;
mod watch;

pub use config::RestConfig;
pub use sign_in::Auth;

use http::Session;
use mlops_core::Result;
use std::{fmt, sync::Arc};
use thread::ClientThread;

/// A record on another machine, behind MLflow's REST API: our own server, or an `mlflow server` of 3.0 or
/// later.
///
/// Cloning is cheap. It owns one thread; every method sends its request there and awaits one answer, so
/// that any host can call it. A call that is given up goes on to its end.
///
/// **Our server** keeps every promise of [`Tracker`](mlops_core::Tracker) and
/// [`Registry`](mlops_core::Registry), but that what is over one request's limits (below) is atomic
/// request by request. **A plain `mlflow server`** cannot do all of it:
///
/// - `log_batch` is atomic by table (parameters, metrics, tags), and inputs travel on their own; everything
///   is idempotent, so that a batch again completes it.
/// - `move_alias` reads, compares, judges the gates, then sets: two clients can both win. Two callers of one
///   store and its clones cannot.
/// - An idempotency key is kept as a tag and looked for first: two clients at the same moment can both create.
/// - `renew_lease` and `history` are `Unsupported`: it keeps neither leases nor events.
/// - Infinities come back, but the largest finite number comes back as one, too; -0 comes back as 0.
/// - The artifacts of a run have no digests, so that damage to them is not seen. Those of a version that this
///   client registered have: `fetch` verifies every byte.
///
/// Both: times are whole milliseconds. `log_batch` sends at most 1,000 metrics, 100 parameters, 100 tags, 1,000
/// of them together and 1,000,000 bytes in a request, parameters and tags first. Changing several things of a
/// run, an experiment, a model or a version takes several requests. A version that another program registered
/// has an empty manifest in lists; `resolve` reads its bytes once to know it. `watch` polls.
#[derive(Clone)]
pub struct RestStore {
    shared: Arc<Shared>,
}

struct Shared {
    thread: ClientThread,
    session: Arc<Session>,
}

impl RestStore {
    /// Connects to a server: `http://host:port`, `https://host/prefix`. A user and a password in it are
    /// used to sign in and shown nowhere.
    ///
    /// Asks the server once what it is: one that is not there is `Unavailable`, one that wants other
    /// credentials `Unauthenticated`.
    pub async fn connect(url: &str, config: RestConfig) -> Result<Self> {
        let mut session = Session::new(url, config)?;
        let thread = ClientThread::start(&session.config)?;
        session.peer = thread.call(session.clone().greet()).await?;
        Ok(Self { shared: Arc::new(Shared { thread, session: Arc::new(session) }) })
    }

    /// Whether the server is one of ours, which keeps every promise of the traits.
    pub fn is_ours(&self) -> bool {
        self.shared.session.is_ours()
    }

    /// Where the server is, without credentials.
    pub fn url(&self) -> &str {
        self.shared.session.base.as_str()
    }

    /// Does something on the client's thread.
    async fn call<T, F>(&self, work: impl FnOnce(Arc<Session>) -> F) -> Result<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<T>> + Send + 'static,
    {
        self.shared.thread.call(work(Arc::clone(&self.shared.session))).await
    }
}

impl fmt::Debug for RestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RestStore({})", self.url())
    }
}
