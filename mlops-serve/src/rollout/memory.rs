//! How much memory models may take together.

use mlops_core::{Error, ErrorKind, Result};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// A bound on the memory that models take, in bytes; clones share it, and so may several endpoints.
///
/// # Behavior
/// - what would not fit beside the rest is `Overloaded`, before it is loaded; nothing is pushed out
/// - what is taken comes back when its [`MemoryReservation`] is dropped
///
/// ```
/// use mlops_serve::MemoryBudget;
///
/// let budget = MemoryBudget::new(100);
/// let first = budget.reserve(60, "model a")?;
/// let refused = budget.reserve(60, "model b").unwrap_err();
/// assert_eq!(refused.to_string(), "model b needs 60 bytes of memory, and 60 of 100 are taken");
/// drop(first);
/// assert_eq!(budget.reserve(60, "model b")?.bytes(), 60);
/// # Ok::<(), mlops_core::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct MemoryBudget(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limit: u64,
    taken: AtomicU64,
}

/// Memory that is spoken for, until this is dropped.
#[derive(Debug)]
#[must_use = "memory is spoken for only while this is held"]
pub struct MemoryReservation {
    budget: MemoryBudget,
    bytes: u64,
}

impl MemoryBudget {
    /// So many bytes for all.
    pub fn new(limit_bytes: u64) -> Self {
        Self(Arc::new(Shared { limit: limit_bytes, taken: AtomicU64::new(0) }))
    }

    /// The bound, in bytes.
    pub fn limit(&self) -> u64 {
        self.0.limit
    }

    /// How many bytes are taken.
    pub fn taken(&self) -> u64 {
        self.0.taken.load(Ordering::Relaxed)
    }

    /// Takes so many bytes for `what`, as it is called in the message if they are not there.
    pub fn reserve(&self, bytes: u64, what: &str) -> Result<MemoryReservation> {
        let mut reservation = MemoryReservation { budget: self.clone(), bytes: 0 };
        reservation.resize(bytes, what)?;
        Ok(reservation)
    }
}

impl MemoryReservation {
    /// How many bytes it holds.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Holds so many bytes from now on; what it held stays if more are not there.
    pub fn resize(&mut self, bytes: u64, what: &str) -> Result<()> {
        let Shared { limit, taken } = &*self.budget.0;
        let own = self.bytes;
        let resized = |taken: u64| {
            let wanted = (taken - own).checked_add(bytes)?;
            (bytes <= own || wanted <= *limit).then_some(wanted)
        };
        match taken.fetch_update(Ordering::Relaxed, Ordering::Relaxed, resized) {
            Ok(_) => {
                self.bytes = bytes;
                Ok(())
            }
            Err(taken) => {
                let others = taken - own;
                let text = format!(
                    "{what} needs {bytes} bytes of memory, and {others} of {limit} are taken"
                );
                Err(Error::new(ErrorKind::Overloaded, text))
            }
        }
    }
}

impl Drop for MemoryReservation {
    fn drop(&mut self) {
        self.budget.0.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_grows_over_the_bound_keeps_what_it_had() {
        let budget = MemoryBudget::new(100);
        let mut one = budget.reserve(50, "one").unwrap();
        let two = budget.reserve(40, "two").unwrap();
        assert_eq!(one.resize(61, "one").unwrap_err().kind(), ErrorKind::Overloaded);
        assert_eq!((one.bytes(), budget.taken()), (50, 90));
        one.resize(60, "one").unwrap();
        assert_eq!(budget.taken(), 100);
        one.resize(10, "one").unwrap();
        drop(two);
        assert_eq!(budget.taken(), 10);
        assert!(budget.reserve(u64::MAX, "all").is_err());
        drop(one);
        assert_eq!((budget.taken(), budget.limit()), (0, 100));
    }
}
