//! Which requests are short enough for the host's thread.

use mlops_core::tensor::Tensors;
use std::{
    sync::atomic::{AtomicU32, AtomicUsize, Ordering},
    time::Duration,
};

/// So many calls over the limit in a row are the model's doing, not another process's.
const STRIKES: u32 = 16;

/// The most bytes of texts in a request that is short: they may be of any size, and the warm-up's were empty.
const BYTES: usize = 1 << 16;

/// The bound on rows: what the warm-up measured, lowered if real requests take longer.
#[derive(Debug)]
pub(super) struct Inline {
    /// 0: none.
    rows: AtomicUsize,
    limit: Duration,
    over: AtomicU32,
    calls: AtomicU32,
}

/// The bytes of what has no size of its own.
pub(super) fn texts(inputs: &Tensors) -> usize {
    let texts = inputs.iter().filter(|(_, tensor)| tensor.dtype().size().is_none());
    texts.map(|(_, tensor)| tensor.size_bytes()).sum()
}

impl Inline {
    pub(super) fn new(rows: usize, limit: Duration) -> Self {
        Self {
            rows: AtomicUsize::new(rows),
            limit,
            over: AtomicU32::new(0),
            calls: AtomicU32::new(0),
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.rows.load(Ordering::Relaxed)
    }

    /// Whether so many rows, with so many bytes of texts, are short.
    pub(super) fn takes(&self, rows: usize, texts: impl FnOnce() -> usize) -> bool {
        let most = self.rows();
        most > 0 && rows <= most && texts() <= BYTES
    }

    /// Whether this call is one to learn from. Reading the time twice costs as much as a short model
    /// takes: one call of four is enough, until one was too long.
    pub(super) fn is_timed(&self) -> bool {
        self.over.load(Ordering::Relaxed) > 0
            || self.calls.fetch_add(1, Ordering::Relaxed).is_multiple_of(4)
    }

    /// Learns from a call. Made-up rows may be cheaper than real ones.
    pub(super) fn ran(&self, rows: usize, took: Duration) {
        if took <= self.limit {
            self.over.store(0, Ordering::Relaxed);
        } else if self.over.fetch_add(1, Ordering::Relaxed) + 1 >= STRIKES {
            self.over.store(0, Ordering::Relaxed);
            self.rows.fetch_min(rows / 2, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_take_too_long_again_and_again_lower_the_bound() {
        let (short, long) = (Duration::from_micros(50), Duration::from_micros(150));
        let inline = Inline::new(64, Duration::from_micros(100));
        for _ in 0..STRIKES - 1 {
            inline.ran(8, long);
        }
        inline.ran(8, short);
        inline.ran(8, long);
        let takes = |rows| inline.takes(rows, || BYTES);
        assert!(takes(64) && takes(0) && !takes(65));
        assert!(!inline.takes(1, || BYTES + 1));
        for _ in 0..STRIKES - 1 {
            inline.ran(8, long);
        }
        assert_eq!(inline.rows(), 4);
        for _ in 0..STRIKES {
            inline.ran(1, long);
        }
        assert!(!inline.takes(1, || 0) && !inline.takes(0, || 0));
    }
}
