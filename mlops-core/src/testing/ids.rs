//! Identities that a test can predict.

use crate::{IdSource, Timestamp};
use std::sync::atomic::{AtomicU64, Ordering};

/// 1, 2, 3 …
#[derive(Debug, Default)]
pub struct SequentialIds(AtomicU64);

impl IdSource for SequentialIds {
    fn next(&self, _: Timestamp) -> u128 {
        u128::from(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}
