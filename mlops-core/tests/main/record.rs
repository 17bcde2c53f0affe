//! The record: its grammar, its implementation in memory, its suites and who breaks them.

#[path = "record/broken_log.rs"]
mod broken_log;
#[path = "record/broken_registry.rs"]
mod broken_registry;
#[path = "record/broken_tracker.rs"]
mod broken_tracker;
#[path = "record/memory.rs"]
mod memory;
#[path = "record/promises.rs"]
mod promises;
#[path = "record/search.rs"]
mod search;

use futures_core::Stream;
use mlops_core::event::BoxStream;
use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    task::{Context, Poll},
};

/// Whether a check panics.
fn fails(check: impl Future<Output = ()>) -> bool {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    catch_unwind(AssertUnwindSafe(|| runtime.block_on(check))).is_err()
}

/// One saboteur a check: each fails its own, and no check is without one.
macro_rules! saboteurs {
    ($suite:ident, $subject:ident: { $($check:ident: $breaks:ident),* $(,)? }) => {
        /// One broken promise each.
        #[derive(Clone, Copy, Debug, PartialEq)]
        enum Breaks {
            $($breaks),*
        }

        #[test]
        fn each_fails_its_own_check() {
            $(
                let failed = super::fails(async { $suite::$check($subject(Breaks::$breaks)).await });
                assert!(failed, "{} passes where {:?}", stringify!($check), Breaks::$breaks);
            )*
        }

        #[test]
        fn no_check_is_without_a_saboteur() {
            let mut sabotaged = vec![$(stringify!($check)),*];
            let mut checks = $suite::CHECKS.to_vec();
            sabotaged.sort_unstable();
            checks.sort_unstable();
            assert_eq!(sabotaged, checks);
        }
    };
}
use saboteurs;

/// A stream that loses items.
struct Shortened<T> {
    inner: BoxStream<'static, T>,
    given: usize,
    loses: fn(usize, usize) -> Option<bool>,
    at: usize,
}

impl<T> Shortened<T> {
    /// Ends after so many items.
    fn to(at: usize, inner: BoxStream<'static, T>) -> Self {
        Self { inner, given: 0, loses: |given, at| (given < at).then_some(false), at }
    }

    /// Leaves out this one, counted from 1.
    fn without(at: usize, inner: BoxStream<'static, T>) -> Self {
        Self { inner, given: 0, loses: |given, at| Some(given + 1 == at), at }
    }
}

impl<T> Stream for Shortened<T> {
    type Item = T;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<T>> {
        loop {
            let Some(loses) = (self.loses)(self.given, self.at) else { return Poll::Ready(None) };
            let Poll::Ready(item) = self.inner.as_mut().poll_next(context) else {
                return Poll::Pending;
            };
            self.given += 1;
            if !loses {
                return Poll::Ready(item);
            }
        }
    }
}
