//! The checks that every implementation of a trait passes: one for each bullet of its docs.
//!
//! A check is a plain async function that takes what it checks; it knows no backend. Each suite's
//! macro makes one named test a check for one backend, so that a failure names itself and
//! `cargo test memory::` runs one backend. A check that a backend cannot pass is skipped by name
//! with a reason, in the line that names the backend. Not covered by semantic versioning: checks
//! are added.

pub mod drift;
pub mod event;
pub mod online;
pub mod pipeline;
pub mod predictor;
pub mod registry;
pub mod tracker;
mod waiting;

use std::{future::Future, time::Duration};

/// The longest that one check may take.
const LIMIT: Duration = Duration::from_secs(30);

/// Runs one check on a runtime of its own. What the suites' macros call.
#[doc(hidden)]
#[expect(clippy::print_stdout, reason = "a skipped check says so")]
pub fn run(check: &str, skipped: &[(&str, &str)], body: impl Future<Output = ()>) {
    if let Some((_, reason)) = skipped.iter().find(|(name, _)| *name == check) {
        println!("skipped: {check}: {reason}");
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
    let runtime = runtime.expect("a current-thread runtime needs nothing that can be missing");
    let done = runtime.block_on(async { tokio::time::timeout(LIMIT, body).await });
    assert!(done.is_ok(), "{check} took longer than {LIMIT:?}");
}

/// Says which promise was broken when a check panics.
#[derive(Debug)]
pub(crate) struct Promise(pub(crate) &'static str);

impl Drop for Promise {
    #[expect(clippy::print_stderr, reason = "a broken promise is named")]
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("broken promise: {}", self.0);
        }
    }
}

/// A check: the promise in the words of the trait's docs, then a function that panics if it is broken.
macro_rules! check {
    ($promise:literal; async fn $name:ident($subject:ident: $type:ty) $body:block) => {
        #[doc = $promise]
        pub async fn $name($subject: $type) {
            let _promise = $crate::conformance::Promise($promise);
            $body
        }
    };
}
pub(crate) use check;

/// A suite: a macro that makes one named test a check, and the list of its checks.
macro_rules! suite {
    ($(#[$doc:meta])* $name:ident, $module:ident: [$($check:ident),* $(,)?]) => {
        $crate::conformance::suite! { @nest ($) $(#[$doc])* $name, $module: [$($check),*] }
    };
    (@nest ($d:tt) $(#[$doc:meta])* $name:ident, $module:ident: [$($check:ident),*]) => {
        /// The names of all checks.
        pub const CHECKS: &[&str] = &[$(stringify!($check)),*];

        $(#[$doc])*
        #[macro_export]
        macro_rules! $name {
            ($d backend:ident, $d make:expr
                $d(, skip: [$d($d skipped:ident = $d reason:literal),* $d(,)?])? $d(,)?) => {
                mod $d backend {
                    #[allow(unused_imports, reason = "what makes the subject may need nothing")]
                    use super::*;

                    const SKIPPED: &[(&str, &str)] =
                        &[$d($d((stringify!($d skipped), $d reason)),*)?];

                    $(#[test]
                    fn $check() {
                        $crate::conformance::run(stringify!($check), SKIPPED, async {
                            $crate::conformance::$module::$check($d make).await;
                        });
                    })*
                }
            };
        }
    };
}
pub(crate) use suite;
