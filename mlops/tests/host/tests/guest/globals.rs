//! What a process has one of.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fs,
    panic::{catch_unwind, set_hook, take_hook},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

/// What a test panics with on purpose.
pub(crate) const PLANNED: &str = "as planned";

/// The host's panic hook: counts planned panics, hands others on.
pub(crate) struct Hook(Arc<AtomicUsize>);

impl Hook {
    pub(crate) fn install() -> Self {
        let seen = Arc::new(AtomicUsize::new(0));
        let (own, other) = (Arc::clone(&seen), take_hook());
        set_hook(Box::new(move |info| {
            if info.payload_as_str() == Some(PLANNED) {
                own.fetch_add(1, Ordering::SeqCst);
            } else {
                other(info);
            }
        }));
        Self(seen)
    }

    pub(crate) fn seen(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }

    pub(crate) fn is_still_the_one(&self) {
        let before = self.seen();
        catch_unwind(|| panic!("{PLANNED}")).unwrap_err();
        assert_eq!(self.seen(), before + 1, "another hook was installed");
    }

    pub(crate) fn can_be_replaced(&self) {
        let own = take_hook();
        let next = Self::install();
        next.is_still_the_one();
        set_hook(own);
        self.is_still_the_one();
    }
}

/// Environment, working directory, signal handlers and threads.
#[derive(Debug)]
pub(crate) struct Process {
    environment: BTreeMap<OsString, OsString>,
    folder: PathBuf,
    signals: Option<Vec<String>>,
    threads: Option<usize>,
}

impl Process {
    pub(crate) fn now() -> Self {
        let folder = std::env::current_dir().unwrap();
        let environment = std::env::vars_os().collect();
        Self { environment, folder, signals: signals(), threads: threads() }
    }

    /// Threads may take a moment to end with what owned them.
    pub(crate) fn is_unchanged(&self) {
        let limit = Instant::now() + Duration::from_secs(20);
        while threads() != self.threads && Instant::now() < limit {
            std::thread::sleep(Duration::from_millis(10));
        }
        let now = Self::now();
        assert_eq!(now.environment, self.environment, "the environment was changed");
        assert_eq!(now.folder, self.folder, "the working directory was changed");
        assert_eq!(now.signals, self.signals, "a signal handler was installed");
        assert_eq!(now.threads, self.threads, "threads outlive what they worked for");
        if self.signals.is_none() {
            println!("skipped: signal handlers and threads: there is no /proc here");
        }
    }
}

/// The masks of signals that are ignored and caught, where the system tells.
fn signals() -> Option<Vec<String>> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let masks =
        status.lines().filter(|line| line.starts_with("SigIgn") || line.starts_with("SigCgt"));
    Some(masks.map(str::to_owned).collect())
}

fn threads() -> Option<usize> {
    Some(fs::read_dir("/proc/self/task").ok()?.count())
}
