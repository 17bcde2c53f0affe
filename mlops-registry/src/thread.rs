//! A thread with a runtime of its own, so that any host can call what runs there.

use mlops_core::{Error, Result};

/// How many threads wait for files at the same time, at most; they end when nothing is to be waited for.
const BLOCKING: usize = 16;

/// Runs something on a thread of its own that has a current-thread runtime, both named after `name`.
pub(crate) fn spawn<F: Future<Output = ()>>(
    name: &str,
    work: impl FnOnce() -> F + Send + 'static,
) -> Result<()> {
    // Made here, so that a host without threads or handles to spare learns it as an error.
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_all().max_blocking_threads(BLOCKING).build();
    let runtime = runtime.map_err(|source| Error::io(format!("the {name}'s runtime"), source))?;
    let thread = std::thread::Builder::new().name(format!("mlops-{name}"));
    let started = thread.spawn(move || runtime.block_on(work()));
    started.map(drop).map_err(|source| Error::io(format!("the {name}'s thread"), source))
}
