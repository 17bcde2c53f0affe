//! A host uses everything on one thread; what a process has one of is still the host's afterwards.
//!
//! One test in a process of its own: nothing else may have touched what it looks at.

#[path = "guest/globals.rs"]
mod globals;
#[path = "guest/lifecycle.rs"]
mod lifecycle;

use globals::{Hook, Process};

#[test]
fn nothing_that_a_process_has_one_of_was_taken() {
    let hook = Hook::install();
    let before = Process::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(lifecycle::live());
    drop(runtime);

    assert_eq!(hook.seen(), 1, "a panic inside a model is told to the host's hook, once");
    before.is_unchanged();
    hook.is_still_the_one();

    rayon::ThreadPoolBuilder::new().num_threads(1).build_global().expect("the thread pool");
    let subscriber = tracing::subscriber::NoSubscriber::new();
    tracing::subscriber::set_global_default(subscriber).expect("the subscriber");
    metrics::set_global_recorder(metrics::NoopRecorder).expect("the recorder");
    hook.can_be_replaced();
}
